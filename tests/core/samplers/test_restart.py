"""Restart against the algebra of a Gaussian, where each of its chains is a sum of known parts."""

from __future__ import annotations

import itertools
import math
from functools import partial

import pytest
import torch

from diffusion_studio.core.chain import plan, reverse_chain
from diffusion_studio.core.denoisers.exact import GaussianDenoiser
from diffusion_studio.core.describe import with_values
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.schedules import CosineSchedule, LinearSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import Heun, Restart
from diffusion_studio.core.samplers.restart import Restarts
from diffusion_studio.core.steps.clipping import Unclipped

TABLES = Tables.from_betas(LinearSchedule().betas(200))
TIMES = tuple(range(200, -1, -10))
FINE = Tables.from_betas(CosineSchedule().betas(40_000))
MEAN, SPREAD = 0.3, 0.5


def run(sampler, tables, times, x, noise=None):
    denoiser = GaussianDenoiser(tables, MEAN, SPREAD)
    return list(reverse_chain(denoiser, sampler, times, x, noise, clip=Unclipped()))


def _same_noise(z, t, shape, draw=0):
    return torch.full(shape, z, dtype=torch.float64)


def the_restart(sampler, tables, times):
    """The only step of a chain that goes up again, with its two times."""
    updates = zip(itertools.pairwise(times), plan(tables, sampler, times), strict=True)
    ((t, s, update),) = ((t, s, update) for (t, s), update in updates if isinstance(update, Restarts))
    return t, s, update


def test_that_without_restarts_it_is_heun():
    x = CounterNoise(1).start((6, 5)).double()
    for ours, theirs in zip(
        run(Restart(repeats=0), TABLES, TIMES, x), run(Heun(), TABLES, TIMES, x), strict=True
    ):
        assert torch.equal(ours.x_s, theirs.x_s) and ours.update == theirs.update


def test_that_it_goes_up_once_in_a_chain_where_that_reaches_the_lower_level():
    sampler = Restart(lowest=0.4, highest=1.5)
    t, s, update = the_restart(sampler, TABLES, TIMES)
    assert TABLES.noise_level_at(s) <= 0.4 < TABLES.noise_level_at(t)
    nearest = min(range(1, 201), key=lambda k: abs(math.log(TABLES.noise_level_at(k) / 1.5)))
    assert update.times[0] == nearest and update.times[-1] == s and len(update.times) == 4
    later = (s, *range(s - 10, -1, -10))
    assert plan(TABLES, sampler, later) == plan(TABLES, Heun(), later)


def test_that_exactly_the_noise_between_the_levels_is_added():
    for lowest in (0.4, 1e-3):  # the second is reached at the image itself
        _, s, update = the_restart(Restart(lowest=lowest), TABLES, TIMES)
        low, high = (TABLES.alpha_bar_at(k) for k in (s, update.times[0]))
        assert update.up["x_t"] ** 2 == pytest.approx(high / low, rel=1e-14)
        assert update.up["x_t"] ** 2 * (1 - low) + update.up.sigma**2 == pytest.approx(1 - high, rel=1e-14)
        assert update.inner.sigma * update.up["x_t"] == pytest.approx(update.up.sigma, rel=1e-12)


def gain(tables, t, s):
    """What Heun's step multiplies the distance from the mean by, over x/√ᾱ."""
    high, low = tables.noise_level_at(t), tables.noise_level_at(s)
    first, second = (level / (SPREAD**2 + level**2) for level in (high, low))
    step = low - high
    return 1 + step * first if s == 0 else 1 + step / 2 * (first + second * (1 + step * first))


