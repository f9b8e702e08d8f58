"""Guided particles, and where they end."""

from __future__ import annotations

import pytest
import torch

from diffusion_studio.core.describe import with_value
from diffusion_studio.core.samplers import DDIM, DDPM
from diffusion_studio.engine.plane.chain import PlaneChain
from diffusion_studio.engine.plane.field import Window, contours_of, exact_view
from diffusion_studio.engine.plane.guide import PlaneGuide, guided_network
from diffusion_studio.engine.plane.measures import measure
from diffusion_studio.engine.plane.preview import preview
from diffusion_studio.engine.plane.process import Forward, Langevin, Reverse
from diffusion_studio.engine.plane.shapes import Mode
from diffusion_studio.engine.plane.spec import PlaneSpec
from support.plane import learned

CLOSE = (Mode(x=-0.5, sd_1=0.5, sd_2=0.5, label=0), Mode(x=0.5, sd_1=0.5, sd_2=0.5, label=1))


def end_of(gamma: float, process, count: int = 3000, **values):
    spec = PlaneSpec(
        modes=CLOSE, guide=PlaneGuide(label=1, gamma=gamma), process=process, count=count,
        **{"start": "noise", **values},
    )  # fmt: skip
    chain = PlaneChain(spec, spec.guided())
    chain.go(chain.last)
    return measure(spec.guided().level(0, torch.float32), chain.x, chain.last, 0)


def test_that_only_a_class_that_some_mode_has_guides():
    assert not PlaneSpec().guides
    assert PlaneSpec().guided() is PlaneSpec().denoiser()
    assert PlaneSpec(guide=PlaneGuide(label=2)).guides
    assert not PlaneSpec(guide=PlaneGuide(label=7)).guides


def test_that_at_gamma_1_a_chain_ends_in_the_class():
    found = end_of(1.0, Reverse(sampler=DDPM(), steps=300))
    assert found.energy < 4 * found.band + 1e-3
    assert found.spread == pytest.approx(found.exact_spread, abs=0.03)


def test_that_a_guided_chain_does_not_end_in_the_tilted_density_but_langevin_does():
    chain = end_of(4.0, Reverse(sampler=DDPM(), steps=300))
    level = end_of(4.0, Langevin(step=0.05, adjusted=True, steps=400))
    assert level.energy < 4 * level.band + 2e-3
    assert chain.energy > 5 * level.energy
    assert chain.off > 0.1


def test_that_variety_falls_with_guidance():
    spreads = [end_of(gamma, Reverse(sampler=DDIM(), steps=100)).spread for gamma in (0.0, 1.0, 4.0, 12.0)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < 0.85 * spreads[1]


def test_that_the_field_is_that_of_the_tilted_density():
    spec = PlaneSpec(modes=CLOSE, guide=PlaneGuide(label=1, gamma=4.0))
    level, window = spec.guided().level(300, torch.float32), Window()
    view = exact_view(level, window)
    places = torch.from_numpy(view.places)
    assert torch.equal(torch.from_numpy(view.score), level.score(places))
    lines = contours_of(spec.guided().level(0, torch.float32), window)
    assert lines.log_density.shape == view.log_density.shape
    assert len(lines.levels) == 5


def test_that_a_preview_is_near_where_the_chain_will_stand():
    spec = PlaneSpec(process=Reverse(sampler=DDIM(), steps=200), count=2000, start="noise")
    chain = PlaneChain(spec, spec.denoiser())
    quick = preview(chain, 200)
    chain.go(200)
    found = measure(spec.denoiser().level(0, torch.float32), quick.x, 200, 0)
    assert found.energy < 0.05
    assert float((quick.x - chain.x[: len(quick.x)]).norm(dim=1).median()) < 0.2  # the same noise
    assert preview(PlaneChain(spec.model_copy(update={"process": Forward()}), spec.denoiser()), 50) is None
    assert preview(PlaneChain(spec.model_copy(update={"start": "data"}), spec.denoiser()), 50) is None


def test_that_a_network_that_was_told_of_classes_is_guided():
    spec = PlaneSpec(
        modes=(Mode(x=-1.0, label=0), Mode(x=1.0, label=1)), guide=PlaneGuide(label=1, gamma=1.0),
        learning={"steps": 800, "seconds": 600.0, "width": 32, "dropped": 0.3, "predicts": "v"},
    )  # fmt: skip
    last = learned(spec)[-1]
    assert last.denoiser.classes
    guided = guided_network(last.denoiser, spec.guide)
    spec = spec.model_copy(update={"process": Reverse(steps=60), "count": 500, "start": "noise"})
    shares = []
    for denoiser in (guided, last.denoiser):
        chain = PlaneChain(spec, denoiser)
        chain.go(chain.last)
        shares.append(float((chain.x[:, 0] > 0).float().mean()))
    assert shares[0] > 0.95
    assert 0.3 < shares[1] < 0.7
    plain = spec.model_copy(update={"learning": spec.learning.model_copy(update={"dropped": 1.0})})
    first = learned(with_value(plain, "learning.steps", 1))[0]
    assert guided_network(first.denoiser, spec.guide) is first.denoiser
