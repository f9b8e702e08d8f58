"""Every sampler: identities between them, what they say of themselves, and where they lead."""

import functools
import itertools
import math
from collections import deque

import numpy as np
import pytest
import torch

from diffusion_studio.core.chain import plan, reverse_chain
from diffusion_studio.core.denoisers.denoiser import FunctionDenoiser
from diffusion_studio.core.denoisers.exact import GaussianDenoiser, MemorisingDenoiser
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.describe import members, with_values
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.schedules import CosineSchedule, LinearSchedule, Schedule, StraightSchedule
from diffusion_studio.core.process.spacing import TrailingSpacing
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import (
    DDIM,
    DDPM,
    DEIS,
    DPM2,
    LMS,
    AnnealedLangevin,
    DPMSolver2M,
    DPMSolver2MSDE,
    DPMSolver3MSDE,
    DPMSolverSDE,
    EDMStochastic,
    Euler,
    EulerAncestral,
    FlowEuler,
    FlowHeun,
    Heun,
    PredictorCorrector,
    Sampler,
    SigmaCurve,
    UniPC,
)
from diffusion_studio.core.samplers.base import Past
from diffusion_studio.core.samplers.sigma_curve import points_below
from diffusion_studio.core.steps.clipping import Clip, Unclipped
from diffusion_studio.core.steps.kernel import posterior_variance
from support.families import ready

SAMPLERS = members(Sampler)
TABLES = {kind: Tables.from_betas(schedule.betas(200)) for kind, schedule in ready(Schedule).items()}
DETERMINISTIC = [cls() for cls in SAMPLERS.values() if cls().is_deterministic]
OFF = Unclipped()


@pytest.fixture(params=list(TABLES))
def tables(request):
    return TABLES[request.param]


def times_of(tables, count=20):
    return tuple(tables.steps - i * tables.steps // count for i in range(count + 1))


def run(denoiser, sampler, times, x, seed=0, clip=OFF):
    return list(reverse_chain(denoiser, sampler, times, x, CounterNoise(seed).step, clip=clip))


def end_of(*chain):
    """x_0 of a chain whose steps are too large to be kept."""
    (last,) = deque(reverse_chain(*chain, CounterNoise(0).step, clip=OFF), maxlen=1)
    return last.x_s


def curved(tables):
    """A denoiser that bends, so that no two different steps agree by accident."""
    return FunctionDenoiser(tables, lambda x, t: torch.tanh(x) * (0.3 + 0.5 * t / tables.steps) + 0.1 * x)


def start(n=6, d=5):
    return CounterNoise(1).start((n, d)).double()


def same(a, b, tolerance=1e-10):
    """Both chains visit the same states, up to a relative tolerance."""
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x.x_s, y.x_s, rtol=tolerance, atol=tolerance)


def test_that_euler_is_ddim_without_noise(tables):
    x, times = start(), times_of(tables)
    same(run(curved(tables), Euler(), times, x), run(curved(tables), DDIM(), times, x))


def test_that_euler_along_the_straight_path_is_ddim_without_noise(tables):
    """(1−u) x_0 + u ε has the SNR of x_t; both follow the line through x̂_0 and ε̂ to s."""
    for times in (times_of(tables), (200, 150, 149, 20, 3, 1, 0)):
        same(run(curved(tables), FlowEuler(), times, start()), run(curved(tables), DDIM(), times, start()))


def test_that_the_straight_path_has_the_signal_to_noise_ratio_of_x_t(tables):
    for t in (1, 50, 200):
        u, m = tables.path_time_at(t), tables.path_scale_at(t)
        assert m * (1 - u) == pytest.approx(tables.alpha_bar_at(t) ** 0.5, rel=1e-12)
        assert m * u == pytest.approx((1 - tables.alpha_bar_at(t)) ** 0.5, rel=1e-12)
    assert tables.path_time_at(0) == 0


