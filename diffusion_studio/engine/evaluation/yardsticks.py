"""What images cost without any network: the yardsticks that stand beside a bound, in bits per dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RAW = 8.0  # bits of a byte
MOST_WHOLE = 2048  # dimensions up to which pixels are taken together
_AT_ONCE = 1 << 22  # pixels counted at a time
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


@dataclass(frozen=True, eq=False)
class Levels:
    """What many images hold, counted piece by piece, so that they never lie in memory all at once."""

    count: int  # images
    counts: NDArray[np.int64]  # how often each pixel has each level, (D, 256)
    products: NDArray[np.float64] | None  # Σ x xᵀ, where pixels are taken together, (D, D)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Of each pixel. (D,)"""
        return self.counts @ np.arange(256.0) / self.count

    @property
    def variance(self) -> NDArray[np.float64]:
        """Of each pixel. (D,)"""
        return self.counts @ np.arange(256.0) ** 2 / self.count - self.mean**2

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Of the pixels. (D, D)"""
        assert self.products is not None
        found: NDArray[np.float64] = self.products / self.count - np.outer(self.mean, self.mean)
        return found


def count_levels(
    images: NDArray[np.uint8], numbers: NDArray[np.int64] | None = None, together: bool = False
) -> Levels:
    """Of images (N, …), or of some `numbers` of them; `together`: also how their pixels vary together."""
    count, dims = len(images) if numbers is None else len(numbers), int(np.prod(images.shape[1:]))
    counts, places = np.zeros(256 * dims, np.int64), 256 * np.arange(dims)
    products = np.zeros((dims, dims)) if together else None
    at_once = max(1, _AT_ONCE // dims)
    for start in range(0, count, at_once):
        some = slice(start, start + at_once)
        piece = images[some if numbers is None else numbers[some]].reshape(-1, dims)
        counts += np.bincount((piece + places).ravel(), minlength=len(counts))
        if products is not None:
            values = piece.astype(np.float64)
            products += values.T @ values
    return Levels(count, counts.reshape(dims, 256), products)


def yardsticks(
    images: NDArray[np.uint8], measured: NDArray[np.uint8], numbers: NDArray[np.int64] | None = None
) -> Yardsticks:
    """Of images (n, C, H, W), under models fitted to others (N, C, H, W); all count 256 bins.

    Args:
        numbers: which of `images` the models are fitted to; None: all.
    """
    asked, count = measured.reshape(len(measured), -1), len(images) if numbers is None else len(numbers)
    together = asked.shape[1] <= min(MOST_WHOLE, count // 2)
    fitted = count_levels(images, numbers, together)
    return Yardsticks(
        int(fitted.counts.any(0).sum()), histogram_bits(fitted, asked), gaussian_bits(fitted, asked), together
    )


def histogram_bits(fitted: Levels, measured: NDArray[np.uint8]) -> float:
    """Bits per pixel of (n, D) under a histogram of each pixel.

    One image of even levels is added to those that are counted, so that a level that is new costs much and
    not without end.
    """
    costs = np.log2(fitted.count + 1) - np.log2(fitted.counts + 1 / 256)  # (D, 256)
    return float(costs[np.arange(measured.shape[1]), measured].mean())


def gaussian_bits(fitted: Levels, measured: NDArray[np.uint8]) -> float:
    """Bits per pixel of (n, D) under one normal distribution, at most.

    A level is a bin of width 1: values that are spread evenly over their bins cost as many nats as their
    density says (uniform dequantisation), which bounds what the bins themselves would cost. To the fitted
    variances the same one is added everywhere, the best of a row, so that a pixel that never changed in
    training may change at a price.
    """
    off, dims = measured - fitted.mean, measured.shape[1]
    if fitted.products is not None:
        variances, axes = np.linalg.eigh(fitted.covariance)
        off = off @ axes
    else:
        variances = fitted.variance
    squares = (off**2).mean(0) + _UNIFORM  # (D,)
    costs = [squares / v + np.log(2 * math.pi * v) for v in (variances.clip(0) + r for r in _ADDED)]
    return float(min(cost.sum() for cost in costs) / (2 * dims * math.log(2)))
