"""What takes runs away: the trash, and the way back; and what takes copies of them elsewhere: exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.evaluation.exported_run import export_run
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.labbook.disk import drop_older
from diffusion_studio.engine.labbook.entries import called
from diffusion_studio.engine.runs.run import RunError
from diffusion_studio.engine.runs.trash import delete_for_good, move_to_trash, put_back
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.notice import Notice, notice_of
from diffusion_studio.viewmodels.runs.state import TakenAway


class Trash(QObject):
    """Moves runs to the trash and back, and deletes what lies there."""

    told = Signal(object)  # Notice
    moved = Signal()  # something lies elsewhere now, or is gone

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._deleting = Slot(self)
        self._deleting.told.connect(self._on_deleted)

    def take(self, path: Path) -> TakenAway | None:
        """Moves a run to the trash; None where that cannot be, which is told."""
        found: list[TakenAway] = []
        self._tried(lambda: found.append(TakenAway(move_to_trash(path), path)))
        return found[0] if found else None

    def put_back(self, where: Path, home: Path) -> bool:
        """Moves a run from its place in the trash home; False where that cannot be, which is told."""
        return self._tried(lambda: put_back(where, home))

    def _tried(self, move: Callable[[], None]) -> bool:
        try:
            move()
        except RunError as error:
            self.told.emit(Notice("error", str(error)))
            return False
        return True

    def delete(self, trashed: Sequence[Path]) -> None:
        """Deletes runs that lie in the trash, beside the window."""

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            for path in trashed:
                delete_for_good(path)
            yield events.Finished("done", "")

        self._deleting.start(stream)

    def drop_older(self, run: Path) -> None:
        """Deletes the checkpoints of a run before its newest one, beside the window."""

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            freed = drop_older(run)
            yield events.Finished(
                "done", tr("{freed:,.1f} MB of older checkpoints were deleted.", freed=freed / 1e6)
            )

        self._deleting.start(stream)

    def _on_deleted(self, event: events.Event) -> None:
        if isinstance(event, events.Finished):
            if event.outcome == "failed":
                self.told.emit(Notice("error", event.message, event.traceback, file=event.file))
            elif event.message:
                self.told.emit(Notice("info", event.message))
            self.moved.emit()

    def shutdown(self) -> None:
        self._deleting.finish(60_000)


class Exports(QObject):
    """Writes a run for others, one at a time."""

    told = Signal(object)  # Notice

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_told)

    def export(self, run: Path, target: Path) -> None:
        """Writes the run beside the window: as a folder, its network or its training, as the name says."""
        if self._slot.busy:
            self.told.emit(Notice("info", tr("The export before is not finished yet.")))
            return

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            try:
                notes = export_run(run, target)
            except OSError as error:
                raise Refused(
                    tr(
                        "{path} could not be written: {reason}.",
                        path=target,
                        reason=error.strerror or error,
                    )
                ) from error
            yield events.Finished(
                "done", " ".join((tr("Saved {path}.", path=target), *notes)), file=str(target)
            )

        self.told.emit(Notice("info", tr("{name} is being exported …", name=called(run))))
        self._slot.start(stream)

    def _on_told(self, event: events.Event) -> None:
        if isinstance(event, events.Finished):
            self.told.emit(notice_of(event))

    def shutdown(self) -> None:
        self._slot.finish(60_000)
