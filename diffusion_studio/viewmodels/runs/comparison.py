"""What up to four runs have told, read beside the window to be laid over each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.labbook.disk import disk_use, free_room
from diffusion_studio.engine.runs.config import RunConfig, TrainingConfig
from diffusion_studio.engine.runs.metrics import LossSegment
from diffusion_studio.engine.runs.quality import FEWEST, Quality
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.runs.summary import RunSummary, data_of
from diffusion_studio.viewmodels.train.comparison import Comparison, comparison_with


@dataclass(frozen=True, eq=False)
class RunRead:
    """What one run has told."""

    path: Path
    name: str
    config: TrainingConfig
    losses: LossSegment
    marks: tuple[tuple[int, str], ...]  # (step, what was changed)
    errors: Comparison | None  # by timestep, the newest
    quality: tuple[tuple[int, Quality], ...]  # (step, measures) of its previews
    previews: tuple[tuple[int, Path], ...]  # (step, file)
    side: int  # pixels of one sample
    disk: dict[str, int]  # bytes of each part
    free: int  # bytes on its disk


@dataclass(frozen=True, eq=False)
class RunsRead(events.Event):
    """What could be read of those that were asked for."""

    runs: tuple[RunRead, ...]


class Comparing(QObject):
    """Reads the runs that are to be compared; what was read already is not read again.

    What could not be read is asked for anew each time: it may be on its way into the trash or back.
    """

    changed = Signal(object)  # tuple[RunRead, ...], in the order that was asked for

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_told)
        self._known: dict[Path, RunRead] = {}
        self._wanted: dict[Path, str] = {}  # what each is called
        self.runs: tuple[RunRead, ...] = ()

    def look(self, runs: Sequence[RunSummary]) -> None:
        """Shows these runs."""
        wanted = {run.path: run.name for run in runs}
        if list(wanted.items()) != list(self._wanted.items()):
            self._wanted = wanted
            self._show()

    def forget(self) -> None:
        """Reads all again: a training may have gone on."""
        self._known.clear()
        self._show()

    @property
    def busy(self) -> bool:
        return self._slot.busy

    def _show(self) -> None:
        missing = tuple(path for path in self._wanted if path not in self._known)
        if not missing:
            self._tell()
            return

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            yield RunsRead(tuple(filter(None, map(read, missing))))

        self._slot.start(stream)

    def _tell(self) -> None:
        known = ((self._known.get(path), name) for path, name in self._wanted.items())
        found = [replace(run, name=name) for run, name in known if run is not None]
        self.runs = with_own_names(found)
        self.changed.emit(self.runs)

    def _on_told(self, event: events.Event) -> None:
        if isinstance(event, RunsRead):
            self._known |= {run.path: run for run in event.runs}
            self._tell()

    def shutdown(self) -> None:
        self._slot.finish()


def read(path: Path) -> RunRead | None:
    """What a run has told; None where it cannot be read."""
    try:
        run = Run.open_as(path, TrainingConfig)
    except Refused:
        return None
    measured = tuple((step, found) for step, found in run.metrics.quality() if found.count >= FEWEST)
    errors = comparison_with(path) if isinstance(run.config, RunConfig) else None
    images = data_of(run.config)
    return RunRead(
        path, path.name, run.config, run.metrics.losses(), tuple(run.metrics.marks()), errors, measured,
        tuple(_previews(run)), 0 if images is None else images.resolution,
        disk_use(path), free_room(path),
    )  # fmt: skip


def _previews(run: Run[TrainingConfig]) -> Iterator[tuple[int, Path]]:
    for path in sorted(run.sample_folder.glob("step-*.png")):
        number = path.stem.removeprefix("step-")
        if number.isdecimal():
            yield int(number), path


def with_own_names(runs: Sequence[RunRead]) -> tuple[RunRead, ...]:
    """The runs under names that tell them apart: those of two that are called alike get their place."""
    names = [run.name for run in runs]
    folders = [run.path.name for run in runs]
    return tuple(
        run if names.count(run.name) == 1 else replace(run, name=_apart(run, folders)) for run in runs
    )


def _apart(run: RunRead, folders: list[str]) -> str:
    place = run.path.name if folders.count(run.path.name) == 1 else str(run.path)
    return f"{run.name} ({place})"