def test_that_heun_along_the_straight_path_takes_the_mean_of_both_velocities():
    """Against the textbook rule, written out for y = x/m and the velocity as the denoiser reads it."""
    tables = TABLES["cosine"]
    denoiser, t, s, x = curved(tables), 120, 90, start()
    m_t, m_s = tables.path_scale_at(t), tables.path_scale_at(s)
    step = tables.path_time_at(s) - tables.path_time_at(t)
    slope = denoiser(x, t).read("velocity")
    end = m_s * (x / m_t + step * slope)
    expected = m_s * (x / m_t + step * (slope + denoiser(end, s).read("velocity")) / 2)
    found = run(denoiser, FlowHeun(), (t, s), x)[-1].x_s
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_that_a_rectified_flow_steps_evenly_in_u():
    tables = Tables.from_betas(StraightSchedule().betas(1000))
    for t in (1, 250, 999):
        assert tables.path_time_at(t) == pytest.approx(t / 1000, rel=1e-9)


def test_that_euler_ancestral_is_ancestral_sampling(tables):
    """ς_up² = ς_s²(ς_t²−ς_s²)/ς_t² is β̃ in the other coordinates, ς_down what is left of ε̂."""
    x, times = start(), times_of(tables)
    same(run(curved(tables), EulerAncestral(), times, x), run(curved(tables), DDPM(), times, x))


def test_that_the_solver_without_noise_is_the_deterministic_one(tables):
    x, times = start(), times_of(tables)
    same(run(curved(tables), DPMSolver2MSDE(eta=0), times, x), run(curved(tables), DPMSolver2M(), times, x))


def test_that_the_first_step_of_each_solver_is_one_of_the_family(tables):
    """Of first order, DPM-Solver++ is DDIM: η = 0 without noise, η = 1 with it."""
    x, times = start(), times_of(tables)
    for solver, ddim in ((DPMSolver2M(), DDIM()), (DPMSolver2MSDE(), DDIM(eta=1))):
        same(run(curved(tables), solver, times, x)[:1], run(curved(tables), ddim, times, x)[:1], 1e-9)


def test_that_a_curve_through_the_named_sigmas_is_ddim(tables):
    times = times_of(tables)
    for eta in (0.0, 0.4, 1.0):
        points = [(t, DDIM(eta=eta).update(tables, t, s).sigma) for t, s in itertools.pairwise(times)]
        x = start()
        same(
            run(curved(tables), SigmaCurve(points=points), times, x),
            run(curved(tables), DDIM(eta=eta), times, x),
        )


def test_that_a_forbidden_curve_is_refused_with_the_reason(tables):
    curve = SigmaCurve(points=[(0, 0.0), (tables.steps, 1.2)])
    with pytest.raises(ValueError, match="between 0 and 1 − ᾱₛ"):
        plan(tables, curve, times_of(tables))


@pytest.mark.parametrize("points", [[], [(3, -0.1)], [(-1, 0.1)], [(3, 0.1), (3, 0.2)]])
def test_that_a_curve_that_is_none_is_refused(points):
    with pytest.raises(ValueError, match="the curve of σ"):
        SigmaCurve(points=points)


def test_that_sections_of_a_step_lie_between_its_ends(tables):
    for t, s in ((200, 1), (150, 120), (40, 38), (3, 1)):
        middle = tables.time_between(t, s)
        level = tables.noise_level_at
        wanted = math.log(level(t) * level(s)) / 2
        nearest = min(range(s + 1, t), key=lambda k: abs(math.log(level(k)) - wanted))
        assert middle == nearest
    assert tables.time_between(40, 39) is tables.time_between(40, 0) is None


def test_that_dpm2_takes_the_slope_in_the_middle():
    """Against k-diffusion's step, written out, on levels of which each second is the middle of two."""
    levels = torch.logspace(-1, 1, 21, dtype=torch.float64)
    tables = Tables.from_alpha_bar(1 / (1 + levels**2))
    denoiser, x, t, s = curved(tables), start(), 15, 13
    root = [tables.alpha_bar_at(k) ** 0.5 for k in (t, t - 1, s)]
    high, middle, low = (tables.noise_level_at(k) for k in (t, t - 1, s))
    halfway = x / root[0] + (middle - high) * denoiser(x, t).eps_hat
    slope = denoiser(halfway * root[1], t - 1).eps_hat
    expected = root[2] * (x / root[0] + (low - high) * slope)
    torch.testing.assert_close(run(denoiser, DPM2(), (t, s), x)[-1].x_s, expected, rtol=1e-12, atol=1e-12)


