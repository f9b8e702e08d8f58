"""One bound routine for a VAE, a hierarchy and a diffusion model."""

from __future__ import annotations

import itertools

import pytest
import torch

from diffusion_studio.core.autoencoder.bridge import diffusion_hierarchy, fixed_tables, linear_denoiser
from diffusion_studio.core.autoencoder.chains import GaussianChain, LinearStep, Noising
from diffusion_studio.core.autoencoder.gaussians import Normal
from diffusion_studio.core.autoencoder.hierarchy import by_posterior, matching_term, over_triples, plain
from diffusion_studio.core.autoencoder.joint import LinearHierarchy
from diffusion_studio.core.autoencoder.linear import LinearVAE
from diffusion_studio.core.autoencoder.principal import PrincipalComponents
from diffusion_studio.core.objective.elbo import continuous_term, discretised_term, prior_term
from diffusion_studio.core.objective.elbo import matching_term as of_diffusion
from diffusion_studio.core.objective.weights import reverse_variance

SIZES = (5, 4, 3, 2)  # x, z_1, z_2, z_3


def step(out: int, size: int, generator: torch.Generator, whole: bool) -> LinearStep:
    weight = 0.6 * torch.randn(out, size, generator=generator, dtype=torch.float64)
    bias = 0.3 * torch.randn(out, generator=generator, dtype=torch.float64)
    spread = 0.4 + torch.rand(out, generator=generator, dtype=torch.float64)
    mixed = 0.2 * torch.randn(out, out, generator=generator, dtype=torch.float64)
    return LinearStep(weight, bias, torch.diag(spread) + mixed @ mixed.T if whole else spread)


def linear(levels: int, whole: bool = False) -> LinearHierarchy:
    generator = torch.Generator().manual_seed(levels)
    pairs = list(itertools.pairwise(SIZES[: levels + 1]))
    up = tuple(step(above, below, generator, whole) for below, above in pairs)
    return LinearHierarchy(up, tuple(step(below, above, generator, whole) for below, above in pairs))


def noise(generator: torch.Generator):
    return lambda t, q: torch.randn(q.mean.shape, generator=generator, dtype=torch.float64)


def images(count: int = 3) -> torch.Tensor:
    return torch.randn(count, SIZES[0], generator=torch.Generator().manual_seed(9), dtype=torch.float64)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_that_one_row_stands_for_the_same_image_in_every_draw(levels, whole):
    hierarchy, x = linear(levels, whole).hierarchy(), images(1)
    many = x.expand(20, -1)
    states = hierarchy.draw(many, noise(torch.Generator().manual_seed(0)))
    for way in (plain, lambda *of: over_triples(*of).total, lambda *of: by_posterior(*of).total):
        torch.testing.assert_close(way(hierarchy, x, states), way(hierarchy, many, states))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_that_draws_of_either_decomposition_come_to_the_exact_bound(levels, whole):
    model, x = linear(levels, whole), images()
    hierarchy, generator = model.hierarchy(), torch.Generator().manual_seed(0)
    many = x.repeat_interleave(4_000, 0)
    states = hierarchy.draw(many, noise(generator))
    exact = model.bound(x)
    for found in (
        plain(hierarchy, many, states), over_triples(hierarchy, many, states).total,
        by_posterior(hierarchy, many, states).total,
    ):  # fmt: skip
        draws = found.unflatten(0, (len(x), -1))
        error = 5 * draws.std(1) / draws.shape[1] ** 0.5 + 1e-9
        assert bool(((draws.mean(1) - exact).abs() < error).all())
    assert bool((exact <= model.log_density(x) + 1e-9).all())


def sigma_points(levels: int, count: int):
    """Noise at ±√n along each axis of all levels, for each image; the mean of anything quadratic over it is
    the expectation, exactly."""
    n = sum(SIZES[1 : levels + 1])
    points = n**0.5 * torch.cat([torch.eye(n, dtype=torch.float64), -torch.eye(n, dtype=torch.float64)])
    parts = points.repeat(count, 1).split(SIZES[1 : levels + 1], 1)
    return 2 * n, lambda t, q: parts[t - 1]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_that_the_expectation_of_either_decomposition_is_the_algebra_of_the_joint_gaussian(levels, whole):
    model, x = linear(levels, whole), images()
    hierarchy, (each, points) = model.hierarchy(), sigma_points(levels, len(x))
    many = x.repeat_interleave(each, 0)
    states = hierarchy.draw(many, points)
    for found in (
        plain(hierarchy, many, states), over_triples(hierarchy, many, states).total,
        by_posterior(hierarchy, many, states).total,
    ):  # fmt: skip
        mean = found.unflatten(0, (len(x), each)).mean(1)
        torch.testing.assert_close(mean, model.bound(x), rtol=0, atol=1e-9)


def test_that_the_exact_bound_is_the_likelihood_where_the_encoder_is_the_posterior():
    down = linear(1).down[0]
    vae = LinearVAE(down.weight, down.bias, 1.0)
    at_zero = vae.posterior(torch.zeros(1, SIZES[0], dtype=torch.float64))
    up = LinearStep(vae.encoder().weight, at_zero.mean[0], at_zero.covariance)
    plain_noise = LinearStep(down.weight, down.bias, torch.ones(SIZES[0], dtype=torch.float64))
    exact = LinearHierarchy((up,), (plain_noise,))
    torch.testing.assert_close(exact.bound(images()), exact.log_density(images()), rtol=0, atol=1e-9)


