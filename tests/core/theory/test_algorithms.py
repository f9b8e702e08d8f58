"""The boxes of the texts, and which of them is followed."""

from __future__ import annotations

import re

import pytest

from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.samplers import DDIM, DDPM, AnnealedLangevin, Sampler
from diffusion_studio.core.theory.algorithms import (
    ALGORITHMS,
    ANNEALED,
    DDIM_SAMPLING,
    DDPM_SAMPLING,
    LANGEVIN,
    sampling_by,
    training_by,
)
from support.citations import unprinted
from support.families import ready

SAMPLERS = ready(Sampler)


def colourless(latex: str) -> str:
    return re.sub(r"\\quantity\{\w+\}\{((?:[^{}]|\{[^{}]*\})*)\}", r"\1", latex)


def test_that_the_algorithms_of_the_texts_are_there():
    sources = [algorithm.source for algorithm in ALGORITHMS]
    assert sources[:3] == ["Course algorithm 1", "Course algorithm 2", "Course algorithm 3"]
    assert {"Stratos §2.4", "Stratos §3.3", "Luo eq. 158", "Luo after eq. 161"} <= set(sources)
    assert [bad for source in sources for bad in unprinted(source)] == []


@pytest.mark.parametrize("kind", READINGS)
def test_that_training_follows_algorithm_1_or_2_with_what_is_predicted(kind):
    algorithm = training_by(kind)
    assert len(algorithm.lines) == 10  # as printed
    assert READINGS[kind].hat in algorithm.lines[7].latex
    assert algorithm.source == ("Course algorithm 1" if kind == "x_0" else "Course algorithm 2")


@pytest.mark.parametrize("kind", SAMPLERS)
def test_that_every_sampler_has_an_algorithm_with_its_rule(kind):
    algorithm = sampling_by(SAMPLERS[kind])
    assert algorithm.at("begin") and algorithm.at("step") and algorithm.at("end")
    known = {DDPM: DDPM_SAMPLING, DDIM: DDIM_SAMPLING, AnnealedLangevin: ANNEALED}
    expected = known.get(type(SAMPLERS[kind]))
    if expected is not None:
        assert algorithm is expected
    elif kind != "sigma":
        assert SAMPLERS[kind].formula in [colourless(line.latex) for line in algorithm.lines]


def test_that_langevin_puts_out_the_last_state_that_it_makes():
    latex = [line.latex for line in LANGEVIN.lines]
    assert r"\dots, K" in latex[1] and latex[2].startswith("x_{i+1}")
    assert latex[-1] == "x_{K+1}"


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda algorithm: algorithm.source)
def test_that_what_is_repeated_has_a_begin_and_an_end(algorithm):
    begin, end = algorithm.at("loop")
    assert set(range(begin + 1, end)) == set(algorithm.at("step"))
