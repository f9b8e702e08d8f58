"""The likelihood along the flow, and the laws of Langevin chains, against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from diffusion_studio.core.denoisers.mixture import Mixture, covariance
from diffusion_studio.core.distances import effective_modes, energy_distance, sliced_wasserstein
from diffusion_studio.core.steps.flow import axes, estimated_field, flow_log_likelihood, mixture_field
from diffusion_studio.core.steps.langevin import adjusted_step, langevin_step, stationary_variance


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ring(count: int, sd: float = 0.2) -> Mixture:
    angle = torch.arange(count, dtype=torch.float64) * (6.283185307179586 / count)
    means = 1.8 * torch.stack([angle.cos(), angle.sin()], 1)
    covariances = torch.stack([covariance(sd, sd * (0.5 + k / count), float(k)) for k in range(count)])
    return Mixture(means, covariances, 1.0 + torch.arange(count), torch.arange(count))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_that_the_flow_s_likelihood_is_the_density(count):
    mixture = ring(count)
    x = mixture.at(1.0).sample(500, seeded(count))
    found = flow_log_likelihood(mixture_field(mixture), x)
    assert float((found - mixture.at(1.0).log_density(x)).abs().max()) < 1e-3


def network_like(mixture: Mixture):
    """ε̂ of a mixture through a callable that is asked in single precision, as a network is."""
    exact = mixture_field(mixture)

    def estimate(x, alpha_bar, rows):
        score, _ = exact(x, alpha_bar, rows)
        return -score * (1 - alpha_bar).sqrt()[:, None]

    return estimate


@pytest.mark.parametrize("count", [1, 3, 8])
def test_that_the_likelihood_of_any_callable_is_the_density_within_the_tolerance(count):
    """With every axis as a probe the divergence is exact."""
    mixture = ring(count)
    x = mixture.at(1.0).sample(500, seeded(count))
    field = estimated_field(network_like(mixture), axes(500, 2))
    for tolerance in (1.0, 0.1, 1e-3):
        found = flow_log_likelihood(field, x, tolerance)
        assert float((found - mixture.at(1.0).log_density(x)).abs().max()) < tolerance


def test_that_random_signs_are_right_on_average_and_signs_that_stay_keep_a_point_s_number():
    mixture, x = ring(3), torch.tensor([[0.4, -0.3]], dtype=torch.float64).repeat(4000, 1)
    signs = torch.randint(0, 2, (1, 4000, 2), generator=seeded(), dtype=torch.float64) * 2 - 1
    found = flow_log_likelihood(estimated_field(network_like(mixture), signs), x, 0.025)
    again = flow_log_likelihood(estimated_field(network_like(mixture), signs[:, :7]), x[:7], 0.025)
    torch.testing.assert_close(found[:7], again, rtol=0, atol=1e-9)
    error = float(found.std()) / 4000**0.5
    assert float(found.mean()) == pytest.approx(
        float(mixture.at(1.0).log_density(x)[0]), abs=4 * error + 1e-3
    )


@pytest.mark.parametrize("dims", [1, 5, 64])
def test_the_likelihood_of_a_gaussian_of_any_size_from_one_level_to_the_other(dims):
    """N(0, a² + ς²) at the first level, in x/√ᾱ; the last is that of the noise."""
    a, levels = 0.5, (0.05, 400.0)
    x = torch.randn(20, dims, generator=seeded(), dtype=torch.float64)
    alpha_bar = 1 / (1 + levels[0] ** 2)
    spread = alpha_bar * a**2 + 1 - alpha_bar

    def estimate(x, alpha_bar, rows):
        return ((1 - alpha_bar).sqrt() / (alpha_bar * a**2 + 1 - alpha_bar))[:, None] * x

    found = flow_log_likelihood(estimated_field(estimate, axes(20, dims)), x, 2.5e-4, levels=levels)
    expected = -0.5 * (x**2).sum(1) / spread - dims / 2 * math.log(2 * math.pi * spread)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_that_a_flow_that_is_given_up_has_no_number():
    field, x = mixture_field(ring(3)), torch.zeros(2, 2, dtype=torch.float64)
    assert flow_log_likelihood(field, x, most=3).isnan().all()
    assert flow_log_likelihood(field, x, stopped=lambda: True).isnan().all()


def test_that_the_field_of_the_flow_is_the_one_of_each_level():
    mixture, x = ring(5), 2 * torch.randn(6, 2, generator=seeded(), dtype=torch.float64)
    levels = [1 - 1e-6, 0.9, 0.5, 0.1, 1e-3, 1e-9]
    score, divergence = mixture_field(mixture)(x, torch.tensor(levels, dtype=torch.float64), torch.arange(6))
    for i, alpha_bar in enumerate(levels):
        expected = mixture.at(alpha_bar).score_and_divergence(x[i : i + 1])
        torch.testing.assert_close((score[i : i + 1], divergence[i : i + 1]), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("step", [0.01, 0.05, 0.2, 0.4])
def test_that_the_chain_s_variance_is_its_closed_form(step):
    """100,000 chains on one tilted Gaussian, run until their start is forgotten."""
    shape = covariance(0.9, 0.5, 0.6)
    mixture = Mixture(
        torch.zeros(1, 2, dtype=torch.float64), shape[None], torch.ones(1), torch.zeros(1, dtype=torch.int64)
    )
    level, g = mixture.at(1.0), seeded(1)
    values, vectors = torch.linalg.eigh(shape)
    known = stationary_variance(values, step)
    x = torch.randn(100_000, 2, generator=g, dtype=torch.float64) @ (vectors * known.sqrt()).T
    x = 0.9 * x  # not yet at rest
    for _ in range(round(6 / step)):
        x = langevin_step(x, level.score(x), step, torch.randn(x.shape, generator=g, dtype=torch.float64))
    found = (x @ vectors).var(0)
    assert float((found / known - 1).abs().max()) < 0.01


def test_that_too_long_a_step_is_refused():
    with pytest.raises(ValueError, match="runs away"):
        stationary_variance(torch.tensor([1.0, 0.1]), 0.2)


def test_that_the_adjusted_chain_keeps_the_law_that_the_plain_one_widens():
    mixture = Mixture(
        torch.zeros(1, 2, dtype=torch.float64),
        torch.eye(2, dtype=torch.float64)[None] * 0.25,
        torch.ones(1),
        torch.zeros(1, dtype=torch.int64),
    )
    level, g, step = mixture.at(1.0), seeded(2), 0.2
    plain = adjusted = level.sample(40_000, g)
    for _ in range(60):
        noise = torch.randn(plain.shape, generator=g, dtype=torch.float64)
        plain = langevin_step(plain, level.score(plain), step, noise)
        adjusted = adjusted_step(level, adjusted, step, noise, torch.rand(len(plain), generator=g))
    assert float(adjusted.var(0).mean()) == pytest.approx(0.25, rel=0.015)
    assert float(plain.var(0).mean()) == pytest.approx(stationary_variance(0.25, step), rel=0.015)


def test_that_without_noise_every_chain_ends_on_a_mode():
    mixture = ring(3)
    level = mixture.at(1.0)
    x = level.sample(200, seeded(3))
    for _ in range(4000):
        x = langevin_step(x, level.score(x), 0.005, None)
    assert float(level.score(x).norm(dim=1).max()) < 1e-6


def test_that_the_energy_distance_is_that_of_all_pairs():
    x, y = ring(5).at(1.0).sample(400, seeded(4)), ring(3).at(0.5).sample(300, seeded(5))
    direct = 2 * torch.cdist(x, y).mean() - torch.cdist(x, x).mean() - torch.cdist(y, y).mean()
    assert energy_distance(x, y) == pytest.approx(float(direct), rel=2e-3)
    assert energy_distance(x, x) == pytest.approx(0, abs=1e-12)


def test_that_the_sliced_distance_of_a_shift_is_known():
    """Every shadow moves by the cosine of its direction; its mean square is a half."""
    x = torch.randn(500, 2, generator=seeded(6))
    assert sliced_wasserstein(x, x + torch.tensor([0.3, 0.0])) == pytest.approx(0.3 / 2**0.5, rel=1e-3)


def test_that_equal_shares_count_as_so_many_modes():
    assert effective_modes(torch.full((8,), 0.125)) == pytest.approx(8)
    assert effective_modes(torch.tensor([1.0, 0.0])) == pytest.approx(1)
