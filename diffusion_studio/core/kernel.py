"""The one family of reverse kernels that keep the marginals (S Lemma 3.1, MATHS §4)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from diffusion_studio.core.predictions import plus
from diffusion_studio.core.tables import Tables

_ROUNDING = 1e-12


@dataclass(frozen=True)
class ReverseKernel:
    """x_s = c_x0 x̂_0 + c_eps ε̂ + σ z, z ~ N(0, I)."""

    c_x0: float  # √ᾱ_s
    c_eps: float  # √(1 − ᾱ_s − σ²), σ of the mean
    sigma: float  # std of the noise that is added

    def mean(self, x0_hat: Tensor, eps_hat: Tensor) -> Tensor:
        return plus(self.c_x0 * x0_hat, eps_hat, self.c_eps)

    def sample(self, x0_hat: Tensor, eps_hat: Tensor, noise: Tensor | None) -> Tensor:
        """x_s; `noise` may be None only where σ = 0."""
        mean = self.mean(x0_hat, eps_hat)
        if self.sigma == 0:
            return mean
        if noise is None:
            raise ValueError("This reverse step adds noise (σ > 0), but none was given.")
        return plus(mean, noise, self.sigma)


def reverse_kernel(tables: Tables, t: int, s: int, variance: float, noise_variance: float) -> ReverseKernel:
    """The kernel from t down to s < t.

    Args:
        variance: σ² that shapes the mean, 0 ≤ σ² ≤ 1 − ᾱ_s.
        noise_variance: variance of the added noise; at s = 0 none is added.

    Raises:
        ValueError: times out of order or out of range, or a σ² for which no such kernel exists.
    """
    if not 0 <= s < t <= tables.steps:
        raise ValueError(
            f"A reverse step goes from t down to s with 0 ≤ s < t ≤ {tables.steps}; got t = {t}, s = {s}."
        )
    alpha_bar = tables.alpha_bar_at(s)
    room = 1 - alpha_bar
    if not -_ROUNDING <= variance <= room + _ROUNDING:
        raise ValueError(
            f"No reverse kernel keeps the marginals with σ² = {variance:.6g} at s = {s}: "
            f"σ² must lie between 0 and 1 − ᾱ_s = {room:.6g} (Lemma 3.1)."
        )
    if noise_variance < 0:
        raise ValueError(f"The variance of the added noise cannot be negative (got {noise_variance:.6g}).")
    sigma = noise_variance**0.5 if s > 0 else 0.0
    return ReverseKernel(alpha_bar**0.5, max(room - variance, 0.0) ** 0.5, sigma)


def posterior_variance(tables: Tables, t: int, s: int) -> float:
    """β̃ of the step from t to s: (1−ᾱ_s)/(1−ᾱ_t) · β_{t|s}."""
    return (1 - tables.alpha_bar_at(s)) / (1 - tables.alpha_bar_at(t)) * tables.beta_between(t, s)
