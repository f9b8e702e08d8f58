"""What all long work tells: frozen events. `Finished` is always the last one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.words import number, tr

Outcome = Literal["done", "stopped", "failed"]


@dataclass(frozen=True)
class Event:
    """Something happened."""


@dataclass(frozen=True)
class Preparing(Event):
    """Before the first step: reading images, building the network."""

    what: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Started(Event):
    """Training begins, or goes on."""

    run: Path
    step: int
    device: str
    precision: str
    parameters: int
    steps_per_epoch: float


@dataclass(frozen=True, eq=False)
class Progress(Event):
    """At most ten a second; carries every loss since the last one."""

    step: int
    total_steps: int  # 0: no limit
    seconds: float  # training time so far
    total_seconds: float  # 0: no limit
    images_per_second: float  # median, of training time alone; 0 before the first step
    first_loss_step: int
    losses: NDArray[np.float32]  # loss of step first_loss_step, first_loss_step + 1, …

    @property
    def speed(self) -> str:
        """In words: "1,130 images/s", "4.6 images/s"; "" before the first step."""
        rate = self.images_per_second
        digits = 0 if rate >= 10 else 1 if rate >= 1 else 2
        return tr("{rate} images/s", rate=number(rate, f",.{digits}f")) if rate > 0 else ""

    @property
    def fraction(self) -> float:
        """0 … 1; 0 when there is no limit."""
        by_steps = self.step / self.total_steps if self.total_steps else 0.0
        by_time = self.seconds / self.total_seconds if self.total_seconds else 0.0
        return min(1.0, max(by_steps, by_time))

    @property
    def seconds_left(self) -> float | None:
        """Training time still to come, or None when there is no limit or no estimate yet."""
        if self.fraction <= 0:
            return None
        return self.seconds * (1 - self.fraction) / self.fraction


@dataclass(frozen=True)
class Saved(Event):
    """A checkpoint is complete on disk."""

    step: int
    path: Path


@dataclass(frozen=True)
class Warned(Event):
    """Something went wrong and was dealt with; `message` is a sentence for a person."""

    message: str
    step: int = 0


@dataclass(frozen=True)
class Paused(Event):
    """Training waits; the model stays in memory."""

    step: int
    reason: str = ""


@dataclass(frozen=True)
class Resumed(Event):
    """Training goes on after a pause."""

    step: int


@dataclass(frozen=True)
class Finished(Event):
    """The last event of every job. A failure carries a sentence and the traceback for the log."""

    outcome: Outcome
    message: str = ""
    traceback: str = ""
    step: int = 0
    parts: int = 0  # of a step, offered after running out of memory: the same step
    smaller_batch: int = 0  # offered where it cannot be split further: another training
    file: str = ""  # that was written


@dataclass(frozen=True, eq=False)
class SamplingProgress(Event):
    """A reverse chain has reached step `done` of `total`."""

    done: int
    total: int
    doing: str = ""  # what else is done before the first step
