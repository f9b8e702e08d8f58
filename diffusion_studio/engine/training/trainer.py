"""The training of an image network: a task of the one loop, and what it tells beside the losses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.describe import get_value
from diffusion_studio.core.words import tr
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop.loop import Training, finishing, trained
from diffusion_studio.engine.loop.pace import BESIDE, FASTER, Pace
from diffusion_studio.engine.loop.run_keeper import RunKeeper, kept_in
from diffusion_studio.engine.loop.task import Counters, Limits
from diffusion_studio.engine.machine.devices import device_name
from diffusion_studio.engine.runs.checkpoints import CheckpointContent
from diffusion_studio.engine.runs.config import MOST_PARTS, ObjectiveSpec, RunConfig, TrainingSpec
from diffusion_studio.engine.runs.metrics import TimestepRecord
from diffusion_studio.engine.training.events import (
    ObjectiveChanged,
    PartsChanged,
    Preview,
    PreviewMeasured,
    TimestepErrors,
    change_text,
)
from diffusion_studio.engine.training.forecast import Forecaster, is_fitted
from diffusion_studio.engine.training.previews import Previewer
from diffusion_studio.engine.training.session import Session
from diffusion_studio.models.company import company
from diffusion_studio.models.side_by_side import finer, parts_for

TELL_TIMESTEPS_EVERY = 0.5  # seconds
APART = {
    BESIDE: tr("Other programs slow this training down: its steps are split into parts."),
    FASTER: tr("This training is faster with its steps in parts: they are split again."),
}  # why a training gives its helper threads up


def train(session: Session, control: Control) -> Iterator[events.Event]:
    """Trains until the config's limit, a stop or a failure; `Finished` is always the last event."""
    return finishing(_training(session, control))


def _training(session: Session, control: Control) -> Training:
    spec, counters = session.config.training, session.counters
    with kept_in(session.run, spec.keep_checkpoints, counters) as keeper:
        before = session.run.update_config()
        task = ImageTask(session, control, keeper)
        yield from keeper.all_heard(task.opening(before))
        finished = yield from trained(
            task, control, lambda: limits_of(session.config.training), keeper, counters
        )
        if finished.outcome == "done":
            yield from keeper.all_heard(task.last_preview())
        return finished


def limits_of(spec: TrainingSpec) -> Limits:
    """When a training ends and how often it is saved."""
    return Limits(spec.steps, spec.seconds, spec.checkpoint_every, 60 * spec.checkpoint_minutes)


def _forecaster(session: Session) -> Forecaster:
    spec, counters = session.config.training, session.counters
    aside = spec.preview_share if spec.preview_count else 0.0
    shape = session.images.resolution, session.images.channels
    usual = is_fitted(session.config, session.images, session.learner.device)
    return Forecaster(shape, aside, counters.step, counters.seconds, usual)


