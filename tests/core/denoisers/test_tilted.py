"""Exact guidance in the plane, against guidance as it is computed for any denoiser."""

from __future__ import annotations

import pytest
import torch

from diffusion_studio.core.denoisers.exact import PosteriorClassifier
from diffusion_studio.core.denoisers.mixture import Mixture, MixtureDenoiser, covariance
from diffusion_studio.core.denoisers.tilted import TiltedDenoiser, TiltedMixture
from diffusion_studio.core.guidance.guidance import ClassifierGuidedDenoiser, GuidedDenoiser, constant
from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.core.process.tables import Tables

TABLES = Tables.from_betas(CosineSchedule().betas(1000))


def mixture(seed: int = 0) -> Mixture:
    generator = torch.Generator().manual_seed(seed)
    means = 3 * torch.rand(6, 2, generator=generator, dtype=torch.float64) - 1.5
    shapes = torch.rand(6, 3, generator=generator)
    covariances = torch.stack(
        [covariance(0.2 + 0.5 * a, 0.2 + 0.5 * b, 3 * c) for a, b, c in shapes.tolist()]
    )
    return Mixture(means, covariances, torch.rand(6, generator=generator).double() + 0.2, torch.arange(6) % 3)


def points(count: int) -> torch.Tensor:
    return 2 * torch.randn(count, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("gamma", [-2.0, 0.0, 0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("t", [1, 200, 1000])
def test_that_it_is_both_kinds_of_guidance(gamma, t):
    plain, x = MixtureDenoiser(TABLES, mixture()), points(100)
    labels = torch.full((100,), 1)
    found = TiltedDenoiser(plain, 1, gamma)(x, t).eps_hat
    classifier = PosteriorClassifier(plain, 3)
    by_classifier = ClassifierGuidedDenoiser(plain, classifier, constant(gamma))(x, t, labels).eps_hat
    free = GuidedDenoiser(plain, constant(gamma))(x, t, labels).eps_hat
    scale = max(1.0, float(by_classifier.abs().max()))
    assert float((found - by_classifier).abs().max()) <= 1e-10 * scale
    assert float((found - free).abs().max()) <= 1e-10 * scale


@pytest.mark.parametrize("gamma", [-1.0, 1.0, 7.0])
@pytest.mark.parametrize("alpha_bar", [1.0, 0.7, 0.05])
def test_that_the_guided_score_is_the_gradient_of_the_tilted_density(gamma, alpha_bar):
    level = TiltedMixture(mixture(2).at(alpha_bar), 0, gamma)
    x = points(60).requires_grad_()
    (gradient,) = torch.autograd.grad(level.unnormalised(x).sum(), x)
    scale = gradient.norm(dim=1).clamp(min=1)
    assert float(((level.score(x.detach()) - gradient).norm(dim=1) / scale).max()) <= 1e-10
    (push,) = torch.autograd.grad(level.base.log_class(x, 0).sum(), x)
    scale = push.norm(dim=1).clamp(min=1)
    assert float(((level.class_gradient(x.detach()) - push).norm(dim=1) / scale).max()) <= 1e-10


@pytest.mark.parametrize(("gamma", "whole"), [(0.0, True), (1.0, False)])
def test_that_without_and_with_plain_conditioning_the_density_is_known(gamma, whole):
    base = mixture(3)
    known = (base if whole else base.of_class(2)).at(0.8)
    level, x = TiltedMixture(base.at(0.8), 2, gamma), points(50)
    torch.testing.assert_close(level.log_density(x), known.log_density(x), rtol=0, atol=2e-3)
    drawn = level.sample(20_000, torch.Generator().manual_seed(0))
    exact = known.sample(20_000, torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.mean(0), exact.mean(0), rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.T.cov(), exact.T.cov(), rtol=0, atol=0.05)
    torch.testing.assert_close(level.weights, level.posterior(exact).mean(0), rtol=0, atol=0.01)
    assert not level.runs_away


def test_that_a_product_without_a_finite_sum_is_noticed():
    """The class that is narrow is led away from: far out, the wide one's share grows without bound."""
    means, covariances = torch.zeros(2, 2).double(), torch.stack([covariance(s, s, 0) for s in (1.0, 0.3)])
    base = Mixture(means, covariances, torch.ones(2), torch.tensor([0, 1])).at(1.0)
    assert TiltedMixture(base, 1, -2.0).runs_away
    assert not TiltedMixture(base, 1, 2.0).runs_away
    assert not TiltedMixture(base, 0, -0.05).runs_away
