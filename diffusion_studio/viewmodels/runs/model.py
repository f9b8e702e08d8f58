"""Behind the Runs page: the lab book of all trainings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.words import tr
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.labbook.entries import Entry, called
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.page_model import PageModel
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.runs.away import Exports, Trash
from diffusion_studio.viewmodels.runs.comparison import Comparing
from diffusion_studio.viewmodels.runs.edits import Changes, noted, renamed, starred, tagged
from diffusion_studio.viewmodels.runs.listing import (
    ELSEWHERE,
    RunsListed,
    listed,
    place_of,
    remembered_places,
)
from diffusion_studio.viewmodels.runs.order import remembered, sorted_by
from diffusion_studio.viewmodels.runs.state import Placed, RunsState, Step, TakenAway, Written
from diffusion_studio.viewmodels.runs.summary import RunSummary
from diffusion_studio.viewmodels.runs.writing import Writing

ARRANGEMENT = "labbook.order"  # in the window's memory


class RunsViewModel(PageModel):
    """The state behind the Runs page.

    Its parts are free to be asked: `comparing` reads what the chosen runs have told, `bin` deletes what lies
    in the trash, `exports` writes runs for others.
    """

    trash_changed = Signal()
    written = Signal()  # something about a run, which may be called otherwise now

    def __init__(self, runs_dir: Path, memory: Memory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.runs_dir, self._memory = runs_dir, memory
        self._listing = Slot(self)
        self._listing.told.connect(self._on_listing)
        self.bin, self.exports = Trash(self), Exports(self)
        self.bin.told.connect(self._tell)
        self.bin.moved.connect(self._trash_moved)
        self.exports.told.connect(self._tell)
        self._writing = Writing(self)
        self._writing.failed.connect(self._on_not_written)
        self._writing.done.connect(self.written)
        self.comparing = Comparing(self)
        self.state = RunsState(
            arrangement=remembered(memory.get(ARRANGEMENT)), elsewhere=remembered_places(memory)
        )

    def refresh(self) -> None:
        """Reads the list again, beside the window."""
        folder, elsewhere = self.runs_dir, self.state.elsewhere

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            yield listed(folder, elsewhere, lambda: control.stopped)

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

    # --- runs of other places --------------------------------------------------------------------------

    def open_place(self, path: Path) -> None:
        """Lists a run, or the runs of a folder, from anywhere on the disk, from now on."""
        place = place_of(path)
        if place is None:
            self.tell(tr("{path} is no run, and there is none right inside.", path=path))
            return
        if self.runs_dir not in (place, place.parent):
            self._place((*self.state.elsewhere, place))
        self.refresh()
        self._update(chosen=(place,))

    def leave(self, run: Path) -> None:
        """Takes a run of elsewhere, with those of its folder, off the list; on the disk nothing changes."""
        left = self.state.place_of(run)
        self._place(tuple(place for place in self.state.elsewhere if place != left))

    def _place(self, places: tuple[Path, ...]) -> None:
        before, after = self.state.elsewhere, tuple(dict.fromkeys(places))
        if before != after:
            self._look_at(after)
            self._remember(Placed(before, after))

    def _look_at(self, places: tuple[Path, ...]) -> None:
        self._memory.set(ELSEWHERE, [str(place) for place in places])
        self._update(elsewhere=places)
        self.refresh()

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
        if (run := self.state.summary(self.state.selected)) is not None:
            self._write(renamed(run, name))

    def write_note(self, note: str) -> None:
        """Writes a note about the run that is shown."""
        if (run := self.state.summary(self.state.selected)) is not None:
            self._write(noted(run, note))

    def tag(self, text: str) -> None:
        """The tags that all chosen runs have in common, between commas; what each has beside stays."""
        self._write(tagged(self._chosen_runs(), text))

    def star(self) -> None:
        """Gives the chosen runs a star, or takes it from them where all have one."""
        self._write(starred(self._chosen_runs()))

    def _chosen_runs(self) -> list[RunSummary]:
        return [run for run in self.state.runs if run.path in self.state.chosen]

    def _write(self, changes: Changes) -> None:
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

    def _on_not_written(self, message: str) -> None:
        self.tell(message)
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
        elif isinstance(step, Placed):
            self._look_at(step.before)
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
        elif isinstance(step, Placed):
            self._look_at(step.after)
            self._remember(step)
        else:
            self.trash(step.home)
        self._update(future=tuple(future))

    # --- the trash ------------------------------------------------------------------------------------

    def trash(self, path: Path) -> None:
        """Moves a run to the trash; it can be put back."""
        self._writing.finish()
        name = called(path)
        if (step := self.bin.take(path)) is not None:
            self._remember(step)
            self._tell(
                Notice("info", tr("{name} was moved to the trash.", name=name), action=tr("Put it back"))
            )
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

    def tell(self, refusal: str) -> None:
        """Says why something cannot be."""
        self._tell(Notice("error", refusal))

    def _tell(self, notice: Notice | None) -> None:
        self._update(notice=notice)

    def _update(self, **values: Any) -> None:
        before, self.state = self.state, replace(self.state, **values)
        if (before.runs, before.chosen) != (self.state.runs, self.state.chosen):
            self.comparing.look(self.state.compared)
        self.changed.emit(self.state)
