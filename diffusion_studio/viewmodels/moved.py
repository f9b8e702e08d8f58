"""A run whose images lie somewhere else now: asks for their folder, and points the run to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.words import tr
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.moved import images_gone
from diffusion_studio.engine.training.run_data import point_to
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.notice import Notice

CHOOSE = tr("Choose the folder …")  # the button of a notice that asks where images are
WHERE = tr("Where are the images of this run?")


class MovedImages(QObject):
    """Asks where the images of a run are now; they must be the same, pixel by pixel."""

    told = Signal(object)  # Notice; None when there is nothing more to say

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)
        self._asked: tuple[Path, Callable[[], object]] | None = None

    def asks_for(self, run: Run[Any], then: Callable[[], object]) -> bool:
        """Whether the folder of the images is gone; then it asks for another.

        Args:
            then: called when the run knows where they are.
        """
        if not images_gone(run):
            return False
        self._asked = run.path, then
        self.told.emit(
            Notice(
                "error",
                tr(
                    "The images of {name} are not in {source} any more. If they were moved, choose the "
                    "folder where they are now.",
                    name=run.name,
                    source=run.config.data.source,
                ),
                action=CHOOSE,
            )
        )
        return True

    def point(self, folder: str) -> None:
        """They are said to be in this folder: compares them, beside the window."""
        if self._asked is None:
            return
        path, _ = self._asked

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            point_to(path, folder, lambda: control.stopped)
            yield from ()

        self.told.emit(
            Notice(
                "info",
                tr("Comparing the images in {folder} with those of {name} …", folder=folder, name=path.name),
            )
        )
        self._slot.start(stream)

    def _on_event(self, event: events.Event) -> None:
        match event:
            case events.Finished(outcome="failed", message=message, traceback=traceback):
                self.told.emit(Notice("error", message, traceback, action=CHOOSE))
            case events.Finished(outcome="done") if self._asked is not None:
                _, then = self._asked
                self._asked = None
                self.told.emit(None)
                then()

    def shutdown(self) -> None:
        self._slot.finish(60_000)
