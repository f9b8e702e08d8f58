"""Noise from a counter: the same (seed, t) gives the same numbers in whatever order they are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_START, _STEP = 0, 1  # separate streams for x_T and for the noise of the steps


@dataclass(frozen=True)
class CounterNoise:
    """Standard normal noise as a pure function of (seed, t) (Philox, Salmon et al. 2011).

    The noise of sample i does not depend on how many samples are drawn beside it.
    """

    seed: int

    def start(self, shape: tuple[int, ...], device: str | torch.device = "cpu") -> Tensor:
        """x_T ~ N(0, I), float32 of `shape` (B, …)."""
        return self._draw(0, _START, shape, device)

    def step(self, t: int, shape: tuple[int, ...], device: str | torch.device = "cpu") -> Tensor:
        """The noise of the reverse step that begins at t, float32 of `shape` (B, …)."""
        return self._draw(t, _STEP, shape, device)

    def _draw(self, t: int, stream: int, shape: tuple[int, ...], device: str | torch.device) -> Tensor:
        philox = np.random.Philox(counter=[0, 0, t, stream], key=self.seed)
        values = np.random.Generator(philox).standard_normal(shape, dtype=np.float32)
        return torch.from_numpy(values).to(device)