def test_that_heun_takes_the_mean_of_both_slopes():
    """Against the textbook rule, written out in (x/√ᾱ, ς)."""
    tables = TABLES["cosine"]
    denoiser, t, s = curved(tables), 120, 90
    x = start()
    root_t, root_s = (tables.alpha_bar_at(k) ** 0.5 for k in (t, s))
    step = float(tables.noise_level[s] - tables.noise_level[t])
    slope = denoiser(x, t).eps_hat
    end = root_s * (x / root_t + step * slope)
    expected = root_s * (x / root_t + step * (slope + denoiser(end, s).eps_hat) / 2)
    torch.testing.assert_close(run(denoiser, Heun(), (t, s), x)[-1].x_s, expected, rtol=1e-12, atol=1e-12)


def test_that_edm_goes_from_one_raised_level_to_the_next():
    """Heun from ς_t to ς_d, near ς_s/(1+γ), then √(ς_s² − ς_d²) z, over x̃ = x/√ᾱ (EDM algorithm 2)."""
    tables = TABLES["linear"]
    denoiser, sampler, x = curved(tables), EDMStochastic(churn=0.3), start()
    t, s = tables.steps // 2, tables.steps // 4
    below, level, roots = sampler.update(tables, t, s).asked_at, tables.noise_level_at, tables.alpha_bar**0.5
    assert below is not None and abs(math.log(level(below) * 1.3 / level(s))) < 0.05
    high = x / roots[t]
    slope = denoiser(x, t).eps_hat
    middle = high + (level(below) - level(t)) * slope
    half = (slope + denoiser(middle * roots[below], below).eps_hat) / 2
    z = CounterNoise(0).step(t, tuple(x.shape)).double()
    low = high + (level(below) - level(t)) * half + (level(s) ** 2 - level(below) ** 2) ** 0.5 * z
    (step, _) = run(denoiser, sampler, (t, s, 0), x)
    torch.testing.assert_close(step.x_s, low * roots[s], rtol=1e-10, atol=1e-10)
    with pytest.raises(ValueError, match="churn"):
        EDMStochastic(churn=0.5)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([("churn", "0.5")], r"churn: more than 0\.4142 \(√2 − 1\) would add more noise than there is"),
        ([("churn", "much")], "churn: a number is needed"),
        ([("lowest", "3"), ("highest", "2")], "fresh noise, 3, must be below the highest, 2"),
    ],
)
def test_that_churn_that_cannot_be_is_refused_with_the_reason(pairs, words):
    with pytest.raises(Refused, match=words):
        with_values(EDMStochastic(), pairs)


@pytest.mark.parametrize("kind", list(SAMPLERS))
def test_that_every_sampler_says_what_it_costs(kind):
    tables, asked = TABLES["linear"], []
    base = curved(tables)

    def count(x, t):
        asked.append(t)
        return base(x, t).value

    sampler = SAMPLERS[kind]()
    run(FunctionDenoiser(tables, count), sampler, times_of(tables, 10), start())
    assert len(asked) == sampler.calls(10)


@pytest.mark.parametrize("kind", list(SAMPLERS))
def test_that_every_sampler_says_whether_noise_takes_part(kind):
    tables, sampler = TABLES["cosine"], SAMPLERS[kind]()
    ends = [run(curved(tables), sampler, times_of(tables), start(), seed)[-1].x_s for seed in (0, 1)]
    assert torch.equal(*ends) == sampler.is_deterministic


