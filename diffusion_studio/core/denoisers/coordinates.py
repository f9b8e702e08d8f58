"""The way between the coordinates in which chains are computed and those that a network knows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.readings import READINGS, PredictionKind
from diffusion_studio.core.devices import finest
from diffusion_studio.core.process.tables import Tables


@dataclass(frozen=True, eq=False)
class Coordinates:
    """What a network is shown of x_t, and what its answer is multiplied by.

    Args:
        shown: (T+1,), None where it is shown x_t itself.
        answer: (T+1,), None where its answer is taken as it is.
    """

    shown: Tensor | None = None
    answer: Tensor | None = None

    @classmethod
    def of(cls, tables: Tables, kind: PredictionKind, device: torch.device | None = None) -> Coordinates:
        """Those of a network that predicts `kind` in the tables' coordinates, or in its own."""
        reading = READINGS[kind]
        shown = reading.entry(tables.alpha_bar.sqrt(), (1 - tables.alpha_bar).sqrt())
        place = torch.device("cpu") if device is None else device
        found = tables.scale if shown is None else shown, reading.answer(tables.scale)
        return cls(*(None if bool((each == 1).all()) else each.to(place, finest(place)) for each in found))

    def show(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t (B, …) at times t (B,) as the network is shown it."""
        return x_t if self.shown is None else x_t * _at(self.shown, t, x_t)

    def read(self, value: Tensor, t: Tensor) -> Tensor:
        """The network's answer (B, …) in the coordinates of x_t."""
        return value if self.answer is None else value * _at(self.answer, t, value)


def _at(factors: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """The factor of each sample; between two times, what lies evenly between their logarithms. (B, 1, …)"""
    table = factors.to(like)
    if t.is_floating_point():
        below = t.long()
        above = (below + 1).clamp(max=len(table) - 1)
        found = torch.lerp(table[below].log(), table[above].log(), (t - below).to(table)).exp()
    else:
        found = table[t]
    return found.view(-1, *[1] * (like.ndim - 1))
