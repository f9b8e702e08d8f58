"""How far a training will come in its time on this machine, and when the first shapes are usually seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diffusion_studio.core.words import tr
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.words import roughly
from diffusion_studio.engine.loop.task import Limits

SOON = 1.0  # seconds of training behind the first forecast
LEAST = 3  # steps behind it
LENGTHS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1440)  # minutes
CHANGED = 0.1  # share by which one differs from the one before where it is told again


def first_shapes(resolution: int, channels: int) -> int:
    """Steps after which samples usually show first shapes.

    Fitted on trainings of this program with its defaults: until the distance of samples to the training
    images has come 19 parts in 20 of the way from that of noise to that of real images. Colours take longer
    than grey. benchmarks/RESULTS.md has the trainings, and how far the rule is off.
    """
    grey = 45 * math.sqrt(resolution / 8)
    return round(grey if channels == 1 else 3.5 * grey)


@dataclass(frozen=True)
class Forecast(events.Event):
    """What a training will have done in its time, as its speed is now."""

    step: int  # at which it was made
    seconds: float  # of training so far
    step_seconds: float  # median of one step
    last_step: int  # at which it will end; 0: it has no limit
    last_seconds: float  # of training, when it will end; 0: it has no limit
    resolution: int  # of the images, in pixels
    channels: int  # 1: grey

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
    def is_told(self) -> bool:
        """Whether it has something to say still: the first shapes are to come, or will not come."""
        return self.too_short or self.step < self.shapes_step

    @property
    def sentence(self) -> str:
        """What to expect."""
        shapes = tr("about {time} (step {step:,})", step=self.shapes_step, time=roughly(self.shapes_seconds))
        end = roughly(self.last_seconds)
        if self.too_short:
            side = f"{self.resolution}×{self.resolution}"
            return tr(
                "Too short to see something: about {steps:,} steps in {end} here, and first shapes "
                "at {side} usually take {shapes}.",
                steps=self.last_step,
                end=end,
                side=side,
                shapes=shapes,
            )
        if not self.last_step:
            return tr("First shapes usually after {shapes}.", shapes=shapes)
        return tr(
            "About {steps:,} steps in {end}; first shapes usually after {shapes}.",
            steps=self.last_step,
            end=end,
            shapes=shapes,
        )

    @property
    def long_enough(self) -> float:
        """A round time, in seconds, in which twice as many steps fit as the first shapes usually take."""
        needed = 2 * self.shapes_seconds / 60
        return 60.0 * next((minutes for minutes in LENGTHS if minutes >= needed), LENGTHS[-1])

    def differs(self, other: Forecast) -> bool:
        """Whether it says something else than an earlier one."""
        faster = self.step_seconds / other.step_seconds
        return not 1 - CHANGED < faster < 1 + CHANGED or self.too_short != other.too_short


def forecast(
    took: float, shape: tuple[int, int], limits: Limits, step: int = 0, seconds: float = 0.0
) -> Forecast:
    """Of a training that is at `step` after so many seconds, where one more step takes `took` seconds.

    Args:
        shape: resolution and channels of the images.
    """
    by_time = round(step + (limits.seconds - seconds) / took) if limits.seconds else 0
    ends = [last for last in (limits.steps, by_time) if last]
    last = max(min(ends), step) if ends else 0
    end = limits.seconds if last == by_time else seconds + (last - step) * took
    return Forecast(step, seconds, took, last, end, *shape)


class Forecaster:
    """Says when there is a forecast to tell: once there is one, and when it has changed.

    Args:
        size: images in a step.
        shape: resolution and channels of the images.
        aside: share of the training time that goes into previews.
    """

    def __init__(
        self, size: int, shape: tuple[int, int], aside: float, first_step: int, seconds: float
    ) -> None:
        self._size, self._shape, self._aside = size, shape, aside
        self._from = first_step + LEAST, seconds + SOON
        self._told: Forecast | None = None

    def after(self, progress: events.Progress) -> Forecast | None:
        """What is new to tell, or None."""
        steps, seconds = self._from
        if progress.step < steps or progress.seconds < seconds or not progress.images_per_second:
            return None
        took = self._size / progress.images_per_second / (1 - self._aside)
        limits = Limits(progress.total_steps, progress.total_seconds)
        found = forecast(took, self._shape, limits, progress.step, progress.seconds)
        if self._told is not None and not found.differs(self._told):
            return None
        self._told = found
        return found