@pytest.mark.parametrize("kind", list(SAMPLERS))
def test_that_every_step_is_the_sum_of_its_terms(kind):
    """What the equation shows is what was computed; and the fresh noise is what the last digits come from."""
    tables, sampler = TABLES["cosine"], SAMPLERS[kind]()
    times = times_of(tables)
    zero = lambda t, shape, draw=0: torch.zeros(shape)  # noqa: E731
    for step in run(curved(tables), sampler, times, start()):
        assert len(step.draws) == step.update.draws
        if step.update.inner is None:
            quantities = {
                "x_t": step.x_t, "x0_hat": step.prediction.x0_hat, "eps_hat": step.prediction.eps_hat,
                "noise": step.noise,
            }  # fmt: skip
            known = {"x_t", "x0_hat", "eps_hat", "noise"}
            if set(step.update.values) <= known:
                torch.testing.assert_close(step.update.apply(quantities), step.x_s, rtol=0, atol=0)
        added = sampler.added_noise(step.update, step.draws)
        if added is not None and step.update.inner is None:
            bare = next(reverse_chain(curved(tables), sampler, (step.t, step.s), step.x_t, zero, clip=OFF))
            if not step.update["x0_before"]:  # the bare step remembers none before it
                torch.testing.assert_close(bare.x_s + added, step.x_s, rtol=1e-6, atol=1e-6)


class Learned:
    """A denoiser with a learned variance: v is what `fraction` says of x_t."""

    def __init__(self, tables, fraction):
        self.tables, self._base, self._fraction = tables, curved(tables), fraction

    def __call__(self, x_t, t, labels=None):
        eps_hat = self._base(x_t, t).value
        return Prediction("eps", eps_hat, x_t, self.tables.alpha_bar_at(t), fraction=self._fraction(x_t))


@pytest.mark.parametrize("steps", [20, 200])
@pytest.mark.parametrize(("v", "fixed"), [(0, "posterior"), (1, "fixed_large")])
def test_that_a_learned_variance_ends_in_the_two_fixed_ones(tables, steps, v, fixed):
    x, times = start(), times_of(tables, steps)
    learned = Learned(tables, lambda x: torch.full_like(x, v))
    a = run(learned, DDPM(variance="learned"), times, x)
    b = run(curved(tables), DDPM(variance=fixed), times, x)
    same(a, b, 0 if v == 0 else 1e-12)
    sigma = [step.update.learned_sigma(step.prediction.fraction) for step in a]
    assert sigma == pytest.approx([step.update.sigma for step in b], rel=1e-6)
    assert a[-1].draws == ()


@pytest.mark.parametrize("clip", [OFF, Clip(), Clip(rederive=False)])
def test_that_a_learned_variance_is_that_of_iddpm_in_every_pixel(tables, clip):
    """Equation 15, written out, for the pairs of a shortened chain."""
    denoiser, sampler = Learned(tables, torch.sigmoid), DDPM(variance="learned")
    for step in run(denoiser, sampler, times_of(tables), start(), clip=clip)[:-1]:
        v, a_t, a_s = torch.sigmoid(step.x_t), *(tables.alpha_bar_at(k) for k in (step.t, step.s))
        large = 1 - a_t / a_s
        small = large * (1 - a_s) / (1 - a_t)
        sigma = torch.exp(v * math.log(large) + (1 - v) * math.log(small)).sqrt()
        mean = (
            a_s**0.5 * step.prediction.x0_hat
            + math.sqrt(1 - a_s - small) * step.prediction.eps_hat
        )  # fmt: skip
        torch.testing.assert_close(step.x_s, mean + sigma * step.noise, rtol=1e-10, atol=1e-10)
        added = sampler.added_noise(step.update, step.draws, v)
        torch.testing.assert_close(added, sigma * step.noise, rtol=1e-10, atol=1e-12)
        assert step.update.learned_sigma(v) == pytest.approx(float(sigma.square().mean().sqrt()), rel=1e-6)
        quantities = {
            "x0_hat": step.prediction.x0_hat, "eps_hat": step.prediction.eps_hat,
            "learned_noise": step.update.widening(v) * step.noise,
        }  # fmt: skip
        assert torch.equal(step.update.apply(quantities), step.x_s)


