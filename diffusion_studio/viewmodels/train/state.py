"""What the Train page shows, as frozen values, and how progress is put into words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.describe import get_value, knobs
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.data.spec import UNASKED, DataSpec
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.words import duration
from diffusion_studio.engine.loop.task import Limits
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.forecast import Forecast, forecast
from diffusion_studio.engine.training.trial import Trial
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.train.overview import Overview

Phase = Literal["idle", "preparing", "running", "paused", "stopping"]
THUMBNAILS = 16
LENGTH = ("training.seconds", "training.steps")
FIRST_STEPS = tr("How long it takes here is said after the first few seconds.")
LIVE = ("objective.weight", "objective.density", "objective.loss", *LENGTH)  # may change while training


@dataclass(frozen=True, eq=False)
class DataCardState:
    """What the data card shows."""

    name: str
    count: int
    class_names: tuple[str, ...]
    size: str
    thumbnails: NDArray[np.uint8]
    skipped: tuple[tuple[str, str], ...]
    how: str = ""  # how the classes were found, as a sentence
    notes: tuple[str, ...] = ()  # what else a person should know of the set
    side: int = 0  # height and width in pixels
    side_of_most: int = 0  # at which the usual picture keeps its size


@dataclass(frozen=True)
class TrainState:
    """Everything on the Train page but the curves."""

    config: RunConfig
    preset: str
    phase: Phase = "idle"
    data: DataCardState | None = None
    reading: tuple[int, int] | None = None  # (done, total) while images are read
    overview: Overview | None = None  # what there is to see of the images
    run: Path | None = None
    run_steps: int = 1000  # T of the run that is shown
    step: int = 0
    fraction: float = 0.0
    detail: str = ""
    device: str = ""
    saved_step: int = 0
    errors: tuple[tuple[str, str], ...] = ()  # (path, sentence) of parameters
    marks: tuple[tuple[int, str], ...] = ()  # (step, what was changed about the objective)
    trial: Trial | None = None  # what was found out about the training that would begin
    instead: str = ""  # in place of that: that it is being found out, or why it cannot be
    forecast: Forecast | None = None  # of the one that goes on
    tried: Forecast | None = None  # of the same before it began
    notice: Notice | None = None
    offered: tuple[str, int] = ("", 0)  # (path, value) of a parameter, after running out of memory
    can_undo: bool = False
    can_redo: bool = False

    @property
    def busy(self) -> bool:
        return self.phase != "idle"

    @property
    def expected(self) -> Forecast | None:
        """What to expect of the training that goes on, or of the one that would begin."""
        if not self.busy:
            return None if self.trial is None else self.trial.forecast
        return self.forecast or self._tried

    @property
    def _tried(self) -> Forecast | None:
        """What was tried before, of the length that was chosen since."""
        if (tried := self.tried) is None:
            return None
        limits = Limits(self.config.training.steps, self.config.training.seconds)
        shape = tried.resolution, tried.channels
        found = forecast(tried.step_seconds, shape, limits, usual=tried.usual)
        return found if self.step < found.shapes_step else replace(found, step=self.step)

    @property
    def outlook(self) -> str:
        """What there is to expect, or when that will be known, as a sentence; "" where nothing is said."""
        if not self.busy:
            return self.instead if self.trial is None else self.trial.sentence
        if self.forecast is None and self.phase in ("preparing", "running"):
            before = "" if self._tried is None else self._tried.sentence
            if not before:
                return FIRST_STEPS
            return tr("{forecast} That was tried before the start; it is measured now.", forecast=before)
        return "" if self.expected is None else self.expected.sentence

    @property
    def smaller_resolution(self) -> int:
        """What is offered where pictures of this size take too long, and 0 where nothing is; never in a code,
        which has a side of its own.
        """
        expected, training = self.expected, self.config.training
        if expected is None or not expected.too_short or self.config.model.code:
            return 0
        return expected.smaller(Limits(training.steps, training.seconds))

    @property
    def sides(self) -> tuple[int, int] | None:
        """Between which sizes of the pictures one can choose now."""
        return None if self.busy or self.reading else sides_to_choose(self.data, self.config.data)


def sides_to_choose(data: DataCardState | None, spec: DataSpec) -> tuple[int, int] | None:
    """Of pictures that are made smaller without being asked for: (as they are learned, their own)."""
    if data is None or spec.resolution or not data.side == UNASKED < data.side_of_most:
        return None
    return data.side, data.side_of_most


def may_become(state: TrainState, config: RunConfig | None) -> bool:
    """Whether the config may become this one now: while it trains, only what may change then may differ."""
    if not state.busy:
        return True
    return config is not None and _with_live_of(state.config, config) == state.config


def _with_live_of(other: RunConfig, config: RunConfig) -> RunConfig:
    """With what `other` has in place of what may change while training."""
    for path in LIVE:
        part, _, name = path.partition(".")
        given = getattr(config, part).model_copy(update={name: get_value(other, path)})
        config = config.model_copy(update={part: given})
    return config


def shown_run(state: TrainState, run: Run) -> TrainState:
    """With a run on disk that nobody goes on with."""
    trained = tr("trained for {duration}", duration=duration(run.trained_seconds))
    return replace(
        state, run=run.path, run_steps=run.config.diffusion.steps, step=run.step, fraction=0.0,
        saved_step=run.step, device="", detail=f"{step_text(run.step)} · {trained}",
    )  # fmt: skip


def fixed_reasons(state: TrainState) -> dict[str, str]:
    """Why parameters cannot change now, by path."""
    if not state.busy:
        return {}
    reason = tr("This training is running with this value. Stop it to change the value.")
    return {k.path: reason for k in knobs(state.config) if not k.path.startswith(LIVE)}


def data_card(images: ImageSet, spec: DataSpec, multiple: int = 1) -> DataCardState:
    """What there is to see of the images that `spec` describes.

    Args:
        multiple: what their sides have to be multiples of.
    """
    numbers = np.linspace(0, images.count - 1, min(images.count, THUMBNAILS)).astype(np.int64)
    colour = tr("grey") if images.channels == 1 else tr("colour")
    own = spec.side_of_most(images.sizes) if len(images.sizes) else images.resolution
    told = [spec.told(images.sizes, images.resolution)]
    if told[0] and multiple > 1 and not spec.resolution:
        told.append(tr("In this code the sides of pictures are multiples of {multiple}.", multiple=multiple))
    return DataCardState(
        images.name, images.count, images.class_names if images.conditional_possible else (),
        f"{images.resolution}×{images.resolution} {colour}",
        np.ascontiguousarray(images.images[numbers].transpose(0, 2, 3, 1)),
        tuple((s.file, s.reason) for s in images.skipped),
        images.how, (*filter(None, told), *images.notes), images.resolution, own // multiple * multiple,
    )  # fmt: skip


def progress_text(event: events.Progress) -> str:
    """ "step 657 of 3,000 · 1,130 images/s · 3 min 32 s left"."""
    left, step = event.seconds_left, step_text(event.step, event.total_steps)
    if left is not None:
        ending = tr("{duration} left", duration=duration(left))
    else:
        ending = tr("{duration} so far", duration=duration(event.seconds))
    return " · ".join(part for part in (step, event.speed, ending) if part)


def step_text(step: int, total: int = 0) -> str:
    """ "step 657", or "step 657 of 3,000" where it is known how many there will be."""
    return (
        tr("step {step:,} of {total:,}", step=step, total=total) if total else tr("step {step:,}", step=step)
    )
