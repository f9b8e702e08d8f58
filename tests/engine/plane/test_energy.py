"""A network that gives an energy: its slope is the score, and it is −log p but for a constant."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffusion_studio.core.describe import with_values
from diffusion_studio.core.process.forward import ForwardProcess
from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.engine.plane.field import Window, apart, energy_of, learned_view
from diffusion_studio.engine.plane.learner import PlaneTask
from diffusion_studio.engine.plane.losses import Batch, level_slope
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.models.energy_mlp import EnergyNetwork
from diffusion_studio.models.network import NetworkDenoiser
from diffusion_studio.models.score_mlp import ScoreMLP
from support.families import ready

T = 100


@pytest.mark.parametrize("kind", list(ready(ForwardProcess)))
def test_that_the_score_is_the_slope_of_the_energy_whatever_the_process(kind):
    tables = ready(ForwardProcess)[kind].tables(CosineSchedule().betas(T))
    torch.manual_seed(0)
    network = EnergyNetwork(ScoreMLP(16, outputs=1).double(), tables, 0.2)
    denoiser, x, step = NetworkDenoiser(tables, network), torch.randn(5, 2, dtype=torch.float64), 1e-5
    energy = energy_of(denoiser)
    assert energy is not None
    for t in (1, 40, 90):
        slope = torch.stack([
            (energy(x + step * axis, t) - energy(x - step * axis, t)) / (2 * step)
            for axis in torch.eye(2, dtype=torch.float64)
        ], 1)  # fmt: skip
        torch.testing.assert_close(denoiser(x, t).score_hat, -slope, rtol=1e-4, atol=1e-5)


def test_that_learning_an_energy_brings_it_to_the_density():
    spec = with_values(PlaneSpec(), [("learning.gives", "energy"), ("learning.width", 32)])
    task, level = PlaneTask(spec), spec.denoiser().level(200, torch.float32)
    before = learned_view(level, task.denoiser(), 200, Window(), 24)
    for number in range(120):
        task.step(number, 0.0)
    view = learned_view(level, task.denoiser(), 200, Window(), 24)
    assert view.goal is not None and view.apart < 0.8 * before.apart
    cell = 6 / 24
    assert float(np.exp(view.log_density).sum() * cell**2) == pytest.approx(1, rel=1e-3)


def log_law(x, log_level, x_0):
    """log p(x_t|x_0) at any ln ς."""
    noise2 = torch.sigmoid(2 * log_level)
    from_mean = x - (1 - noise2).sqrt() * x_0
    return -(from_mean**2).sum(1) / (2 * noise2[:, 0]) - torch.log(noise2[:, 0])


def test_that_the_slope_over_the_level_is_that_of_the_law_of_the_noised_point():
    """At a place that stays, by two levels beside it."""
    generator, step = torch.Generator().manual_seed(0), 1e-5
    x_0, noise = (torch.randn(6, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    log_level = torch.linspace(-3, 3, 6, dtype=torch.float64)[:, None]
    batch = Batch(x_0, noise, torch.ones(6), 1 - torch.sigmoid(2 * log_level))
    high, low = (log_law(batch.x_t, log_level + by, x_0) for by in (step, -step))
    torch.testing.assert_close(level_slope(batch), (high - low) / (2 * step), rtol=1e-6, atol=1e-6)


def test_that_a_constant_does_not_part_two_densities():
    level = PlaneSpec().denoiser().level(200, torch.float32)
    assert apart(level, lambda x: level.log_density(x) + 3) == pytest.approx(0, abs=1e-5)
    half = level.log_density(level.sample(4000, torch.Generator().manual_seed(1))).median()
    bent = apart(level, lambda x: level.log_density(x) + 0.5 * (level.log_density(x) > half))
    assert bent == pytest.approx(0.25, abs=0.02)  # a half is up by a half