def test_that_a_variance_that_was_not_learned_is_refused(tables):
    with pytest.raises(ValueError, match="learned no variance"):
        run(curved(tables), DDPM(variance="learned"), times_of(tables), start())


@pytest.mark.parametrize("kind", list(SAMPLERS))
def test_that_every_sampler_can_go_on_in_the_middle(kind):
    tables, sampler = TABLES["cosine"], SAMPLERS[kind]()
    times, noise = times_of(tables), CounterNoise(0)
    whole = run(curved(tables), sampler, times, start())
    rest = reverse_chain(
        curved(tables), sampler, times, whole[7].x_t, noise.step, clip=OFF, first=7, past=whole[6].past
    )
    for a, b in zip(whole[7:], rest, strict=True):
        assert torch.equal(a.x_s, b.x_s)
        assert a.update == b.update


@pytest.mark.parametrize("kind", list(SAMPLERS))
def test_that_every_sampler_refuses_times_out_of_order(kind):
    for times in ((50, 50), (30, 40), (201, 40), (5, -1)):
        with pytest.raises(ValueError, match=r"0 ≤ s < t ≤ 200"):
            plan(TABLES["linear"], SAMPLERS[kind](), times)


def test_that_times_are_whole_numbers_of_any_kind():
    tables, x = TABLES["linear"], start()
    wanted = run(curved(tables), DDIM(eta=1), (200, 90, 0), x)
    same(run(curved(tables), DDIM(eta=1), torch.tensor([200, 90, 0]), x), wanted, 0)
    with pytest.raises(TypeError):
        run(curved(tables), DDIM(eta=1), (200.0, 90.5, 0.0), x)


def test_that_noise_may_be_left_out_where_none_is_added():
    tables, x = TABLES["linear"], start()
    chain = list(reverse_chain(curved(tables), Heun(), times_of(tables), x, clip=OFF))
    same(chain, run(curved(tables), Heun(), times_of(tables), x), 0)
    with pytest.raises(ValueError, match="DDPM adds fresh noise: say where it comes from"):
        next(reverse_chain(curved(tables), DDPM(), times_of(tables), x))


def test_that_any_function_can_stand_in_for_clipping():
    tables, x = TABLES["linear"], start()
    clip = lambda prediction: prediction.with_x0(prediction.x0_hat.clamp(-1, 1))  # noqa: E731
    same(
        run(curved(tables), DDIM(), times_of(tables), x, clip=clip),
        run(curved(tables), DDIM(), times_of(tables), x, clip=Clip()),
        0,
    )


@pytest.mark.parametrize("kind", list(SAMPLERS))
@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 1, 4, 4)])
def test_that_every_sampler_keeps_shape_and_precision(kind, shape):
    tables, x = TABLES["cosine"], CounterNoise(1).start(shape)
    for dtype in (torch.float32, torch.float64):
        for step in run(curved(tables), SAMPLERS[kind](), times_of(tables), x.to(dtype)):
            found = (step.x_t, step.x_s, step.prediction.x0_hat, step.prediction.eps_hat, *step.draws)
            assert {(tuple(value.shape), value.dtype) for value in found} == {(shape, dtype)}


def one_hot(number, size):
    """Noise whose draw `number` is 1, and every other one 0."""
    return lambda t, shape, draw=0: torch.full(shape, float(draw == number), dtype=torch.float64)


def law(sampler, tables, t, s, before):
    """Mean and variance of x_s given x_0 = 1, from those of x_t, if the estimates are the truth."""
    truth = FunctionDenoiser(tables, lambda x, t: torch.ones_like(x), "x_0")

    def end(x_t, number=-1):
        x, past = torch.full((1, 1), x_t, dtype=torch.float64), None
        for time in reversed(before):
            past = Past(time, torch.ones_like(x), truth(x, t).eps_hat, past)  # ε̂ is the same all the way
        step = next(reverse_chain(truth, sampler, (t, s), x, one_hot(number, 1), clip=OFF, past=past))
        return float(step.x_s), len(step.draws)

    rest, draws = end(0.0)
    slope = end(1.0)[0] - rest
    noise = sum((end(0.0, number)[0] - rest) ** 2 for number in range(draws))
    return rest + slope * tables.alpha_bar_at(t) ** 0.5, slope**2 * (1 - tables.alpha_bar_at(t)) + noise


