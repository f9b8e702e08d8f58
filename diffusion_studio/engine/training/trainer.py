"""The training loop as a generator of events: the caller owns the window, the progress bar and the thread."""

from __future__ import annotations

import contextlib
import sqlite3
import time
import traceback
from collections import deque
from collections.abc import Iterator

import filelock
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.describe import get_value
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.failures import words_for
from diffusion_studio.engine.machine.devices import device_name
from diffusion_studio.engine.machine.memory import is_out_of_memory
from diffusion_studio.engine.runs.checkpoints import newest_sound, prune, remove_leftovers, save_checkpoint
from diffusion_studio.engine.runs.config import ObjectiveSpec
from diffusion_studio.engine.runs.metrics import Metrics, TimestepRecord
from diffusion_studio.engine.runs.run import RunError
from diffusion_studio.engine.training.events import ObjectiveChanged, TimestepErrors
from diffusion_studio.engine.training.minimised import StepResult
from diffusion_studio.engine.training.objective_changes import change_text
from diffusion_studio.engine.training.previews import Previewer
from diffusion_studio.engine.training.session import Session

TELL_EVERY = 0.033  # seconds between Progress events
TELL_TIMESTEPS_EVERY = 0.25
WRITE_EVERY = 1.0  # seconds between transactions of the metrics database
SKIPS_BEFORE_PAUSE = 5  # steps in a row whose loss is not a number


def train(session: Session, control: Control) -> Iterator[events.Event]:
    """Trains until the config's limit, a stop or a failure; `Finished` is always the last event."""
    step = session.counters.step
    try:
        with session.run.lock():
            before = session.run.update_config()
            yield from _Training(session, control).run(before.objective)
    except filelock.Timeout:
        yield events.Finished(
            "failed", f"{session.run.name} is already being trained by another window or command."
        )
    except Exception as error:
        if is_out_of_memory(error):
            yield _out_of_memory(session)
        else:
            message = f"Training stopped after step {max(step, session.counters.step)}. {words_for(error)}"
            yield events.Finished("failed", message, traceback.format_exc(), session.counters.step)


def _out_of_memory(session: Session) -> events.Finished:
    size = session.config.training.batch_size
    smaller = size // 2
    advice = (
        f"Try again with a batch of {smaller}."
        if size > 1
        else "Choose a smaller network or a lower resolution."
    )
    message = f"There is not enough memory for a batch of {size} images. {advice}"
    return events.Finished("failed", message, traceback.format_exc(), session.counters.step, smaller)


class _Log:
    """Losses gathered on the device and copied rarely, so that no step waits for a copy."""

    def __init__(self) -> None:
        self._times: list[Tensor] = []
        self._errors: list[Tensor] = []
        self._losses: list[Tensor] = []

    def add(self, t: Tensor, result: StepResult) -> None:
        self._times.append(t)
        self._errors.append(result.errors)
        self._losses.append(result.minimised)

    def take(self) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
        """(loss of each step, all t, all errors) since the last time."""
        losses = torch.stack([e.mean() for e in self._losses]).cpu().numpy()
        t, errors = torch.cat(self._times).cpu().numpy(), torch.cat(self._errors).cpu().numpy()
        self._times, self._errors, self._losses = [], [], []
        return losses, t, errors

    def __len__(self) -> int:
        return len(self._errors)


