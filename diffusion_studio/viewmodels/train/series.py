"""Curves that grow while a training runs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.engine.runs.metrics import LossSegment


class LossSeries:
    """The losses of a run, segment after segment, in one growing array."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._steps = np.empty(1024, np.int64)
        self._values = np.empty(1024, np.float32)
        self._length = 0
        self.segments: tuple[int, ...] = ()  # index at which each segment begins

    @property
    def steps(self) -> NDArray[np.int64]:
        return self._steps[: self._length]

    @property
    def values(self) -> NDArray[np.float32]:
        return self._values[: self._length]

    def add(self, first_step: int, losses: NDArray[np.float32]) -> None:
        """Appends the losses of consecutive steps."""
        self._append(np.arange(first_step, first_step + len(losses)), losses)

    def _append(self, steps: NDArray[np.int64], losses: NDArray[np.float32]) -> None:
        new, first_step = self._length + len(losses), steps[:1]
        if new > len(self._steps):
            grown = max(new, 2 * len(self._steps))
            self._steps, self._values = np.resize(self._steps, grown), np.resize(self._values, grown)
        self._steps[self._length : new] = steps
        self._values[self._length : new] = losses
        if self._length == 0 or first_step != self._steps[self._length - 1] + 1:
            self.segments += (self._length,)
        self._length = new

    def restore(self, segments: Iterable[LossSegment]) -> None:
        """Begins with what is on disk."""
        self.clear()
        for segment in segments:
            self._append(segment.steps, segment.losses.astype(np.float32))
