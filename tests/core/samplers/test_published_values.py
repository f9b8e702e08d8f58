"""The values that diffusers' own tests publish for its schedulers, reached through the library's names.

Each is Σ|x| or the mean |x| of a chain of ten steps on a network that says x · k/(k+1) at its time k. The
tests of those schedulers whose states are x/√ᾱ divide the state by √(1+ς²) for the network and then go on
from the divided one, which makes no chain; it is followed as it is, step by step.
"""

import itertools
import math
import sys
import types
import warnings

import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from diffusers import (
        DEISMultistepScheduler,
        DPMSolverMultistepScheduler,
        EDMEulerScheduler,
        EulerAncestralDiscreteScheduler,
        EulerDiscreteScheduler,
        HeunDiscreteScheduler,
        IPNDMScheduler,
        KDPM2DiscreteScheduler,
        LMSDiscreteScheduler,
        PNDMScheduler,
        SASolverScheduler,
        UniPCMultistepScheduler,
    )

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.denoiser import FunctionDenoiser
from diffusion_studio.core.process.noise import drawn_noise, given_noise
from diffusion_studio.core.process.schedules import LinearSchedule
from diffusion_studio.core.process.tables import Tables, diffuse
from diffusion_studio.core.samplers import (
    DDIM,
    DDPM,
    DEIS,
    DPM2,
    IPNDM,
    LMS,
    PNDM,
    DPMSolver2M,
    DPMSolverSDE,
    Euler,
    EulerAncestral,
    Heun,
    SASolver,
    UniPC,
)
from diffusion_studio.core.steps.clipping import Clip, Unclipped
from support.brownian import BrownianTree

pytestmark = [  # diffusers'
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning"),
]

SAMPLE = (torch.arange(768, dtype=torch.float64) / 768).view(3, 8, 8, 4).permute(3, 0, 1, 2)
OFF = Unclipped()


def network(x, k):
    return x * (k / (k + 1))


def tables_of(levels):
    """Levels ς from the noise down are a schedule of their own: ᾱ = 1/(1+ς²)."""
    return Tables.from_alpha_bar(1 / (1 + torch.as_tensor(levels).double().flip(0) ** 2))


def divided_chain(sampler, levels, asked, mains, noise=None):
    """Σ|x| at the end of the loop of such a test.

    Args:
        levels: every ς at which the network is asked, from the noise down.
        asked: the scheduler's time at each of them.
        mains: which of our times a step begins or ends at.
        noise: of stochastic samplers.
    """
    tables = tables_of(levels)

    def root(t):
        return tables.alpha_bar_at(t) ** 0.5

    at = dict(zip(range(tables.steps, 0, -1), [float(k) for k in asked], strict=True))

    def answer(x, t):  # what a step asks after its first call is not divided
        return network(x / root(t) if t == begin else x, at[t])

    denoiser, state, past = FunctionDenoiser(tables, answer), SAMPLE * float(levels[0]), None
    for index, (t, s) in enumerate(itertools.pairwise(mains)):
        begin, given = t, root(t) * state * root(t)  # what is divided is taken for a state of its own
        step = next(reverse_chain(denoiser, sampler, mains, given, noise, clip=OFF, first=index, past=past))
        state, past = step.x_s / root(s), step.past
    return float(state.abs().sum())


def scheduler_of(cls, **settings):
    scheduler = cls(beta_start=1e-4, beta_end=0.02, beta_schedule="linear", **settings)
    scheduler.set_timesteps(10)
    return scheduler


@pytest.mark.parametrize(("karras", "value"), [(False, 10.0807), (True, 124.52299)])
def test_euler(karras, value):
    theirs = scheduler_of(EulerDiscreteScheduler, num_train_timesteps=1100, use_karras_sigmas=karras)
    found = divided_chain(Euler(), theirs.sigmas[:-1], theirs.timesteps, range(10, -1, -1))
    assert found == pytest.approx(value, abs=1e-2)


def test_euler_ancestral():
    theirs = scheduler_of(EulerAncestralDiscreteScheduler, num_train_timesteps=1100)
    noise = drawn_noise(torch.Generator().manual_seed(0))
    found = divided_chain(EulerAncestral(), theirs.sigmas[:-1], theirs.timesteps, range(10, -1, -1), noise)
    assert found == pytest.approx(152.3192, abs=1e-2)