@pytest.mark.parametrize("kind", list(SAMPLERS))
def test_that_every_sampler_says_whether_it_keeps_the_marginals(kind, tables):
    sampler = SAMPLERS[kind]()
    kept = [
        law(sampler, tables, t, s, before)
        == pytest.approx((tables.alpha_bar_at(s) ** 0.5, 1 - tables.alpha_bar_at(s)), abs=1e-9)
        for before, t, s in (
            ((), 150, 120),
            ((150,), 120, 80),
            ((180, 190), 150, 120),
            ((80, 110, 140), 40, 1),
            ((3, 4, 5), 2, 1),
        )
    ]
    assert all(kept) if sampler.keeps_marginals else not any(kept)


@pytest.mark.parametrize("kind", list(SAMPLERS))
def test_that_every_sampler_ends_on_its_estimate_without_noise(kind, tables):
    for before, t in (((), 1), ((90,), 40), ((2, 3, 4), 1)):
        mean, variance = law(SAMPLERS[kind](), tables, t, 0, before)
        assert (mean, variance) == pytest.approx((1, 0), abs=1e-9) or not SAMPLERS[kind]().keeps_marginals


@pytest.mark.parametrize("kind", list(SAMPLERS))
def test_that_every_sampler_reaches_the_data(kind):
    """The whole chain on N(m, a²) with the exact denoiser ends in N(m, a²)."""
    tables = Tables.from_betas(LinearSchedule().betas(1000))
    denoiser = GaussianDenoiser(tables, 0.3, 0.5)
    x = CounterNoise(2).start((40_000, 1)).double()
    end = end_of(denoiser, SAMPLERS[kind]().thorough(), tuple(range(1000, -1, -1)), x)
    assert float(end.mean()) == pytest.approx(0.3, abs=4 * 0.5 / 200)
    assert float(end.std()) == pytest.approx(0.5, abs=0.015)


@pytest.mark.parametrize("schedule", [LinearSchedule(), CosineSchedule()])
@pytest.mark.parametrize("kind", list(SAMPLERS))
def test_that_every_sampler_ends_on_a_training_image(kind, schedule):
    """With the memorising denoiser, 1,000 steps lead at least 99 % of the chains onto an image."""
    tables = Tables.from_betas(schedule.betas(1000))
    images = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    x = CounterNoise(5).start((200, 1, 4, 4)).double()
    end = end_of(MemorisingDenoiser(tables, images), SAMPLERS[kind](), tuple(range(1000, -1, -1)), x)
    squares = ((end[:, None] - images[None]) ** 2).flatten(2).mean(2)
    assert float((squares.min(1).values.sqrt() < 1e-2).double().mean()) >= 0.99


# --- orders of convergence ---------------------------------------------------------------------------------

FINE = Tables.from_betas(CosineSchedule().betas(40_000))
HIGH, LOW = 32_000, 4_000
LINE = torch.linspace(-1.6, 1.6, 9, dtype=torch.float64)[:, None]


def even(count):
    """Times between HIGH and LOW, evenly spaced in ln ς as far as whole numbers go."""
    levels = torch.log(FINE.noise_level[1:])
    wanted = torch.linspace(float(levels[HIGH - 1]), float(levels[LOW - 1]), count + 1, dtype=torch.float64)
    return tuple((torch.searchsorted(levels, wanted) + 1).clamp(LOW, HIGH).tolist())


def mixture(tables):
    """The exact denoiser of ½ N(−0.6, 0.2²) + ½ N(0.7, 0.3²) in one dimension."""
    means = torch.tensor([-0.6, 0.7], dtype=torch.float64)
    variances = torch.tensor([0.04, 0.09], dtype=torch.float64)

    def estimate(x, t):
        a = tables.alpha_bar_at(t)
        spread = a * variances + 1 - a
        far = x - a**0.5 * means
        weights = torch.softmax(-(far**2) / (2 * spread) - spread.log() / 2, dim=1)
        return (weights * (means + a**0.5 * variances / spread * far)).sum(1, keepdim=True)

    return FunctionDenoiser(tables, estimate, "x_0")


