"""Running means by timestep equal a slow loop over single errors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion_studio.engine.training.timestep_errors import COVERED, MOST_BINS, TimestepAverages

ERROR = st.floats(0, 100, width=32) | st.sampled_from([math.nan, math.inf])


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, float, list[list[tuple[int, float]]]]:
    """(T, decay, chunks of (t, error))."""
    total = draw(st.integers(2, 350))
    entries = st.lists(st.tuples(st.integers(1, total), ERROR), max_size=30)
    return total, draw(st.sampled_from([0.0, 0.5, 0.9, 0.998])), draw(st.lists(entries, max_size=4))


def fill(averages: TimestepAverages, chunk: list[tuple[int, float]]) -> None:
    t = np.array([t for t, _ in chunk], np.int64)
    errors = np.array([error for _, error in chunk], np.float32)
    averages.add(t, errors, 3 * errors, np.full(averages.total, 1 / averages.total))


class Slowly:
    """One bin, one error at a time, as the definition says."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.seen: list[float] = []

    def mean(self, power: int) -> float:
        mean = weight = 0.0
        for error in self.seen:
            mean = self.decay * mean + (1 - self.decay) * error**power
            weight = self.decay * weight + (1 - self.decay)
        return mean / weight if self.seen else math.nan


@given(histories())
def test_that_the_means_equal_a_slow_loop(history: tuple[int, float, list[list[tuple[int, float]]]]) -> None:
    total, decay, chunks = history
    averages = TimestepAverages(total, decay)
    bins = [Slowly(decay) for _ in range(averages.bins)]
    for chunk in chunks:
        fill(averages, chunk)
        for t, error in chunk:
            if math.isfinite(error):
                bins[(t - 1) * len(bins) // total].seen.append(error)
    np.testing.assert_allclose(averages.error(), [b.mean(1) for b in bins], rtol=1e-9)
    spread = np.sqrt([max(b.mean(2) - b.mean(1) ** 2, 0) for b in bins])
    np.testing.assert_allclose(averages.spread(), spread, rtol=1e-6, atol=1e-4)
    assert averages.count.tolist() == [len(b.seen) for b in bins]
    times = np.bincount(averages.bin_of(np.arange(1, total + 1)))
    given = np.nan_to_num([b.mean(1) for b in bins]) * times
    seen = [len(b.seen) > 0 for b in bins]
    if given.sum() > 0 and times[seen].sum() >= COVERED * total:
        np.testing.assert_allclose(averages.share(), given / given.sum(), rtol=1e-6)


@given(histories())
def test_that_going_on_from_a_state_in_json_changes_nothing(
    history: tuple[int, float, list[list[tuple[int, float]]]],
) -> None:
    total, decay, chunks = history
    whole, piece = TimestepAverages(total, decay), TimestepAverages(total, decay)
    for chunk in chunks:
        fill(whole, chunk)
        again = TimestepAverages(total, decay)
        again.restore(json.loads(json.dumps(piece.state())))
        fill(again, chunk)
        piece = again
    assert piece.state() == whole.state()
    assert piece.count.dtype == np.int64


@given(st.integers(2, 4000))
def test_that_bins_cover_1_to_T_without_gaps(total: int) -> None:
    averages = TimestepAverages(total)
    bins = averages.bin_of(np.arange(1, total + 1))
    assert (bins[0], bins[-1]) == (0, averages.bins - 1)
    assert set(np.diff(bins).tolist()) <= {0, 1}
    sizes = np.bincount(bins)
    assert sizes.max() - sizes.min() <= 1
    centres = averages.centres
    assert len(centres) == averages.bins == min(total, MOST_BINS)
    assert centres[0] == 1 + (sizes[0] - 1) / 2
    assert centres[-1] == total - (sizes[-1] - 1) / 2


@pytest.mark.parametrize("total", [2, 50, 100])
def test_that_up_to_100_times_each_have_a_bin(total: int) -> None:
    averages = TimestepAverages(total)
    assert averages.centres.tolist() == list(range(1, total + 1))
    for t in range(1, total + 1):
        fill(averages, [(t, float(t))])
    assert averages.error().tolist() == pytest.approx(list(range(1, total + 1)))


def test_that_the_first_error_counts_in_full() -> None:
    averages = TimestepAverages(50)
    fill(averages, [(7, 3.0)])
    assert averages.error()[6] == pytest.approx(3)
    assert np.isnan(np.delete(averages.error(), 6)).all()


def test_that_a_state_of_another_size_is_ignored() -> None:
    averages = TimestepAverages(50)
    averages.restore(TimestepAverages(60).state())
    averages.restore({})
    assert len(averages.error()) == 50


def test_that_a_bin_whose_weight_and_error_are_opposed_has_its_true_share():
    """v under a cosine schedule: the error of ε falls with ᾱ_t, the weight 1/ᾱ_t rises, the loss is level."""
    total, random = 1000, np.random.default_rng(0)
    alpha_bar = np.cos(np.arange(1, total + 1) / total * math.pi / 2) ** 2 + 1e-9
    averages = TimestepAverages(total, decay=0.9999)
    t = random.integers(1, total + 1, 200_000)
    losses = random.uniform(0.5, 1.5, len(t)).astype(np.float32)
    errors = (losses * alpha_bar[t - 1]).astype(np.float32)
    averages.add(t, errors, losses, np.full(total, 1 / total))
    np.testing.assert_allclose(averages.share(), 0.01, rtol=0.05)
    weighted = averages.error() * np.bincount(averages.bin_of(np.arange(1, total + 1)), 1 / alpha_bar)
    assert weighted[-1] / weighted.sum() > 0.9  # what the means of both would say


@pytest.mark.parametrize("corrects", [False, True])
def test_that_the_share_counts_how_often_a_time_is_drawn(corrects):
    random = np.random.default_rng(1)
    chance = np.array([0.1] * 4 + [0.6])
    loss = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    averages = TimestepAverages(5, decay=0.9999)
    t = random.choice(np.arange(1, 6), 100_000, p=chance)
    correction = 1 / (5 * chance) if corrects else np.ones(5)
    losses = (loss * correction)[t - 1].astype(np.float32)
    averages.add(t, losses, losses, chance)
    expected = loss if corrects else loss * chance
    np.testing.assert_allclose(averages.share(), expected / expected.sum(), rtol=1e-4)
    averages.clear_losses()
    assert np.isnan(averages.share()).all()
    assert np.isfinite(averages.error()).all()


def test_that_no_share_is_told_before_most_of_what_is_drawn_is_known():
    averages = TimestepAverages(100)
    fill(averages, [(t, 1.0) for t in range(1, 90)])
    assert np.isnan(averages.share()).all()
    fill(averages, [(90, 1.0)])
    np.testing.assert_allclose(averages.share(), [1 / 90] * 90 + [0] * 10)
