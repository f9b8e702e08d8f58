"""Our samplers against diffusers' schedulers: the same steps from the same noise, without clipping and with.

Time k of diffusers, 0 … T−1, is our t = k + 1. DDIM and DDPM are followed in float64. The other schedulers
round their levels and states to float32 within each step, and are followed as closely as that permits.
"""

import sys
import types
import warnings

import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from diffusers import (
        DDIMScheduler,
        DDPMScheduler,
        DEISMultistepScheduler,
        DPMSolverMultistepScheduler,
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
from diffusion_studio.core.process.schedules import CosineSchedule, LinearSchedule, ScaledLinearSchedule
from diffusion_studio.core.process.spacing import LeadingSpacing, LinspaceSpacing, TrailingSpacing
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers import (
    DDIM,
    DDPM,
    DEIS,
    DPM2,
    IPNDM,
    LMS,
    PNDM,
    DPMSolver2M,
    DPMSolver2MSDE,
    DPMSolver3MSDE,
    DPMSolverSDE,
    Euler,
    EulerAncestral,
    Heun,
    SASolver,
    UniPC,
)
from diffusion_studio.core.steps.clipping import Clip, DynamicThreshold, Unclipped

pytestmark = [  # diffusers'
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning"),
]

T = 1000
OFF = Unclipped()
EXACT = {"rtol": 1e-11, "atol": 1e-11}
SINGLE = {"rtol": 1e-5, "atol": 1e-5}  # float32 within their steps, carried over a whole chain
VARIANCE_PRESERVING = (
    DEISMultistepScheduler, DPMSolverMultistepScheduler, SASolverScheduler, UniPCMultistepScheduler,
)  # fmt: skip
SCHEDULES = {"linear": "linear", "scaled_linear": "scaled_linear", "squaredcos_cap_v2": "cosine"}
SPACINGS = {"leading": LeadingSpacing(), "trailing": TrailingSpacing(), "linspace": LinspaceSpacing()}


def reference(cls, count=None, timesteps=None, **settings):
    """A scheduler of diffusers, with its ᾱ in float64 where it uses them directly."""
    settings = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear", **settings}
    scheduler = cls(num_train_timesteps=T, **settings)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    if timesteps is None:
        scheduler.set_timesteps(count)
    else:
        scheduler.set_timesteps(timesteps=timesteps)
    return scheduler


def tables_of(scheduler):
    return Tables.from_alpha_bar(scheduler.alphas_cumprod)


def curved(tables, kind="eps"):
    """A denoiser that bends, so that no two different steps agree by accident."""
    return FunctionDenoiser(tables, lambda x, t: torch.tanh(x) * (0.3 + 0.5 * t / T) + 0.1 * x, kind)


def start(shape=(3, 2, 4, 4)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def generator():
    return torch.Generator().manual_seed(2)


def their_states(scheduler, denoiser, x, **options):
    """The states that diffusers visits after the first one, in our coordinates."""
    scaled = hasattr(scheduler, "sigmas") and not isinstance(scheduler, VARIANCE_PRESERVING)

    def root(t):
        return denoiser.tables.alpha_bar_at(t) ** 0.5 if scaled else 1.0

    times = [int(k) + 1 for k in scheduler.timesteps]
    sample, found = x / root(times[0]), []
    for k, t, s in zip(scheduler.timesteps, times, [*times[1:], 0], strict=True):
        asked = scheduler.scale_model_input(sample, k).double() if scaled else sample
        sample = scheduler.step(denoiser(asked, t).value, k, sample, **options).prev_sample.double()
        found.append(root(s) * sample)
    return found


def our_states(sampler, denoiser, times, x, clip=OFF, dtype=torch.float64):
    chain = reverse_chain(denoiser, sampler, times, x, drawn_noise(generator(), dtype), clip=clip)
    return [step.x_s for step in chain]


def times_of(scheduler):
    """The times of a chain of diffusers, each once."""
    return (*sorted({int(k) + 1 for k in scheduler.timesteps}, reverse=True), 0)


def agree(ours, theirs, **tolerance):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, **tolerance)


@pytest.mark.parametrize(("theirs", "ours"), list(SCHEDULES.items()))
def test_that_the_schedules_are_the_same(theirs, ours):
    found = DDPMScheduler(num_train_timesteps=T, beta_schedule=theirs).alphas_cumprod.double()
    schedule = {
        "linear": LinearSchedule(),
        "scaled_linear": ScaledLinearSchedule(beta_first=1e-4, beta_last=0.02),
        "cosine": CosineSchedule(),
    }[ours]
    torch.testing.assert_close(
        Tables.from_betas(schedule.betas(T)).alpha_bar[1:], found, rtol=2e-4, atol=1e-9
    )


@pytest.mark.parametrize("name", list(SPACINGS))
def test_that_the_spacings_are_the_same_for_every_number_of_steps(name):
    """Trailing, theirs adds up T/S, so that rounding may tip a half over or even add a time at the end."""
    scheduler = DDIMScheduler(num_train_timesteps=T, timestep_spacing=name)
    tables = Tables.from_betas(LinearSchedule().betas(T))
    for count in range(2, T + 1):
        scheduler.set_timesteps(count)
        ours, theirs = SPACINGS[name].times(tables, count), (*(scheduler.timesteps + 1).tolist(), 0)
        if name != "trailing":
            assert ours == theirs, count
        for i, (a, b) in enumerate(zip(ours, theirs, strict=False)):
            assert a == b or (T * i % count * 2 == count and abs(a - b) == 1), count


@pytest.mark.parametrize("count", [10, 50])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_ddim(eta, spacing, count):
    scheduler = reference(DDIMScheduler, count, clip_sample=False, timestep_spacing=spacing)
    denoiser = curved(tables_of(scheduler))
    theirs = their_states(scheduler, denoiser, start(), eta=eta, generator=generator())
    times = SPACINGS[spacing].times(denoiser.tables, count)
    agree(our_states(DDIM(eta=eta), denoiser, times, start()), theirs, **EXACT)


@pytest.mark.parametrize(("spacing", "count"), [("linspace", 10), ("trailing", 30), ("linspace", 7)])
def test_that_ddim_of_diffusers_steps_by_whole_shares_of_t(spacing, count):
    """There each step goes down by ⌊T/S⌋, wherever the next one begins; such steps, one by one, are ours."""
    scheduler = reference(DDIMScheduler, count, clip_sample=False, timestep_spacing=spacing)
    denoiser, x = curved(tables_of(scheduler)), start()
    for k, theirs in zip(
        scheduler.timesteps.tolist(), their_states(scheduler, denoiser, start()), strict=True
    ):
        end = max(k + 1 - T // count, 0)
        (x,) = our_states(DDIM(), denoiser, (k + 1, end), x)
        torch.testing.assert_close(x, theirs, **EXACT)


@pytest.mark.parametrize(("theirs", "ours"), [("sample", "x_0"), ("v_prediction", "v")])
def test_ddim_with_other_predictions(theirs, ours):
    scheduler = reference(
        DDIMScheduler, 20, clip_sample=False, timestep_spacing="trailing", prediction_type=theirs
    )
    denoiser = curved(tables_of(scheduler), ours)
    agree(
        our_states(DDIM(), denoiser, times_of(scheduler), start()),
        their_states(scheduler, denoiser, start()),
        **EXACT,
    )


@pytest.mark.parametrize("rederive", [True, False])
@pytest.mark.parametrize("dynamic", [True, False])
def test_both_conventions_of_clipping(rederive, dynamic):
    """Their dynamic threshold is bounded by `sample_max_value`, 1 by default, which makes it a plain clip."""
    scheduler = reference(
        DDIMScheduler, 20, timestep_spacing="trailing", thresholding=dynamic, clip_sample=not dynamic,
        dynamic_thresholding_ratio=0.9, sample_max_value=1e9,
    )  # fmt: skip
    denoiser = curved(tables_of(scheduler))
    clip = DynamicThreshold(share=0.9, rederive=rederive) if dynamic else Clip(rederive=rederive)
    theirs = their_states(scheduler, denoiser, 2 * start(), use_clipped_model_output=rederive)
    agree(our_states(DDIM(), denoiser, times_of(scheduler), 2 * start(), clip), theirs, **EXACT)


@pytest.mark.parametrize("clipped", [True, False])
@pytest.mark.parametrize(("theirs", "ours"), [("fixed_small", "posterior"), ("fixed_large", "fixed_large")])
@pytest.mark.parametrize("count", [T, 50])
def test_ddpm(count, theirs, ours, clipped):
    scheduler = reference(DDPMScheduler, count, clip_sample=clipped, variance_type=theirs)
    denoiser = curved(tables_of(scheduler))
    times = LeadingSpacing().times(denoiser.tables, count)
    agree(
        our_states(DDPM(variance=ours), denoiser, times, start(), Clip() if clipped else OFF),
        their_states(scheduler, denoiser, start(), generator=generator()),
        **EXACT,
    )


def test_ddpm_over_times_by_hand():
    scheduler = reference(DDPMScheduler, timesteps=[900, 700, 650, 200, 0], clip_sample=False)
    denoiser = curved(tables_of(scheduler))
    theirs = their_states(scheduler, denoiser, start(), generator=generator())
    agree(our_states(DDPM(), denoiser, (901, 701, 651, 201, 1, 0), start()), theirs, **EXACT)


def test_that_ddpm_of_diffusers_adds_noise_to_the_image_unless_it_comes_from_time_0():
    """With fixed-large variance and trailing times its last step adds noise to x_0; ours never does."""
    scheduler = reference(
        DDPMScheduler, 50, clip_sample=False, variance_type="fixed_large", timestep_spacing="trailing"
    )
    denoiser = curved(tables_of(scheduler))
    theirs = their_states(scheduler, denoiser, start(), generator=generator())
    ours = our_states(DDPM(variance="fixed_large"), denoiser, times_of(scheduler), start())
    agree(ours[:-1], theirs[:-1], **EXACT)
    added = float((theirs[-1] - ours[-1]).std())
    assert added == pytest.approx(denoiser.tables.beta_between(20, 0) ** 0.5, rel=0.2)


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize(
    ("cls", "sampler"),
    [(EulerDiscreteScheduler, Euler()), (EulerAncestralDiscreteScheduler, EulerAncestral())],
)
def test_euler(cls, sampler, spacing):
    """Their states are x/√ᾱ, on levels that lie between those of whole times when spaced by linspace."""
    scheduler = reference(cls, 20, timestep_spacing=spacing)
    denoiser = curved(tables_of(scheduler))
    theirs = their_states(scheduler, denoiser, start(), generator=generator())
    agree(our_states(sampler, denoiser, times_of(scheduler), start()), theirs, **SINGLE)


@pytest.mark.parametrize(
    ("cls", "sampler", "settings"),
    [
        (EulerDiscreteScheduler, Euler(), {}),
        (EulerDiscreteScheduler, Euler(), {"use_karras_sigmas": True}),
        (EulerAncestralDiscreteScheduler, EulerAncestral(), {}),
    ],
)
def test_levels_between_whole_times(cls, sampler, settings):
    """Levels ς, as linspace and Karras' rule give them there, are a schedule of their own: ᾱ = 1/(1+ς²)."""
    scheduler = reference(cls, 20, **settings)
    levels = scheduler.sigmas[:-1].double()
    tables = Tables.from_alpha_bar(1 / (1 + levels.flip(0) ** 2))

    def bend(x, t):
        return torch.tanh(x) * (0.3 + 0.02 * t)

    theirs, sample, draws = [], start() * levels[0], generator()
    for t, k in zip(range(20, 0, -1), scheduler.timesteps, strict=True):
        asked = scheduler.scale_model_input(sample, k).double()
        sample = scheduler.step(bend(asked, t), k, sample, generator=draws).prev_sample.double()
        theirs.append(tables.alpha_bar_at(t - 1) ** 0.5 * sample)
    first = tables.alpha_bar_at(20) ** 0.5 * levels[0] * start()
    agree(our_states(sampler, FunctionDenoiser(tables, bend), range(20, -1, -1), first), theirs, **SINGLE)


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_heun(spacing):
    """They take two calls of `step` for one of ours; the last is an Euler step in both."""
    scheduler = reference(HeunDiscreteScheduler, 20, timestep_spacing=spacing)
    tables = tables_of(scheduler)
    denoiser, theirs = curved(tables), []
    times = times_of(scheduler)
    sample = start() / tables.alpha_bar_at(times[0]) ** 0.5
    for k in scheduler.timesteps:
        asked = scheduler.scale_model_input(sample, k).double()
        sample = scheduler.step(denoiser(asked, int(k) + 1).value, k, sample).prev_sample.double()
        theirs.append(sample)
    ends = [*theirs[1::2], theirs[-1]]
    scaled = [tables.alpha_bar_at(s) ** 0.5 * x for s, x in zip(times[1:], ends, strict=True)]
    agree(our_states(Heun(), denoiser, times, start()), scaled, **SINGLE)


@pytest.mark.parametrize("count", [10, 20])
@pytest.mark.parametrize(
    ("algorithm", "sampler"), [("dpmsolver++", DPMSolver2M()), ("sde-dpmsolver++", DPMSolver2MSDE())]
)
def test_dpm_solver(algorithm, sampler, count):
    """The midpoint form of second order, with zero as its last level."""
    scheduler = reference(
        DPMSolverMultistepScheduler, count, algorithm_type=algorithm, timestep_spacing="trailing"
    )
    denoiser = curved(tables_of(scheduler))
    theirs = their_states(scheduler, denoiser, start(), generator=generator())
    ours = our_states(sampler, denoiser, times_of(scheduler), start(), dtype=torch.float32)
    agree(ours, theirs, **SINGLE)


def test_that_the_times_of_dpm_solver_are_other_ones():
    """Its leading and linspace divide by S + 1 and leave the last out; given as a list they are ours too."""
    for spacing in ("leading", "linspace"):
        scheduler = reference(DPMSolverMultistepScheduler, 20, timestep_spacing=spacing)
        denoiser = curved(tables_of(scheduler))
        times = times_of(scheduler)
        assert times != SPACINGS[spacing].times(denoiser.tables, 20)
        agree(
            our_states(DPMSolver2M(), denoiser, times, start()),
            their_states(scheduler, denoiser, start()),
            **SINGLE,
        )


@pytest.mark.parametrize("count", [7, 20])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_lms(spacing, count):
    scheduler = reference(LMSDiscreteScheduler, count, timestep_spacing=spacing)
    denoiser = curved(tables_of(scheduler))
    ours = our_states(LMS(), denoiser, times_of(scheduler), start())
    agree(ours, their_states(scheduler, denoiser, start()), rtol=2e-4, atol=2e-4)  # theirs integrates roughly


@pytest.mark.parametrize("count", [7, 20])
def test_unipc(count):
    scheduler = reference(UniPCMultistepScheduler, count, timestep_spacing="trailing")
    denoiser = curved(tables_of(scheduler))
    ours = our_states(UniPC(), denoiser, times_of(scheduler), start())
    agree(ours, their_states(scheduler, denoiser, start()), **SINGLE)


@pytest.mark.parametrize("count", [7, 20])
def test_dpm_solver_of_third_order(count):
    """η = 0, and the heun form at the second step, which is the one of k-diffusion."""
    scheduler = reference(
        DPMSolverMultistepScheduler, count, solver_order=3, solver_type="heun", timestep_spacing="trailing",
        lower_order_final=False,
    )  # fmt: skip
    denoiser = curved(tables_of(scheduler))
    ours = our_states(DPMSolver3MSDE(eta=0), denoiser, times_of(scheduler), start())
    agree(ours, their_states(scheduler, denoiser, start()), **SINGLE)


@pytest.mark.parametrize("count", [7, 20])
def test_deis(count):
    """Theirs ends in the lowest level; ours then goes on to the image."""
    scheduler = reference(
        DEISMultistepScheduler, count, solver_order=3, timestep_spacing="trailing", lower_order_final=False
    )
    denoiser = curved(tables_of(scheduler))
    ours = our_states(DEIS(), denoiser, times_of(scheduler), start())
    agree(ours[:-1], their_states(scheduler, denoiser, start())[:-1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [7, 20])
@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_sa_solver(count, tau):
    scheduler = reference(
        SASolverScheduler, count, timestep_spacing="trailing", tau_func=lambda k: tau * (200 <= k <= 800)
    )
    denoiser = curved(tables_of(scheduler))
    times, source = times_of(scheduler), generator()
    noise = given_noise(
        times, [torch.randn(start().shape, generator=source, dtype=torch.float64) for _ in times]
    )
    chain = reverse_chain(denoiser, SASolver(tau=tau), times, start(), noise, clip=OFF)
    theirs = their_states(scheduler, denoiser, start(), generator=generator())
    agree([step.x_s for step in chain][:-1], theirs[:-1], **SINGLE)


def test_ipndm():
    """Its network says v, from which theirs reads ε, and its levels are √(1−ᾱ) as they are given."""
    times = tuple(range(1000, 0, -100))
    tables = Tables.from_betas(LinearSchedule().betas(T))
    noises = [*((1 - tables.alpha_bar[list(times)]).sqrt()).tolist(), 0.0]
    scheduler = IPNDMScheduler(trained_betas=noises)
    scheduler.set_timesteps(len(times))
    scheduler.betas = torch.tensor(noises, dtype=torch.float64)
    scheduler.alphas = (1 - scheduler.betas**2) ** 0.5
    denoiser, x, theirs = curved(tables), start(), []
    for t, k in zip(times, scheduler.timesteps, strict=True):
        root, noise = tables.alpha_bar_at(t) ** 0.5, (1 - tables.alpha_bar_at(t)) ** 0.5
        v = (denoiser(x, t).value - noise * x) / root
        x = scheduler.step(v, k, x).prev_sample
        theirs.append(x)
    agree(our_states(IPNDM(), denoiser, (*times, 0), start()), theirs, **EXACT)


@pytest.mark.parametrize("end_at_image", [True, False])
def test_pndm(end_at_image):
    """Each call of theirs is a stage; the first three steps take four."""
    scheduler = reference(PNDMScheduler, 20, set_alpha_to_one=end_at_image)
    scheduler.final_alpha_cumprod = (
        torch.tensor(1.0).double() if end_at_image else scheduler.alphas_cumprod[0]
    )
    denoiser, x, theirs = curved(tables_of(scheduler)), start(), []
    for number, k in enumerate(scheduler.timesteps):
        x = scheduler.step(denoiser(x, int(k) + 1).value, int(k), x).prev_sample
        if number >= 12 or number % 4 == 3:
            theirs.append(x)
    times = (*LeadingSpacing().times(denoiser.tables, 20)[:-1], *((0,) if end_at_image else ()))
    agree(our_states(PNDM(), denoiser, times, start()), theirs if end_at_image else theirs[:-1], **EXACT)


def two_stages(scheduler, levels, sampler):
    """Ours and theirs where each step asks twice, on the levels of both calls: (our states, their states)."""
    tables = Tables.from_alpha_bar(1 / (1 + levels.double().flip(0) ** 2))

    def bend(x, t):
        return torch.tanh(x) * (0.3 + 0.02 * t)

    def root(t):
        return tables.alpha_bar_at(t) ** 0.5

    sample, theirs = start() * levels[0], []
    for t, k in zip(range(tables.steps, 0, -1), scheduler.timesteps, strict=True):
        asked = scheduler.scale_model_input(sample, k).double()
        sample = scheduler.step(bend(asked, t), k, sample).prev_sample.double()
        theirs.append(sample)
    times = (*range(tables.steps, 0, -2), 0)
    ours = our_states(
        sampler, FunctionDenoiser(tables, bend), times, root(times[0]) * levels[0] * start(),
        dtype=torch.float32,
    )  # fmt: skip
    return ours, [root(s) * x for s, x in zip(times[1:], [*theirs[1::2], theirs[-1]], strict=True)]


def test_dpm2():
    scheduler = reference(KDPM2DiscreteScheduler, 10)
    ends, middles = scheduler.sigmas[[0, *range(1, 18, 2)]], scheduler.sigmas_interpol[1:18:2]
    levels = torch.stack([ends, torch.cat([middles, middles[-1:]])], 1).flatten()[:-1]
    agree(*two_stages(scheduler, levels, DPM2()), **SINGLE)


def test_dpm_solver_sde(monkeypatch):
    """Theirs draws from a tree of Brownian motion; here both draw, call by call, from one generator."""
    monkeypatch.setitem(sys.modules, "torchsde", types.ModuleType("torchsde"))
    from diffusers.schedulers.scheduling_dpmsolver_sde import DPMSolverSDEScheduler

    scheduler, draws = reference(DPMSolverSDEScheduler, 10), generator()
    scheduler.noise_sampler = lambda high, low: torch.randn(start().shape, generator=draws)
    ends = scheduler.sigmas[[0, *range(1, 18, 2)]]
    middles = (ends[:-1] * ends[1:]) ** 0.5
    levels = torch.stack([ends, torch.cat([middles, middles[-1:]])], 1).flatten()[:-1]
    agree(*two_stages(scheduler, levels, DPMSolverSDE()), **SINGLE)
