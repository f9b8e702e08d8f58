"""Everything on the Runs page, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from diffusion_studio.engine.labbook.entries import Entry
from diffusion_studio.engine.runs.trash import Trashed
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.runs.order import Arrangement, arranged
from diffusion_studio.viewmodels.runs.summary import RunSummary

MOST = 4  # runs on one plot
AS_FOUND = Arrangement()


@dataclass(frozen=True)
class Written:
    """A step of undo: what was written about runs, and what had been."""

    entries: tuple[tuple[Path, Entry, Entry], ...]  # (run, before, after)


@dataclass(frozen=True)
class TakenAway:
    """A step of undo: a run was moved to the trash."""

    where: Path  # it lies now
    home: Path


@dataclass(frozen=True)
class Placed:
    """A step of undo: other places are looked at for runs."""

    before: tuple[Path, ...]
    after: tuple[Path, ...]


Step = Written | TakenAway | Placed


@dataclass(frozen=True)
class RunsState:
    """Everything on the Runs page."""

    runs: tuple[RunSummary, ...] = ()  # all that there are, as they were found
    listed: bool = False
    arrangement: Arrangement = AS_FOUND
    chosen: tuple[Path, ...] = ()  # in the order in which they were chosen
    elsewhere: tuple[Path, ...] = ()  # runs, and folders of runs, beside the folder of all runs
    trash: tuple[Trashed, ...] = ()  # all that lies there
    past: tuple[Step, ...] = ()
    future: tuple[Step, ...] = ()
    notice: Notice | None = None

    @cached_property
    def shown(self) -> tuple[RunSummary, ...]:
        """The runs in the list, in their order."""
        return arranged(self.runs, self.arrangement)

    @property
    def selected(self) -> Path | None:
        """The run that was chosen last."""
        return self.chosen[-1] if self.chosen else None

    @property
    def can_undo(self) -> bool:
        return bool(self.past)

    @property
    def can_redo(self) -> bool:
        return bool(self.future)

    @property
    def compared(self) -> tuple[RunSummary, ...]:
        """Those of the chosen runs that are laid over each other."""
        chosen = (self.summary(path) for path in self.chosen)
        return tuple(run for run in chosen if run is not None and not run.problem)[:MOST]

    def place_of(self, run: Path | None) -> Path | None:
        """The place elsewhere for which a run is listed, and which can be taken off the list."""
        return next((p for p in self.elsewhere if run is not None and run.is_relative_to(p)), None)

    def summary(self, path: Path | None) -> RunSummary | None:
        return next((run for run in self.runs if run.path == path), None)