class _Training:
    def __init__(self, session: Session, control: Control) -> None:
        self.session = session
        self.control = control
        self.counters = session.counters
        self.spec = session.config.training
        self._log = _Log()
        self._metrics: Metrics | None = None
        self._unwritten: list[NDArray[np.float32]] = []
        self._previewer = Previewer(session)
        self._speed: deque[tuple[float, int]] = deque(maxlen=64)  # (clock, images seen)
        self._clock = 0.0  # when the training time was last counted
        self._streak = 0  # steps in a row whose loss was not a number
        self._saved_step = session.counters.step or -1  # −1: nothing yet
        self._saved_seconds = session.counters.seconds
        self._told = self._told_timesteps = self._written = -1e9
        self._disk_complaint = ""

    def run(self, before: ObjectiveSpec) -> Iterator[events.Event]:
        """Every event to the end; `before` is the objective that the run had until now."""
        session, counters = self.session, self.counters
        remove_leftovers(session.run.checkpoint_folder)
        saved, _ = newest_sound(session.run.checkpoint_folder, after=counters.step)
        if saved is not None:
            raise RunError(f"{session.run.name} was trained to {saved.name} meanwhile; open it again.")
        self._metrics = self._open_metrics()
        try:
            yield self._started()
            for note in session.notes:
                yield from self._warn(note)
            if before != session.config.objective:
                yield self._mark(before)
            yield from self._loop()
            yield from self._save(tolerated=SKIPS_BEFORE_PAUSE - 1)
            yield from self._preview(final=True)
            outcome: events.Outcome = "stopped" if self.control.stopped else "done"
            yield events.Finished(outcome, f"Step {counters.step}, everything is saved.", step=counters.step)
        except Exception as error:
            yield from self._rescue(error)
            raise
        finally:
            if self._metrics is not None:
                self._metrics.close()

    def _started(self) -> events.Started:
        learner = self.session.learner
        return events.Started(
            self.session.run.path, self.counters.step, device_name(learner.device), learner.precision,
            learner.parameter_count, self.session.images.count / self.spec.batch_size,
        )  # fmt: skip

    def _loop(self) -> Iterator[events.Event]:
        counters, learner, size = self.counters, self.session.learner, self.spec.batch_size
        batches = self.session.batches
        self._clock = time.perf_counter()
        while not self._finished():
            if self.control.paused:
                yield from self._save(tolerated=SKIPS_BEFORE_PAUSE - 1)
                yield from self._pause()
                continue
            if self.control.asked:
                yield from self._change(self.control.take_wish())
            batch = batches.batch(counters.step, counters.position, size)
            result = learner.step(batch, counters.step)
            batches.learn(batch.t, result.losses)
            self._log.add(batch.t, result)
            counters.step += 1
            counters.position += size
            now = time.perf_counter()
            counters.seconds, self._clock = counters.seconds + now - self._clock, now
            if now - self._told >= TELL_EVERY:
                yield from self._tell()
            if self._checkpoint_due():
                yield from self._save()
            if self._previewer.due(counters.seconds):
                yield from self._preview()

    def _change(self, objective: object) -> Iterator[events.Event]:
        """Goes on with another weight, density or loss; what was measured before is told first."""
        if not isinstance(objective, ObjectiveSpec):
            return
        before = self.session.config.objective
        for name in ("predict", "variance"):
            if get_value(objective, name) != get_value(before, name):
                yield from self._warn(f"The {name} of a run cannot change after its first step.")
                return
        if objective == before:
            return
        yield from self._tell()
        self.session.set_objective(objective)
        try:
            self.session.run.write_config()
        except OSError as error:
            yield from self._complain(
                f"The changed objective could not be written: {error.strerror or error}. Training goes on."
            )
        yield self._mark(before)

    def _mark(self, before: ObjectiveSpec) -> ObjectiveChanged:
        """Notes at this step what is different about the objective."""
        objective = self.session.config.objective
        message = change_text(before, objective)
        if objective.loss != before.loss:  # the errors were measured in another unit
            self.session.averages.clear()
        if self._metrics is not None:
            with contextlib.suppress(sqlite3.Error):
                self._metrics.note(self.counters.step, "objective", message)
        return ObjectiveChanged(self.counters.step, message, objective)

    def _finished(self) -> bool:
        by_steps = 0 < self.spec.steps <= self.counters.step
        by_time = 0 < self.spec.seconds <= self.counters.seconds
        return by_steps or by_time or self.control.stopped

    def _checkpoint_due(self) -> bool:
        by_time = self.counters.seconds - self._saved_seconds >= 60 * self.spec.checkpoint_minutes
        return self.counters.step % self.spec.checkpoint_every == 0 or by_time

    def _tell(self) -> Iterator[events.Event]:
        """Copies what was gathered, tells it, and writes it now and then."""
        if not len(self._log):
            return
        now = time.perf_counter()
        losses, t, errors = self._log.take()
        self.session.averages.add(t, errors)
        self._unwritten.append(losses)
        self._speed.append((now, self.counters.position))
        self._told = now
        yield self._progress(losses)
        if now - self._told_timesteps >= TELL_TIMESTEPS_EVERY:
            self._told_timesteps = now
            record = self._by_timestep()
            yield TimestepErrors(**vars(record))
        if now - self._written >= WRITE_EVERY:
            yield from self._write()
        yield from self._watch(losses)

    def _progress(self, losses: NDArray[np.float32]) -> events.Progress:
        counters = self.counters
        (then, before), (now, images) = self._speed[0], self._speed[-1]
        rate = (images - before) / (now - then) if now > then else 0.0
        return events.Progress(
            counters.step, self.spec.steps, counters.seconds, self.spec.seconds, rate,
            counters.step - len(losses) + 1, losses,
        )  # fmt: skip

    def _by_timestep(self) -> TimestepRecord:
        averages, batches = self.session.averages, self.session.batches
        density = batches.probabilities().cpu().numpy()
        weight = self.session.learner.minimised.shown_weight.numpy()[1:]
        drawn = np.full_like(density, 1 / len(density)) if batches.density.corrects else density
        return TimestepRecord(
            self.counters.step, averages.centres, averages.error(), averages.spread(), averages.count.copy(),
            averages.bin_mean(weight), averages.bin_mean(density), averages.share(drawn * weight),
            self._learned_log_snr(),
        )  # fmt: skip

    def _learned_log_snr(self) -> NDArray[np.float64] | None:
        """ln SNR of a learned schedule as it stands, by bin."""
        learner = self.session.learner
        if learner.schedule is None:
            return None
        return self.session.averages.bin_mean(learner.tables.log_snr.numpy()[1:])

    def _watch(self, losses: NDArray[np.float32]) -> Iterator[events.Event]:
        """Counts losses that are not numbers; too many in a row pause the training."""
        bad = ~np.isfinite(losses)
        if not bad.any():
            self._streak = 0
            return
        self.counters.skipped_steps += int(bad.sum())
        after_last_good = len(bad) if bad.all() else int(np.argmin(bad[::-1]))
        self._streak = self._streak + after_last_good if bad.all() else after_last_good
        yield from self._warn(
            f"The loss was not a number; the step was skipped ({self.counters.skipped_steps} so far)."
        )
        if self._streak >= SKIPS_BEFORE_PAUSE:
            self.control.pause()
            reason = (
                f"The loss was not a number {self._streak} times in a row, so training was paused. "
                f"{self._kept} Try a smaller learning rate."
            )
            yield from self._pause(reason)

    def _pause(self, reason: str = "") -> Iterator[events.Event]:
        if not self.control.paused:  # resumed while the checkpoint was saved
            return
        yield events.Paused(self.counters.step, reason)
        self.control.wait_while_paused()
        self._speed.clear()
        self._clock = time.perf_counter()
        if not self.control.stopped:
            self._streak = 0
            yield events.Resumed(self.counters.step)

    def _open_metrics(self) -> Metrics | None:
        try:
            return Metrics(self.session.run.metrics_path, self.counters.step)
        except sqlite3.Error as error:
            self.session.notes += (
                f"metrics.sqlite cannot be written ({error}); curves of this part are not kept.",
            )
            return None

    def _write(self) -> Iterator[events.Event]:
        """Puts what was gathered into the metrics database."""
        if not self._unwritten or self._metrics is None:
            return
        losses = np.concatenate(self._unwritten)
        try:
            self._metrics.add(self.counters.step - len(losses) + 1, losses, self._by_timestep())
            self._unwritten = []
        except sqlite3.Error as error:
            yield from self._complain(f"The curves could not be written to disk: {error}. Training goes on.")
        self._written = time.perf_counter()

    def _save(self, tolerated: int = 0) -> Iterator[events.Event]:
        """A checkpoint, unless weights are broken or more than `tolerated` steps in a row were skipped."""
        yield from self._tell()
        yield from self._write()
        step = self.counters.step
        if step == self._saved_step:
            return
        if self._streak > tolerated or not self.session.learner.is_finite:
            yield from self._warn(
                f"Step {step} was not saved, because its weights may not be sound. {self._kept}"
            )
            return
        self._saved_seconds = self.counters.seconds
        folder = self.session.run.checkpoint_folder
        try:
            path = save_checkpoint(folder, step, self.session.checkpoint())
            prune(folder, self.spec.keep_checkpoints, step)
        except OSError as error:
            yield from self._complain(
                f"The checkpoint could not be saved: {error.strerror or error}. Training goes on. "
                f"{self._kept} Free some disk space."
            )
            return
        self._saved_step = step
        self._disk_complaint = ""
        yield events.Saved(step, path)

    @property
    def _kept(self) -> str:
        if self._saved_step < 0:
            return "Nothing was saved before."
        return f"The checkpoint of step {self._saved_step} is kept."

    def _preview(self, final: bool = False) -> Iterator[events.Event]:
        if final and not self._previewer.wanted(self.counters.step, self.control):
            return
        try:
            preview = self._previewer.draw(self.counters, self.control)
        except OSError as error:
            yield from self._complain(
                f"A preview could not be saved: {error.strerror or error}. Training goes on."
            )
            return
        if preview is not None:
            if self._metrics is not None and preview.quality is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._metrics.add_quality(preview.step, preview.quality)
            yield preview

    def _complain(self, sentence: str) -> Iterator[events.Event]:
        """Warns of trouble with the disk, once until it changes."""
        if sentence.split(":")[0] != self._disk_complaint:
            self._disk_complaint = sentence.split(":")[0]
            yield from self._warn(sentence)

    def _warn(self, sentence: str) -> Iterator[events.Event]:
        if self._metrics is not None:
            with contextlib.suppress(sqlite3.Error):  # the person is told all the same
                self._metrics.note(self.counters.step, "warning", sentence)
        yield events.Warned(sentence, self.counters.step)

    def _rescue(self, error: Exception) -> Iterator[events.Event]:
        """After a failure: keeps the work since the last checkpoint, if it is sound."""
        if self.counters.step > max(self._saved_step, 0):
            try:
                yield from self._save(tolerated=SKIPS_BEFORE_PAUSE - 1)
            except Exception as second:
                error.add_note(f"Saving after the failure failed too: {second}")
