"""How far a training will come in its time on this machine, and when the first shapes are usually seen."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch

from diffusion_studio.core.describe import get_value
from diffusion_studio.core.words import plural, tr
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.words import roughly
from diffusion_studio.engine.loop.task import Limits
from diffusion_studio.engine.machine.devices import is_fast
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.training.session import LARGE, SMALL, resolve

SOON = 10.0  # seconds of training behind the first forecast: a machine has fast and slow moments
SOONER = 1 / 6  # and of a shorter training so much of its time
LEAST = 3  # steps behind it
BEHIND = 30.0  # seconds of training whose speed is taken
LENGTHS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1440)  # minutes
CHANGED = 0.05  # share by which the speed differs from the one before where it is told again
CHANGED_STEPS = 0.02  # and the number of steps
GRAIN = 8  # pixels between two resolutions that are offered
SPARE = 1.2  # time for a smaller one: its steps cost a little more than their share of pixels
DECISIVE = (
    "model.width", "model.multipliers", "model.layers", "model.attention", "objective",
    "training.batch_size", "training.optimizer", "training.learning_rate", "training.decay_from",
)  # fmt: skip
"""What the first shapes depend on beside the images; the rule knows the defaults alone."""


def first_shapes(resolution: int, channels: int) -> int:
    """Steps after which samples usually show first shapes.

    Fitted on trainings of this program with its defaults: until the distance of samples to the training
    images has come 19 parts in 20 of the way from that of noise to that of real images. Colours take longer
    than grey. benchmarks/RESULTS.md has the trainings, and how far the rule is off.
    """
    grey = 45 * max(1.0, resolution / 28)
    return round(grey if channels == 1 else 2.8 * grey)


def is_fitted(config: RunConfig, images: ImageSet, device: torch.device) -> bool:
    """Whether the rule of first shapes was fitted on trainings like this one, whose config is resolved: of
    pixels, few of them, with what a processor trains by default.
    """
    if is_fast(device) or config.model.code or images.resolution > LARGE:
        return False
    usual = resolve(RunConfig(data=config.data), images, device)
    return all(get_value(config, path) == get_value(usual, path) for path in DECISIVE)


@dataclass(frozen=True)
class Forecast(events.Event):
    """What a training will have done in its time, as its speed is now."""

    step: int  # at which it was made
    seconds: float  # of training so far
    step_seconds: float  # of one more step
    last_step: int  # at which it will end; 0: it has no limit
    last_seconds: float  # of training, when it will end; 0: it has no limit
    resolution: int  # of the images, in pixels
    channels: int  # 1: grey
    usual: bool = True  # whether the rule of first shapes was fitted on trainings like this one

    @property
    def shapes_step(self) -> int:
        """When the first shapes are usually seen."""
        return first_shapes(self.resolution, self.channels)

    @property
    def shapes_seconds(self) -> float:
        """Training time until then, from its beginning."""
        return self.seconds + (self.shapes_step - self.step) * self.step_seconds

    @property
    def too_short(self) -> bool:
        """Whether it ends before there is usually anything to see."""
        return 0 < self.last_step < self.shapes_step

    @property
    def sentence(self) -> str:
        """What to expect; "" where nothing is left to say."""
        return " ".join(part for part in (self._length, self._first) if part)

    @property
    def _length(self) -> str:
        """How many steps there will be, and whether they are too few."""
        steps, end = self.last_step, roughly(self.last_seconds)
        if not steps:
            return ""
        if not self.too_short:
            return plural("About {n:,} step in {end}.", "About {n:,} steps in {end}.", steps, end=end)
        if self.usual:
            return plural(
                "Too short to see something: about {n:,} step in {end} here.",
                "Too short to see something: about {n:,} steps in {end} here.",
                steps,
                end=end,
            )
        return plural(
            "Perhaps too short to see something: about {n:,} step in {end} here.",
            "Perhaps too short to see something: about {n:,} steps in {end} here.",
            steps,
            end=end,
        )

    @property
    def _first(self) -> str:
        """When first shapes are seen, unless they are there."""
        if self.step >= self.shapes_step and not self.too_short:
            return ""
        side, time = f"{self.resolution}×{self.resolution}", roughly(self.shapes_seconds)
        if self.usual:
            return tr(
                "First shapes at {side} usually after about {time} (step {step:,}).",
                side=side,
                time=time,
                step=self.shapes_step,
            )
        return tr(
            "First shapes at {side} perhaps after about {time} (step {step:,}).",
            side=side,
            time=time,
            step=self.shapes_step,
        )

    @property
    def long_enough(self) -> float:
        """A round time, in seconds, for twice the steps of the first shapes; 0: there is none up to a day."""
        needed = 2 * self.shapes_seconds / 60
        return 60.0 * next((minutes for minutes in LENGTHS if minutes >= needed), 0)

    def smaller(self, limits: Limits) -> int:
        """The largest smaller resolution whose first shapes usually come within these limits, or 0.

        By the time of a pixel: batches have as many pictures, and above LARGE as many pixels. Down to where
        other networks and batches are chosen.
        """
        for side in range((self.resolution - 1) // GRAIN * GRAIN, SMALL, -GRAIN):
            steps = first_shapes(side, self.channels)
            pixels = (min(side, LARGE) / min(self.resolution, LARGE)) ** 2
            seconds = SPARE * steps * self.step_seconds * pixels
            if steps <= (limits.steps or steps) and seconds <= (limits.seconds or seconds):
                return side
        return 0

    def differs(self, other: Forecast) -> bool:
        """Whether it says something else than an earlier one."""
        faster = self.step_seconds / other.step_seconds
        more = self.last_step / max(other.last_step, 1) if self.last_step else 1.0
        return (
            not 1 - CHANGED < faster < 1 + CHANGED
            or not 1 - CHANGED_STEPS < more < 1 + CHANGED_STEPS
            or self.too_short != other.too_short
        )


def forecast(
    took: float,
    shape: tuple[int, int],
    limits: Limits,
    step: int = 0,
    seconds: float = 0.0,
    usual: bool = True,
) -> Forecast:
    """Of a training that is at `step` after so many seconds, where one more step takes `took` seconds.

    Args:
        shape: resolution and channels of the images.
        usual: whether the rule of first shapes was fitted on trainings like this one.
    """
    left = limits.seconds - seconds
    by_time = step + max(round(left / took), left > 0) if limits.seconds else 0  # a step begun is made
    ends = [last for last in (limits.steps, by_time) if last]
    last = max(min(ends), step) if ends else 0
    end = seconds + (last - step) * took
    if last == by_time:
        end = max(limits.seconds, seconds + min(last - step, 1) * took)
    return Forecast(step, seconds, took, last, end, *shape, usual)


class Forecaster:
    """Says when there is a forecast to tell: once there is one, and when it has changed.

    The speed is the mean of the last half minute, without the very first step, which prepares much, and
    without previews, which have a share of their own.

    Args:
        shape: resolution and channels of the images.
        aside: share of the training time that goes into previews.
        usual: whether the rule of first shapes was fitted on trainings like this one.
    """

    def __init__(
        self, shape: tuple[int, int], aside: float, first_step: int, seconds: float, usual: bool = True
    ) -> None:
        self._shape, self._aside, self._usual = shape, aside, usual
        self._from = first_step + LEAST, seconds
        self._seen: deque[tuple[int, float]] = deque()  # step, and seconds of training without previews
        self._previews = 0.0  # seconds of training
        self._told: Forecast | None = None

    def set_aside(self, seconds: float) -> None:
        """So many seconds of training went into a preview."""
        self._previews += seconds

    def after(self, progress: events.Progress) -> Forecast | None:
        """What is new to tell, or None."""
        if not self._seen or progress.step > self._seen[-1][0]:  # a preview counts with the step after it
            self._seen.append((progress.step, progress.seconds - self._previews))
        (step, began), (newest, now), (steps, seconds) = self._seen[0], self._seen[-1], self._from
        wait = min(SOON, SOONER * progress.total_seconds) if progress.total_seconds else SOON
        if newest < max(steps, step + 1) or progress.seconds < seconds + wait:
            return None
        took = (now - began) / (newest - step) / (1 - self._aside)
        while now - self._seen[1][1] >= BEHIND:
            self._seen.popleft()
        limits = Limits(progress.total_steps, progress.total_seconds)
        found = forecast(took, self._shape, limits, progress.step, progress.seconds, self._usual)
        if self._told is not None and not found.differs(self._told):
            return None
        self._told = found
        return found
