"""Behind the Train page: the data, the config, one training and what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.describe import knobs, with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.data.load import load
from diffusion_studio.engine.files.places import cache_dir
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.run import Run, RunError, is_run, new_run_path
from diffusion_studio.engine.training.events import ObjectiveChanged, Preview, TimestepErrors
from diffusion_studio.engine.training.presets import PRESETS, preset_of
from diffusion_studio.engine.training.session import new_session, resumed_session
from diffusion_studio.engine.training.trainer import train
from diffusion_studio.viewmodels.history import History
from diffusion_studio.viewmodels.job import Post, Slot, Stream
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.train.comparison import Comparison, comparison_with, log_snr_at, other_runs
from diffusion_studio.viewmodels.train.preview_history import PreviewHistory
from diffusion_studio.viewmodels.train.series import LossSeries
from diffusion_studio.viewmodels.train.state import (
    Phase,
    TrainState,
    data_card,
    duration,
    progress_text,
)
from diffusion_studio.viewmodels.train.timestep_history import TimestepHistory

LIVE = ("objective.weight", "objective.density", "objective.loss")  # may change while training


@dataclass(frozen=True, eq=False)
class DataLoaded(events.Event):
    """The images that the config names are in memory."""

    images: ImageSet


class TrainViewModel(QObject):
    """The state behind the Train page. All methods are called on the window's thread."""

    changed = Signal(object)  # TrainState
    losses_changed = Signal(object)  # LossSeries
    timesteps_changed = Signal(object)  # TimestepHistory
    previews_changed = Signal(object)  # PreviewHistory
    saved = Signal(object)  # Path of the run that has a new checkpoint

    def __init__(
        self,
        runs_dir: Path,
        config: RunConfig | None = None,
        device: str = "auto",
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._runs_dir = runs_dir
        self._device = device
        self._history = History(config or PRESETS[0].applied_to(RunConfig()))
        self._training, self._loading = Slot(self), Slot(self)
        self._training.told.connect(self._on_training)
        self._loading.told.connect(self._on_loading)
        self._tables = self.config.diffusion.tables()
        self._asked = self.config.objective  # what the running training minimises
        self._offered_batch = 0  # after running out of memory
        self.losses = LossSeries()
        self.previews = PreviewHistory()
        self.timesteps = TimestepHistory()
        self.state = TrainState(self.config, preset_of(self.config))

    @property
    def config(self) -> RunConfig:
        return self._history.value

    # --- data -----------------------------------------------------------------------------------------

    def open_data(self, source: str) -> None:
        """Chooses the images: a folder, or the word digits."""
        if self._refused_while_busy():
            return
        data = type(self.config.data)(source=source, background=self.config.data.background)
        self._set_config(self.config.model_copy(update={"data": data}), settle=True)
        self.load_data()

    def load_data(self) -> None:
        """Reads the images that the config names."""
        spec = self.config.data

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            report = lambda done, total: post(events.Preparing("reading images", done, total))  # noqa: E731
            yield DataLoaded(load(spec, cache_dir(), report, lambda: control.stopped))

        self._update(reading=(0, 0), notice=None)
        self._loading.start(stream)

    def cancel_loading(self) -> None:
        self._loading.stop()

    def _on_loading(self, event: events.Event) -> None:
        match event:
            case events.Preparing(done=done, total=total):
                self._update(reading=(done, total))
            case DataLoaded(images=images):
                self._update(data=data_card(images), reading=None)
            case events.Finished(outcome="failed", message=message, traceback=traceback):
                self._update(reading=None, data=None, notice=Notice("error", message, traceback))
            case events.Finished(outcome="stopped"):
                stopped = "Reading was stopped. Undo brings the images before back."
                self._update(reading=None, data=None, notice=Notice("info", stopped))
            case events.Finished():
                self._update(reading=None)

    # --- parameters -----------------------------------------------------------------------------------

    def edit(self, path: str, value: Any) -> None:
        """Changes one parameter; a value that cannot be gets its sentence and changes nothing."""
        if not path.startswith(LIVE) and self._refused_while_busy():
            return
        try:
            config = with_value(self.config, path, value)
        except Refused as error:
            self._update(errors=((path, str(error)),))
            return
        self._set_config(config)

    def settle(self) -> None:
        """Ends one edit: the next undo takes back all of it, and a running training heeds it."""
        if self._history.settle():
            self._show_config()
        control = self._training.control
        if self.state.busy and control is not None and self.config.objective != self._asked:
            self._asked = self.config.objective
            control.ask(self._asked)

    def choose_preset(self, key: str) -> None:
        preset = next(p for p in PRESETS if p.key == key)
        if not self._refused_while_busy():
            self._set_config(preset.applied_to(self.config), settle=True)

    def undo(self) -> None:
        self._time_travel(self._history.undo)

    def redo(self) -> None:
        self._time_travel(self._history.redo)

    def _time_travel(self, move: Any) -> None:
        if self._refused_while_busy():
            return
        data = self.config.data
        move()
        self._show_config()
        if self.config.data != data:
            self.load_data()

    def _set_config(self, config: RunConfig, settle: bool = False) -> None:
        data = self.config.data
        self._history.change(config)
        if settle:
            self._history.settle()
        self._show_config()
        if config.data != data and config.data.source == data.source:
            self.load_data()

    def _show_config(self) -> None:
        self._update(
            config=self.config, preset=preset_of(self.config), errors=(),
            can_undo=self._history.can_undo, can_redo=self._history.can_redo,
        )  # fmt: skip

    def _refused_while_busy(self) -> bool:
        if self.state.busy:
            self._update(
                notice=Notice("info", "A training is going on. Stop it to change data or parameters.")
            )
        return self.state.busy

    def fixed_reasons(self) -> dict[str, str]:
        """Why parameters cannot change now, by path."""
        if not self.state.busy:
            return {}
        reason = "This training is running with this value. Stop it to change the value."
        return {k.path: reason for k in knobs(self.config) if not k.path.startswith(LIVE)}

    # --- training -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins a new run."""
        config, device = self.config, self._device
        path = new_run_path(self._runs_dir, Path(config.data.source).name)

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            chosen = choose_device(device)
            session = new_session(path, config, chosen, _reporter(post), lambda: control.stopped)
            yield from train(session, control)

        self._begin(stream, path, config)

    def resume_run(self, path: Path) -> None:
        """Goes on with a run that was stopped; one that had reached its limit gets as much again."""
        if self._refused_while_busy():
            return
        try:
            run = Run.open(path)
        except RunError as error:
            self._update(notice=Notice("error", str(error)))
            return
        self._resume(run, _extended(run))

    def _resume(self, run: Run, config: RunConfig) -> None:
        path, device = run.path, self._device
        self._history.change(config)
        self._history.settle()
        self._show_config()

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            chosen = choose_device(device)
            yield from train(
                resumed_session(path, chosen, config, _reporter(post), lambda: control.stopped), control
            )

        self._begin(stream, path, config, run)
        self.load_data()

    def show_run(self, path: Path) -> None:
        """Shows the curves and samples of a run on disk without going on with it."""
        if self.state.busy:
            self._update(notice=Notice("info", "A training is going on; its curves are shown until it ends."))
            return
        try:
            run = Run.open(path)
        except RunError:
            return  # a run that is gone is simply not shown
        self._update(
            run=path, run_steps=run.config.diffusion.steps, step=run.step, fraction=0.0, saved_step=run.step,
            detail=f"step {run.step:,} · trained for {duration(run.trained_seconds)}",
        )  # fmt: skip
        self._show_record(run)

    def _show_record(self, run: Run) -> None:
        """The curves and samples that a run has on disk."""
        self._tables = run.config.diffusion.tables()
        self.losses.restore(run.metrics.segments())
        self.previews.restore(run)
        self.timesteps.restore(run)
        self._update(marks=tuple(run.metrics.marks()))
        self.losses_changed.emit(self.losses)
        self.previews_changed.emit(self.previews)
        self.timesteps_changed.emit(self.timesteps)

    def log_snr(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """ln SNR of the shown run's schedule at (fractional) times t. (N,)"""
        newest = self.timesteps.newest
        if newest is not None and newest.log_snr is not None and len(newest.log_snr) == len(t):
            return newest.log_snr  # of a schedule that is learned
        return log_snr_at(self._tables, t)

    def other_runs(self) -> list[tuple[str, str]]:
        """(path, name) of the newest runs beside the shown one, to compare with."""
        return other_runs(self._runs_dir, self.state.run)

    def comparison(self, path: str) -> Comparison | None:
        """The newest errors by timestep of another run, or None when it has none."""
        return comparison_with(Path(path))

    def held(self, index: int) -> Comparison | None:
        """The shown moment itself, to compare later ones with."""
        moment = self.timesteps.at(index)
        if moment is None:
            return None
        name = f"step {moment.step:,}"
        return Comparison(name, moment, self._tables.steps, self.log_snr(moment.t))

    def _begin(self, stream: Stream, path: Path, config: RunConfig, before: Run | None = None) -> None:
        """Starts a training in the folder `path`, going on with the run `before`."""
        if self._training.busy:
            return
        self._tables = config.diffusion.tables()
        self._asked = config.objective
        self.losses.clear()
        self.previews.clear()
        self.timesteps.clear()
        self._update(
            phase="preparing", run=path, run_steps=config.diffusion.steps, step=0, fraction=0.0,
            detail="Building the network …", notice=None, saved_step=0, marks=(),
        )  # fmt: skip
        self.losses_changed.emit(self.losses)
        self.timesteps_changed.emit(self.timesteps)
        self.previews_changed.emit(self.previews)
        if before is not None:  # read before the training writes more
            self._show_record(before)
        self._training.start(stream)

    def pause(self) -> None:
        if self._training.control is not None:
            self._training.control.pause()

    def resume(self) -> None:
        if self._training.control is not None:
            self._training.control.resume()

    def stop(self) -> None:
        """Stops and saves."""
        if self._training.busy:
            self._training.stop()
            self._update(phase="stopping", detail="Saving …")

    def dismiss_notice(self) -> None:
        if self.state.notice is not None:
            self._update(notice=None)

    def accept_notice(self) -> None:
        """The banner's button: try again with the smaller batch that was offered."""
        smaller, path = self._offered_batch, self.state.run
        self._update(notice=None)
        if not smaller or self.state.busy:
            return
        if path is not None and (run := Run.open(path)).step:  # keeps what it has learned
            self._resume(run, with_value(_extended(run), "training.batch_size", smaller))
        else:
            self.edit("training.batch_size", smaller)
            self.settle()
            self.start()

    def _on_training(self, event: events.Event) -> None:
        match event:
            case events.Preparing(done=done, total=total):
                self._update(detail=f"Reading images {done} of {total} …")
            case events.Started(step=step, device=device, parameters=parameters):
                self._update(
                    phase=self._unless_stopping("running"), step=step, device=device,
                    detail=f"{parameters:,} weights",
                )  # fmt: skip
            case events.Progress():
                self._on_progress(event)
            case TimestepErrors():
                self.timesteps.add(event)
                self.timesteps_changed.emit(self.timesteps)
            case ObjectiveChanged(step=step, message=message):
                self._update(marks=(*self.state.marks, (step, message)))
            case Preview():
                self.previews.add(event)
                self.previews_changed.emit(self.previews)
            case events.Saved(step=step):
                self._update(saved_step=step)
                self.saved.emit(self.state.run)
            case events.Warned(message=message):
                self._update(notice=Notice("warning", message))
            case events.Paused(reason=reason):
                notice = Notice("warning", reason) if reason else self.state.notice
                self._update(phase=self._unless_stopping("paused"), notice=notice)
            case events.Resumed():
                self._update(phase=self._unless_stopping("running"))
            case events.Finished():
                self._on_finished(event)

    def _unless_stopping(self, phase: Phase) -> Phase:
        """What is told between asking for the end and the end changes nothing."""
        return "stopping" if self.state.phase == "stopping" else phase

    def _on_progress(self, event: events.Progress) -> None:
        self.losses.add(event.first_loss_step, event.losses)
        phase = "paused" if self.state.phase == "paused" else self._unless_stopping("running")
        self._update(phase=phase, step=event.step, fraction=event.fraction, detail=progress_text(event))
        self.losses_changed.emit(self.losses)

    def _on_finished(self, event: events.Finished) -> None:
        self._offered_batch = event.smaller_batch
        if event.outcome == "failed":
            action = f"Try a batch of {event.smaller_batch}" if event.smaller_batch else ""
            notice: Notice | None = Notice("error", event.message, event.traceback, action)
        else:
            notice = self.state.notice
        run = self.state.run if self.state.run is not None and is_run(self.state.run) else None
        self._update(phase="idle", detail=event.message, notice=notice, run=run)

    # --- the rest -------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Stops everything and waits; the last checkpoint is saved."""
        self._training.stop()  # before waiting for the other
        self._loading.finish()
        self._training.finish(60_000)

    def _update(self, **values: Any) -> None:
        self.state = replace(self.state, **values)
        self.changed.emit(self.state)


def _reporter(post: Post) -> Any:
    return lambda done, total: post(events.Preparing("reading images", done, total))


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
