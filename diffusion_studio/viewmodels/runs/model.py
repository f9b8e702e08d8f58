"""Behind the Runs page: the lab book of all trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.labbook.entries import (
    MOST_NAME,
    MOST_NOTE,
    Entry,
    common_tags,
    one_line,
    retagged,
    tags_in,
)
from diffusion_studio.engine.runs.run import list_runs
from diffusion_studio.engine.runs.trash import Trashed, list_trash
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.runs.away import Exports, Trash
from diffusion_studio.viewmodels.runs.comparison import Comparing
from diffusion_studio.viewmodels.runs.order import remembered, sorted_by
from diffusion_studio.viewmodels.runs.state import RunsState, Step, TakenAway, Written
from diffusion_studio.viewmodels.runs.summary import RunSummary, summary_of
from diffusion_studio.viewmodels.runs.writing import Writing

ARRANGEMENT = "labbook.order"  # in the window's memory


@dataclass(frozen=True, eq=False)
class RunsListed(events.Event):
    """What lies on disk."""

    runs: tuple[RunSummary, ...]
    trash: tuple[Trashed, ...]


class RunsViewModel(QObject):
    """The state behind the Runs page.

    Its parts are free to be asked: `comparing` reads what the chosen runs have told, `bin` deletes what lies
    in the trash, `exports` writes runs for others.
    """

    changed = Signal(object)  # RunsState
    trash_changed = Signal()
    written = Signal()  # something about a run, which may be called otherwise now

    def __init__(self, runs_dir: Path, memory: Memory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runs_dir, self._memory = runs_dir, memory
        self._listing = Slot(self)
        self._listing.told.connect(self._on_listing)
        self.bin, self.exports = Trash(self), Exports(self)
        self.bin.told.connect(self._tell)
        self.bin.moved.connect(self._trash_moved)
        self.exports.told.connect(self._tell)
        self._writing = Writing(self)
        self._writing.failed.connect(self._on_not_written)
        self.comparing = Comparing(self)
        self.state = RunsState(arrangement=remembered(memory.get(ARRANGEMENT)))

    def refresh(self) -> None:
        """Reads the list again, beside the window."""
        folder = self._runs_dir

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            runs = tuple(summary_of(path) for path in list_runs(folder) if not control.stopped)
            yield RunsListed(runs, tuple(list_trash(folder)))

        self._writing.mark()
        self._listing.start(stream)

    def _on_listing(self, event: events.Event) -> None:
        match event:
            case RunsListed(runs=runs, trash=trash):
                newest = self._writing.since
                runs = tuple(replace(run, entry=newest.get(run.path, run.entry)) for run in runs)
                self._update(runs=runs, trash=trash, listed=True)
                self._keep_chosen()
                self.comparing.forget()
            case events.Finished(outcome="failed", message=message, traceback=traceback):
                self._update(notice=Notice("error", message, traceback), listed=True)

    # --- what is shown, and which of it is chosen -----------------------------------------------------

    def select(self, path: Path) -> None:
        """Chooses one run."""
        self.choose([path])

    def choose(self, paths: Iterable[Path]) -> None:
        """Chooses these runs; those that were chosen before keep their order, and the last one is shown."""
        wanted = list(paths)
        kept = [path for path in self.state.chosen if path in wanted]
        chosen = tuple(kept + [path for path in wanted if path not in kept])
        if chosen != self.state.chosen:
            self._update(chosen=chosen)

    def filter(self, words: str) -> None:
        """Shows only runs of which all these words are said: name, tags, note, kind, data."""
        self._arrange(words=words)

    def show_starred(self, only: bool) -> None:
        """Shows only runs with a star, or all."""
        self._arrange(starred=only)

    def sort(self, by: str) -> None:
        """Sorts by something; asked twice, the other way round."""
        what, descending = sorted_by(self.state.arrangement, by)
        self._arrange(by=what, descending=descending)

    def _arrange(self, **values: Any) -> None:
        arrangement = replace(self.state.arrangement, **values)
        if arrangement != self.state.arrangement:
            self._memory.set(ARRANGEMENT, {k: v for k, v in asdict(arrangement).items() if k != "words"})
            self._update(arrangement=arrangement)
            self._keep_chosen()

    def _keep_chosen(self) -> None:
        """Of what is not shown any more nothing is chosen; something always is."""
        paths = [run.path for run in self.state.shown]
        self.choose([path for path in self.state.chosen if path in paths] or paths[:1])

    # --- what a person writes -------------------------------------------------------------------------

    def rename(self, name: str) -> None:
        """Calls the run that is shown otherwise; its folder keeps its name."""
        run = self.state.summary(self.state.selected)
        if run is not None:
            name = one_line(name)[:MOST_NAME]
            self._write([run], lambda entry: replace(entry, name="" if name == run.path.name else name))

    def write_note(self, note: str) -> None:
        """Writes a note about the run that is shown."""
        run = self.state.summary(self.state.selected)
        if run is not None:
            self._write([run], lambda entry: replace(entry, note=note.rstrip()[:MOST_NOTE]))

    def tag(self, text: str) -> None:
        """The tags that all chosen runs have in common, between commas; what each has beside stays."""
        runs = self._chosen_runs()
        before, after = common_tags(run.entry for run in runs), tags_in([text])
        self._write(runs, lambda entry: retagged(entry, before, after))

    def star(self) -> None:
        """Gives the chosen runs a star, or takes it from them where all have one."""
        runs = self._chosen_runs()
        given = not all(run.entry.star for run in runs)
        self._write(runs, lambda entry: replace(entry, star=given))

    def _chosen_runs(self) -> list[RunSummary]:
        return [run for run in self.state.runs if run.path in self.state.chosen]

    def _write(self, runs: Sequence[RunSummary], change: Callable[[Entry], Entry]) -> None:
        changes = tuple((run.path, run.entry, change(run.entry)) for run in runs)
        changes = tuple(found for found in changes if found[1] != found[2])
        if changes:
            self._put([(path, after) for path, _, after in changes])
            self._remember(Written(changes))

    def _put(self, entries: Sequence[tuple[Path, Entry]]) -> None:
        """Shows what is written, and writes it."""
        newest = dict(entries)
        runs = tuple(replace(run, entry=newest.get(run.path, run.entry)) for run in self.state.runs)
        self._update(runs=runs)
        for path, entry in entries:
            self._writing.write(path, entry)
        self._keep_chosen()
        self.written.emit()

    def _on_not_written(self, message: str) -> None:
        self._tell(Notice("error", message))
        self.refresh()

    # --- undo and redo --------------------------------------------------------------------------------

    def _remember(self, step: Step) -> None:
        self._update(past=(*self.state.past, step), future=())

    def undo(self) -> None:
        """Takes back what was written or moved to the trash last."""
        if not self.state.past:
            return
        *past, step = self.state.past
        if isinstance(step, Written):
            self._put([(path, before) for path, before, _ in step.entries])
        elif not self.restore(step.where, step.home):
            return
        self._update(past=tuple(past), future=(step, *self.state.future))

    def redo(self) -> None:
        """Makes it again."""
        if not self.state.future:
            return
        step, *future = self.state.future
        if isinstance(step, Written):
            self._put([(path, after) for path, _, after in step.entries])
            self._remember(step)
        else:
            self.trash(step.home)
        self._update(future=tuple(future))

    # --- the trash ------------------------------------------------------------------------------------

    def trash(self, path: Path) -> None:
        """Moves a run to the trash; it can be put back."""
        self._writing.finish()
        if (step := self.bin.take(path)) is not None:
            self._remember(step)
            self._tell(Notice("info", f"{path.name} was moved to the trash.", action="Put it back"))
            self._trash_moved()

    def put_back(self) -> None:
        """Puts back what was moved to the trash last and lies there still."""
        taken = [step for step in self.state.past if isinstance(step, TakenAway)]
        if taken:
            self.restore(taken[-1].where, taken[-1].home)

    def restore(self, where: Path, path: Path) -> bool:
        """Moves a run from its place in the trash to `path`; False where that cannot be."""
        if not self.bin.put_back(where, path):
            return False
        self._update(notice=None, chosen=(path,))
        self._trash_moved()
        return True

    def _trash_moved(self) -> None:
        """What was put back otherwise, or deleted, is no step of undo any more."""
        left = [s for s in self.state.past if not isinstance(s, TakenAway) or s.where.exists()]
        self._update(past=tuple(left))
        self.refresh()
        self.trash_changed.emit()

    # --- the rest -------------------------------------------------------------------------------------

    def dismiss_notice(self) -> None:
        if self.state.notice is not None:
            self._tell(None)

    def shutdown(self) -> None:
        self._writing.finish()
        self._listing.finish()
        self.comparing.shutdown()
        self.bin.shutdown()
        self.exports.shutdown()

    def _tell(self, notice: Notice | None) -> None:
        self._update(notice=notice)

    def _update(self, **values: Any) -> None:
        before, self.state = self.state, replace(self.state, **values)
        if (before.runs, before.chosen) != (self.state.runs, self.state.chosen):
            self.comparing.look(self.state.compared)
        self.changed.emit(self.state)
