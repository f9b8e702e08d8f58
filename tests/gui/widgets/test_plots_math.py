import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from diffusion_studio.widgets.plots.math import (
    band,
    debiased_average,
    log_ticks,
    nice_ticks,
    plain_text,
    thin,
    tick_text,
    with_minus_signs,
)


def naive_average(values, decay):
    out, mean, weight = [], 0.0, 0.0
    for value in values:
        if np.isfinite(value):
            mean = decay * mean + (1 - decay) * value
            weight = decay * weight + (1 - decay)
        out.append(mean / weight if weight else np.nan)
    return np.array(out)


finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(arrays(float, st.integers(0, 300), elements=finite), st.floats(0, 0.999))
def test_that_the_debiased_average_equals_the_loop(values, decay):
    np.testing.assert_allclose(debiased_average(values, decay), naive_average(values, decay), atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.98, 0.9999])
def test_that_the_average_is_exact_over_many_blocks(decay):
    values = np.random.default_rng(0).lognormal(size=5000)
    np.testing.assert_allclose(debiased_average(values, decay), naive_average(values, decay), rtol=1e-12)


def test_that_it_is_adams_debiasing():
    values = np.random.default_rng(1).normal(size=200)
    m = np.zeros(200)
    for k, value in enumerate(values):
        m[k] = 0.9 * (m[k - 1] if k else 0.0) + 0.1 * value
    np.testing.assert_allclose(debiased_average(values, 0.9), m / (1 - 0.9 ** np.arange(1, 201)), rtol=1e-10)


def test_that_a_constant_is_its_own_average():
    np.testing.assert_allclose(debiased_average(np.full(999, 3.25), 0.98), 3.25, rtol=1e-13)


def test_that_missing_values_do_not_spread():
    values = np.array([np.nan, 1.0, np.nan, np.inf, 1.0, np.nan])
    np.testing.assert_allclose(debiased_average(values, 0.9), [np.nan, 1, 1, 1, 1, 1])


def test_that_a_long_average_is_cheap():
    """Python goes round a few times for each block of values, not for each value."""
    rounds = []

    def count(*_):
        rounds.append(1)
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        debiased_average(np.ones(100_000), 0.98)
    finally:
        sys.settrace(before)
    assert len(rounds) < 20_000


def test_that_a_decay_of_one_is_refused():
    with pytest.raises(ValueError, match="decay"):
        debiased_average([1.0], 1.0)


@given(arrays(float, st.integers(1, 400), elements=finite), st.integers(1, 50))
def test_that_the_band_contains_every_raw_value_and_is_tight(values, bins):
    x = np.arange(len(values), dtype=float)
    edges, low, high = band(x, values, bins)
    assert len(edges) == len(low) + 1 <= bins + 1
    inside = np.clip(np.searchsorted(edges[:-1], x, side="right") - 1, 0, len(low) - 1)
    assert (low[inside] <= values).all() and (values <= high[inside]).all()
    assert low.min() == values.min() and high.max() == values.max()


def test_that_a_band_without_values_is_empty():
    assert [len(part) for part in band([], [], 5)] == [0, 0, 0]
    _, low, high = band([0, 1, 2, 3], [np.nan, np.nan, 1.0, 2.0], 2)
    np.testing.assert_array_equal([low, high], [[np.nan, 1.0], [np.nan, 2.0]])


@given(st.integers(0, 5000), st.integers(2, 500))
def test_that_thinning_keeps_both_ends(n, most):
    kept = thin(n, most)
    assert len(kept) <= max(most, 2)
    if n:
        assert kept[0] == 0 and kept[-1] == n - 1


@given(finite, st.floats(1e-3, 1e6), st.integers(2, 12))
def test_that_ticks_lie_inside_and_are_few(low, span, count):
    ticks = nice_ticks(low, low + span, count)
    assert len(ticks) <= 2.5 * count + 1
    slack = 1e-6 * (abs(low) + span)
    assert all(low - slack <= t <= low + span + slack for t in ticks)


@pytest.mark.parametrize("span", np.geomspace(0.01, 10, 40))
@pytest.mark.parametrize("low", [-3.7, -0.2, 0.0, 0.49, 0.93, 17.0])
@pytest.mark.parametrize("count", [2, 3.3, 7])
def test_that_one_tick_does_not_stand_alone(low, span, count):
    assert len(nice_ticks(low, low + span, count)) >= 2
    assert len(log_ticks(low, low + span, count)) >= 2


def test_that_log_ticks_read_well():
    assert [tick_text(10**t) for t in log_ticks(-1.05, 0.05, 5)] == ["0.1", "0.2", "0.5", "1"]
    assert [tick_text(10**t) for t in log_ticks(-6, 0, 4)] == ["1e-6", "1e-4", "0.01", "1"]
    assert [tick_text(10**t) for t in log_ticks(np.log10(0.11), np.log10(0.19), 4)] == [
        "0.12", "0.14", "0.16", "0.18"
    ]  # fmt: skip


def test_that_a_large_number_is_written_with_its_exponent_where_there_is_little_room():
    assert [tick_text(v, 1e4) for v in (1e6, 2.5e5, 999.0)] == ["1e6", "2.5e5", "999"]


def test_that_tick_texts_are_short():
    texts = [tick_text(v) for v in (0, 0.05, 1000, 12000, -2, 3e-4, float("nan"))]
    assert texts == ["0", "0.05", "1000", "12,000", "−2", "3e-4", "–"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.9283, "1.93"),
        (-3.2283e9, "−3.2\u00a0·\u00a010⁹"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (-0.5, "−0.50"),
    ],
)
def test_that_a_number_that_grew_without_bound_stays_short(value, text):
    assert plain_text(value, ".2f") == text


def test_that_minus_signs_stand_before_numbers_and_hyphens_between_words():
    said = with_minus_signs("(-0,60; 0,30) ln p = -2.1, -inf, Score-Funktion 3620, -log p, 2-D")
    assert said == "(−0,60; 0,30) ln p = −2.1, −inf, Score-Funktion 3620, -log p, 2-D"
