"""The linear-Gaussian VAE is probabilistic PCA, and everything about it is known exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diffusion_studio.core.autoencoder.gaussians import Normal, kl_to_standard
from diffusion_studio.core.autoencoder.gradients import gradients
from diffusion_studio.core.autoencoder.linear import LinearVAE, active_latents, best_variance
from diffusion_studio.core.autoencoder.principal import PrincipalComponents, random_turn, subspace_angle
from diffusion_studio.core.autoencoder.weighted import importance_weighted

D, K = 6, 3


def points(count: int = 400, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(D, D, generator=generator, dtype=torch.float64)
    return torch.randn(count, D, generator=generator, dtype=torch.float64) @ mixing.T + 0.7


@pytest.fixture
def parts() -> PrincipalComponents:
    return PrincipalComponents.of(points())


def test_that_the_error_of_the_best_code_is_what_it_leaves_out(parts):
    x = points()
    missed = ((x - parts.reconstruction(x, K)) ** 2).sum(1).mean()
    assert float(missed) == pytest.approx(parts.discarded(K), rel=1e-9)
    assert parts.values.tolist() == sorted(parts.values.tolist(), reverse=True)


def test_that_a_turned_code_changes_nothing(parts):
    turn = random_turn(K, torch.Generator().manual_seed(1))
    decoder = parts.axes[:, :K] @ torch.linalg.inv(turn)
    code = (points() - parts.mean) @ parts.axes[:, :K] @ turn.T
    torch.testing.assert_close(parts.mean + code @ decoder.T, parts.reconstruction(points(), K))
    assert subspace_angle(decoder, parts.axes[:, :K]) < 1e-6


def test_that_the_angle_between_subspaces_is_the_largest_one():
    flat = torch.eye(3, dtype=torch.float64)[:, :2]
    for degrees in (0.01, 30.0, 80.0):
        turned = flat.clone()
        a = math.radians(degrees)
        turned[1:, 1] = torch.tensor([math.cos(a), math.sin(a)], dtype=torch.float64)
        assert subspace_angle(flat, turned) == pytest.approx(degrees, rel=1e-6)


def test_that_the_bound_of_the_optimum_is_the_likelihood_of_probabilistic_pca(parts):
    x, best = points(), LinearVAE.optimum(parts, K)
    reconstruction, kl = best.bound(best.encoder(), x)
    gap = best.log_density(x) - (reconstruction - kl.sum(1))
    assert float(gap.abs().max()) < 1e-9
    assert best.mean_log_density(parts) == pytest.approx(float(best.log_density(x).mean()), abs=1e-9)


def test_that_log_p_is_the_bound_and_the_divergence_from_the_posterior(parts):
    x, best = points(), LinearVAE.optimum(parts, K)
    encoder = best.encoder()
    worse = type(encoder)(encoder.weight * 0.8, encoder.centre, encoder.variance * 1.3)
    reconstruction, kl = best.bound(worse, x)
    gap = worse(x).kl(best.posterior(x))
    torch.testing.assert_close(best.log_density(x), reconstruction - kl.sum(1) + gap, rtol=0, atol=1e-9)


def test_that_nothing_near_the_optimum_is_more_likely(parts):
    best = LinearVAE.optimum(parts, K)
    top = best.mean_log_density(parts)
    generator = torch.Generator().manual_seed(3)
    for _ in range(20):
        moved = best.weight + 1e-2 * torch.randn(D, K, generator=generator, dtype=torch.float64)
        assert LinearVAE(moved, best.mean, best.variance).mean_log_density(parts) < top
    for factor in (0.97, 1.03):
        assert LinearVAE(best.weight, best.mean, best.variance * factor).mean_log_density(parts) < top
        assert LinearVAE.optimum(parts, K, best.variance * factor).mean_log_density(parts) < top


def test_that_a_latent_is_active_exactly_if_its_eigenvalue_exceeds_the_variance(parts):
    x = points()
    for below, above in zip(parts.values[1 : K + 1].tolist(), parts.values[:K].tolist(), strict=True):
        variance = math.sqrt(below * above)
        best = LinearVAE.optimum(parts, K, variance)
        _, kl = best.bound(best.encoder(), x)
        expected = min(active_latents(parts.values, variance), K)
        assert int((kl.mean(0) > 1e-12).sum()) == expected
        assert int((best.weight.norm(dim=0) > 0).sum()) == expected
    assert best_variance(parts, K) == pytest.approx(float(parts.values[K:].mean()))


def test_that_the_divergence_from_the_prior_is_that_of_quadrature():
    places, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / math.sqrt(2 * math.pi)
    for mean, variance in ((0.0, 1.0), (0.7, 0.2), (-1.5, 2.0)):
        z = mean + math.sqrt(variance) * places
        ratio = -0.5 * (places**2 + math.log(variance)) + 0.5 * z**2
        exact = torch.tensor([[mean], [variance]], dtype=torch.float64)
        found = kl_to_standard(exact[0], exact[1].log())
        assert float(found) == pytest.approx(float((weights * ratio).sum()), abs=1e-10)


def test_that_whole_and_diagonal_covariances_agree():
    generator = torch.Generator().manual_seed(0)
    mean, other, x = torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    a, b = torch.rand(2, 4, generator=generator, dtype=torch.float64) + 0.2
    plain, whole = Normal(mean, a), Normal(mean, torch.diag(a), True)
    torch.testing.assert_close(whole.log_density(x), plain.log_density(x))
    for second in (Normal(other, b), Normal(other, torch.diag(b), True)):
        torch.testing.assert_close(whole.kl(second), plain.kl(Normal(other, b)))
    torch.testing.assert_close(whole.draw(x), plain.draw(x))


def test_that_the_weighted_bound_rises_to_the_likelihood(parts):
    x, best = points(40), LinearVAE.optimum(parts, K)
    encoder = best.encoder()
    loose = type(encoder)(0.9 * encoder.weight, encoder.centre, 1.3 * encoder.variance)
    q, many = loose(x), 1 << 13
    noise = torch.randn(many, len(x), K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = q.mean + q.covariance.sqrt() * noise
    prior = Normal(torch.zeros(K).double(), torch.ones(K).double())
    given = Normal(z @ best.weight.T + best.mean, torch.tensor(best.variance).double())
    weights = given.log_density(x) + prior.log_density(z) - q.log_density(z)
    bounds = [float(importance_weighted(weights, k).mean()) for k in (1, 2, 8, 64, 512, many)]
    assert bounds == sorted(bounds)
    reconstruction, kl = best.bound(loose, x)
    assert bounds[0] == pytest.approx(float((reconstruction - kl.sum(1)).mean()), abs=1e-2)
    assert bounds[-1] == pytest.approx(float(best.log_density(x).mean()), abs=1e-2)


def test_that_both_gradients_agree_in_the_mean_and_the_score_function_one_varies_more():
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, K, generator=generator, dtype=torch.float64)
    target = torch.randn(K, generator=generator, dtype=torch.float64)
    noise = torch.randn(400_000, K, generator=generator, dtype=torch.float64)
    found = gradients(lambda z: -((z - target) ** 2).sum(1), mean, log_variance, noise)
    exact = torch.cat([2 * (target - mean), -log_variance.exp()])  # of −‖z−a‖² under N(μ, σ²)
    error = 5 * (found.score.std(0) / math.sqrt(len(noise)))
    assert bool(((found.score.mean(0) - exact).abs() < error).all())
    torch.testing.assert_close(found.reparameterised.mean(0), exact, rtol=0, atol=0.02)
    low, high = found.variances
    assert high > 5 * low
