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
    network = EnergyNetwork(ScoreMLP(16, outputs=1).double(), tables, torch.linspace(0.5, 2, T + 1))
    denoiser, x, step = NetworkDenoiser(tables, network), torch.randn(5, 2, dtype=torch.float64), 1e-5
    energy = energy_of(denoiser)
    assert energy is not None
    for t in (1, 40, 90):
        slope = torch.stack([
            (energy(x + step * axis, t) - energy(x - step * axis, t)) / (2 * step)
            for axis in torch.eye(2, dtype=torch.float64)
        ], 1)  # fmt: skip
        torch.testing.assert_close(denoiser(x, t).score_hat, -slope, rtol=1e-4, atol=1e-5)


def test_that_learning_an_energy_learns_the_score():
    spec = with_values(PlaneSpec(), [("learning.gives", "energy"), ("learning.width", 32)])
    task = PlaneTask(spec)
    losses = [float(task.step(number, 0.0)) for number in range(60)]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])
    level = spec.denoiser().level(600, torch.float32)
    view = learned_view(level, task.denoiser(), 600, Window(), 24)
    assert view.goal is not None and np.isfinite(view.apart)
    cell = 6 / 24
    assert float(np.exp(view.log_density).sum() * cell**2) == pytest.approx(1, rel=1e-3)


def test_that_a_constant_does_not_part_two_densities():
    density = np.linspace(-4, 0, 100, dtype=np.float32).reshape(10, 10)
    assert apart(density, density + 3) == pytest.approx(0, abs=1e-6)
    bent = density + np.where(density > -2, 0.5, 0).astype(np.float32)
    assert 0.05 < apart(density, bent) < 0.5
