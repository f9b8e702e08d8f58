"""Encoders of a hierarchy: Markov chains x → z_1 → … → z_T, in which everything but the first step is linear.

A VAE is such a chain with T = 1, and the noising of a diffusion model is one of full dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from diffusion_studio.core.autoencoder.gaussians import Normal
from diffusion_studio.core.process.tables import Tables


class Encoder(Protocol):
    """q(z_{1:T}|x) of a hierarchy with T levels; z_0 is x."""

    @property
    def levels(self) -> int:
        """T."""

    def step(self, t: int, before: Tensor) -> Normal:
        """q(z_t|z_{t−1}). (B, n_{t−1}) → (B, n_t)"""

    def marginal(self, t: int, x: Tensor) -> Normal:
        """q(z_t|x). (B, d) → (B, n_t)"""

    def posterior(self, t: int, z: Tensor, x: Tensor) -> Normal:
        """q(z_{t−1}|z_t, x), t ≥ 2; x may be one row for all draws. (B, n_t), (B, d) → (B, n_{t−1})"""


@dataclass(frozen=True, eq=False)
class LinearStep:
    """N(weight z + bias, covariance).

    Args:
        weight: (m, n).
        bias: (m,).
        covariance: diagonal (m,), or whole (m, m).
    """

    weight: Tensor
    bias: Tensor
    covariance: Tensor

    @property
    def whole(self) -> bool:
        return self.covariance.ndim == 2

    def __call__(self, z: Tensor) -> Normal:
        return Normal(z @ self.weight.T + self.bias, self.covariance, self.whole)

    @property
    def matrix(self) -> Tensor:
        """The covariance as a matrix. (m, m)"""
        return self.covariance if self.whole else torch.diag(self.covariance)


@dataclass(frozen=True, eq=False)
class GaussianChain:
    """Any Gaussian first step, of a network too, and linear ones above it.

    Args:
        first: q(z_1|x).
        above: q(z_t|z_{t−1}) of t = 2 … T.
    """

    first: Callable[[Tensor], Normal]
    above: Sequence[LinearStep] = ()

    @property
    def levels(self) -> int:
        return 1 + len(self.above)

    def step(self, t: int, before: Tensor) -> Normal:
        return self.first(before) if t == 1 else self.above[t - 2](before)

    def marginal(self, t: int, x: Tensor) -> Normal:
        found = self.first(x)
        for step in self.above[: t - 1]:
            covariance = step.weight @ found.matrices() @ step.weight.T + step.matrix
            found = Normal(step(found.mean).mean, covariance, True)
        return found

    def posterior(self, t: int, z: Tensor, x: Tensor) -> Normal:
        """By conditioning the joint normal distribution of (z_{t−1}, z_t) given x on z_t."""
        before, step = self.marginal(t - 1, x), self.above[t - 2]
        prior = before.matrices()
        across = step.weight @ prior  # (…, m, n)
        gain = torch.linalg.solve(across @ step.weight.T + step.matrix, across).mT  # (…, n, m)
        mean = before.mean + _turned(gain, z - step(before.mean).mean)
        return Normal(mean, prior - gain @ across, True)


@dataclass(frozen=True, eq=False)
class Noising:
    """The forward process of a diffusion model as an encoder: fixed, linear, of the data's own dimension."""

    tables: Tables

    @property
    def levels(self) -> int:
        return self.tables.steps

    def step(self, t: int, before: Tensor) -> Normal:
        """q(x_t|x_{t−1}) = N(√α_t x_{t−1}, β_t I) (Luo eq. 31)."""
        return Normal(float(self.tables.alpha[t]) ** 0.5 * before, _number(self.tables.beta[t], before))

    def marginal(self, t: int, x: Tensor) -> Normal:
        """q(x_t|x_0) = N(√ᾱ_t x_0, (1−ᾱ_t) I) (Luo eq. 70)."""
        alpha_bar = self.tables.alpha_bar_at(t)
        return Normal(alpha_bar**0.5 * x, _number(1 - alpha_bar, x))

    def posterior(self, t: int, z: Tensor, x: Tensor) -> Normal:
        """q(x_{t−1}|x_t, x_0) (Luo eq. 84)."""
        tables = self.tables
        now, earlier = tables.alpha_bar_at(t), tables.alpha_bar_at(t - 1)
        of_z = float(tables.alpha[t]) ** 0.5 * (1 - earlier) / (1 - now)
        of_x = earlier**0.5 * float(tables.beta[t]) / (1 - now)
        return Normal(of_z * z + of_x * x, _number(tables.beta_tilde[t], x))


def _turned(matrices: Tensor, rows: Tensor) -> Tensor:
    """Rows through one matrix, or each through its own. (n, m) or (B, n, m), (B, m) → (B, n)"""
    return rows @ matrices.mT if matrices.ndim == 2 else (matrices @ rows[..., None])[..., 0]


def _number(value: Tensor | float, like: Tensor) -> Tensor:
    """Filled in on the device, which waits for nothing."""
    return torch.full((), float(value), dtype=like.dtype, device=like.device)
