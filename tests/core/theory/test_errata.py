"""Every erratum is decided by its numbers."""

from __future__ import annotations

import pytest

from diffusion_studio.core.theory.errata import ERRATA


@pytest.mark.parametrize("erratum", ERRATA, ids=lambda e: e.key)
def test_that_the_numbers_decide(erratum):
    """The corrected column is the truth; the printed one is not, everywhere or in most rows."""
    numbers = erratum.numbers()
    assert len(numbers) >= 3
    for row in numbers:
        assert row.corrected == pytest.approx(row.truth, rel=1e-6)
    wrong = [row for row in numbers if abs(row.printed - row.truth) > 0.003 * abs(row.truth)]
    assert len(wrong) >= len(numbers) / 2
    for text in (erratum.place, erratum.title, erratum.printed, erratum.corrected, erratum.truth):
        assert text.strip()
    assert erratum.why.endswith(".")


def test_that_the_printed_ddim_weight_is_one_more_at_every_t():
    (erratum,) = [e for e in ERRATA if e.key == "ddim_weight"]
    for row in erratum.numbers():
        assert row.printed == pytest.approx(row.truth + 1, rel=1e-9)