def test_heun():
    theirs = scheduler_of(HeunDiscreteScheduler, num_train_timesteps=1100)
    levels, asked = theirs.sigmas[[0, *range(1, 19, 2)]], theirs.timesteps[[0, *range(1, 19, 2)]]
    assert divided_chain(Heun(), levels, asked, range(10, -1, -1)) == pytest.approx(0.1233, abs=1e-2)


def test_edm_euler():
    """Here what is divided is given to the network alone, and x̂_0 = c_skip x + c_out F with σ_d = ½."""
    theirs = EDMEulerScheduler(num_train_timesteps=256, sigma_min=0.002, sigma_max=80.0)
    theirs.set_timesteps(10)
    tables = tables_of(theirs.sigmas[:-1])
    at = dict(zip(range(10, 0, -1), theirs.timesteps.tolist(), strict=True))

    def answer(x, t):
        return network(x / (0.25 * tables.alpha_bar_at(t) + 1 - tables.alpha_bar_at(t)) ** 0.5, at[t])

    start = SAMPLE * float(theirs.init_noise_sigma) * tables.alpha_bar_at(10) ** 0.5
    denoiser = FunctionDenoiser(tables, answer, "edm")
    *_, last = reverse_chain(denoiser, Euler(), range(10, -1, -1), start, clip=OFF)
    assert float(last.x_s.abs().sum()) == pytest.approx(34.1855, abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "first_beta", "end", "total"),
    [("eps", 1e-4, 0, 172.0067), ("v", 1e-4, 0, 52.5302), ("eps", 0.01, 0, 149.8295),
     ("eps", 0.01, 1, 149.0784)],
)  # fmt: skip
def test_ddim(kind, first_beta, end, total):
    """Unless `set_alpha_to_one`, its last step goes from the lowest level to itself: here to one as low."""
    levels = Tables.from_betas(LinearSchedule(beta_first=first_beta).betas(1000)).alpha_bar[1:]
    tables = Tables.from_alpha_bar(torch.cat([levels[:1] * (1 + 1e-10), levels]))
    denoiser = FunctionDenoiser(tables, lambda x, t: network(x, t - 2), kind)
    *_, last = reverse_chain(denoiser, DDIM(), (*range(902, 0, -100), end), SAMPLE, clip=Clip(rederive=False))
    assert float(last.x_s.abs().sum()) == pytest.approx(total, abs=1e-2)


def test_ddim_from_a_noisy_image():
    tables = Tables.from_betas(LinearSchedule().betas(1000))
    given = torch.arange(767, -1, -1, dtype=torch.float64).view(3, 8, 8, 4).permute(3, 0, 1, 2) / 768
    start = diffuse(SAMPLE, given, tables.alpha_bar_at(101))
    denoiser = FunctionDenoiser(tables, lambda x, t: network(x, t - 1))
    *_, last = reverse_chain(denoiser, DDIM(), (101, 1, 0), start, clip=Clip(rederive=False))
    assert float(last.x_s.abs().sum()) == pytest.approx(354.5418, abs=1e-2)


@pytest.mark.parametrize(("kind", "value"), [("eps", 258.9606), ("v", 202.0296)])
def test_ddpm(kind, value):
    tables = Tables.from_betas(LinearSchedule().betas(1000))
    denoiser = FunctionDenoiser(tables, lambda x, t: network(x, t - 1), kind)
    noise = drawn_noise(torch.Generator().manual_seed(0))
    *_, last = reverse_chain(denoiser, DDPM(variance="posterior"), range(1000, -1, -1), SAMPLE, noise)
    assert float(last.x_s.abs().sum()) == pytest.approx(value, abs=1e-2)


@pytest.mark.parametrize(("kind", "mean"), [("eps", 0.3301), ("v", 0.2251)])
def test_dpm_solver(kind, mean):
    theirs = scheduler_of(
        DPMSolverMultistepScheduler, num_train_timesteps=1000, final_sigmas_type="sigma_min"
    )
    tables = tables_of(theirs.sigmas)
    at = dict(zip(range(tables.steps, 1, -1), theirs.timesteps.tolist(), strict=True))
    denoiser = FunctionDenoiser(tables, lambda x, t: network(x, at[t]), kind)
    *_, last = reverse_chain(denoiser, DPMSolver2M(), range(tables.steps, 0, -1), SAMPLE, clip=OFF)
    assert float(last.x_s.abs().mean()) == pytest.approx(mean, abs=1e-3)


