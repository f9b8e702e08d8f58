"""What images cost without any network: the yardsticks that stand beside a bound, in bits per dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RAW = 8.0  # bits of a byte
MOST_WHOLE = 2048  # dimensions up to which pixels are taken together
_UNIFORM = 1 / 12  # variance of a value within its bin, in grey levels squared
_ADDED = tuple(_UNIFORM * 2**k for k in range(16))


@dataclass(frozen=True)
class Yardsticks:
    """What the measured images cost under three simple models of the training images."""

    levels: int  # grey levels that occur in them: digits of 4 bits have 17
    histogram: float  # one histogram for each pixel
    gaussian: float  # one normal distribution
    together: bool  # whether its pixels vary together; too few images tell the variance of each alone

    @property
    def raw(self) -> float:
        """Bits of a level, if all were alike."""
        return math.log2(self.levels)


def yardsticks(trained: NDArray[np.uint8], measured: NDArray[np.uint8]) -> Yardsticks:
    """Of images (n, C, H, W), under models fitted to others (N, C, H, W); all count 256 bins."""
    fitted, asked = trained.reshape(len(trained), -1), measured.reshape(len(measured), -1)
    together = fitted.shape[1] <= min(MOST_WHOLE, len(fitted) // 2)
    return Yardsticks(
        len(np.unique(fitted)),
        histogram_bits(fitted, asked),
        gaussian_bits(fitted, asked, together),
        together,
    )


def histogram_bits(trained: NDArray[np.uint8], measured: NDArray[np.uint8]) -> float:
    """Bits per pixel under a histogram of each pixel. (N, D), (n, D)

    One image of even levels is added to those that are counted, so that a level that is new costs much and
    not without end.
    """
    bits = np.zeros(measured.shape[1])
    for pixel in range(measured.shape[1]):
        counts = np.bincount(trained[:, pixel], minlength=256) + 1 / 256
        bits[pixel] = -np.log2(counts / counts.sum())[measured[:, pixel]].mean()
    return float(bits.mean())


def gaussian_bits(trained: NDArray[np.uint8], measured: NDArray[np.uint8], together: bool) -> float:
    """Bits per pixel under one normal distribution, at most. (N, D), (n, D)

    A level is a bin of width 1: values that are spread evenly over their bins cost as many nats as their
    density says (uniform dequantisation), which bounds what the bins themselves would cost. To the fitted
    variances the same one is added everywhere, the best of a row, so that a pixel that never changed in
    training may change at a price.
    """
    values = trained.astype(np.float64)
    off, dims = measured - values.mean(0), values.shape[1]
    if together:
        variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(values.T, bias=True)))
        off = off @ axes
    else:
        variances = values.var(0)
    squares = (off**2).mean(0) + _UNIFORM  # (D,)
    costs = [squares / v + np.log(2 * math.pi * v) for v in (variances.clip(0) + r for r in _ADDED)]
    return float(min(cost.sum() for cost in costs) / (2 * dims * math.log(2)))
