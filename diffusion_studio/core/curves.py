"""Curves over t that a person draws: points at evenly spaced times, joined by straight lines."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr


def curve_values(points: tuple[float, ...], steps: int) -> Tensor:
    """The curve at t = 1 … T; its first point stands at t = 1, its last at t = T. float64 (T,)"""
    places = np.linspace(0, len(points) - 1, steps)
    return torch.from_numpy(np.interp(places, np.arange(len(points)), points))


def check_curve(points: tuple[float, ...], what: str) -> tuple[float, ...]:
    """`points` themselves, if they make a curve.

    Raises:
        Refused: fewer than two, one that is no number or negative, or all of them 0.
    """
    if len(points) < 2:
        raise Refused(
            tr("a curve needs at least two points, this {what} has {count}", what=what, count=len(points))
        )
    for number, height in enumerate(points, start=1):
        if not math.isfinite(height) or height < 0:
            raise Refused(
                tr(
                    "every point of the {what} must be a number ≥ 0, but point {number} is {height}",
                    what=what,
                    number=number,
                    height=height,
                )
            )
    if not any(points):
        raise Refused(tr("the {what} cannot be 0 everywhere", what=what))
    return points
