"""The memorising denoiser of points in the plane, with everything that a mixture can be asked."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.mixture import Mixture, MixtureDenoiser, NoisyMixture
from diffusion_studio.core.process.tables import Tables

POINT = 1e-20  # variance of a component that stands for a point


def mixture_of_points(points: Tensor, classes: Tensor) -> Mixture:
    """Equal weights on points.

    Args:
        points: float64 (N, 2).
        classes: int64 (N,).
    """
    count = len(points)
    covariances = (POINT * torch.eye(2, dtype=torch.float64)).expand(count, 2, 2)
    return Mixture(points, covariances, torch.ones(count, dtype=torch.float64), classes)


class MemorisedPoints(MixtureDenoiser):
    """The exact denoiser of finitely many points: `MemorisingDenoiser` in the plane.

    Points have no density at t = 0, so there p_1 stands for p_0.

    Args:
        tables: the forward process.
        points: what `mixture_of_points` gives.
    """

    def __init__(self, tables: Tables, points: Mixture) -> None:
        super().__init__(tables, points)

    def level(self, t: int, dtype: torch.dtype = torch.float64) -> NoisyMixture:
        return super().level(max(t, 1), dtype)
