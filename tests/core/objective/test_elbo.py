"""The bound on −log p against closed forms: an exact denoiser on a Gaussian, integrated exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diffusion_studio.core.denoisers.exact import GaussianDenoiser
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.objective.elbo import (
    BINS,
    bits_per_dim,
    consistency_term,
    continuous_term,
    discretised_log_likelihood,
    fixed_variance,
    last_term,
    posterior_gain,
    printed_consistency_term,
    prior_term,
    term,
)
from diffusion_studio.core.objective.weights import ddpm_elbo_weight, reverse_variance
from diffusion_studio.core.process.schedules import CosineSchedule, LinearSchedule
from diffusion_studio.core.process.tables import Tables

STD = 0.6


def gaussian_nodes(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points and weights that integrate polynomials against N(0, 1) exactly."""
    points, weights = np.polynomial.hermite_e.hermegauss(count)
    return torch.from_numpy(points), torch.from_numpy(weights / weights.sum())


def expectation(function, dims: int, std: float = STD) -> float:
    """E function(x_0, ε_1, …) for x_0 ~ N(0, std²), exactly for polynomials up to degree 5."""
    points, weights = gaussian_nodes(3)
    grid = torch.cartesian_prod(*[points] * (dims + 1)).reshape(-1, dims + 1)
    mass = torch.cartesian_prod(*[weights] * (dims + 1)).reshape(-1, dims + 1).prod(1)
    values = function(std * grid[:, :1], *(grid[:, k : k + 1] for k in range(1, dims + 1)))
    return float((mass * values).sum())


def closed_bound(tables: Tables, variance: torch.Tensor, std: float = STD) -> float:
    """The bound of one dimension in closed form, from posterior variances alone."""
    total = 0.0
    for t in range(1, tables.steps + 1):
        alpha_bar, sigma2 = tables.alpha_bar_at(t), float(variance[t])
        left = std**2 * (1 - alpha_bar) / (alpha_bar * std**2 + 1 - alpha_bar)  # Var(x_0 | x_t)
        if t == 1:
            total += 0.5 * (left / sigma2 + math.log(2 * math.pi * sigma2))
        else:
            ratio = float(tables.beta_tilde[t]) / sigma2
            error = posterior_gain(tables, t) ** 2 * left
            total += 0.5 * (error / sigma2 + ratio - 1 - math.log(ratio))
    last = tables.alpha_bar_at(tables.steps)
    return total + 0.5 * (last * std**2 - last - math.log(1 - last))


def measured_bound(tables: Tables, variance: torch.Tensor) -> float:
    model = fixed_variance(GaussianDenoiser(tables, std=STD), variance)
    total = sum(
        expectation(lambda x, e, t=t: term(model, tables, t, x, e, continuous_term), 1)
        for t in range(1, tables.steps + 1)
    )
    return total + expectation(lambda x: prior_term(tables, x), 0)


def entropy(std: float = STD) -> float:
    """E[−log p] of N(0, std²)."""
    return 0.5 * math.log(2 * math.pi * math.e * std**2)


@pytest.mark.parametrize("kind", ["posterior", "forward"])
@pytest.mark.parametrize("steps", [10, 100, 1000])
def test_that_the_terms_sum_to_the_closed_form(steps, kind):
    tables = Tables.from_betas(LinearSchedule().betas(steps))
    variance = reverse_variance(tables, kind)
    assert measured_bound(tables, variance) == pytest.approx(closed_bound(tables, variance), abs=1e-6)


def test_that_the_bound_comes_down_to_the_exact_value_as_t_grows():
    gaps = []
    for steps in (10, 100, 1000):
        tables = Tables.from_betas(LinearSchedule().betas(steps))
        gaps.append(measured_bound(tables, tables.beta) - entropy())
    assert all(gap > 0 for gap in gaps)
    assert gaps[0] > 5 * gaps[1] > 25 * gaps[2]
    assert gaps[2] < 0.01


@pytest.mark.parametrize("schedule", [LinearSchedule(), CosineSchedule()], ids=lambda s: s.kind)
def test_that_both_decompositions_have_the_same_sum_and_the_printed_l45_does_not(schedule):
    """Luo eq. 58 against 43; 45 as printed takes x_t and x_{t+1} for independent given x_{t−1}."""
    tables = Tables.from_betas(schedule.betas(10))
    variance = reverse_variance(tables, "forward")
    model = fixed_variance(GaussianDenoiser(tables, std=STD), variance)
    first = expectation(lambda x, e: term(model, tables, 1, x, e, continuous_term), 1)
    last = expectation(lambda x, e: last_term(tables, x, e), 1)
    sums = {}
    for function in (consistency_term, printed_consistency_term):
        middle = sum(
            expectation(lambda x, a, b, c, t=t, f=function: f(model, tables, t, x, (a, b, c)), 3)
            for t in range(1, 10)
        )
        sums[function] = first + middle + last
    bound = measured_bound(tables, variance)
    assert sums[consistency_term] == pytest.approx(bound, abs=1e-6)
    assert sums[printed_consistency_term] > bound + 0.4


