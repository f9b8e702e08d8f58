"""One step of a classifier of noisy images."""

from __future__ import annotations

import torch

from diffusion_studio.engine.classifier.learner import ClassifierLearner
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.models.noisy_classifier import NoisyClassifier
from support.chains import tables
from support.processors import processors

CPU = torch.device("cpu")


def learner() -> ClassifierLearner:
    torch.manual_seed(3)
    return ClassifierLearner(NoisyClassifier(8, 1, 3, width=8), tables(), 1e-3, 0.0, CPU)


def batch(count: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x, noise = (torch.randn(count, 1, 8, 8, generator=generator) for _ in range(2))
    return Batch(x, torch.arange(count) % 50 + 1, noise, torch.arange(count) % 3)


def test_that_a_step_in_parts_is_the_step():
    """Σ_p Σ_i ∇ℓ_i / B = ∇L; the loss is the mean cross-entropy of the whole batch."""
    whole, split = learner(), learner()
    loss = whole.step(batch(13), 0)
    with processors(3):
        assert torch.allclose(split.step(batch(13), 0), loss, rtol=1e-5)
    for (name, a), b in zip(whole.network.named_parameters(), split.network.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-6, msg=name)
