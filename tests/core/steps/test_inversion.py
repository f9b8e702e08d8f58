"""DDIM run upwards, and the way back."""

import math

import pytest
import torch
from diffusers import DDIMInverseScheduler

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.denoiser import FunctionDenoiser
from diffusion_studio.core.denoisers.exact import GaussianDenoiser, MemorisingDenoiser
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.schedules import LinearSchedule, Schedule
from diffusion_studio.core.process.spacing import TrailingSpacing
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.core.steps.clipping import Clip, Clipping, DynamicThreshold, Unclipped
from diffusion_studio.core.steps.inversion import inversion, slerp
from support.families import ready

NOISE = CounterNoise(0)


UNCLIPPED = Unclipped()


def there_and_back(denoiser, x_0, count, rounds=0, clip=UNCLIPPED):
    times = TrailingSpacing().times(denoiser.tables, count)
    *_, up = inversion(denoiser, times, x_0, rounds=rounds, clip=clip)
    *_, down = reverse_chain(denoiser, DDIM(), times, up.x_t, NOISE.step, clip=clip)
    return up.x_t, down.x_s


def cloudy(tables, images, std=0.3):
    """The exact denoiser of a mixture of N(image, std² I)."""

    def estimate(x, t):
        a = tables.alpha_bar_at(t)
        spread = a * std**2 + 1 - a
        far = x[:, None] - a**0.5 * images
        weights = torch.softmax(-far.square().flatten(2).sum(2) / (2 * spread), dim=1)
        near = images + a**0.5 * std**2 / spread * far
        return (weights[:, :, None, None, None] * near).sum(1)

    return FunctionDenoiser(tables, estimate, "x_0")


def denoisers():
    images = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    for schedule in ready(Schedule).values():
        tables = Tables.from_betas(schedule.betas(1000))
        yield GaussianDenoiser(tables, 0.1, 0.6), torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
        yield cloudy(tables, images), images + 0.1