def test_that_the_other_decomposition_scatters_more():
    """One image, one draw per term: the standard deviation of the whole bound."""
    tables = Tables.from_betas(LinearSchedule().betas(50))
    variance = reverse_variance(tables, "forward")
    model = fixed_variance(GaussianDenoiser(tables, std=STD), variance)
    draws = torch.randn(4, 50, 2000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = STD * draws[3, 0]
    one = sum(term(model, tables, t, x, draws[0, t - 1], continuous_term) for t in range(1, 51))
    other = term(model, tables, 1, x, draws[0, 0], continuous_term) + last_term(tables, x, draws[0, 49])
    for t in range(1, 50):
        other = other + consistency_term(model, tables, t, x, tuple(draws[k, t] for k in range(3)))
    assert float(other.mean()) == pytest.approx(float(one.mean()), abs=5 * float(other.std()) / 2000**0.5)
    assert float(other.std()) > 2 * float(one.std())


@pytest.mark.parametrize("std", [1e-3, 0.02, 0.3, 2.0])
@pytest.mark.parametrize("mean", [-1.4, -1.0, 0.0, 0.123, 1.0])
def test_that_the_256_bins_sum_to_one(mean, std):
    pixels = torch.arange(BINS, dtype=torch.float64) / 127.5 - 1
    log_p = discretised_log_likelihood(pixels, torch.full_like(pixels, mean), std**2)
    assert bool(torch.isfinite(log_p).all())
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-6)


def test_that_a_narrow_bin_has_the_density_times_its_width():
    x = torch.tensor([0.2 - 0.2 % (2 / 255)], dtype=torch.float64)
    log_p = float(discretised_log_likelihood(x, x + 0.1, 0.25))
    density = math.exp(-(0.1**2) / 0.5) / math.sqrt(2 * math.pi * 0.25)
    assert log_p == pytest.approx(math.log(density * 2 / 255), abs=1e-4)


def test_that_the_prior_term_is_its_closed_form():
    tables = Tables.from_betas(LinearSchedule().betas(10))
    x = torch.tensor([[0.5, -1.0, 0.25]], dtype=torch.float64)
    normal = torch.distributions.Normal
    alpha_bar = tables.alpha_bar_at(10)
    expected = torch.distributions.kl_divergence(
        normal(alpha_bar**0.5 * x, (1 - alpha_bar) ** 0.5), normal(torch.zeros_like(x), torch.ones_like(x))
    ).sum()
    assert float(prior_term(tables, x)) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("kind", READINGS)
def test_that_the_matching_term_is_the_weighted_error_of_any_prediction(kind):
    """L_{t−1} = λ_t ‖ε − ε̂‖² with the weight of the bound, whatever the network predicts."""
    tables = Tables.from_betas(CosineSchedule().betas(100))
    generator = torch.Generator().manual_seed(3)
    x_0, noise, wrong = torch.randn(3, 4, 2, 5, dtype=torch.float64, generator=generator)
    weight = ddpm_elbo_weight(tables, reverse_variance(tables))

    def denoiser(x_t, t, labels=None):
        guess = Prediction("eps", noise + 0.1 * wrong, x_t, tables.alpha_bar_at(t))
        return Prediction(kind, guess.read(kind), x_t, guess.alpha_bar)

    model = fixed_variance(denoiser, reverse_variance(tables))
    for t in (2, 3, 50, 99, 100):
        expected = float(weight[t]) * (0.1 * wrong).square().flatten(1).sum(1)
        torch.testing.assert_close(term(model, tables, t, x_0, noise), expected, rtol=1e-6, atol=1e-12)


def test_that_a_variance_per_pixel_is_taken_pixel_by_pixel():
    tables = Tables.from_betas(CosineSchedule().betas(50))
    x_0 = torch.rand(2, 1, 2, 2, dtype=torch.float64)
    spread = torch.full_like(x_0, float(tables.beta[20]))
    one, many = (lambda x, t: (0 * x, float(tables.beta[20]))), (lambda x, t: (0 * x, spread))
    for t in (1, 20):
        torch.testing.assert_close(term(one, tables, t, x_0, x_0), term(many, tables, t, x_0, x_0))


def test_that_bits_per_dimension_divide_by_d_ln_2():
    assert float(bits_per_dim(torch.tensor(math.log(2) * 12), 12)) == pytest.approx(1)
