"""In the plane the target is known: every way down must reach it."""

from __future__ import annotations

import pytest
import torch

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.mixture import Mixture, MixtureDenoiser, covariance
from diffusion_studio.core.distances import energy_distance
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.core.process.spacing import TrailingSpacing
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers import DDIM, DDPM, AnnealedLangevin, Euler, ReverseSDE
from diffusion_studio.core.steps.clipping import Unclipped
from diffusion_studio.core.steps.langevin import langevin_step

TABLES = Tables.from_betas(CosineSchedule().betas(1000))
COUNT = 20_000


def modes(places: list[tuple[float, float]], weights: list[float], sd: float) -> Mixture:
    covariances = torch.stack([covariance(sd, sd, 0.0)] * len(places))
    means = torch.tensor(places, dtype=torch.float64)
    return Mixture(means, covariances, torch.tensor(weights, dtype=torch.float64), torch.arange(len(places)))


THREE = modes([(-1.5, 0.9), (1.3, 1.0), (0.1, -0.95)], [1, 1, 2], 0.3)
TWO = modes([(-1.7, 0.0), (1.7, 0.0)], [1, 4], 0.25)


def walked(mixture: Mixture, sampler, times: tuple[int, ...], count: int = COUNT) -> torch.Tensor:
    noise = CounterNoise(3)
    chain = reverse_chain(
        MixtureDenoiser(TABLES, mixture),
        sampler,
        times,
        noise.start((count, 2)),
        noise.step,
        None,
        Unclipped(),
    )
    with torch.inference_mode():
        for step in chain:
            x = step.x_s
    return x


@pytest.fixture(scope="module")
def band() -> float:
    """The largest energy distance between two clouds of fresh exact samples, of 40 pairs."""
    level, g = THREE.at(1.0, torch.float32), torch.Generator().manual_seed(0)
    return max(energy_distance(level.sample(COUNT, g), level.sample(COUNT, g)) for _ in range(40))


@pytest.mark.parametrize("sampler", [Euler(), ReverseSDE(), DDPM(), DDIM(), DDIM(eta=0.5)])
def test_that_a_thousand_steps_reach_the_target_within_the_band(sampler, band):
    x = walked(THREE, sampler, TrailingSpacing().times(TABLES, 1000))
    exact = THREE.at(1.0, torch.float32).sample(COUNT, torch.Generator().manual_seed(9))
    assert energy_distance(x, exact) <= band


def test_that_plain_langevin_keeps_the_split_of_the_start_and_annealing_finds_the_weights():
    level, g = TWO.at(1.0, torch.float32), torch.Generator().manual_seed(1)
    x = 6 * torch.rand(COUNT, 2, generator=g) - 3
    split = float((x[:, 0] > 0).float().mean())
    for _ in range(2000):
        x = langevin_step(x, level.score(x), 0.01, torch.randn(x.shape, generator=g))
    plain = level.posterior(x).mean(0)
    assert float(plain[1]) == pytest.approx(split, abs=0.01)  # where it began
    assert abs(float(plain[1]) - 0.8) > 0.25  # and not where it should be
    annealed = walked(TWO, AnnealedLangevin(repeats=3, size=0.2), TrailingSpacing().times(TABLES, 300))
    assert float(level.posterior(annealed).mean(0)[1]) == pytest.approx(0.8, abs=0.02)