@pytest.mark.parametrize(("denoiser", "x_0"), list(denoisers()))
def test_that_the_way_back_misses_the_image_less_and_less(denoiser, x_0):
    errors = [
        float((there_and_back(denoiser, x_0, count)[1] - x_0).square().mean().sqrt())
        for count in (10, 20, 50, 100, 200, 500, 1000)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02


def test_that_the_noise_found_is_the_exact_one():
    """On N(0, a²) the flow is known: x_T = x_0 √(ᾱ_T a² + 1 − ᾱ_T)/a."""
    tables, a = Tables.from_betas(LinearSchedule().betas(1000)), 0.6
    x_0 = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
    noise, _ = there_and_back(GaussianDenoiser(tables, 0.0, a), x_0, 1000)
    last = tables.alpha_bar_at(1000)
    expected = x_0 * math.sqrt(last * a**2 + 1 - last) / a
    torch.testing.assert_close(noise, expected, rtol=0.01, atol=0.0)


def test_that_further_rounds_make_the_inverse_exact():
    tables = Tables.from_betas(LinearSchedule().betas(1000))
    denoiser, x_0 = GaussianDenoiser(tables, 0.1, 0.6), torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    errors = [
        float((there_and_back(denoiser, x_0, 50, rounds)[1] - x_0).abs().max()) for rounds in (0, 1, 3, 12)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3 * errors[0]


def test_that_two_further_rounds_are_enough_where_the_network_is_linear():
    """The line through two ends then leads to the one that misses nothing."""
    tables = Tables.from_betas(LinearSchedule().betas(1000))
    x_0 = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    *_, one, two = (
        there_and_back(GaussianDenoiser(tables, 0.0, 0.6), x_0, 50, rounds)[1] for rounds in (1, 2)
    )
    assert float((two - x_0).abs().max()) < 1e-12 < float((one - x_0).abs().max())


def test_that_a_picture_that_is_there_is_moved_no_further():
    tables = Tables.from_betas(LinearSchedule().betas(1000))
    x_0 = torch.zeros(2, 3, dtype=torch.float64)
    noise, back = there_and_back(GaussianDenoiser(tables, 0.0, 0.6), x_0, 10, 4)
    assert torch.equal(noise, x_0) and torch.equal(back, x_0)


def overshooting(tables, images):
    """A denoiser that says too much where there is noise, as a young network does: the clipping acts."""
    base = cloudy(tables, images, 1.0)
    return FunctionDenoiser(
        tables, lambda x, t: (1.5 - 0.5 * tables.alpha_bar_at(t)) * base(x, t).x0_hat, "x_0"
    )


def lost(up, down):
    """Grey levels by which images miss themselves after 40 steps up and down, with twelve further calls."""
    tables = Tables.from_betas(LinearSchedule().betas(1000))
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images = 2 * images.round() - 1
    denoiser, x_0 = overshooting(tables, images), 0.8 * images + 0.1 * images.roll(1, 0)
    times = [*range(800, -1, -20)]
    *_, there = inversion(denoiser, times, x_0, rounds=12, clip=up)
    *_, back = reverse_chain(denoiser, DDIM(), times, there.x_t, NOISE.step, clip=down)
    return float((back.x_s - x_0).abs().mean()) * 127.5


@pytest.mark.parametrize("clip", [*ready(Clipping).values(), Clip(rederive=False)], ids=repr)
def test_that_an_image_comes_back_if_both_ways_are_clipped_alike(clip):
    assert lost(clip, clip) < 0.1


def test_that_by_default_the_way_up_is_clipped_as_the_chain_is():
    assert lost(None, None) == lost(Clip(), Clip())
    assert lost(Unclipped(), None) > 2


@pytest.mark.parametrize("clip_sample", [True, False])
def test_that_the_way_up_is_the_one_of_diffusers(clip_sample):
    """Its DDIMInverseScheduler keeps ε̂ as the network said it; here the network does not look at the time."""
    scheduler = DDIMInverseScheduler(1000, clip_sample=clip_sample, beta_start=1e-4, beta_end=0.02)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.set_timesteps(20)
    tables = Tables.from_alpha_bar(scheduler.alphas_cumprod)
    network = lambda x: 3 * torch.tanh(x + x.roll(1, -1))  # noqa: E731
    x = x_0 = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    for t in scheduler.timesteps:
        x = scheduler.step(network(x), t, x).prev_sample
    times = (*reversed([int(t) + 1 for t in scheduler.timesteps]), 0)
    clip = Clip(rederive=False) if clip_sample else Unclipped()
    denoiser = FunctionDenoiser(tables, lambda x, t: network(x))
    *_, up = inversion(denoiser, times, x_0, clip=clip)
    torch.testing.assert_close(up.x_t, x, rtol=1e-9, atol=1e-9)


def test_that_images_of_the_data_come_back_from_the_memorising_denoiser():
    tables = Tables.from_betas(LinearSchedule().betas(1000))
    images = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    _, back = there_and_back(MemorisingDenoiser(tables, images), images, 1000)
    torch.testing.assert_close(back, images, rtol=0, atol=1e-6)


def test_that_the_way_between_two_noises_keeps_their_length():
    a, b = NOISE.start((2, 3, 8, 8)).double(), NOISE.step(3, (2, 3, 8, 8)).double()
    torch.testing.assert_close(slerp(a, b, 0.0), a)
    torch.testing.assert_close(slerp(a, b, 1.0), b)
    middle = slerp(a, b, 0.5).flatten(1).norm(dim=1)
    torch.testing.assert_close(middle, (a.flatten(1).norm(dim=1) + b.flatten(1).norm(dim=1)) / 2)
    torch.testing.assert_close(slerp(a, 2 * a, 0.5), 1.5 * a)  # the same direction


def prediction():
    x_t = NOISE.start((3, 1, 4, 4)).double()
    return Prediction("eps", 2 * NOISE.step(1, (3, 1, 4, 4)).double(), x_t, 0.4)


def test_the_two_conventions_of_clipping():
    raw = prediction()
    again, kept = Clip()(raw), Clip(rederive=False)(raw)
    for clipped in (again, kept):
        torch.testing.assert_close(clipped.x0_hat, raw.x0_hat.clamp(-1, 1))
    torch.testing.assert_close(0.4**0.5 * again.x0_hat + 0.6**0.5 * again.eps_hat, raw.x_t)
    assert torch.equal(kept.eps_hat, raw.eps_hat)
    assert Unclipped()(raw) is raw


def test_that_a_dynamic_threshold_is_as_precise_as_its_input():
    raw = prediction()
    limit = torch.quantile(raw.x0_hat[0].abs(), 0.9)
    assert float(limit) > 1
    found = DynamicThreshold(share=0.9)(raw).x0_hat[0]
    assert torch.equal(found, raw.x0_hat[0].clamp(-limit, limit) / limit)


def test_that_a_dynamic_threshold_scales_each_image_by_its_own_quantile():
    raw = prediction()
    found = DynamicThreshold(share=0.9)(raw).x0_hat
    for image, expected in zip(found, raw.x0_hat, strict=True):
        limit = max(1.0, float(torch.quantile(expected.abs(), 0.9)))
        torch.testing.assert_close(image, expected.clamp(-limit, limit) / limit)
    tame = raw.with_x0(0.5 * found)
    torch.testing.assert_close(DynamicThreshold()(tame).x0_hat, tame.x0_hat)


@pytest.mark.parametrize("clip", ready(Clipping).values(), ids=lambda clip: clip.kind)
def test_that_every_clipping_leaves_what_lies_inside_as_it_is(clip):
    x0_hat = torch.linspace(-1, 1, 32, dtype=torch.float64).reshape(2, 1, 4, 4)
    inside = Prediction("x_0", x0_hat, 0.7 * x0_hat + 0.1, 0.5)
    found = clip(inside)
    torch.testing.assert_close(found.x0_hat, x0_hat)
    torch.testing.assert_close(found.eps_hat, inside.eps_hat)
    wild = clip(Prediction("x_0", 9 * x0_hat, x0_hat, 0.5)).x0_hat
    assert wild.shape == x0_hat.shape
    assert wild.dtype == x0_hat.dtype
