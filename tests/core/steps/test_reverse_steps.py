"""The family of reverse steps, against closed forms."""

import itertools
import math

import pytest
import torch

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.denoiser import FunctionDenoiser
from diffusion_studio.core.denoisers.exact import GaussianDenoiser
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.schedules import CosineSchedule, Schedule
from diffusion_studio.core.process.spacing import QuadraticSpacing, TrailingSpacing
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers import DDIM, DDPM
from diffusion_studio.core.steps.clipping import Clip, Unclipped
from diffusion_studio.core.steps.kernel import posterior_variance, reverse_kernel
from support.families import ready

OFF = Unclipped()
TABLES = {kind: Tables.from_betas(schedule.betas(100)) for kind, schedule in ready(Schedule).items()}


@pytest.fixture(params=list(TABLES))
def tables(request):
    return TABLES[request.param]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_that_every_allowed_sigma_keeps_the_marginals(tables, share):
    """Lemma 3.1: conditioned on x_0 and composed over τ, the kernels give q(x_s | x_0) exactly.

    A state N(m x_0, v I) is carried through x_s = c_x0 x_0 + c_eps (x_t − √ᾱ_t x_0)/√(1−ᾱ_t) + σ z.
    """
    times = QuadraticSpacing().times(tables, 7)
    mean, variance = tables.alpha_bar_at(100) ** 0.5, 1 - tables.alpha_bar_at(100)
    for t, s in itertools.pairwise(times):
        sigma2 = share * (1 - tables.alpha_bar_at(s))
        kernel = reverse_kernel(tables, t, s, sigma2, sigma2)
        slope = kernel["eps_hat"] / math.sqrt(1 - tables.alpha_bar_at(t))
        mean = kernel["x0_hat"] + slope * (mean - tables.alpha_bar_at(t) ** 0.5)
        variance = slope**2 * variance + kernel.sigma**2
        assert mean == pytest.approx(tables.alpha_bar_at(s) ** 0.5, abs=1e-12)
        assert variance == pytest.approx(1 - tables.alpha_bar_at(s), abs=1e-12)


def test_that_sigma_outside_the_family_is_refused_with_the_reason(tables):
    room = 1 - tables.alpha_bar_at(40)
    reverse_kernel(tables, 50, 40, room, room)
    with pytest.raises(ValueError, match="between 0 and 1 − ᾱₛ"):
        reverse_kernel(tables, 50, 40, room * (1 + 1e-6), 0.1)
    with pytest.raises(ValueError, match="between 0 and 1 − ᾱₛ"):
        reverse_kernel(tables, 50, 40, -1e-6, 0.1)


@pytest.mark.parametrize(("t", "s"), [(40, 40), (30, 40), (101, 40), (5, -1)])
def test_that_times_out_of_order_are_refused(tables, t, s):
    with pytest.raises(ValueError, match="0 ≤ s < t ≤ 100"):
        reverse_kernel(tables, t, s, 0.0, 0.0)


def test_that_ddpm_has_the_posterior_of_the_forward_chain(tables):
    """Bayes' rule on q(x_t|x_s) q(x_s|x_0), written out independently of Lemma 3.1."""
    x_0, x_t = 0.4, -0.7
    for t, s in ((100, 99), (100, 60), (7, 3), (2, 1)):
        a_t, a_s = tables.alpha_bar_at(t), tables.alpha_bar_at(s)
        ratio, beta = a_t / a_s, 1 - a_t / a_s
        precision = ratio / beta + 1 / (1 - a_s)
        mean = (ratio**0.5 * x_t / beta + a_s**0.5 * x_0 / (1 - a_s)) / precision
        eps = (x_t - a_t**0.5 * x_0) / (1 - a_t) ** 0.5
        kernel = DDPM().update(tables, t, s)
        assert kernel.sigma**2 == pytest.approx(1 / precision, rel=1e-9)
        assert kernel["x0_hat"] * x_0 + kernel["eps_hat"] * eps == pytest.approx(mean, abs=1e-9)


