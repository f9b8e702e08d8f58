"""Normal distributions of codes: draws, densities and divergences, in nats."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_studio.core.objective.elbo import gaussian_kl, gaussian_nll


def kl_to_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) of each latent: ½ (σ² + μ² − 1 − ln σ²) (Course eq. 1.2). (B, k)"""
    return 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance)


def reparameterised(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """z = μ + σ ⊙ ε, a draw whose gradient is known (Course eq. 1.5, proposition 1.9). (…, k)"""
    return mean + (0.5 * log_variance).exp() * noise


@dataclass(frozen=True, eq=False)
class Normal:
    """One normal distribution for each of B rows.

    Args:
        mean: (B, n).
        covariance: numbers of the diagonal, that broadcast to (B, n), or whole matrices, (n, n) or (B, n, n).
        whole: whether they are matrices.
    """

    mean: Tensor
    covariance: Tensor
    whole: bool = False

    def draw(self, noise: Tensor) -> Tensor:
        """A draw from standard noise (B, n). (B, n)"""
        if not self.whole:
            return self.mean + self.covariance.sqrt() * noise
        found: Tensor = self.mean + (torch.linalg.cholesky(self.covariance) @ noise[..., None])[..., 0]
        return found

    def log_density(self, x: Tensor) -> Tensor:
        """ln N(x; mean, covariance). (B, n) → (B,)"""
        if not self.whole:
            return -gaussian_nll(x - self.mean, self.covariance).sum(-1)
        root = torch.linalg.cholesky(self.covariance)
        within = torch.linalg.solve_triangular(root, (x - self.mean)[..., None], upper=False)[..., 0]
        constant = 0.5 * x.shape[-1] * math.log(2 * math.pi)
        found: Tensor = -0.5 * (within**2).sum(-1) - _half_log_determinant(root) - constant
        return found

    def kl(self, other: Normal) -> Tensor:
        """KL(self ‖ other), closed form (Course proposition 1.5). nats (B,)"""
        if not self.whole and not other.whole:
            return gaussian_kl(self.mean - other.mean, self.covariance, other.covariance).sum(-1)
        if not other.whole:
            return self._kl_to_diagonal(other)
        mine, theirs = self.matrices(), other.matrices()
        root, own = torch.linalg.cholesky(theirs), torch.linalg.cholesky(mine)
        difference = torch.linalg.solve_triangular(root, (self.mean - other.mean)[..., None], upper=False)
        within = torch.linalg.solve_triangular(
            root, own.expand(*difference.shape[:-2], *own.shape[-2:]), upper=False
        )
        n = self.mean.shape[-1]
        size = (within**2).sum((-2, -1)) + (difference**2).sum((-2, -1))
        found: Tensor = 0.5 * (size - n) + _half_log_determinant(root) - _half_log_determinant(own)
        return found

    def _kl_to_diagonal(self, other: Normal) -> Tensor:
        """The same of a whole covariance and one of the diagonal alone, without a matrix for each row."""
        difference = self.mean - other.mean
        spread = other.covariance.expand_as(difference)
        within = self.covariance.diagonal(dim1=-2, dim2=-1) + difference**2
        own = _half_log_determinant(torch.linalg.cholesky(self.covariance))
        return 0.5 * (within / spread - 1 + spread.log()).sum(-1) - own

    def matrices(self) -> Tensor:
        """The covariance as matrices: (n, n) where it is the same for all rows, or (B, n, n)."""
        if self.whole:
            return self.covariance
        differs = self.covariance.ndim > 1 and len(self.covariance) > 1
        one = self.covariance if differs else self.covariance.reshape(-1)
        return torch.diag_embed(one.expand_as(self.mean) if differs else one.expand(self.mean.shape[-1]))


def _half_log_determinant(root: Tensor) -> Tensor:
    """½ ln det of L Lᵀ."""
    return root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
