"""Running means of the error and of the loss by timestep, in bins of t."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_BINS = 100
DECAY = 0.998
COVERED = 0.9  # of the draws, before shares are told


def standard_error(spread: Floats, count: NDArray[np.int64], decay: float = DECAY) -> Floats:
    """Standard error of a debiased running mean of `count` independent errors of this spread.

    The squared weights of such a mean sum to (1−d)/(1+d) · (1+dⁿ)/(1−dⁿ). (bins,)
    """
    kept = decay ** np.maximum(count, 1)
    share = (1 - decay) / (1 + decay) * (1 + kept) / (1 - kept)
    found: Floats = np.where(count > 0, spread * np.sqrt(share), np.nan)
    return found


class TimestepAverages:
    """Debiased exponential means of the error in each bin of t, and of what the bin gives to the loss.

    Each single error moves its bin's mean by 1 − decay; the mean is debiased as Adam's moments are, so the
    first error counts in full. What a bin gives is a mean of its own: within a bin λ_t may change a
    thousandfold, and the error with it the other way, so that one cannot be had from the means of both.

    Args:
        total: T.
        decay: memory of each bin, in errors.
    """

    def __init__(self, total: int, decay: float = DECAY) -> None:
        self.total = total
        self.bins = min(total, MOST_BINS)
        self.decay = decay
        self._bins = self.bin_of(np.arange(1, total + 1))
        self.clear()

    def clear(self) -> None:
        """Forgets every error: another kind of error is measured from now on."""
        self._mean = np.zeros(self.bins)
        self._square = np.zeros(self.bins)
        self._weight = np.zeros(self.bins)  # 1 − decay^count
        self.count = np.zeros(self.bins, np.int64)
        self.clear_losses()

    def clear_losses(self) -> None:
        """Forgets every loss: they are weighted or drawn otherwise from now on."""
        self._loss = np.zeros(self.bins)
        self._loss_weight = np.zeros(self.bins)
        self._chance: Floats = np.zeros(self.bins)  # of a draw to fall into each

    @property
    def centres(self) -> NDArray[np.float64]:
        """Mean of the times in each bin, between 1 and T. (bins,)"""
        return self.bin_mean(np.arange(1.0, self.total + 1))

    def bin_mean(self, values: Floats) -> Floats:
        """Mean over each bin of a quantity given for t = 1 … T. (T,) → (bins,)"""
        means: Floats = np.bincount(self._bins, values) / np.bincount(self._bins)
        return means

    def bin_of(self, t: NDArray[np.int64]) -> NDArray[np.int64]:
        """The bin of each time 1 … T."""
        return (t - 1) * self.bins // self.total

    def add(
        self, t: NDArray[np.int64], error: NDArray[np.float32], loss: NDArray[np.float32], chance: Floats
    ) -> None:
        """Takes errors into account; those that are not finite are left out.

        Args:
            t: when they were made, 1 … T. (n,)
            error: ρ(ε − ε̂). (n,)
            loss: what of each was minimised, with its weight and the correction of its density. (n,)
            chance: p_1 … p_T, with which the times were drawn. (T,)
        """
        sound = np.isfinite(error) & np.isfinite(loss)
        bins, values = self.bin_of(t[sound]), error[sound].astype(np.float64)
        number = np.bincount(bins, minlength=self.bins)
        gains = (1 - self.decay) * self.decay ** _later_in_bin(bins, number)
        keep = self.decay**number
        self._mean = keep * self._mean + np.bincount(bins, gains * values, self.bins)
        self._square = keep * self._square + np.bincount(bins, gains * values**2, self.bins)
        self._weight = keep * self._weight + np.bincount(bins, gains, self.bins)
        self._chance = np.bincount(self._bins, chance).astype(np.float64)
        given = loss[sound] * self._chance[bins]
        self._loss = keep * self._loss + np.bincount(bins, gains * given, self.bins)
        self._loss_weight = keep * self._loss_weight + np.bincount(bins, gains, self.bins)
        self.count += number

    def error(self) -> NDArray[np.float64]:
        """Mean error of each bin, NaN where nothing was seen. (bins,)"""
        return self._debiased(self._mean, self._weight)

    def share(self) -> Floats:
        """Share of each bin in Σ_t p_t c_t λ_t E[error_t]; sums to 1. c_t corrects the density. (bins,)

        NaN as long as a tenth of what is drawn falls into bins of which nothing is known yet.
        """
        if self._chance[self._loss_weight > 0].sum() < COVERED * self._chance.sum():
            return np.full(self.bins, np.nan)
        parts = np.nan_to_num(self._debiased(self._loss, self._loss_weight))
        total = parts.sum()
        return parts / total if total > 0 else np.full(self.bins, np.nan)

    def spread(self) -> NDArray[np.float64]:
        """Standard deviation of single errors in each bin. (bins,)"""
        variance = self._debiased(self._square, self._weight) - self.error() ** 2
        spread: NDArray[np.float64] = np.sqrt(np.maximum(variance, 0))
        return spread

    def _debiased(self, values: Floats, weight: Floats) -> Floats:
        debiased = np.full(self.bins, np.nan)
        np.divide(values, weight, out=debiased, where=weight > 0)
        return debiased

    def state(self) -> dict[str, list[float]]:
        """Everything needed to go on, as JSON."""
        return {
            "mean": self._mean.tolist(), "square": self._square.tolist(),
            "weight": self._weight.tolist(), "count": [float(n) for n in self.count],
            "loss": self._loss.tolist(), "loss_weight": self._loss_weight.tolist(),
        }  # fmt: skip

    def restore(self, state: dict[str, list[float]]) -> None:
        """Goes on from `state`; one of another number of bins is ignored."""
        if len(state.get("mean", ())) == self.bins:
            self._mean, self._square = np.array(state["mean"]), np.array(state["square"])
            self._weight, self.count = np.array(state["weight"]), np.array(state["count"], np.int64)
        if len(state.get("loss", ())) == self.bins:  # not in those of before
            self._loss, self._loss_weight = np.array(state["loss"]), np.array(state["loss_weight"])


def _later_in_bin(bins: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the entries after each one fall into the same bin. (n,)"""
    order = np.argsort(bins, kind="stable")
    later = np.empty_like(bins)
    later[order] = np.cumsum(number)[bins[order]] - 1 - np.arange(len(bins))
    return later