def slope(sampler, denoiser, exact, counts):
    errors = [float((run(denoiser, sampler, even(n), LINE)[-1].x_s - exact).abs().mean()) for n in counts]
    return fitted(counts, errors)


def counts_of(sampler):
    """Numbers of steps at which the error is that of the order; the first step of these counts late."""
    return (200, 400, 800) if sampler.kind in ("lms", "deis") else (25, 50, 100, 200)


def fitted(counts, errors):
    """The order at which errors fall with the number of steps."""
    logs = torch.tensor([[math.log(n), math.log(e)] for n, e in zip(counts, errors, strict=True)])
    centred = logs - logs.mean(0)
    return -float((centred[:, 0] * centred[:, 1]).sum() / (centred[:, 0] ** 2).sum())


@pytest.mark.parametrize("sampler", DETERMINISTIC, ids=lambda sampler: sampler.kind)
def test_the_order_of_convergence_on_a_gaussian(sampler):
    """x̃(ς') = x̃(ς) √(a²+ς'²)/√(a²+ς²)."""
    a = 0.5
    gain = math.sqrt(
        (a**2 + float(FINE.noise_level[LOW]) ** 2) / (a**2 + float(FINE.noise_level[HIGH]) ** 2)
        * FINE.alpha_bar_at(LOW) / FINE.alpha_bar_at(HIGH)
    )  # fmt: skip
    found = slope(sampler, GaussianDenoiser(FINE, 0.0, a), gain * LINE, counts_of(sampler))
    assert found == pytest.approx(sampler.order, abs=0.15)


def test_that_the_solvers_are_of_the_order_of_their_papers():
    orders = {sampler.kind: sampler.order for sampler in DETERMINISTIC}
    of_papers = {
        "ddim": 1, "sigma": 1, "euler": 1, "heun": 2, "dpm2m": 2, "dpm2": 2, "pndm": 2, "unipc": 3, "lms": 2,
        "deis": 2, "ipndm": 2,
        "gradient_estimation": 1, "flow_euler": 1, "flow_heun": 2,
    }  # fmt: skip
    assert orders == of_papers | orders


def exact_past(denoiser, times, gain_at, count):
    """The `count` steps before times[count] on the exact flow of a Gaussian, as a chain remembers them."""
    past = None
    for t in times[:count]:
        prediction = denoiser(gain_at(t) * LINE, t)
        past = Past(t, prediction.x0_hat, prediction.eps_hat, past)
    return past


@pytest.mark.parametrize(
    ("sampler", "order"),
    [(LMS(), 4), (DEIS(), 3), (DPMSolver3MSDE(eta=0), 2), (UniPC(), 3), (DPMSolver2M(), 2)],
    ids=lambda value: getattr(value, "kind", value),
)  # fmt: skip
def test_the_order_of_the_later_steps_of_a_multistep_solver(sampler, order):
    """A chain that is begun exactly, in the steps that such a solver looks back on."""
    denoiser, errors = GaussianDenoiser(FINE, 0.0, 0.5), []

    def gain_at(t):
        return (FINE.alpha_bar_at(t) * (0.25 + FINE.noise_level_at(t) ** 2)) ** 0.5

    for n in (25, 50, 100, 200):
        times, first = even(n), sampler.memory
        past = exact_past(denoiser, times, gain_at, first)
        chain = reverse_chain(
            denoiser, sampler, times, gain_at(times[first]) * LINE, clip=OFF, first=first, past=past
        )
        *_, last = chain
        errors.append(float((last.x_s - gain_at(LOW) * LINE).abs().mean()))
    assert fitted((25, 50, 100, 200), errors) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize(("sampler", "order"), [(DPMSolverSDE(eta=0), 2), (DPMSolver2MSDE(eta=0), 2)])
