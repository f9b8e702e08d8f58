"""One prediction, four equivalent readings: ε̂, x̂_0, score and v (MATHS §3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

PredictionKind = Literal["eps", "x_0", "score", "v"]


def plus(x: Tensor, y: Tensor, factor: float | Tensor) -> Tensor:
    """x + factor · y, in one pass over memory where the factor is a number."""
    return x + factor * y if isinstance(factor, Tensor) else torch.add(x, y, alpha=factor)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a denoiser says about x_t.

    Args:
        kind: which of the four quantities `value` is.
        value: (B, …), the shape of x_t.
        x_t: (B, …).
        alpha_bar: ᾱ_t as a number, or a float64 tensor that broadcasts against x_t.
    """

    kind: PredictionKind
    value: Tensor
    x_t: Tensor
    alpha_bar: float | Tensor

    @cached_property
    def _roots(self) -> tuple[float | Tensor, float | Tensor]:
        """(√ᾱ, √(1−ᾱ)), rounded once to x_t's precision when they are tensors."""
        a = self.alpha_bar
        if isinstance(a, Tensor):
            return a.sqrt().to(self.x_t.dtype), (1 - a).sqrt().to(self.x_t.dtype)
        return a**0.5, (1 - a) ** 0.5

    @cached_property
    def x0_hat(self) -> Tensor:
        a, b = self._roots
        match self.kind:
            case "x_0":
                return self.value
            case "eps":
                return plus(self.x_t, self.value, -b) / a
            case "score":
                return plus(self.x_t, self.value, b * b) / a
            case "v":
                return plus(a * self.x_t, self.value, -b)

    @cached_property
    def eps_hat(self) -> Tensor:
        a, b = self._roots
        match self.kind:
            case "eps":
                return self.value
            case "score":
                return -b * self.value
            case "v":
                return plus(b * self.x_t, self.value, a)
            case "x_0":
                return plus(self.x_t, self.value, -a) / b

    @cached_property
    def score_hat(self) -> Tensor:
        return self.value if self.kind == "score" else -self.eps_hat / self._roots[1]

    @cached_property
    def v_hat(self) -> Tensor:
        if self.kind == "v":
            return self.value
        a, b = self._roots
        return a * self.eps_hat - b * self.x0_hat

    def clipped(self, low: float = -1.0, high: float = 1.0) -> Prediction:
        """The prediction whose x̂_0 lies within the range of the data; the other readings follow from it."""
        return Prediction("x_0", torch.clamp(self.x0_hat, low, high), self.x_t, self.alpha_bar)
