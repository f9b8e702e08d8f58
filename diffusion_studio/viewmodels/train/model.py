"""Behind the Train page: the data, the config, one training and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.describe import with_value
from diffusion_studio.core.words import tr
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.runs.config import RunConfig, afresh
from diffusion_studio.engine.runs.creation import NewRun
from diffusion_studio.engine.runs.run import Run, RunError, is_run
from diffusion_studio.engine.training.codes import multiple_of
from diffusion_studio.engine.training.forecast import Forecast
from diffusion_studio.engine.training.presets import PRESETS, preset_of
from diffusion_studio.engine.training.trial import Trial
from diffusion_studio.viewmodels.editor import Edited, Editor
from diffusion_studio.viewmodels.moved import MovedImages
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.page_model import TrainingModel
from diffusion_studio.viewmodels.train.following import Following, told_by_any
from diffusion_studio.viewmodels.train.images import ImageLoader, ImagesState
from diffusion_studio.viewmodels.train.outlook import Outlook
from diffusion_studio.viewmodels.train.record import RunRecord
from diffusion_studio.viewmodels.train.state import LIVE, TrainState, may_become, shown_run
from diffusion_studio.viewmodels.train.told import after
from diffusion_studio.viewmodels.train.training import Training


class TrainViewModel(TrainingModel):
    """The state behind the Train page. All methods are called on the window's thread.

    Its parts are free to be asked: `editor` changes the config, `images` reads what it names, `training`
    trains, `record` keeps what that told, `moved` asks where images are that are gone.
    """

    state: TrainState
    training: Training
    saved = Signal(object)  # Path of the run that has a new checkpoint

    def __init__(
        self, runs_dir: Path, config: RunConfig | None = None, device: str = "auto",
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.runs_dir = runs_dir
        self.editor = Editor(config or PRESETS[0].applied_to(RunConfig()), self)
        self.images, self.training = ImageLoader(self.config.data, self), Training(device, self)
        self.record, self.outlook = RunRecord(self.config, self), Outlook(device, self)
        self.moved, self.following = MovedImages(self), Following(self)
        self.state = TrainState(self.config, preset_of(self.config))
        self.editor.changed.connect(self._on_edited)
        self.images.changed.connect(self._on_images)
        self.images.loaded.connect(self.outlook.take)
        self.outlook.found.connect(self._on_trial)
        self.training.told.connect(self._on_told)
        self.following.told.connect(self._on_told)
        self.following.arrived.connect(self.show_run)
        for said in (self.images.told, self.following.said, self.moved.told):
            said.connect(self.tell)
        self.outlook.look(self.config)

    @property
    def config(self) -> RunConfig:
        return self.editor.value

    # --- data and parameters --------------------------------------------------------------------------

    def open_data(self, source: str) -> None:
        """Chooses the images: a folder, or the word digits."""
        if not self._refused_while_busy():
            data = type(self.config.data)(source=source, background=self.config.data.background)
            self._set_config(self.config.model_copy(update={"data": data}))

    def load_data(self) -> None:
        """Reads the images that the config names."""
        self.dismiss_notice()
        self.images.load(self.config.data, partial(multiple_of, self.config.model.code))

    def edit(self, path: str, value: Any) -> None:
        """Changes one parameter; while it trains, only those of what is minimised."""
        if path.startswith(LIVE) or not self._refused_while_busy():
            self.editor.edit(path, value)

    def settle(self) -> None:
        """Ends one edit: the next undo takes back all of it, and a running training heeds it."""
        self.editor.settle()
        if self.state.busy:
            self.training.follow(self.config)

    def choose_preset(self, key: str) -> None:
        preset = next(p for p in PRESETS if p.key == key)
        if not self._refused_while_busy():
            self.editor.set(preset.applied_to(self.config))

    def undo(self) -> None:
        self._move(self.editor.before, self.editor.undo)

    def redo(self) -> None:
        self._move(self.editor.after, self.editor.redo)

    def _move(self, config: RunConfig | None, move: Callable[[], None]) -> None:
        """Along the history; while it trains, as far as only that differs which may change then."""
        if may_become(self.state, config) or not self._refused_while_busy():
            move()
            self.settle()

    def _set_config(self, config: RunConfig) -> None:
        """Another config as one step; its images are read even if they were read before."""
        same = _shown_alike(config, self.config)
        self.editor.set(config)
        if same:
            self.load_data()

    def _on_edited(self, edited: Edited[RunConfig]) -> None:
        before, config = self.state.config, edited.value
        self._update(
            config=config, preset=preset_of(config), errors=edited.errors,
            can_undo=edited.can_undo, can_redo=edited.can_redo,
        )  # fmt: skip
        if not _shown_alike(config, before):
            self.outlook.take(None)
            self.load_data()
        self._look_ahead()

    def _on_images(self, images: ImagesState) -> None:
        self._update(data=images.data, reading=images.reading, overview=images.overview)

    def _on_trial(self, found: Trial | str) -> None:
        trial, instead = (None, found) if isinstance(found, str) else (found, "")
        if trial is not self.state.trial or instead != self.state.instead:
            self._update(trial=trial, instead=instead)

    def _look_ahead(self) -> None:
        """Finds out what to expect of the training that would begin."""
        self.outlook.look(None if self.state.busy or self.state.errors else self.config)

    def _refused_while_busy(self) -> bool:
        if self.state.busy:
            self.tell(Notice("info", tr("A training is going on. Stop it to change data or parameters.")))
        return self.state.busy

    # --- training -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins a new run."""
        if not self.training.busy:
            self._begin()

    def _begin(self) -> None:
        place = NewRun(self.runs_dir, Path(self.config.data.source).name)
        tried = None if self.state.trial is None else self.state.trial.forecast
        self._show_new(place.path, self.config, tried)
        self.training.begin(place, self.config)

    def resume_run(self, path: Path) -> None:
        """Goes on with a run that was stopped; one that had reached its limit gets as much again."""
        if self._refused_while_busy():
            return
        try:
            run = Run.open(path)
        except RunError as error:
            self.tell(Notice("error", str(error)))
        else:
            if not self.moved.asks_for(run, partial(self.resume_run, path)):
                self._resume(run, _extended(run))

    def _resume(self, run: Run, config: RunConfig) -> None:
        if not self.training.busy:
            measured = run.parts_measured and config.training.parts == run.config.training.parts
            self._set_config(afresh(config, measured))
            self._show_new(run.path, config)
            self._show_record(run)  # before the training writes more
            self.training.go_on(run.path, config)

    def _show_new(self, path: Path, config: RunConfig, tried: Forecast | None = None) -> None:
        """A training that has told nothing yet."""
        self.outlook.look(None)
        self._update(
            forecast=None, tried=tried,
            phase="preparing", run=path, run_steps=config.diffusion.steps, step=0, fraction=0.0,
            detail=tr("Building the network …"), notice=None, saved_step=0, marks=(),
            device="",
        )  # fmt: skip
        self.following.stop()
        self.record.begin(config)

    def train_longer(self) -> None:
        """Gives the training, or the one that would begin, the time in which there is something to see."""
        if (expected := self.state.expected) is None or not expected.long_enough:
            return
        for path, value in (("training.steps", 0), ("training.seconds", expected.long_enough)):
            self.edit(path, value)
        self.settle()

    def train_smaller(self) -> None:
        """Begins at a smaller resolution, instead of the training that goes on, if one does."""
        was_busy, side = self.state.busy, self.state.smaller_resolution
        if not side:
            return
        self._set_config(with_value(self.config, "data.resolution", side))
        if was_busy:
            self._begin()  # what goes on is saved, and makes way

    def _on_told(self, event: events.Event) -> None:
        state = after(self.state, event)
        if isinstance(event, events.Finished) and state.run is not None and not is_run(state.run):
            state = replace(state, run=None)  # it could not begin
        if state is not self.state:
            self._show(state)
        self.record.take(event)
        if isinstance(told_by_any(event), events.Saved):
            self.saved.emit(state.run)
        if isinstance(event, events.Finished):
            self._look_ahead()

    # --- runs on disk ---------------------------------------------------------------------------------

    def show_run(self, path: Path) -> None:
        """Shows the curves and samples of a run on disk without going on with it."""
        if self.state.busy:
            self.tell(Notice("info", tr("A training is going on; its curves are shown until it ends.")))
            return
        try:
            run = Run.open(path)
        except RunError as error:
            self.tell(Notice("warning", tr("{problem} It is not shown.", problem=error)))
            return
        self._show(shown_run(self.state, run))
        self._show_record(run)
        self.following.look(run, self.record.last_step)

    def _show_record(self, run: Run) -> None:
        """The curves and samples that a run has on disk."""
        self._update(marks=tuple(run.metrics.marks()))
        self.record.restore(run)
        if run.metrics.problem:
            self.tell(Notice("warning", tr("{problem} What can be is shown.", problem=run.metrics.problem)))

    # --- the rest -------------------------------------------------------------------------------------

    def accept_notice(self) -> None:
        """The banner's button: try again with what was offered where memory was too small."""
        (name, value), path = self.state.offered, self.state.run
        self._update(notice=None)
        if not value or self.state.busy:
            return
        if path is not None and (run := Run.open(path)).step:  # keeps what it has learned
            self._resume(run, with_value(_extended(run), name, value))
        else:
            self.edit(name, value)
            self.settle()
            self.start()

    def use_device(self, name: str) -> None:
        self.training.use_device(name)
        self.outlook.use_device(name)

    def shutdown(self) -> None:
        """Stops everything and waits; the last checkpoint is saved."""
        self.training.stop()  # before waiting for the others
        for part in (self.outlook, self.images, self.moved, self.following, self.training):
            part.shutdown()

    def _update(self, **values: Any) -> None:
        self._show(replace(self.state, **values))

    def _show(self, state: TrainState) -> None:
        self.state = state
        self.changed.emit(state)


def _shown_alike(config: RunConfig, other: RunConfig) -> bool:
    """Whether both show the network the same images: a side that nobody asked for depends on the code."""
    alike = bool(config.data.resolution) or config.model.code == other.model.code
    return alike and config.data == other.data


def _extended(run: Run) -> RunConfig:
    """The config of a run to go on with, its limit moved further when it was reached."""
    training, step = run.config.training, run.step
    updates: dict[str, Any] = {}
    if training.steps and step >= training.steps:
        updates["steps"] = 2 * step
    if training.seconds:
        updates["seconds"] = float(
            round(run.trained_seconds + max(training.seconds - run.trained_seconds, 60.0))
        )
    return run.config.model_copy(update={"training": training.model_copy(update=updates)})
