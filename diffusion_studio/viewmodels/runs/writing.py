"""What is written about runs goes to the disk beside the window: disks may sleep, and networks wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.labbook.entries import Entry, write_entry
from diffusion_studio.engine.runs.run import RunError
from diffusion_studio.viewmodels.job import Post, Slot


class Writing(QObject):
    """Writes entries; of one run only the newest."""

    failed = Signal(str)  # a sentence
    done = Signal()  # all lies on the disk, as far as it can

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_told)
        self._waiting: dict[Path, Entry] = {}
        self.since: dict[Path, Entry] = {}  # what was written since `mark`, or not yet

    def mark(self) -> None:
        """The disk is read from now on: what was written before is there, but for what still waits."""
        if not self._slot.busy:
            self.since = dict(self._waiting)

    def write(self, run: Path, entry: Entry) -> None:
        self._waiting[run] = self.since[run] = entry
        self._begin()

    def finish(self) -> None:
        """Waits until all is written: before a folder is moved, and before the window closes."""
        self._slot.finish(60_000)

    def _begin(self) -> None:
        if self._slot.busy or not self._waiting:
            return
        batch, self._waiting = self._waiting, {}

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            refused = []
            for run, entry in batch.items():
                try:
                    write_entry(run, entry)
                except RunError as error:
                    refused.append(str(error))
            yield events.Finished("failed" if refused else "done", " ".join(refused))

        self._slot.start(stream)

    def _on_told(self, event: events.Event) -> None:
        if isinstance(event, events.Finished):
            self._begin()
            if not self._slot.busy:
                self.done.emit()
            if event.outcome == "failed":
                self.failed.emit(event.message)
