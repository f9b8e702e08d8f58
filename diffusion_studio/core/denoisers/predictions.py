"""One prediction, and all that can be read in it: ε̂, x̂_0, the score, v."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from diffusion_studio.core.denoisers.readings import READINGS, PredictionKind, Root


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
        kind: which of the `READINGS` the value is.
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
    def _roots(self) -> tuple[Root, Root]:
        """(√ᾱ, √(1−ᾱ)), rounded once to x_t's precision when they are tensors."""
        a = self.alpha_bar
        if isinstance(a, Tensor):
            return a.sqrt().to(self.x_t.dtype), (1 - a).sqrt().to(self.x_t.dtype)
        return a**0.5, (1 - a) ** 0.5

    @cached_property
    def x0_hat(self) -> Tensor:
        return READINGS[self.kind].x_0(self.value, self.x_t, *self._roots)

    @cached_property
    def eps_hat(self) -> Tensor:
        if self.kept_eps is not None:
            return self.kept_eps
        return READINGS[self.kind].eps(self.value, self.x_t, *self._roots)

    @cached_property
    def score_hat(self) -> Tensor:
        return self.read("score")

    @cached_property
    def v_hat(self) -> Tensor:
        return self.read("v")

    def read(self, kind: PredictionKind) -> Tensor:
        """The estimate of any of the `READINGS`. (B, …)"""
        if kind == self.kind:
            return self.value
        return READINGS[kind].target(self.x0_hat, self.eps_hat, *self._roots)

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
