"""What a denoiser is, and the plainest one: any function that returns one of the `READINGS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import PredictionKind
from diffusion_studio.core.process.tables import Tables

NO_LABEL = -1  # the label ∅: unconditional


class Denoiser(Protocol):
    """Anything that, given x_t and t, says what is noise and what is image."""

    @property
    def tables(self) -> Tables:
        """The forward process that it undoes."""

    @property
    def learns_variance(self) -> bool:
        """Whether its predictions carry a `fraction`: how much noise each pixel is to get (iDDPM eq. 15)."""

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        """Predict at one time.

        Args:
            x_t: (B, C, H, W) or (B, 2).
            t: 1 … T, the same for the whole batch.
            labels: int64 (B,), −1 for unconditional; None means all −1.
        """


@dataclass(frozen=True, eq=False)
class FunctionDenoiser:
    """Any function f(x_t, t) or f(x_t, t, labels) as a denoiser.

    Args:
        tables: the forward process.
        function: returns a tensor of x_t's shape.
        kind: which of the `READINGS` the function returns.
        conditional: whether the function takes labels.
    """

    tables: Tables
    function: Callable[..., Tensor]
    kind: PredictionKind = "eps"
    conditional: bool = False
    learns_variance = False

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        value = self.function(x_t, t, labels) if self.conditional else self.function(x_t, t)
        return Prediction(self.kind, value, x_t, self.tables.alpha_bar_at(t))


@dataclass(frozen=True, eq=False)
class ChunkedDenoiser:
    """Another denoiser asked about at most `size` samples at a time, so that memory stays bounded."""

    base: Denoiser
    size: int

    @property
    def tables(self) -> Tables:
        return self.base.tables

    @property
    def learns_variance(self) -> bool:
        return self.base.learns_variance

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        if len(x_t) <= self.size:
            return self.base(x_t, t, labels)
        parts = []
        for start in range(0, len(x_t), self.size):
            chunk = slice(start, start + self.size)
            parts.append(self.base(x_t[chunk], t, None if labels is None else labels[chunk]))
        value = torch.cat([part.value for part in parts])
        fractions = [part.fraction for part in parts if part.fraction is not None]
        fraction = torch.cat(fractions) if fractions else None
        return Prediction(parts[0].kind, value, x_t, parts[0].alpha_bar, fraction=fraction)
