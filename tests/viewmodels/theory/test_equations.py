"""Every equation says where it comes from and where it acts, and no member of a family lacks its own."""

from __future__ import annotations

import pytest

from diffusion_studio.core.describe import families, get_value, members, with_value
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.runs.autoencoder_config import HVAEConfig
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.viewmodels.theory.equations import all_equations

CHOICES = {"train": RunConfig(), "sample": SampleSpec(), "autoencoder": HVAEConfig()}


@pytest.mark.parametrize("equation", all_equations(), ids=lambda e: f"{e.group}: {e.title}")
def test_that_every_equation_has_its_source_and_a_place_where_it_acts(equation):
    assert equation.latex.strip()
    assert equation.source.strip()
    assert equation.page in (*CHOICES, "theory")


def test_that_every_parameter_that_an_equation_names_is_there():
    for equation in all_equations():
        if equation.page != "theory":
            choice = CHOICES[equation.page]
            if equation.value:
                choice = with_value(choice, equation.path, equation.value)
            assert equation.value in ("", get_value(choice, equation.path))


def test_that_every_member_of_every_family_has_its_equation():
    found = {(e.page, e.path, e.value) for e in all_equations()}
    for page, choice in CHOICES.items():
        for path, base in families(choice).items():
            assert {(page, f"{path}.kind", kind) for kind in members(base)} <= found