@pytest.mark.parametrize("lowest", [0.4, 1e-3])
def test_that_the_end_of_a_chain_has_the_mean_and_variance_of_the_algebra(lowest):
    sampler = Restart(repeats=3, lowest=lowest)
    _, bottom, update = the_restart(sampler, TABLES, TIMES)
    added = TABLES.noise_level_at(update.times[0]) ** 2 - TABLES.noise_level_at(bottom) ** 2
    once = math.prod(gain(TABLES, t, s) for t, s in itertools.pairwise(update.times))
    root = TABLES.alpha_bar_at(200) ** 0.5
    mean, variance = 0.0 - MEAN, 1 / root**2  # of x_T/√ᾱ_T, from the mean on
    for t, s in itertools.pairwise(TIMES):
        mean, variance = gain(TABLES, t, s) * mean, gain(TABLES, t, s) ** 2 * variance
        for _ in range(3 if s == bottom else 0):
            mean, variance = once * mean, once**2 * (variance + added)

    def end(x, number=-1):
        def one(t, shape, draw=0):
            return torch.full(shape, float(draw == number), dtype=torch.float64)

        return float(run(sampler, TABLES, TIMES, torch.full((1, 1), x, dtype=torch.float64), one)[-1].x_s)

    rest = end(0.0)
    found = sum((value - rest) ** 2 for value in (end(1.0), *(end(0.0, number) for number in range(3))))
    assert rest == pytest.approx(MEAN + mean, rel=1e-10)
    assert found == pytest.approx(variance, rel=1e-10)


def test_that_each_restart_brings_chains_of_the_same_noise_closer_by_the_same_share():
    """By √((a²+ς_s²)/(a²+ς_max²)), however far apart errors have led them: what Restart is for."""
    times, apart = (20_000, 12_000, 0), []
    noise, starts = CounterNoise(0).step, torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    for repeats in (0, 1, 4):
        sampler = Restart(repeats=repeats, steps=50)
        ends = [run(sampler, FINE, times, x[None], noise)[-1].x_s for x in starts]
        apart.append(float(ends[1] - ends[0]))
    update = the_restart(sampler, FINE, times)[2]
    top, bottom = (SPREAD**2 + FINE.noise_level_at(k) ** 2 for k in (update.times[0], update.times[-1]))
    assert apart[1] / apart[0] == pytest.approx((bottom / top) ** 0.5, rel=1e-3)
    assert apart[2] / apart[0] == pytest.approx((bottom / top) ** 2, rel=1e-3)


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_order_of_convergence_with_its_noise(repeats):
    """Its own steps and those of each way down grow finer together; the noise stays the same."""
    counts, errors = (12, 24, 48), []
    line, z = torch.linspace(-1.6, 1.6, 9, dtype=torch.float64)[:, None], 0.7
    for n in counts:
        levels = torch.linspace(math.log(20), math.log(0.2), n + 1, dtype=torch.float64).exp().tolist()
        times = [FINE.time_near(level, 1, 40_000) for level in levels]
        sampler = Restart(repeats=repeats, steps=n, lowest=0.5, highest=2)
        _, s, update = the_restart(sampler, FINE, times)

        def along(far, t, end):
            sizes = [SPREAD**2 + FINE.noise_level_at(k) ** 2 for k in (t, end)]
            return far * math.sqrt(sizes[1] / sizes[0])

        top, far = update.times[0], line / FINE.alpha_bar_at(times[0]) ** 0.5 - MEAN
        far, up = along(far, times[0], s), FINE.noise_level_at(top) ** 2 - FINE.noise_level_at(s) ** 2
        for _ in range(repeats):
            far = along(far + math.sqrt(up) * z, top, s)
        exact = (along(far, s, times[-1]) + MEAN) * FINE.alpha_bar_at(times[-1]) ** 0.5
        chain = run(sampler, FINE, times, line, partial(_same_noise, z))
        errors.append(float((chain[-1].x_s - exact).abs().mean()))
    rates = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert rates == pytest.approx([sampler.order] * 2, abs=0.3)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([("lowest", "2")], r"restarts begin, 2, must be below the one to which they go up, 1\.09"),
        ([("repeats", "20"), ("steps", "20")], "20 restarts of 20 steps are 400 steps within one of the"),
        ([("repeats", "99")], "repeats"),
        ([("steps", "0")], "steps"),
    ],
)
def test_that_restarts_that_cannot_be_are_refused_with_the_reason(pairs, words):
    with pytest.raises(Refused, match=words):
        with_values(Restart(), pairs)


@pytest.mark.parametrize("highest", [1e4, 1e-3])
def test_that_an_interval_outside_the_chain_is_refused_with_its_levels(highest):
    sampler = Restart(lowest=1e-4, highest=highest)
    with pytest.raises(Refused, match=r"which is not within this chain: its levels reach from 0\.\d+ to \d+"):
        plan(TABLES, sampler, TIMES)
    assert plan(TABLES, sampler.model_copy(update={"repeats": 0}), TIMES) == plan(TABLES, Heun(), TIMES)
