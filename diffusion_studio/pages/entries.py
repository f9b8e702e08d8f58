"""The pages of the window, in the order of the rail and of the keys Ctrl+1, Ctrl+2, …; imports nothing heavy.

A page is its folder and one line here. In `pages/KEY/page.py` a function `model` makes the view-model from
what all of them share (`Desk`) when the window opens, and a function `build` makes the page of it when it is
first shown; `CARDS` are those of its tour, if it has one. `pages/KEY/icon.svg` stands on the rail. If there
is a `viewmodels/KEY`, its `model.py` is imported beside the window before.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from diffusion_studio.core.words import trc

if TYPE_CHECKING:
    from diffusion_studio.viewmodels.tours.tour import Titled, TourCard


@dataclass(frozen=True)
class Entry:
    """A page before it is there."""

    key: str  # the name of its folder
    title: str

    @property
    def icon(self) -> str:
        """The name of the drawing on the rail."""
        return f"pages/{self.key}/icon"

    def module(self) -> ModuleType:
        """Its `page.py`, imported."""
        return importlib.import_module(f"diffusion_studio.pages.{self.key}.page")

    def cards(self) -> tuple[TourCard[Titled], ...]:
        """Those of its tour; none without one."""
        return tuple(getattr(self.module(), "CARDS", ()))

    def preload(self) -> None:
        """Imports what is heavy in it; may run on any thread."""
        models = f"diffusion_studio.viewmodels.{self.key}"
        if find_spec(models) is not None:
            importlib.import_module(f"{models}.model")


FIRST_PAGE = "sample"  # it already shows a chain before anything was trained
PAGES = (
    Entry("train", trc("page", "Train")),
    Entry("sample", trc("page", "Sample")),
    Entry("plane", trc("page", "2-D")),
    Entry("autoencoder", trc("page", "Autoencoder")),
    Entry("theory", trc("page", "Theory")),
    Entry("runs", trc("page", "Runs")),
)
