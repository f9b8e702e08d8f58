"""Distances between two clouds of points in the plane, and what a cloud says about a mixture."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

DIRECTIONS = 64


def directions(count: int = DIRECTIONS) -> Tensor:
    """Unit vectors spread evenly over half a turn; opposite ones would tell nothing new. (count, 2)"""
    angle = (torch.arange(count) + 0.5) * (math.pi / count)
    return torch.stack([angle.cos(), angle.sin()], 1)


def _shadows(x: Tensor, count: int) -> Tensor:
    """The points projected on every direction, sorted. (count, n)"""
    return (directions(count).to(x) @ x.T).sort(1).values


def energy_distance(x: Tensor, y: Tensor, count: int = DIRECTIONS) -> float:
    """2 E‖X−Y‖ − E‖X−X'‖ − E‖Y−Y'‖, at least 0, and 0 only for equal clouds.

    A length is π/2 times the mean length of its shadows, so the distance is taken in each direction, where
    sorting replaces the comparison of all pairs. With 64 directions lengths are right to 2 in 10,000.

    Args:
        x: (n, 2).
        y: (m, 2).

    Source:
        Székely & Rizzo 2013; for the shadows, Cauchy's formula.
    """
    a, b = _shadows(x.double(), count), _shadows(y.double(), count)
    both = torch.cat([a, b], 1).detach().cpu()
    order = torch.from_numpy(np.argsort(both.numpy(), axis=1, kind="stable"))  # which only merges two runs
    values = both.gather(1, order)
    of_x = order < a.shape[1]
    gap = of_x.cumsum(1) / a.shape[1] - (~of_x).cumsum(1) / b.shape[1]  # F − G just above each point
    area = (gap[:, :-1] ** 2 * values.diff(dim=1)).sum(1)
    return float(math.pi * area.mean())


def sliced_wasserstein(x: Tensor, y: Tensor, count: int = DIRECTIONS) -> float:
    """Root of the mean squared 2-Wasserstein distance of the shadows; clouds of one size.

    Args:
        x, y: (n, 2).

    Source:
        Bonneel et al. 2015.
    """
    gap = _shadows(x.double(), count) - _shadows(y.double(), count)
    return float((gap**2).mean().sqrt())


def effective_modes(shares: Tensor) -> float:
    """exp of the entropy of `shares` (K,): how many equally filled modes there would be."""
    shares = shares[shares > 0]
    return float(torch.exp(-(shares * shares.log()).sum()))
