"""Mixtures at every noise level, held against autograd and against their own definitions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_studio.core.denoisers.mixture import Mixture, MixtureDenoiser, covariance
from diffusion_studio.core.process.schedules import CosineSchedule, LinearSchedule
from diffusion_studio.core.process.tables import Tables

TABLES = Tables.from_betas(LinearSchedule().betas(1000))


def random_mixture(seed: int, count: int | None = None) -> Mixture:
    g = torch.Generator().manual_seed(seed)
    k = count or int(torch.randint(1, 12, (1,), generator=g))
    sds = 0.03 + torch.rand(k, 2, generator=g, dtype=torch.float64)
    angles = torch.rand(k, generator=g) * math.pi
    return Mixture(
        4 * torch.rand(k, 2, generator=g, dtype=torch.float64) - 2,
        torch.stack(
            [covariance(float(a), float(b), float(w)) for (a, b), w in zip(sds, angles, strict=True)]
        ),
        0.05 + torch.rand(k, generator=g, dtype=torch.float64),
        torch.arange(k) % 3,
    )


def points(mixture: Mixture, alpha_bar: float, count: int = 64, seed: int = 0) -> torch.Tensor:
    """Half from p_t, half from anywhere in the window."""
    g = torch.Generator().manual_seed(seed)
    anywhere = 8 * torch.rand(count // 2, 2, generator=g, dtype=torch.float64) - 4
    return torch.cat([mixture.at(alpha_bar).sample(count // 2, g), anywhere])


@pytest.mark.parametrize("seed", range(5))
def test_that_the_score_is_the_gradient_of_the_log_density_at_every_time(seed):
    mixture = random_mixture(seed)
    for t in range(TABLES.steps + 1):
        level = mixture.at(TABLES.alpha_bar_at(t))
        x = points(mixture, TABLES.alpha_bar_at(t), 8, t).requires_grad_()
        (gradient,) = torch.autograd.grad(level.log_density(x).sum(), x)
        torch.testing.assert_close(level.score(x.detach()), gradient, rtol=1e-10, atol=1e-10)


@given(seed=st.integers(0, 10_000), t=st.integers(0, 1000))
def test_that_the_log_density_is_torchs(seed, t):
    mixture, a = random_mixture(seed), TABLES.alpha_bar_at(t)
    covariances = a * mixture.covariances + (1 - a) * torch.eye(2, dtype=torch.float64)
    parts = torch.distributions.MultivariateNormal(a**0.5 * mixture.means, covariances)
    known = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(mixture.weights), parts)
    x = points(mixture, a, 32, seed)
    torch.testing.assert_close(mixture.at(a).log_density(x), known.log_prob(x), rtol=1e-9, atol=1e-9)


@given(seed=st.integers(0, 10_000), t=st.integers(0, 1000))
def test_that_posteriors_sum_to_one_and_classes_add_up(seed, t):
    mixture, a = random_mixture(seed), TABLES.alpha_bar_at(t)
    level, x = mixture.at(a), points(mixture, a, 32, seed)
    shares = level.posterior(x)
    torch.testing.assert_close(shares.sum(1), torch.ones(32, dtype=torch.float64), rtol=0, atol=1e-12)
    by_class = level.class_posterior(x)
    torch.testing.assert_close(by_class.sum(1), torch.ones(32, dtype=torch.float64), rtol=0, atol=1e-12)
    for y in range(mixture.class_count):
        torch.testing.assert_close(by_class[:, y], shares[:, mixture.classes == y].sum(1))


@pytest.mark.parametrize("t", [0, 10, 300, 1000])
def test_that_the_divergence_is_the_trace_of_the_score_s_jacobian(t):
    mixture, a = random_mixture(7), TABLES.alpha_bar_at(t)
    level = mixture.at(a)
    x = points(mixture, a).requires_grad_()
    score = level.score(x)
    trace = sum(torch.autograd.grad(score[:, i].sum(), x, retain_graph=True)[0][:, i] for i in range(2))
    exact_score, divergence = level.score_and_divergence(x.detach())
    torch.testing.assert_close(exact_score, score.detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(divergence, trace, rtol=1e-8, atol=1e-8)


def test_that_a_label_asks_for_the_score_of_one_class():
    mixture, a = random_mixture(3, 7), 0.5
    level, x = mixture.at(a), points(mixture, a)
    for y in range(3):
        own = mixture.of_class(y).at(a).score(x)
        torch.testing.assert_close(level.score(x, torch.full((64,), y)), own, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(level.score(x, torch.full((64,), -1)), level.score(x))


def test_that_bayes_ties_the_conditional_scores_to_the_classifier():
    """∇ ln p(x|y) = ∇ ln p(x) + ∇ ln p(y|x) (Luo eq. 163)."""
    mixture, a = random_mixture(5, 9), 0.8
    level, x = mixture.at(a), points(mixture, a).requires_grad_()
    for y in range(3):
        (pull,) = torch.autograd.grad(level.class_posterior(x)[:, y].clamp(min=1e-280).log().sum(), x)
        known = level.class_posterior(x.detach())[:, y] > 1e-200
        conditional = level.score(x.detach(), torch.full((64,), y))
        total = level.score(x.detach()) + pull
        torch.testing.assert_close(conditional[known], total[known], rtol=1e-6, atol=1e-6)


def test_that_samples_have_the_moments_of_the_mixture():
    mixture = random_mixture(11)
    mean, spread = mixture.moments()
    x = mixture.at(1.0).sample(200_000, torch.Generator().manual_seed(0))
    assert float((x.mean(0) - mean).abs().max()) < 0.02
    assert float((x.T.cov() - spread).abs().max()) < 0.05


def test_that_pieces_do_not_change_the_answer_and_single_precision_suffices_for_drawing():
    mixture = random_mixture(2, 8)
    x = points(mixture, 0.9, 20_000)
    whole = torch.cat([mixture.at(0.9).score(part) for part in x.split(100)])
    torch.testing.assert_close(mixture.at(0.9).score(x), whole, rtol=1e-12, atol=1e-12)
    rough = mixture.at(0.9, torch.float32)
    torch.testing.assert_close(rough.score(x.float()).double(), whole, rtol=1e-3, atol=1e-3)
    both = rough.log_density_and_score(x.float())
    torch.testing.assert_close(both[1], rough.score(x.float()), rtol=1e-3, atol=1e-3)


def test_that_the_denoiser_reads_the_mixture_at_its_time():
    tables = Tables.from_betas(CosineSchedule().betas(100))
    mixture = random_mixture(4)
    x = points(mixture, 0.5)
    for t in (1, 40, 100):
        a = tables.alpha_bar_at(t)
        prediction = MixtureDenoiser(tables, mixture)(x, t)
        torch.testing.assert_close(prediction.score_hat, mixture.at(a).score(x))
        torch.testing.assert_close(prediction.x0_hat, (x + (1 - a) * mixture.at(a).score(x)) / a**0.5)


@pytest.mark.parametrize("broken", ["empty", "weight", "covariance"])
def test_that_a_mixture_that_cannot_be_is_refused(broken):
    means, weights = torch.zeros(2, 2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    covariances = torch.stack([covariance(1, 1, 0)] * 2)
    kept = slice(0, 0) if broken == "empty" else slice(0, 2)
    if broken == "weight":
        weights[1] = 0
    if broken == "covariance":
        covariances[0, 0, 1] = covariances[0, 1, 0] = 2
    with pytest.raises(ValueError, match="mixture"):
        Mixture(means[kept], covariances[kept], weights[kept], torch.zeros(2, dtype=torch.int64)[kept])