@pytest.mark.parametrize(("karras", "value"), [(False, 1006.388), (True, 3812.9927)])
def test_lms(karras, value):
    theirs = scheduler_of(LMSDiscreteScheduler, num_train_timesteps=1100, use_karras_sigmas=karras)
    found = divided_chain(LMS(), theirs.sigmas[:-1], theirs.timesteps, range(10, -1, -1))
    assert found == pytest.approx(value, abs=1e-2)


def test_dpm2():
    theirs = scheduler_of(KDPM2DiscreteScheduler, num_train_timesteps=1100)
    ends, middles = theirs.sigmas[[0, *range(1, 18, 2)]], theirs.sigmas_interpol[1:18:2]
    levels = torch.stack([ends, torch.cat([middles, middles[-1:]])], 1).flatten()[:-1]
    found = divided_chain(DPM2(), levels, theirs.timesteps, (*range(19, 0, -2), 0))
    assert found == pytest.approx(20.4125, abs=1e-2)


@pytest.mark.parametrize(("karras", "value"), [(False, 162.52), (True, 170.3135)])
def test_dpm_solver_sde(monkeypatch, karras, value):
    """Its noise is Brownian motion over ς; its x̂_0 is read from what is divided, at both calls of a step."""
    monkeypatch.setitem(sys.modules, "torchsde", types.ModuleType("torchsde"))
    from diffusers.schedulers.scheduling_dpmsolver_sde import DPMSolverSDEScheduler

    theirs = scheduler_of(DPMSolverSDEScheduler, num_train_timesteps=1100, use_karras_sigmas=karras)
    ends = theirs.sigmas.double()[[0, *range(1, 18, 2)]]
    middles = torch.cat([(ends[:-1] * ends[1:]) ** 0.5, ends[-1:]])
    levels = torch.stack([ends, middles], 1).flatten()[:-1].tolist()
    tables, mains = tables_of(levels), (*range(19, 0, -2), 0)
    level, asked = (dict(zip(range(19, 0, -1), map(float, found), strict=True))
                    for found in (levels, theirs.timesteps))  # fmt: skip
    motion = BrownianTree(levels[-1], levels[0], tuple(SAMPLE.shape), seed=0)

    def noise(t, shape, draw=0):
        high, low = level[t], level[t - 1 - draw]
        return motion.between(high, low).double() / (high - low) ** 0.5

    def root(t):
        return tables.alpha_bar_at(t) ** 0.5

    def x0_hat(x, t):
        divided = x / root(t) if t == begin else x
        return divided - level[t] * network(divided, asked[t])

    denoiser, state = FunctionDenoiser(tables, x0_hat, "x_0"), SAMPLE * levels[0]
    for index, (t, s) in enumerate(itertools.pairwise(mains)):
        begin, given = t, root(t) * state * root(t)
        step = next(reverse_chain(denoiser, DPMSolverSDE(), mains, given, noise, clip=OFF, first=index))
        state = step.x_s / root(s)
    assert float(state.abs().sum()) == pytest.approx(value, abs=1e-2)


@pytest.mark.parametrize(
    ("end", "first_beta", "total", "mean"), [(1, 1e-4, 198.1318, 0.2580), (1, 0.01, 186.9482, 0.2434),
                                             (0, 0.01, 230.0399, 0.2995)],
)  # fmt: skip
def test_pndm(end, first_beta, total, mean):
    """Unless `set_alpha_to_one`, its last step goes from t = 1 to itself."""
    theirs = PNDMScheduler(1000, beta_start=first_beta)
    tables = Tables.from_betas(LinearSchedule(beta_first=first_beta).betas(1000))
    torch.testing.assert_close(tables.alpha_bar[1:].float(), theirs.alphas_cumprod, rtol=1e-4, atol=1e-7)
    denoiser = FunctionDenoiser(tables, lambda x, t: network(x, t - 1))
    *_, last = reverse_chain(
        denoiser, PNDM(), (*range(901, 0, -100), *((0,) if end == 0 else ())), SAMPLE, clip=OFF
    )
    assert float(last.x_s.abs().sum()) == pytest.approx(total, abs=1e-2)
    assert float(last.x_s.abs().mean()) == pytest.approx(mean, abs=1e-3)


