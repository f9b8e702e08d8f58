"""The memorising denoiser, the Gaussian one, and guidance."""

import pytest
import torch

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.denoiser import ChunkedDenoiser, FunctionDenoiser
from diffusion_studio.core.denoisers.exact import GaussianDenoiser, MemorisingDenoiser, PosteriorClassifier
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.describe import members
from diffusion_studio.core.guidance.guidance import ClassifierGuidedDenoiser, GuidedDenoiser, constant
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers import Sampler

TABLES = Tables.from_betas(CosineSchedule().betas(100))
IMAGES = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
LABELS = torch.arange(20) % 4

FREE = FunctionDenoiser(TABLES, lambda x, t: x / 2)


def log_density(x: torch.Tensor, t: int) -> torch.Tensor:
    """ln p(x_t) of the finite data set, written out as a mixture. (B,)"""
    a = TABLES.alpha_bar_at(t)
    centres = a**0.5 * IMAGES.flatten(1)
    parts = torch.distributions.MultivariateNormal(centres, (1 - a) * torch.eye(16, dtype=torch.float64))
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(20, dtype=torch.float64)), parts
    )
    return mixture.log_prob(x.flatten(1))


@pytest.mark.parametrize("t", [1, 10, 60, 99])
def test_that_the_memorising_score_is_the_gradient_of_its_log_density(t):
    generator = torch.Generator().manual_seed(t)
    a = TABLES.alpha_bar_at(t)
    noise = torch.randn(5, 1, 4, 4, generator=generator, dtype=torch.float64)
    x = (a**0.5 * IMAGES[:5] + (1 - a) ** 0.5 * noise).requires_grad_()
    (gradient,) = torch.autograd.grad(log_density(x, t).sum(), x)
    score = MemorisingDenoiser(TABLES, IMAGES)(x.detach(), t).score_hat
    torch.testing.assert_close(score, gradient, rtol=1e-8, atol=1e-8)


def test_that_the_gaussian_score_is_the_gradient_of_its_log_density():
    for t in (1, 50, 100):
        a = TABLES.alpha_bar_at(t)
        x = torch.linspace(-2, 2, 9, dtype=torch.float64)
        exact = -(x - a**0.5 * 0.3) / (a * 0.25 + 1 - a)
        torch.testing.assert_close(GaussianDenoiser(TABLES, 0.3, 0.5)(x, t).score_hat, exact)


@pytest.mark.parametrize("kind", list(members(Sampler)))
def test_that_chains_end_on_training_images(kind):
    noise = CounterNoise(0)
    steps = reverse_chain(
        MemorisingDenoiser(TABLES, IMAGES), members(Sampler)[kind](), tuple(range(100, -1, -1)),
        noise.start((32, 1, 4, 4)).double(), noise.step,
    )  # fmt: skip
    end = list(steps)[-1].x_s.flatten(1)
    nearest = torch.cdist(end, IMAGES.flatten(1)).min(1).values
    assert float((nearest / 4 < 1e-2).double().mean()) >= 0.99


def test_that_a_label_restricts_the_data_set():
    x = CounterNoise(1).start((8, 1, 4, 4)).double()
    asked = torch.arange(8) % 4
    both = MemorisingDenoiser(TABLES, IMAGES, LABELS)(x, 40, asked).x0_hat
    for k in range(4):
        alone = MemorisingDenoiser(TABLES, IMAGES[k == LABELS])(x, 40).x0_hat
        torch.testing.assert_close(both[asked == k], alone[asked == k])
    whole = MemorisingDenoiser(TABLES, IMAGES, LABELS)(x, 40, torch.full((8,), -1)).x0_hat
    torch.testing.assert_close(whole, MemorisingDenoiser(TABLES, IMAGES)(x, 40).x0_hat)


def test_that_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        MemorisingDenoiser(TABLES, IMAGES[:0])


class CountingDenoiser:
    """Counts how many samples the network sees."""

    def __init__(self) -> None:
        self.tables = TABLES
        self.base = MemorisingDenoiser(TABLES, IMAGES, LABELS)
        self.batches: list[int] = []

    def __call__(self, x_t, t, labels=None):
        self.batches.append(len(x_t))
        return self.base(x_t, t, labels)


