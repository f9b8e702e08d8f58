"""Behind the Runs page: all trainings on disk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.refused import Refused
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.evaluation.exported_run import export_run
from diffusion_studio.engine.files.pictures import read_grid
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.config import RunConfig, TrainingConfig
from diffusion_studio.engine.runs.run import Run, RunError, changed_at, list_runs
from diffusion_studio.engine.runs.trash import (
    Trashed,
    delete_for_good,
    list_trash,
    move_to_trash,
    put_back,
)
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.notice import Notice

log = logging.getLogger(__name__)
RECENT = 100  # losses that the shown average covers


@dataclass(frozen=True, eq=False)
class RunSummary:
    """One line of the list."""

    path: Path
    name: str
    kind: str  # of training, as config.json names it
    in_a_code: bool
    data: str
    step: int
    loss: float  # mean of the newest losses; NaN when there are none
    size: int  # bytes
    seconds: float
    changed: float  # when its newest checkpoint was written
    picture: NDArray[np.uint8] | None  # newest samples (n, H, W, C)
    problem: str = ""


@dataclass(frozen=True, eq=False)
class RunsListed(events.Event):
    """What lies on disk."""

    runs: tuple[RunSummary, ...]
    trash: tuple[Trashed, ...]


@dataclass(frozen=True)
class RunsState:
    """Everything on the Runs page."""

    runs: tuple[RunSummary, ...] = ()
    listed: bool = False
    selected: Path | None = None
    trash: tuple[Trashed, ...] = ()  # all that lies there
    trashed: tuple[tuple[Path, Path], ...] = ()  # (where it lies now, where it was), the last one last
    notice: Notice | None = None


class RunsViewModel(QObject):
    """The state behind the Runs page."""

    changed = Signal(object)  # RunsState
    trash_changed = Signal()

    def __init__(self, runs_dir: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runs_dir = runs_dir
        self._listing = Slot(self)
        self._listing.told.connect(self._on_listing)
        self._exporting = Slot(self)
        self._exporting.told.connect(self._on_exported)
        self._deleting = Slot(self)
        self._deleting.told.connect(self._on_deleted)
        self.state = RunsState()

    def refresh(self) -> None:
        """Reads the list again, beside the window."""
        folder = self._runs_dir

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            runs = tuple(summary_of(path) for path in list_runs(folder) if not control.stopped)
            yield RunsListed(runs, tuple(list_trash(folder)))

        self._listing.start(stream)

    def _on_listing(self, event: events.Event) -> None:
        match event:
            case RunsListed(runs=runs, trash=trash):
                paths = [run.path for run in runs]
                selected = self.state.selected if self.state.selected in paths else next(iter(paths), None)
                self._update(runs=runs, trash=trash, listed=True, selected=selected)
            case events.Finished(outcome="failed", message=message, traceback=traceback):
                self._update(notice=Notice("error", message, traceback), listed=True)

    def select(self, path: Path) -> None:
        self._update(selected=path)

    # --- the trash ------------------------------------------------------------------------------------

    def trash(self, path: Path) -> None:
        """Moves a run to the trash; it can be put back."""
        if self._refused(lambda: self._take_away(path)):
            return
        notice = Notice("info", f"{path.name} was moved to the trash.", action="Put it back")
        self._update(notice=notice)
        self._trash_moved()

    def _take_away(self, path: Path) -> None:
        self._update(trashed=(*self.state.trashed, (move_to_trash(path), path)))

    def put_back(self) -> None:
        """Undoes the last move to the trash that is not undone yet."""
        if self.state.trashed:
            self.restore(*self.state.trashed[-1])

    def restore(self, where: Path, path: Path) -> None:
        """Moves a run from its place in the trash to `path`."""
        if not self._refused(lambda: put_back(where, path)):
            self._update(notice=None, selected=path)
            self._trash_moved()

    def delete(self, trashed: Sequence[Path]) -> None:
        """Deletes runs that lie in the trash, beside the window."""

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            for path in trashed:
                delete_for_good(path)
            yield events.Finished("done", "")

        self._update(notice=None)
        self._deleting.start(stream)

    def _on_deleted(self, event: events.Event) -> None:
        if isinstance(event, events.Finished):
            if event.outcome == "failed":
                self._update(notice=Notice("error", event.message, event.traceback))
            self._trash_moved()

    def _trash_moved(self) -> None:
        """What was undone or deleted is not there to be put back any more."""
        self._update(trashed=tuple(moved for moved in self.state.trashed if moved[0].exists()))
        self.refresh()
        self.trash_changed.emit()

    def _refused(self, move: Callable[[], object]) -> bool:
        """Moves something, or says why not."""
        try:
            move()
        except RunError as error:
            self._update(notice=Notice("error", str(error)))
            return True
        return False

    # --- the rest -------------------------------------------------------------------------------------

    def export(self, run: Path, target: Path) -> None:
        """Writes the run beside the window: as a folder, its network or its training, as the name says."""
        if self._exporting.busy:
            self._update(notice=Notice("info", "The export before is not finished yet."))
            return

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            try:
                notes = export_run(run, target)
            except OSError as error:
                raise Refused(f"{target} could not be written: {error.strerror or error}.") from error
            yield events.Finished("done", " ".join((f"Saved {target}.", *notes)))

        self._update(notice=Notice("info", f"{run.name} is being exported …"))
        self._exporting.start(stream)

    def _on_exported(self, event: events.Event) -> None:
        if isinstance(event, events.Finished):
            failed = event.outcome == "failed"
            self._update(notice=Notice("error" if failed else "info", event.message, event.traceback))

    def dismiss_notice(self) -> None:
        if self.state.notice is not None:
            self._update(notice=None)

    def shutdown(self) -> None:
        self._listing.finish()
        self._exporting.finish(60_000)
        self._deleting.finish(60_000)

    def _update(self, **values: Any) -> None:
        self.state = replace(self.state, **values)
        self.changed.emit(self.state)


def summary_of(path: Path) -> RunSummary:
    """One run as the list shows it; one that cannot be read says why, and costs no other its line."""
    try:
        return _summary(Run.open_as(path, TrainingConfig))
    except Refused as error:
        problem = str(error)
    except Exception:
        log.exception("The run %s cannot be listed", path)
        problem = "It cannot be read; what happened is in the log."
    return RunSummary(path, path.name, "", False, "", 0, np.nan, 0, 0.0, changed_at(path), None, problem)


def _summary(run: Run[TrainingConfig]) -> RunSummary:
    losses = run.metrics.losses().losses[-RECENT:]
    losses = losses[np.isfinite(losses)]
    loss = float(losses.mean()) if len(losses) else np.nan
    spec = _data_of(run.config)
    data = Path(spec.source).name if spec is not None else ""
    return RunSummary(
        run.path, run.name, run.config.kind, _in_a_code(run.config), data, run.step, loss, run.size,
        run.trained_seconds, changed_at(run.path), _newest_picture(run),
    )  # fmt: skip


def _in_a_code(config: TrainingConfig) -> bool:
    return isinstance(config, RunConfig) and bool(config.model.code)


def _data_of(config: TrainingConfig) -> DataSpec | None:
    """The images of a training; None of one that has no images."""
    return config.data if isinstance(config, RunConfig | AutoencoderConfig) else None


def _newest_picture(run: Run[TrainingConfig]) -> NDArray[np.uint8] | None:
    paths, spec = sorted(run.sample_folder.glob("step-*.png")), _data_of(run.config)
    if not paths or spec is None:
        return None
    side = spec.resolution
    try:
        return read_grid(paths[-1], side, side)
    except (OSError, Refused):
        return None
