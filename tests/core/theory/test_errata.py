"""Every erratum is decided by its numbers."""

from __future__ import annotations

import itertools

import pytest

from diffusion_studio.core.theory.errata import ERRATA

DECIDED = [erratum for erratum in ERRATA if erratum.truth]
WORDS = {"first_variance", "mean_of_draws", "shared_network", "small"}  # settle these


@pytest.mark.parametrize("erratum", ERRATA, ids=lambda e: e.key)
def test_that_every_slip_is_told(erratum):
    for text in (erratum.place, erratum.title, erratum.printed, erratum.corrected):
        assert text.strip()
    assert erratum.why.endswith((".", ".)"))
    assert bool(erratum.truth) == bool(erratum.numbers()) == (erratum.key not in WORDS)


def test_that_no_slip_is_told_twice():
    assert len({erratum.key for erratum in ERRATA}) == len(ERRATA) == 18


@pytest.mark.parametrize("erratum", DECIDED, ids=lambda e: e.key)
def test_that_the_numbers_decide(erratum):
    """The corrected column is the truth; the printed one is not, everywhere or in most rows."""
    numbers = erratum.numbers()
    assert len(numbers) >= 3
    for row in numbers:
        assert row.corrected == pytest.approx(row.truth, rel=1e-6)
    wrong = [row for row in numbers if abs(row.printed - row.truth) > 0.003 * abs(row.truth)]
    assert len(wrong) >= len(numbers) / 2


def test_that_the_printed_ddim_weight_is_one_more_at_every_t():
    (erratum,) = [e for e in ERRATA if e.key == "ddim_weight"]
    for row in erratum.numbers():
        assert row.printed == pytest.approx(row.truth + 1, rel=1e-9)


def rows_of(key: str):
    (erratum,) = [e for e in ERRATA if e.key == key]
    return erratum.numbers()


def test_the_published_numbers_of_the_bound_over_neighbours():
    rows = rows_of("other_decomposition")
    assert [row.printed for row in rows] == pytest.approx([1.54, 4.05, 11.4], rel=0.01)
    assert [row.truth for row in rows] == pytest.approx([0.97, 0.94, 0.92], abs=0.035)


def test_that_the_matching_terms_alone_go_to_nothing_with_the_ends_of_the_schedule():
    rows = rows_of("trivial_optimum")
    assert all(a.printed > b.printed for a, b in itertools.pairwise(rows))
    assert rows[-1].printed < 0.003
    assert min(row.corrected for row in rows) > 0.72  # the entropy of N(0, ¼)


def test_that_k_inside_the_logarithm_makes_a_gain_of_nothing():
    first = rows_of("inside_the_logarithm")[0]
    assert first.printed == pytest.approx(4.79, abs=0.005)
    assert first.truth == 0
