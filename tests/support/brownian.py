"""Brownian motion whose values depend on a seed and the place alone: halves of halves of an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

DIGITS = 6  # to which places are rounded
POOL = 24  # words of entropy from which each seed is made


@dataclass(frozen=True)
class BrownianTree:
    """That of torchsde's `BrownianInterval` with `halfway_tree`: the same numbers from the same seed."""

    low: float
    high: float
    shape: tuple[int, ...]
    seed: int

    def between(self, one: float, other: float) -> Tensor:
        """W(other) − W(one), in the order in which they are asked for."""
        return self._at(other) - self._at(one)

    def _at(self, place: float) -> Tensor:
        """W at a place, 0 at the low end."""
        low, high, place = (round(x, DIGITS) for x in (self.low, self.high, place))
        rise, base = self._drawn() * math.sqrt(self.high - self.low), torch.zeros(self.shape)
        number, depth = 0, 0
        while low < place < high:
            middle = round((low + high) / 2, DIGITS)
            share = (middle - low) / (high - low)
            left = share * rise + math.sqrt(share * (high - middle)) * self._drawn(number, depth)
            if place <= middle:
                high, rise, number = middle, left, 2 * number
            else:
                low, rise, base, number = middle, rise - left, base + left, 2 * number + 1
            depth += 1
        return base + rise if place >= high else base

    def _drawn(self, *key: int) -> Tensor:
        words = np.random.SeedSequence(self.seed, spawn_key=key, pool_size=POOL).generate_state(1)
        return torch.randn(self.shape, generator=torch.Generator().manual_seed(int(words[0])))