class ImageTask:
    """What an image network learns and tells; its state is that of the session."""

    def __init__(self, session: Session, control: Control, keeper: RunKeeper) -> None:
        self.session = session
        self._control = control
        self._keeper = keeper
        self._times: list[Tensor] = []  # of each image, on the device, since they were told
        self._errors: list[Tensor] = []
        self._losses: list[Tensor] = []
        self._previewer = Previewer(session)
        self._forecaster = _forecaster(session)
        self._pace = Pace()
        self._helped = session.config.training.parts  # parts in which helper threads compute, once they may
        if self._helped == self._most_parts:
            self._helped = 1
        self._told, self._told_step = -np.inf, session.counters.step  # of the last errors by t

    @property
    def size(self) -> int:
        return self.session.config.training.batch_size

    @property
    def _most_parts(self) -> int:
        """That are worked on at once: one for each processor."""
        return parts_for(self.size, self.session.learner.device)

    @property
    def _device_name(self) -> str:
        learner = self.session.learner
        return device_name(learner.device, learner.parts)

    @property
    def finer(self) -> int:
        learner, parts = self.session.learner, self.session.config.training.parts
        return finer(self.size, parts, MOST_PARTS, learner.device, learner.ranks.count)

    def rest(self) -> None:
        self.session.learner.ranks.keep_waiting()

    def state(self) -> CheckpointContent:
        self._measure()
        return self.session.state()

    def restore(self, content: CheckpointContent) -> None:
        self.session.restore(content)

    def step(self, number: int, share: float) -> Tensor:
        t, result = self.session.step(number, self.session.counters.position)
        self._times.append(t)
        self._errors.append(result.errors)
        self._losses.append(result.minimised)
        return self._losses[-1]

    def opening(self, before: RunConfig) -> Iterator[events.Event]:
        """What is told before the first step; `before` is the config that the run had until now."""
        session, learner = self.session, self.session.learner
        yield events.Started(
            session.run.path, session.counters.step, self._device_name, learner.precision,
            learner.parameter_count, session.images.count / self.size,
        )  # fmt: skip
        for note in session.notes:
            yield events.Warned(note, session.counters.step)
        if before.training.parts != session.config.training.parts:
            self._note_parts("since this start")
        if before.objective != session.config.objective:
            yield self._mark(before.objective)

    def tell(self, progress: events.Progress, last: bool) -> Iterator[events.Event]:
        """Errors by t, a changed objective, a preview: each when its time has come."""
        now = time.perf_counter()
        if progress.step > self._told_step and (last or now - self._told >= TELL_TIMESTEPS_EVERY):
            self._told, self._told_step = now, progress.step
            self._measure()
            self._keeper.record = self.by_timestep()
            yield TimestepErrors(**vars(self._keeper.record))
        if last:
            return
        yield from self._mind_others(progress)
        if (forecast := self._forecaster.after(progress)) is not None:
            yield forecast
        while self._control.asked:
            yield from self._change(self._control.take_wish())
        if self._previewer.due(progress.step, progress.seconds):
            yield from self._preview(self._previewer.draw)

    def _measure(self) -> None:
        """Copies what was gathered on the device; no step waited for it."""
        if self._errors:
            gathered = (self._times, self._errors, self._losses)
            t, errors, losses = (torch.cat(values).cpu().numpy() for values in gathered)
            self._times, self._errors, self._losses = [], [], []
            chance = self.session.batches.probabilities().cpu().numpy()
            self.session.averages.add(t, errors, losses, chance)

    def by_timestep(self) -> TimestepRecord:
        """Errors by t, and what weighs them, as they stand."""
        averages, batches = self.session.averages, self.session.batches
        density = batches.probabilities().cpu().numpy()
        weight = self.session.learner.minimised.shown_weight.numpy()[1:]
        return TimestepRecord(
            self.session.counters.step, averages.centres, averages.error(), averages.spread(),
            averages.count.copy(), averages.bin_mean(weight), averages.bin_mean(density),
            averages.share(), self._learned_log_snr(),
        )  # fmt: skip

    def _learned_log_snr(self) -> NDArray[np.float64] | None:
        """ln SNR of a learned schedule as it stands, by bin."""
        learner = self.session.learner
        if learner.schedule is None:
            return None
        return self.session.averages.bin_mean(learner.tables.log_snr.numpy()[1:])

    def _mind_others(self, progress: events.Progress) -> Iterator[events.Event]:
        """Goes on in parts where other programs make helper threads wait, and with these where none do."""
        session, most = self.session, self._most_parts
        if not session.run.parts_measured or most == 1 or session.learner.ranks.count > 1:
            return
        if session.config.training.parts != most:
            if why := self._pace.gives_up(progress):
                yield from self._split(most, why, APART[why])
        elif self._pace.may_be_helped(progress, self.size, company().is_here()):
            said = tr("The processors are free: this training tries all of them for each operation.")
            yield from self._split(self._helped, "with nothing beside", said)

    def _split(self, parts: int, why: str, message: str) -> Iterator[events.Event]:
        self.session.set_parts(parts)
        self._note_parts(why)
        self._keeper.note_device(self.session.counters.step, self._device_name)
        yield from self._written(tr("number of parts"))
        yield PartsChanged(self.session.counters.step, parts, self._device_name, message)

    def _note_parts(self, why: str) -> None:
        parts = self.session.config.training.parts
        said = f"batches in {parts} parts" if parts > 1 else "whole batches"
        self._keeper.note(self.session.counters.step, "parts", f"{said}, {why}")

    # --- another objective ----------------------------------------------------------------------------

    def _change(self, wish: object) -> Iterator[events.Event]:
        """Goes on with another objective, or to another limit."""
        if isinstance(wish, Limits):
            self.session.set_length(wish.steps, wish.seconds)
            yield from self._written(tr("length"))
        else:
            yield from self._minimise(wish)

    def _minimise(self, objective: object) -> Iterator[events.Event]:
        """Goes on with another weight, density or loss; what was measured before has been told."""
        before, step = self.session.config.objective, self.session.counters.step
        if not isinstance(objective, ObjectiveSpec) or objective == before:
            return
        for name in ("predict", "variance"):
            if get_value(objective, name) != get_value(before, name):
                yield events.Warned(
                    tr("The {name} of a run cannot change after its first step.", name=name), step
                )
                return
        self._measure()  # as it was drawn and weighted
        self.session.set_objective(objective)
        yield from self._written(tr("objective"))
        yield self._mark(before)

    def _written(self, what: str) -> Iterator[events.Event]:
        """Puts the changed config on disk."""
        try:
            self._keeper.check()
            self.session.run.write_config()
        except OSError as error:
            sentence = tr(
                "The changed {what} could not be written: {reason}. Training goes on.",
                what=what,
                reason=error.strerror or error,
            )
            yield events.Warned(sentence, self.session.counters.step)

    def _mark(self, before: ObjectiveSpec) -> ObjectiveChanged:
        """Notes at this step what is different about the objective."""
        objective, step = self.session.config.objective, self.session.counters.step
        message = change_text(before, objective)
        if objective.loss != before.loss:  # the errors were measured in another unit
            self.session.averages.clear()
        self.session.averages.clear_losses()
        self._keeper.note(step, "objective", message)
        return ObjectiveChanged(step, message, objective)

    # --- previews -------------------------------------------------------------------------------------

    def last_preview(self) -> Iterator[events.Event]:
        """One more at the end, if it is worth it."""
        if self._previewer.wanted(self.session.counters.step, self._control):
            yield from self._preview(self._previewer.draw_all)

    def _preview(self, draw: Callable[[Counters, Control], Preview | None]) -> Iterator[events.Event]:
        counters = self.session.counters
        try:
            with self._set_aside():
                preview = draw(counters, self._control)
        except OSError as error:
            reason = error.strerror or error
            yield events.Warned(
                tr("A preview could not be saved: {reason}. Training goes on.", reason=reason), counters.step
            )
            return
        if preview is None:
            return
        yield preview
        with self._set_aside():
            quality = self._previewer.measured(preview)
        if quality is not None:
            self._keeper.add_quality(preview.step, quality)
            yield PreviewMeasured(preview.step, quality)

    @contextmanager
    def _set_aside(self) -> Iterator[None]:
        """What is done within is no time of steps."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._forecaster.set_aside(time.perf_counter() - began)
