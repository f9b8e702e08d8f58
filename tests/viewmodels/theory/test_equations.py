"""Every equation says where it comes from and where it acts, and no member of a family lacks its own."""

from __future__ import annotations

import itertools

import pytest

from diffusion_studio.core.describe import Member, every_knob, get_value, members, with_value
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.engine.runs.autoencoder_config import HVAEConfig
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.viewmodels.theory.equations import all_equations

CHOICES = {
    "train": RunConfig(), "sample": SampleSpec(), "autoencoder": HVAEConfig(), "plane": PlaneSpec(),
}  # fmt: skip
ROOTS = [root for root in Member.__subclasses__() if root.__module__.startswith("diffusion_studio.")]


@pytest.mark.parametrize("equation", all_equations(), ids=lambda e: f"{e.group}: {e.title}")
def test_that_every_equation_has_its_source_and_a_place_where_it_acts(equation):
    assert equation.latex.strip()
    assert equation.source.strip()
    assert equation.page in (*CHOICES, "theory")


def test_that_every_parameter_that_an_equation_names_is_there():
    for equation in all_equations():
        if equation.page != "theory":
            choice = CHOICES[equation.page]
            if equation.value and equation.path.endswith(("kind", "predict")):
                choice = with_value(choice, equation.path, equation.value)
                assert equation.value == get_value(choice, equation.path)
            get_value(choice, equation.path)


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.family)
def test_that_every_member_of_every_family_has_its_formula_and_its_citation(root):
    """Schedules, weights, densities, samplers, spacings, clippings, guides, γ curves, starts, processes …"""
    found = {(e.group, e.title, e.latex, e.source, e.value) for e in all_equations()}
    for kind, cls in members(root).items():
        assert (root.family, cls.title, cls.formula, cls.source, kind) in found


def test_that_no_family_is_missed():
    assert {
        "Noise schedules",
        "Weights of the loss",
        "Densities of t",
        "Samplers",
        "Visited times",
        "Clipping",
        "Guides",
        "Guidance over the chain",
        "First states",
    } < {root.family for root in ROOTS}
    assert len(ROOTS) >= 12


def test_that_every_formula_of_a_parameter_is_there():
    shown = {e.latex for e in all_equations()}
    for page in ("train", "sample", "autoencoder"):
        for knob in every_knob(CHOICES[page]):
            assert not (knob.formula and knob.source) or knob.formula in shown


@pytest.mark.parametrize(
    "source",
    ["Stratos eq. 12", "Stratos eq. 16, 17", "Luo eq. 84", "Luo eq. 124, 125", "Luo eq. 9–16", "Luo eq. 157",
     "Luo eq. 158", "Luo eq. 161", "Luo eq. 166", "score SDE eq. 6", "score SDE eq. 13", "DDIM §4.3"],
)  # fmt: skip
def test_that_what_the_texts_derive_is_there(source):
    assert any(part == source for e in all_equations() for part in e.source.split("; "))


def test_that_each_group_stands_together():
    groups = [group for group, _ in itertools.groupby(all_equations(), key=lambda e: e.group)]
    assert len(groups) == len(set(groups))
