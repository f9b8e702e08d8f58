"""The linear-Gaussian VAE, which is probabilistic PCA: everything about it is known exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_studio.core.autoencoder.gaussians import Normal, kl_to_standard
from diffusion_studio.core.autoencoder.principal import PrincipalComponents


def active_latents(values: Tensor, variance: float) -> int:
    """How many latents carry something: as many as there are eigenvalues above σ². (d,)"""
    return int((values > variance).sum())


def best_variance(parts: PrincipalComponents, k: int) -> float:
    """The σ² of the optimum: the mean of the eigenvalues that a code of size k leaves out."""
    return float(parts.values[k:].mean())


@dataclass(frozen=True, eq=False)
class LinearEncoder:
    """q(z|x) = N(weight (x − centre), diag σ²).

    Args:
        weight: (k, d).
        centre: (d,).
        variance: σ² of each latent. (k,)
    """

    weight: Tensor
    centre: Tensor
    variance: Tensor

    def __call__(self, x: Tensor) -> Normal:
        return Normal((x - self.centre) @ self.weight.T, self.variance)


@dataclass(frozen=True, eq=False)
class LinearVAE:
    """p(z) = N(0, I), p(x|z) = N(W z + mean, σ² I).

    Args:
        weight: W, (d, k).
        mean: (d,).
        variance: σ².
    """

    weight: Tensor
    mean: Tensor
    variance: float

    @classmethod
    def optimum(cls, parts: PrincipalComponents, k: int, variance: float | None = None) -> LinearVAE:
        """The maximum of the likelihood (Tipping & Bishop 1999, eq. 7, 8): W = U (Λ − σ² I)^½, R = I.

        Args:
            variance: σ², or None for the best.
        """
        sigma_2 = best_variance(parts, k) if variance is None else variance
        scale = (parts.values[:k] - sigma_2).clamp(min=0).sqrt()
        return cls(parts.axes[:, :k] * scale, parts.mean, sigma_2)

    @property
    def size(self) -> int:
        return self.weight.shape[1]

    @property
    def covariance(self) -> Tensor:
        """Of x: W Wᵀ + σ² I. (d, d)"""
        d = len(self.mean)
        return self.weight @ self.weight.T + self.variance * torch.eye(d, dtype=self.weight.dtype)

    def log_density(self, x: Tensor) -> Tensor:
        """ln p(x) in nats. (B, d) → (B,)"""
        return Normal(self.mean.expand_as(x), self.covariance, True).log_density(x)

    def mean_log_density(self, parts: PrincipalComponents) -> float:
        """The mean of ln p(x) over the points that `parts` describes, without going through them."""
        covariance = self.covariance
        moved = self.mean - parts.mean
        scatter = (parts.axes * parts.values) @ parts.axes.T + torch.outer(moved, moved)
        inside = torch.linalg.solve(covariance, scatter).trace() + torch.logdet(covariance)
        return float(-0.5 * (inside + len(self.mean) * math.log(2 * math.pi)))

    def posterior(self, x: Tensor) -> Normal:
        """p(z|x) = N(M⁻¹ Wᵀ (x − mean), σ² M⁻¹), M = Wᵀ W + σ² I. (B, d) → (B, k)"""
        inner = self._inner()
        mean = torch.linalg.solve(inner, self.weight.T @ (x - self.mean).T).T
        return Normal(mean, self.variance * torch.linalg.inv(inner), True)

    def encoder(self) -> LinearEncoder:
        """The posterior, its latents taken as independent; at the optimum they are."""
        inner = self._inner()
        weight = torch.linalg.solve(inner, self.weight.T)
        return LinearEncoder(weight, self.mean, self.variance * torch.linalg.inv(inner).diagonal())

    def _inner(self) -> Tensor:
        return self.weight.T @ self.weight + self.variance * torch.eye(self.size, dtype=self.weight.dtype)

    def bound(self, encoder: LinearEncoder, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both terms of the ELBO, exactly: E_q ln p(x|z), and the KL of each latent. nats (B,), (B, k)"""
        q = encoder(x)
        missed = ((x - self.mean - q.mean @ self.weight.T) ** 2).sum(1)
        spread = (self.weight**2).sum(0) @ encoder.variance  # of W z around its mean
        d = len(self.mean)
        constant = d * math.log(2 * math.pi * self.variance)
        reconstruction = -0.5 * ((missed + spread) / self.variance + constant)
        return reconstruction, kl_to_standard(q.mean, encoder.variance.log())
