"""The pages of the window, each built when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from PySide6.QtCore import QObject, QTimer

from diffusion_studio.pages.entries import PAGES
from diffusion_studio.pages.page import Desk, Page
from diffusion_studio.viewmodels.page_model import PageModel

P = TypeVar("P", bound=Page)
PAUSE = 60  # ms between two pages that are built ahead, for what else there is to do


class Pages(Mapping[str, Page]):
    """Pages by their keys; to ask for one is to have it built.

    Args:
        models: the view-models of all pages, by the same keys.
        tie: what is done with a page as soon as it is there.
    """

    def __init__(self, desk: Desk, models: Mapping[str, PageModel], tie: Callable[[Page], None]) -> None:
        self._entries = {entry.key: entry for entry in PAGES}
        self._desk, self._models, self._tie = desk, models, tie
        self.there: dict[str, Page] = {}

    def __getitem__(self, key: str) -> Page:
        if key not in self.there:
            self._build(key)
        return self.there[key]

    def __contains__(self, key: object) -> bool:
        """Whether there is such a page; that of a `Mapping` would have it built."""
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def of(self, kind: type[P]) -> P:
        """The page of a class."""
        page = self[kind.key]
        assert isinstance(page, kind)
        return page

    def _build(self, key: str) -> None:
        entry = self._entries[key]
        page: Page = entry.module().build(self._desk, self._models[key])
        page.setAccessibleName(entry.title)
        self.there[key] = page
        self._tie(page)


class Ahead(QObject):
    """Builds the pages that nobody asked for yet, one after another, so that the first click finds them.

    The window lives in between.
    """

    def __init__(self, pages: Pages, parent: QObject) -> None:
        super().__init__(parent)
        self._pages = pages
        self._timer = QTimer(self, interval=PAUSE)
        self._timer.timeout.connect(self._build_next)
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def _build_next(self) -> None:
        missing = [key for key in self._pages if key not in self._pages.there]
        for key in missing[:1]:
            self._pages[key]
        if len(missing) <= 1:
            self.stop()
