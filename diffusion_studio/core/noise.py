"""Where the noise of a chain comes from: a counter, a list, or a generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

_START, _STEP = 0, 1  # separate streams for x_T and for the noise of the steps


class NoiseSource(Protocol):
    """Fresh noise for the step that begins at t."""

    def __call__(self, t: int, shape: tuple[int, ...], draw: int = 0, /) -> Tensor:
        """Standard normal numbers of `shape`; `draw` counts the draws within one step, from 0."""


@dataclass(frozen=True)
class CounterNoise:
    """Standard normal noise as a pure function of (seed, t) (Philox, Salmon et al. 2011).

    The same (seed, t) gives the same numbers in whatever order they are asked for, and the noise of sample i
    does not depend on how many samples are drawn beside it.
    """

    seed: int
    device: str | torch.device = "cpu"

    def start(self, shape: tuple[int, ...]) -> Tensor:
        """x_T ~ N(0, I), float32 of `shape` (B, …)."""
        return self._draw(0, _START, shape, 0)

    def step(self, t: int, shape: tuple[int, ...], draw: int = 0, /) -> Tensor:
        """The noise of the reverse step that begins at t, float32 of `shape` (B, …)."""
        return self._draw(t, _STEP, shape, draw)

    def _draw(self, t: int, stream: int, shape: tuple[int, ...], draw: int) -> Tensor:
        philox = np.random.Philox(counter=[0, draw, t, stream], key=self.seed)
        values = np.random.Generator(philox).standard_normal(shape, dtype=np.float32)
        return torch.from_numpy(values).to(self.device)


def given_noise(times: Sequence[int], values: Sequence[Tensor | Sequence[Tensor]]) -> NoiseSource:
    """The noise of each step from a list.

    Args:
        times: the chain's times (S+1,) or the S times at which its steps begin.
        values: z of each step, in the order of the steps; the last may be left out, for it adds none. Where
            a sampler draws several times in a step, the list of its draws.
    """
    drawn = ((value,) if isinstance(value, Tensor) else tuple(value) for value in values)
    known = {index(t): draws for t, draws in zip(times, drawn, strict=False)}

    def noise(t: int, shape: tuple[int, ...], draw: int = 0, /) -> Tensor:
        if draw >= len(known.get(t, ())):
            raise ValueError(f"No noise was given for draw {draw} of the step that begins at t = {t}.")
        z = known[t][draw]
        if tuple(z.shape) != shape:
            found = tuple(z.shape)
            raise ValueError(f"The noise of the step that begins at t = {t} must be {shape}, not {found}.")
        return z

    return noise


def drawn_noise(generator: torch.Generator, dtype: torch.dtype = torch.float32) -> NoiseSource:
    """Noise from a generator, drawn in the order of its use; where σ = 0 nothing is drawn."""

    def noise(t: int, shape: tuple[int, ...], draw: int = 0, /) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype, device=generator.device)

    return noise
