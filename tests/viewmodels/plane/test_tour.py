"""What the cards of the tour say is so: each claim is measured on the chain that its click starts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffusion_studio.engine.plane.chain import PlaneChain
from diffusion_studio.engine.plane.measures import Measures, measure
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.viewmodels.plane.state import Look
from diffusion_studio.viewmodels.plane.tour.cards import CARDS
from support.plane import learned


def spec_of(card: int, action: int, **values) -> PlaneSpec:
    spec, _ = CARDS[card].actions[action].change(PlaneSpec(), Look())
    return spec.model_copy(update=values)


def ended(spec: PlaneSpec, denoiser=None) -> tuple[PlaneChain, Measures]:
    chain = PlaneChain(spec, denoiser or spec.guided())
    chain.go(chain.last)
    level = spec.denoiser().level(chain.times[-1], torch.float32)
    return chain, measure(level, chain.x, chain.last, chain.times[-1])


def reached(spec: PlaneSpec, state: int) -> list[int]:
    """The mode nearest to each particle."""
    chain = PlaneChain(spec, spec.denoiser())
    chain.go(state)
    return sorted(spec.mixture().at(1.0).posterior(chain.x.double()).argmax(1).tolist())


def test_that_chains_from_one_point_find_different_modes_and_without_noise_the_same():
    for state in (300, 600):
        assert reached(spec_of(0, 0), state) == [0, 1, 2]
        assert len(set(reached(spec_of(0, 1), state))) == 1


def test_that_plain_langevin_keeps_the_split_and_annealing_repairs_it():
    _, plain = ended(spec_of(1, 0))
    _, annealed = ended(spec_of(1, 1))
    assert abs(plain.occupancy[0] - plain.truth[0]) > 0.25
    assert abs(annealed.occupancy[0] - annealed.truth[0]) < 0.03


@pytest.mark.parametrize(("action", "steps"), [(1, 500), (3, 1000)], ids=["one level", "all levels"])
def test_that_a_chain_by_one_level_goes_astray_and_by_all_levels_does_not(action, steps):
    spec = spec_of(2, action, count=1000)
    assert spec.learning.levels == ("one" if action == 1 else "all")
    plan = spec.learning.model_copy(update={"steps": steps, "seconds": 600.0})
    last = learned(spec.model_copy(update={"learning": plan}))[-1]
    _, found = ended(spec, last.denoiser)
    off = np.abs(np.subtract(found.occupancy, found.truth)).max()
    if action == 1:
        assert off > 0.15
        assert found.energy > 0.1
    else:
        assert off < 0.1
        assert found.energy < 0.05


def test_that_on_a_thin_curve_plain_steps_leap_away_and_noise_gives_it_a_width():
    chain, _ = ended(spec_of(3, 0))
    assert float((chain.x.norm(dim=1) < 10).float().mean()) < 0.1
    for action in (1, 2):
        _, found = ended(spec_of(3, action))
        assert found.energy < 0.02


@pytest.mark.parametrize("card", [4, 5])
def test_that_every_sigma_and_both_equations_reach_the_data(card):
    for action in range(len(CARDS[card].actions)):
        spec = spec_of(card, action, count=4000)
        _, found = ended(spec)
        assert found.energy < 0.02