def test_unipc():
    """Its last step ends at the lowest level and is of first order: what ours adds there is taken off.

    With Karras' levels that step goes nowhere, to a level that it has reached, which no chain of ours does.
    """
    theirs = scheduler_of(UniPCMultistepScheduler, num_train_timesteps=1000, final_sigmas_type="sigma_min")
    levels = theirs.sigmas
    tables = tables_of(levels)
    at = dict(zip(range(tables.steps, 1, -1), theirs.timesteps.tolist(), strict=True))
    denoiser = FunctionDenoiser(tables, lambda x, t: network(x, at[t]))
    *_, last = reverse_chain(denoiser, UniPC(), range(tables.steps, 0, -1), SAMPLE, clip=OFF)
    now, before = last.past.steps[:2]
    h, older = (math.log(tables.noise_level_at(k + 1) / tables.noise_level_at(k)) for k in (1, 2))
    second = (1 - math.exp(-h)) * h / (2 * older) * (now.x0_hat - before.x0_hat)
    found = last.x_s - tables.alpha_bar_at(1) ** 0.5 * second
    assert float(found.abs().mean()) == pytest.approx(0.2464, abs=1e-3)


def test_deis():
    """Of second order; its last step, to the lowest level, is of first order, which is DDIM's."""
    theirs = scheduler_of(DEISMultistepScheduler, num_train_timesteps=1000)
    tables = tables_of(theirs.sigmas)
    at = dict(zip(range(tables.steps, 1, -1), theirs.timesteps.tolist(), strict=True))
    denoiser = FunctionDenoiser(tables, lambda x, t: network(x, at[t]))
    *_, last = reverse_chain(denoiser, DEIS(back=1), range(tables.steps, 1, -1), SAMPLE, clip=OFF)
    (end,) = reverse_chain(denoiser, DDIM(), (2, 1), last.x_s, clip=OFF)
    assert float(end.x_s.abs().mean()) == pytest.approx(0.23916, abs=1e-3)


def test_ipndm():
    """It walks down twice, the second time from where the first ended and with its last slopes in mind.

    At the highest level there is no image at all: theirs divides by 10⁻⁸ for 0, so ᾱ = 10⁻¹⁶ there. Its
    network says v, from which theirs reads ε. The levels above are those at which nothing happens but that
    the slopes were remembered.
    """
    theirs = IPNDMScheduler(1000)
    theirs.set_timesteps(10)
    falling = 10.0 ** -torch.arange(4, 29, 4, dtype=torch.float64)
    tables = Tables.from_alpha_bar(torch.cat([1 - theirs.betas.double()[1:-1].flip(0) ** 2, falling]))
    at = dict(zip(range(9, 0, -1), theirs.timesteps.tolist()[1:], strict=True))

    def answer(x, t):
        alpha_bar = tables.alpha_bar_at(t)
        return x if t == 13 else (1 - alpha_bar) ** 0.5 * x + alpha_bar**0.5 * network(x, at[t])

    denoiser, times = FunctionDenoiser(tables, answer), (16, 15, 14, 13, *range(9, -1, -1))
    *_, once = reverse_chain(denoiser, IPNDM(), times[3:], SAMPLE, clip=OFF)
    *_, twice = reverse_chain(denoiser, IPNDM(), times, once.x_s, clip=OFF, first=3, past=once.past)
    assert float(twice.x_s.abs().mean()) == pytest.approx(2540529, abs=10)


def test_sa_solver():
    """Its last step is of first order: what ours, of second, adds there by the change of x̂_0 is taken off."""
    theirs = scheduler_of(SASolverScheduler, num_train_timesteps=1100)
    tables = tables_of(theirs.sigmas)
    times, asked = range(tables.steps, 0, -1), theirs.timesteps.tolist()
    at = dict(zip(times, asked, strict=False))
    generator = torch.Generator().manual_seed(0)
    noise = given_noise(times, [torch.randn(SAMPLE.shape, generator=generator).double() for _ in asked])
    sampler = SASolver(low=0.18, high=0.64)  # of ten steps those at times from 200 to 800
    denoiser = FunctionDenoiser(tables, lambda x, t: network(x, at[t]))
    *_, last = reverse_chain(denoiser, sampler, times, SAMPLE, noise, clip=OFF)
    now, before = last.past.steps[:2]
    h, older = (math.log(tables.noise_level_at(k + 1) / tables.noise_level_at(k)) for k in (1, 2))
    slope = (now.x0_hat - before.x0_hat) / older
    found = last.x_s - tables.alpha_bar_at(1) ** 0.5 * h**2 / 2 * slope
    assert float(found.abs().sum()) == pytest.approx(337.394287, abs=1e-2)