def test_that_the_sum_over_triples_is_the_plain_one_but_for_its_last_divergence():
    model = linear(2)
    hierarchy, x = model.hierarchy(), images()
    states = hierarchy.draw(x, noise(torch.Generator().manual_seed(2)))
    terms = over_triples(hierarchy, x, states)
    q = hierarchy.encoder.step(2, states[0])
    last = hierarchy.top(states[1]).log_density(states[1]) - q.log_density(states[1])
    total = terms.total - terms.prior + last
    torch.testing.assert_close(total, plain(hierarchy, x, states), rtol=0, atol=1e-9)


def test_that_one_level_is_the_vae():
    parts = PrincipalComponents.of(images(50))
    best = LinearVAE.optimum(parts, 2)
    encoder = best.encoder()
    centred = -encoder.weight @ encoder.centre
    up = LinearStep(encoder.weight, centred, encoder.variance)
    down = LinearStep(best.weight, best.mean, torch.full((SIZES[0],), best.variance, dtype=torch.float64))
    reconstruction, kl = best.bound(encoder, images())
    hierarchy = LinearHierarchy((up,), (down,))
    torch.testing.assert_close(hierarchy.bound(images()), reconstruction - kl.sum(1), rtol=0, atol=1e-9)
    model = hierarchy.hierarchy()
    states = model.draw(images(), noise(torch.Generator().manual_seed(0)))
    for found in (by_posterior(model, images(), states), over_triples(model, images(), states)):
        torch.testing.assert_close(found.prior, -kl.sum(1), rtol=0, atol=1e-9)
        assert found.matching == ()


def test_that_the_noising_of_a_diffusion_model_is_a_linear_chain():
    tables = fixed_tables(6, 0.01)
    d, x = 3, images()[:, :3]

    def as_step(t: int) -> LinearStep:
        eye = torch.eye(d, dtype=torch.float64)
        return LinearStep(
            float(tables.alpha[t]) ** 0.5 * eye, torch.zeros(d).double(), tables.beta[t].expand(d)
        )

    chain = GaussianChain(as_step(1), tuple(as_step(t) for t in range(2, 7)))
    noising = Noising(tables)
    z = torch.randn(3, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for t in range(2, 7):
        one, other = chain.posterior(t, z, x), noising.posterior(t, z, x)
        torch.testing.assert_close(one.mean, other.mean, rtol=0, atol=1e-9)
        torch.testing.assert_close(one.matrices(), other.matrices(), rtol=0, atol=1e-9)
        torch.testing.assert_close(chain.marginal(t, x).mean, noising.marginal(t, x).mean, rtol=0, atol=1e-9)


@pytest.mark.parametrize("first", [continuous_term, discretised_term])
def test_that_with_all_three_restrictions_the_bound_is_that_of_the_diffusion_model(first):
    tables, shape = fixed_tables(12, 1e-4), (1, 2, 2)
    generator = torch.Generator().manual_seed(0)
    x = (torch.randint(0, 256, (5, *shape), generator=generator) / 127.5 - 1).double()
    variance = reverse_variance(tables)

    def model(x_t: torch.Tensor, t: int) -> tuple[torch.Tensor, float]:
        return torch.tanh(1.3 * x_t + 0.1 * t), float(variance[t])

    hierarchy = diffusion_hierarchy(model, tables, shape, first)
    flat, of_code = x.flatten(1), torch.zeros(5).double()
    states = hierarchy.draw(flat, noise(generator))
    found = by_posterior(hierarchy, flat, states)
    for t in range(1, tables.steps + 1):
        x_t = states[t - 1].unflatten(1, shape)
        x0_hat, sigma_2 = model(x_t, t)
        one = first(x, x0_hat, sigma_2) if t == 1 else of_diffusion(tables, t, x, x0_hat, sigma_2)
        mine = -found.reconstruction if t == 1 else matching_term(hierarchy, t, states[t - 1], flat)
        torch.testing.assert_close(mine, one, rtol=1e-12, atol=1e-9)
        of_code += one
    torch.testing.assert_close(-found.prior, prior_term(tables, x), rtol=0, atol=1e-9)
    torch.testing.assert_close(-found.total, of_code + prior_term(tables, x), rtol=0, atol=1e-9)


def test_that_a_best_linear_denoiser_brings_the_bound_near_the_likelihood():
    """Of normal data, where ln p is known: the more levels, the smaller the gap."""
    generator, d = torch.Generator().manual_seed(0), 4
    mixing = torch.randn(d, d, generator=generator, dtype=torch.float64)
    covariance = mixing @ mixing.T / d + 0.3 * torch.eye(d, dtype=torch.float64)
    mean = torch.zeros(d, dtype=torch.float64)
    x = Normal(mean.expand(4000, d), covariance, True).draw(
        torch.randn(4000, d, generator=generator, dtype=torch.float64)
    )
    exact = Normal(mean.expand_as(x), covariance, True).log_density(x)
    gaps = []
    for levels in (4, 16, 64):
        tables = fixed_tables(levels, 1e-4)
        model = linear_denoiser(mean, covariance, tables)
        hierarchy = diffusion_hierarchy(model, tables, (1, 1, d))
        states = hierarchy.draw(x, noise(generator))
        gaps.append(exact - by_posterior(hierarchy, x, states).total)
    means = [float(gap.mean()) for gap in gaps]
    assert means[0] > means[1] > means[2]
    error = 4 * float(gaps[2].std()) / len(x) ** 0.5
    assert -error < means[2] < 0.3


def test_that_the_schedule_ends_where_it_is_asked_to():
    for remaining in (0.5, 0.2, 1e-4):
        tables = fixed_tables(5, remaining)
        assert tables.alpha_bar_at(5) == pytest.approx(remaining, rel=1e-9)
