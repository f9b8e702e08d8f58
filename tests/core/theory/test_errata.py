"""Every erratum is decided by its numbers, and every equation says where it comes from and where it acts."""

from __future__ import annotations

import pytest

from diffusion_studio.core.describe import get_value, with_value
from diffusion_studio.core.theory.equations import equations
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


@pytest.mark.parametrize("equation", equations(), ids=lambda e: f"{e.group}: {e.title}")
def test_that_every_equation_has_its_source_and_a_place_where_it_acts(equation):
    assert equation.latex.strip()
    assert equation.source.strip()
    assert equation.page in ("train", "sample", "theory")


def test_that_every_parameter_that_an_equation_names_is_there():
    from diffusion_studio.engine.chains.sample_spec import SampleSpec
    from diffusion_studio.engine.runs.config import RunConfig

    for equation in equations():
        if equation.page == "theory":
            continue
        spec = RunConfig() if equation.page == "train" else SampleSpec()
        get_value(spec, equation.path)
        if equation.value and equation.value != "explicit":
            assert get_value(with_value(spec, equation.path, equation.value), equation.path) == equation.value
