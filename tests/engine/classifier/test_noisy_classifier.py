"""The network that classifies noisy images: its numbers, its gradient, and how it stands in a chain."""

from __future__ import annotations

import pytest
import torch

from diffusion_studio.core.denoisers.denoiser import FunctionDenoiser
from diffusion_studio.core.guidance.guidance import ClassifierGuidedDenoiser, constant
from diffusion_studio.models.noisy_classifier import NoisyClassifier, TrainedClassifier
from support.chains import tables

K = 4


def classifier(
    resolution: int = 8, channels: int = 1, dtype: torch.dtype = torch.float64
) -> TrainedClassifier:
    """One with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = NoisyClassifier(resolution, channels, K, width=8).to(dtype)
    return TrainedClassifier(network, tables(), K)


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(("resolution", "channels"), [(2, 1), (7, 3), (8, 1), (33, 3)])
def test_that_the_probabilities_of_all_classes_add_up_to_one(resolution, channels):
    found = classifier(resolution, channels).log_probs(noise(3, channels, resolution, resolution), 20)
    assert found.shape == (3, K)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(3, dtype=torch.float64), rtol=1e-12, atol=0)


def test_that_it_hears_the_noise_level_and_each_image_stands_alone():
    one, x = classifier(), noise(3, 1, 8, 8)
    assert not torch.allclose(one.log_probs(x, 1), one.log_probs(x, 50))
    torch.testing.assert_close(one.log_probs(x, 9)[1:2], one.log_probs(x[1:2], 9), rtol=1e-12, atol=1e-12)


def test_that_the_gradient_is_the_slope_of_log_p():
    """Central differences in float64 along random ways: their error falls like the square of the width."""
    one, x, labels, t = classifier(), noise(3, 1, 8, 8), torch.tensor([0, 3, 2]), 17
    gradient, way, h = one.gradient(x, t, labels), noise(3, 1, 8, 8).flip(0), 1e-5

    def chosen(x: torch.Tensor) -> torch.Tensor:
        return one.log_probs(x, t).gather(1, labels[:, None])[:, 0]

    slope = (chosen(x + h * way) - chosen(x - h * way)) / (2 * h)
    torch.testing.assert_close((gradient * way).flatten(1).sum(1), slope, rtol=1e-7, atol=1e-9)


def test_that_the_gradients_of_all_classes_cancel():
    """Σ_y p(y | x) ∇log p(y | x) = ∇ Σ_y p(y | x) = 0."""
    one, x, t = classifier(), noise(2, 1, 8, 8), 30
    p = one.log_probs(x, t).exp()
    total = sum(p[:, k, None, None, None] * one.gradient(x, t, torch.full((2,), k)) for k in range(K))
    assert float(total.abs().max()) < 1e-14


def test_that_no_class_has_no_gradient():
    gradient = classifier().gradient(noise(2, 1, 8, 8), 5, torch.tensor([-1, 2]))
    assert float(gradient[0].abs().max()) == 0
    assert float(gradient[1].abs().max()) > 0


def test_that_many_images_are_taken_in_parts(monkeypatch):
    one, x, labels = classifier(), noise(5, 1, 8, 8), torch.tensor([0, 1, 2, 3, 0])
    whole = one.gradient(x, 9, labels)
    monkeypatch.setattr("diffusion_studio.models.noisy_classifier._PIXELS_AT_ONCE", 2 * 64)
    torch.testing.assert_close(one.gradient(x, 9, labels), whole, rtol=1e-12, atol=1e-15)


def test_that_it_guides_a_chain_in_inference_mode():
    one = classifier(dtype=torch.float32)
    assert not any(p.requires_grad for p in one.network.parameters())
    assert not one.network.training
    base = FunctionDenoiser(tables(), lambda x, t: 0.5 * x)
    guided = ClassifierGuidedDenoiser(base, one, constant(2.0))
    labels = torch.tensor([1, 2])
    with torch.inference_mode():
        x = noise(2, 1, 8, 8, dtype=torch.float32)
        found = guided(x, 25, labels).eps_hat
    x = noise(2, 1, 8, 8, dtype=torch.float32)
    root = (1 - tables().alpha_bar_at(25)) ** 0.5
    assert torch.equal(found, guided(x, 25, labels).eps_hat)
    torch.testing.assert_close(found, 0.5 * x - 2 * root * one.gradient(x, 25, labels))