@pytest.mark.parametrize("learned", [True, False])
def test_that_whatever_wraps_a_denoiser_says_whether_its_variance_is_learned(learned):
    base = CountingDenoiser()
    base.learns_variance = learned
    wrapped = (
        ChunkedDenoiser(base, 2),
        GuidedDenoiser(base, constant(2.0)),
        ClassifierGuidedDenoiser(base, PosteriorClassifier(base.base, 4), constant(2.0)),
    )
    assert all(each.learns_variance is learned for each in wrapped)
    assert not base.base.learns_variance


def test_that_guidance_mixes_both_halves_in_one_call():
    x, labels = CounterNoise(2).start((3, 1, 4, 4)).double(), torch.tensor([0, 1, 2])
    counting = CountingDenoiser()
    guided = GuidedDenoiser(counting, constant(2.5))(x, 40, labels).eps_hat
    assert counting.batches == [6]
    conditional, free = counting.base(x, 40, labels).eps_hat, counting.base(x, 40).eps_hat
    torch.testing.assert_close(guided, 2.5 * conditional - 1.5 * free)


def with_fraction(x_t, t, labels=None):
    """A denoiser whose v tells the label."""
    fraction = torch.full_like(x_t, 0.5) if labels is None else labels.view(-1, 1, 1, 1) + 0 * x_t
    return Prediction("eps", x_t / 2, x_t, TABLES.alpha_bar_at(t), fraction=fraction)


with_fraction.tables = TABLES


@pytest.mark.parametrize("gamma", [1.0, 2.5])
@pytest.mark.parametrize("size", [2, 100])
def test_that_the_learned_variance_is_that_of_the_asked_class(gamma, size):
    x, labels = CounterNoise(2).start((3, 1, 4, 4)).double(), torch.tensor([0, 1, 2])
    chunked = ChunkedDenoiser(with_fraction, size)
    found = GuidedDenoiser(chunked, constant(gamma))(x, 40, labels).fraction
    assert torch.equal(found, labels.view(-1, 1, 1, 1).expand(3, 1, 4, 4).double())
    assert GuidedDenoiser(ChunkedDenoiser(FREE, size), constant(gamma))(x, 40, labels).fraction is None


@pytest.mark.parametrize("gamma", [0.0, 1.0])
def test_that_guidance_at_its_two_ends_asks_only_one_half(gamma):
    x, labels = CounterNoise(2).start((3, 1, 4, 4)).double(), torch.tensor([0, 1, 2])
    counting = CountingDenoiser()
    guided = GuidedDenoiser(counting, constant(gamma))(x, 40, labels).eps_hat
    assert counting.batches == [3]
    assert torch.equal(guided, counting.base(x, 40, labels if gamma else None).eps_hat)


@pytest.mark.parametrize("kind", READINGS)
def test_that_any_function_is_a_denoiser(kind):
    exact = MemorisingDenoiser(TABLES, IMAGES)
    denoiser = FunctionDenoiser(TABLES, lambda x, t: exact(x, t).read(kind), kind)
    x = CounterNoise(3).start((2, 1, 4, 4)).double()
    torch.testing.assert_close(denoiser(x, 30).x0_hat, exact(x, 30).x0_hat)


@pytest.mark.parametrize("size", [1, 3, 7, 8, 100])
def test_that_a_chunked_denoiser_says_the_same(size):
    counting = CountingDenoiser()
    x, labels = CounterNoise(3).start((8, 1, 4, 4)).double(), torch.arange(8) % 4
    chunked = ChunkedDenoiser(counting, size)(x, 30, labels)
    assert max(counting.batches) <= size and sum(counting.batches) == 8
    torch.testing.assert_close(chunked.eps_hat, counting.base(x, 30, labels).eps_hat)
    torch.testing.assert_close(ChunkedDenoiser(counting, size)(x, 30).x0_hat, counting.base(x, 30).x0_hat)
