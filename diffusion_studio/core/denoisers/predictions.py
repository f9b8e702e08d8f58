"""One prediction, four equivalent readings: ε̂, x̂_0, score and v (Luo eq. 115–151)."""

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


def added(x: Tensor, y: Tensor, factor: float) -> Tensor:
    """The same in the memory of x, which nobody else may hold."""
    return x.add_(y, alpha=factor) if x.dtype == y.dtype else plus(x, y, factor)


@dataclass(frozen=True, eq=False)
class Steering:
    """What guidance did to ε̂: ε̂ = unguided + γ · direction."""

    gamma: float | Tensor  # γ_t; a tensor broadcasts against x_t
    direction: Tensor  # ε̂(y) − ε̂(∅), or −√(1−ᾱ) ∇log p(y|x_t). (B, …)
    unguided: Tensor  # ε̂ at γ = 0. (B, …)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a denoiser says about x_t.

    Args:
        kind: which of the four quantities `value` is.
        value: (B, …), the shape of x_t.
        x_t: (B, …).
        alpha_bar: ᾱ_t as a number, or a float64 tensor that broadcasts against x_t.
        kept_eps: ε̂ where it no longer follows from `value`, because only x̂_0 was changed.
        steering: what guidance had to do with it, where there was any.
        fraction: v, where between ln β̃ (0) and ln β (1) the denoiser puts ln σ² of each pixel, (B, …);
            None where it learned no variance (iDDPM eq. 15).
    """

    kind: PredictionKind
    value: Tensor
    x_t: Tensor
    alpha_bar: float | Tensor
    kept_eps: Tensor | None = None
    steering: Steering | None = None
    fraction: Tensor | None = None

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
                return plus(self.x_t, self.value, -b).div_(a)
            case "score":
                return plus(self.x_t, self.value, b * b).div_(a)
            case "v":
                return plus(a * self.x_t, self.value, -b)

    @cached_property
    def eps_hat(self) -> Tensor:
        if self.kept_eps is not None:
            return self.kept_eps
        a, b = self._roots
        match self.kind:
            case "eps":
                return self.value
            case "score":
                return -b * self.value
            case "v":
                return plus(b * self.x_t, self.value, a)
            case "x_0":
                return plus(self.x_t, self.value, -a).div_(b)

    @cached_property
    def score_hat(self) -> Tensor:
        return self.value if self.kind == "score" else -self.eps_hat / self._roots[1]

    @cached_property
    def v_hat(self) -> Tensor:
        if self.kind == "v":
            return self.value
        a, b = self._roots
        return a * self.eps_hat - b * self.x0_hat

    @property
    def unguided(self) -> Prediction | None:
        """The same at γ = 0; None where guidance had nothing to do with it."""
        if self.steering is None:
            return None
        return Prediction("eps", self.steering.unguided, self.x_t, self.alpha_bar)

    def with_x0(self, x0_hat: Tensor, rederive: bool = True) -> Prediction:
        """The prediction with another x̂_0; ε̂ follows from it, or stays as it was. (B, …)"""
        kept = None if rederive else self.eps_hat
        return Prediction("x_0", x0_hat, self.x_t, self.alpha_bar, kept, self.steering, self.fraction)