def test_that_ddim_with_eta_one_is_ddpm(tables):
    """Stratos corollary 3.2, on the full sequence and on a sub-sequence."""
    for spacing in (range(100, -1, -1), TrailingSpacing().times(tables, 9)):
        for t, s in itertools.pairwise(spacing):
            assert DDIM(eta=1).update(tables, t, s) == DDPM().update(tables, t, s)


def test_that_fixed_large_adds_the_variance_of_the_forward_step(tables):
    kernel = DDPM(variance="fixed_large").update(tables, 50, 40)
    assert kernel.sigma**2 == pytest.approx(tables.beta_between(50, 40), rel=1e-12)
    assert kernel["eps_hat"] == DDPM().update(tables, 50, 40)["eps_hat"]
    assert posterior_variance(tables, 50, 40) < tables.beta_between(50, 40)


def test_that_no_noise_is_added_at_the_end(tables):
    for sampler in (DDIM(eta=1), DDPM(), DDPM(variance="fixed_large")):
        assert sampler.update(tables, 5, 0).sigma == 0


def run(denoiser, sampler, times, x, seed=0, clip=OFF):
    noise = CounterNoise(seed)
    steps = reverse_chain(denoiser, sampler, times, x, noise.step, clip=clip)
    return list(steps)


def test_that_ddim_without_noise_is_euler_on_the_probability_flow(tables):
    """In (x/√ᾱ, ς) the ODE is dx̃/dς = ε̂; Euler's steps in these coordinates are DDIM's."""
    denoiser = GaussianDenoiser(tables, 0.2, 0.5)
    x = CounterNoise(1).start((8, 3)).double()
    times = TrailingSpacing().times(tables, 20)
    ours = run(denoiser, DDIM(), times, x)[-1].x_s
    scaled = x / tables.alpha_bar_at(100) ** 0.5
    for t, s in itertools.pairwise(times):
        slope = denoiser(scaled * tables.alpha_bar_at(t) ** 0.5, t).eps_hat
        scaled = scaled + slope * (float(tables.noise_level[s]) - float(tables.noise_level[t]))
    torch.testing.assert_close(ours, scaled, rtol=1e-10, atol=1e-10)


def test_that_ddim_reaches_the_exact_flow_of_a_gaussian_at_first_order():
    """x(ς') = x(ς) √(a²+ς'²)/√(a²+ς²); the error of Euler falls like 1/S."""
    tables = Tables.from_betas(CosineSchedule().betas(4000))
    a = 0.5
    denoiser = GaussianDenoiser(tables, 0.0, a)
    x = torch.ones(1, 1, dtype=torch.float64)
    start = float(tables.noise_level[3600])
    exact = a / math.sqrt(a**2 + start**2) / tables.alpha_bar_at(3600) ** 0.5
    errors = []
    counts = (50, 100, 200, 400)
    for count in counts:
        times = tuple(3600 - i * 3600 // count for i in range(count + 1))
        errors.append(abs(float(run(denoiser, DDIM(), times, x)[-1].x_s) - exact))
    slopes = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert slopes == pytest.approx([1, 1, 1], abs=0.15)


def test_that_a_chain_can_go_on_in_the_middle():
    tables = TABLES["cosine"]
    denoiser, sampler = GaussianDenoiser(tables), DDIM(eta=0.7)
    times = TrailingSpacing().times(tables, 10)
    noise = CounterNoise(3)
    whole = run(denoiser, sampler, times, noise.start((2, 4)), seed=3)
    middle = reverse_chain(denoiser, sampler, times, whole[6].x_t, noise.step, clip=OFF, first=6)
    for a, b in zip(whole[6:], middle, strict=True):
        assert (a.index, a.t, a.s) == (b.index, b.t, b.s)
        assert torch.equal(a.x_s, b.x_s)


def test_that_clipping_bounds_the_estimate_of_every_step():
    tables = TABLES["linear"]
    wild = FunctionDenoiser(tables, lambda x, t: torch.zeros_like(x))
    for step in run(wild, DDIM(), TrailingSpacing().times(tables, 5), torch.full((1, 2), 3.0), clip=Clip()):
        assert step.prediction.x0_hat.abs().max() <= 1
