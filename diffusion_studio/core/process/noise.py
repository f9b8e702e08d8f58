"""Where the noise of a chain comes from: a counter, a list, or a generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from operator import index
from typing import Protocol

import torch
from torch import Tensor

from diffusion_studio.core.devices import sent
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr

_START, _STEP = 0, 1  # separate streams for x_T and for the noise of the steps
_BLOCK = (
    16  # torch draws normal numbers in blocks of this size; only whole blocks depend on their place alone
)
_WORD = 2**64 - 1


class NoiseSource(Protocol):
    """Fresh noise for the step that begins at t."""

    def __call__(self, t: int, shape: tuple[int, ...], draw: int = 0, /) -> Tensor:
        """Standard normal numbers of `shape`; `draw` counts the draws within one step, from 0."""


@dataclass(frozen=True)
class CounterNoise:
    """Standard normal noise as a pure function of (seed, t).

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
        generator = torch.Generator().manual_seed(_key(self.seed, stream, t, draw))
        count = prod(shape)
        values = torch.randn(-(-count // _BLOCK) * _BLOCK, generator=generator)[:count]
        if len(shape) == 4:  # images: laid out in memory as networks keep them, channels last
            samples, channels, height, width = shape
            values = values.view(samples, height, width, channels).permute(0, 3, 1, 2)
        return sent(values.view(shape), torch.device(self.device))


def _key(*words: int) -> int:
    """Mixes whole numbers into the 64 bits of a seed (SplitMix64: Steele et al. 2014)."""
    key = 0
    for word in words:
        key = (key + word + 0x9E3779B97F4A7C15) & _WORD
        key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & _WORD
        key ^= key >> 31
    return key


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
            raise Refused(
                tr("No noise was given for draw {draw} of the step that begins at t = {t}.", draw=draw, t=t)
            )
        z = known[t][draw]
        if tuple(z.shape) != shape:
            found = tuple(z.shape)
            raise Refused(
                tr(
                    "The noise of the step that begins at t = {t} must be {shape}, not {found}.",
                    t=t,
                    shape=shape,
                    found=found,
                )
            )
        return z

    return noise


def drawn_noise(generator: torch.Generator, dtype: torch.dtype = torch.float32) -> NoiseSource:
    """Noise from a generator, drawn in the order of its use; where σ = 0 nothing is drawn."""

    def noise(t: int, shape: tuple[int, ...], draw: int = 0, /) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype, device=generator.device)

    return noise