def test_the_order_of_stochastic_solvers_without_their_noise(sampler, order):
    found = slope(sampler, mixture(FINE), end_of_the_flow(), (25, 50, 100, 200))
    assert found == pytest.approx(order, abs=0.15)


@functools.cache
def end_of_the_flow():
    """Of the mixture, from LINE, by the classical Runge–Kutta method in (x̃, ς), with far smaller steps."""
    denoiser, times = mixture(FINE), even(2_000)
    scaled = LINE / FINE.alpha_bar_at(HIGH) ** 0.5

    def slope_at(y, t):
        return denoiser(y * FINE.alpha_bar_at(t) ** 0.5, t).eps_hat

    for t, middle, s in zip(times[::2], times[1::2], times[2::2], strict=False):
        # whole times lie unevenly in ς: Simpson's weights for the three levels that there are
        h = [float(FINE.noise_level[k]) for k in (t, middle, s)]
        k1 = slope_at(scaled, t)
        k2 = slope_at(scaled + (h[1] - h[0]) * k1, middle)
        k2 = slope_at(scaled + (h[1] - h[0]) * (k1 + k2) / 2, middle)
        k3 = slope_at(scaled + (h[2] - h[0]) * k2, s)
        p, q = h[1] - h[0], h[2] - h[1]
        w = (p + q) / 6
        scaled = scaled + w * ((2 - q / p) * k1 + (p + q) ** 2 / (p * q) * k2 + (2 - p / q) * k3)
    return scaled * FINE.alpha_bar_at(LOW) ** 0.5


@pytest.mark.parametrize("sampler", DETERMINISTIC, ids=lambda sampler: sampler.kind)
def test_the_order_of_convergence_on_a_mixture(sampler):
    found = slope(sampler, mixture(FINE), end_of_the_flow(), counts_of(sampler))
    assert found == pytest.approx(sampler.order, abs=0.15)


def test_that_the_size_of_langevin_steps_is_what_the_settings_say():
    tables = TABLES["cosine"]
    corrector = PredictorCorrector(ratio=0.2).update(tables, 100, 80).inner
    annealed = AnnealedLangevin(size=0.3).update(tables, 100, 80).inner
    for inner, c in (
        (corrector, 0.08 * (1 - tables.alpha_bar_at(80))),
        (annealed, 0.3 * (1 - tables.alpha_bar_at(100))),
    ):
        assert inner.sigma == pytest.approx(math.sqrt(2 * c), rel=1e-12)


def test_that_heun_leaves_the_fall_from_pure_noise_to_euler():
    """A cosine schedule falls from ς = 20,000 in one step; the mean of both slopes would blow x̂_0 up."""
    tables = Tables.from_betas(CosineSchedule().betas(1000))
    assert Heun().update(tables, 1000, 980) == Euler().update(tables, 1000, 980)
    assert Heun().update(tables, 980, 960).inner is not None
    images = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    x = CounterNoise(5).start((50, 1, 4, 4)).double()
    end = run(MemorisingDenoiser(tables, images), Heun(), times_of(tables, 50), x)[-1].x_s
    assert float(end.abs().max()) < 1.2


@pytest.mark.parametrize("count", [10, 30, 50, 100, 250])
@pytest.mark.parametrize("eta", [0.3, 0.6, 1.0])
def test_that_a_curve_through_the_noise_of_any_chain_is_allowed(count, eta):
    """Also where few points stand for many steps, near the image, where little is allowed."""
    tables = Tables.from_betas(LinearSchedule().betas(1000))
    times = TrailingSpacing().times(tables, count)
    steps = list(itertools.pairwise(times))
    sigma = np.array([eta * math.sqrt(posterior_variance(tables, t, s)) for t, s in steps])
    ceiling = np.array([math.sqrt(1 - tables.alpha_bar[s]) for _, s in steps])
    points = points_below(times[:-1], sigma, ceiling)
    curve = SigmaCurve(points=points)
    for t, s in steps:
        curve.update(tables, t, s)
    there = dict(zip(times, sigma, strict=False))
    assert all(value == pytest.approx(there[t], abs=1.1e-3) for t, value in points)
