"""What the view-models of all pages have in common. They are there from the start, the pages are not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.words import tr
from diffusion_studio.engine.labbook.entries import called
from diffusion_studio.viewmodels.notice import Notice


@dataclass(frozen=True)
class Work:
    """Long work of a page, that goes on or has ended."""

    share: float  # that is done
    run: Path  # that it is about
    detail: str = ""  # how far it is
    ended: bool = False

    @property
    def words(self) -> str:
        """What, and how far; read only where it is told, for a person may name the run meanwhile."""
        return f"{called(self.run)}: {self.detail}"


class PageModel(QObject):
    """The state behind a page, whether or not the page was shown yet."""

    changed = Signal(object)  # its state

    def use_device(self, name: str) -> None:
        """Computes on another device from now on, by its name or "auto"."""

    def work(self) -> Work | None:
        """What it works at; told anew with `changed`."""
        return None

    def shutdown(self) -> None:
        """Stops every job and waits for its thread."""


class TrainingModel(PageModel):
    """One that trains."""

    state: Any  # with run, phase, fraction, detail, busy and notice
    training: Any  # the job

    def work(self) -> Work | None:
        state = self.state
        if state.run is None:
            return None
        return Work(state.fraction, state.run, state.detail, ended=not state.busy)

    def pause(self) -> None:
        self.training.pause()

    def resume(self) -> None:
        self.training.resume()

    def stop(self) -> None:
        """Stops and saves."""
        if self.training.busy:
            self.training.stop()
            self._update(phase="stopping", detail=tr("Saving …"))

    def tell(self, notice: Notice | None) -> None:
        """Says it on the page; None takes away what was said."""
        self._update(notice=notice)

    def dismiss_notice(self) -> None:
        if self.state.notice is not None:
            self._update(notice=None)

    def _update(self, **values: Any) -> None:
        """Another state."""
        raise NotImplementedError
