"""Principal components: what the best linear autoencoder keeps (Course §1.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """The mean and the directions of largest variance of a set of points.

    Args:
        mean: (d,).
        values: variance along each direction, falling. (d,)
        axes: the directions as columns. (d, d)
    """

    mean: Tensor
    values: Tensor
    axes: Tensor

    @classmethod
    def of(cls, points: Tensor) -> PrincipalComponents:
        """Of points (N, d), in float64; variances are divided by N."""
        points = points.flatten(1).double()
        mean = points.mean(0)
        centred = points - mean
        values, axes = torch.linalg.eigh(centred.T @ centred / len(points))
        return cls(mean, values.flip(0).clamp(min=0), axes.flip(1))

    def discarded(self, k: int) -> float:
        """The squared error of the best code of size k: the sum of the eigenvalues that it leaves out."""
        return float(self.values[k:].sum())

    def share(self, k: int) -> float:
        """How much of the variance k components hold, 0 … 1."""
        return float(self.values[:k].sum() / self.values.sum().clamp(min=1e-30))

    def reconstruction(self, points: Tensor, k: int) -> Tensor:
        """Points through the best code of size k. (N, d)"""
        kept = self.axes[:, :k]
        return self.mean + (points.flatten(1).double() - self.mean) @ kept @ kept.T


def subspace_angle(first: Tensor, second: Tensor) -> float:
    """The largest principal angle between what the columns of two matrices span, in degrees. (d, k), (d, k)

    Small angles are read from the sine, as their cosine is 1 up to rounding.
    """
    a, _ = torch.linalg.qr(first.double())
    b, _ = torch.linalg.qr(second.double())
    beside = b - a @ (a.T @ b)
    sine = float(torch.linalg.matrix_norm(beside, 2).clamp(max=1))
    cosine = float(torch.linalg.svdvals(a.T @ b).min().clamp(max=1))
    return math.degrees(math.asin(sine) if sine < 0.7 else math.acos(cosine))


def random_turn(k: int, generator: torch.Generator) -> Tensor:
    """A random invertible matrix of the code, far from singular. float64 (k, k)"""
    turned, _ = torch.linalg.qr(torch.randn(k, k, generator=generator, dtype=torch.float64))
    stretched = 0.5 + torch.rand(k, generator=generator, dtype=torch.float64)
    found: Tensor = turned * stretched
    return found
