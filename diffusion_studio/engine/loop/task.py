"""What the loop asks of whatever is learned, and how far a training has come."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from diffusion_studio.engine.jobs.events import Event, Progress
from diffusion_studio.engine.runs.checkpoints import CheckpointContent


@dataclass
class Counters:
    """How far a training has come."""

    step: int = 0
    position: int = 0  # images seen
    seconds: float = 0.0
    skipped_steps: int = 0


@dataclass(frozen=True)
class Limits:
    """When a training ends, and how often it is saved on the way."""

    steps: int = 0  # 0: no limit
    seconds: float = 0.0  # 0: no limit
    save_every: int = 0  # steps; 0: only at the end and before a pause
    save_seconds: float = math.inf  # longest training time between two saves

    def share(self, step: int, seconds: float) -> float:
        """How much of the training has passed, by steps or by time, whichever is further. 0 … 1"""
        by_steps = step / self.steps if self.steps else 0.0
        by_time = seconds / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_steps, by_time))


class Restorable(Protocol):
    """What can go on from a state of its own."""

    def restore(self, content: CheckpointContent) -> None:
        """Goes on from a state.

        Raises:
            CheckpointError: it belongs to something else.
        """


@runtime_checkable
class Divisible(Protocol):
    """A task whose steps can be split into parts, one after another: the same step in less memory."""

    @property
    def finer(self) -> int:
        """Into how many parts a step is split next that had no room; 0: no further."""


@runtime_checkable
class Watchful(Protocol):
    """A task that has something to do while its training rests."""

    def rest(self) -> None:
        """Called now and then while it does."""


class Task(Restorable, Protocol):
    """What is learned. The loop owns the rest: clock, limits, pause, stop, saving, and what goes wrong."""

    @property
    def size(self) -> int:
        """Images (or points) in each step."""

    def step(self, number: int, share: float) -> Tensor:
        """One step of learning; one whose gradient is not finite should change nothing.

        Args:
            number: how many steps came before.
            share: how much of the training has passed, 0 … 1; 0 without a limit.

        Returns:
            The loss, or that of each sample, on the device: nothing is read from it here.
        """

    def tell(self, progress: Progress, last: bool) -> Iterable[Event]:
        """What there is to tell beside the losses; called at most four times a second, and before each save.

        A wish that was asked of the control is taken here, before the next step.

        Args:
            progress: how far it is, with every loss since the last time (maybe none).
            last: no step comes after this.
        """

    def state(self) -> CheckpointContent:
        """Everything that continues the training exactly, but its counters."""
