"""Every forward process is the variance-preserving one of the same SNR, in coordinates of its own."""

import itertools
import math

import pytest
import torch

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.coordinates import Coordinates
from diffusion_studio.core.denoisers.denoiser import FunctionDenoiser
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.process.forward import ForwardProcess, VariancePreserving, missed_end
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.schedules import (
    CosineSchedule,
    CurveSchedule,
    GeometricSchedule,
    LevelsSchedule,
    LinearSchedule,
)
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import DDIM, DDPM, AnnealedLangevin
from diffusion_studio.core.steps.clipping import Unclipped
from support.families import ready

KINDS, PROCESSES = zip(*ready(ForwardProcess).items(), strict=True)
SCHEDULES = (LinearSchedule(), CosineSchedule(), GeometricSchedule())
TIMES = (1000, 900, 750, 600, 400, 250, 100, 30, 5, 1, 0)
each = pytest.mark.parametrize("process", PROCESSES, ids=KINDS)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (4, 3)), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@each
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.kind)
def test_that_the_tables_hold_signal_and_noise_of_the_process(process, schedule):
    betas = schedule.betas(1000)
    alpha_bar, tables = Tables.from_betas(betas).alpha_bar, process.tables(betas)
    torch.testing.assert_close(tables.signal, process.signal(alpha_bar), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(tables.noise, process.noise(alpha_bar), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(tables.scale, torch.hypot(tables.signal, tables.noise), rtol=1e-9, atol=0)
    assert float(tables.scale[0]) == pytest.approx(1)  # t = 0 is the data, in all of them


@each
def test_that_all_readings_agree_whatever_the_process(process):
    """The velocity beside the four others, from x_t as the process has it."""
    tables, x_0, noise = process.tables(CosineSchedule().betas(1000)), drawn(0), drawn(1)
    for t in (1, 300, 990):
        x = tables.signal[t] * x_0 + tables.noise[t] * noise  # in its own coordinates
        alpha_bar = tables.alpha_bar_at(t)
        said = Prediction("velocity", noise - x_0, x / tables.scale[t], alpha_bar)
        roots = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        for kind, reading in READINGS.items():
            wanted = reading.target(x_0, noise, *roots)
            torch.testing.assert_close(said.read(kind), wanted, rtol=1e-9, atol=1e-9)


@each
def test_that_a_network_is_shown_the_coordinates_of_its_process_and_read_in_them(process):
    """Its score is a slope of ln p over what it is shown; what it says of ε and x_0 is the same in all."""
    tables, t = process.tables(LinearSchedule().betas(1000)), torch.tensor([700, 20, 1])
    x_0, noise = drawn(0, 3, 2), drawn(1, 3, 2)
    a, b = (values[t][:, None] for values in (tables.signal, tables.noise))
    x_t = (a * x_0 + b * noise) / tables.scale[t][:, None]
    own = {"eps": noise, "x_0": x_0, "score": -noise / b, "velocity": noise - x_0}
    for kind, value in own.items():
        coordinates = Coordinates.of(tables, kind)
        torch.testing.assert_close(coordinates.show(x_t, t), a * x_0 + b * noise, rtol=1e-6, atol=1e-6)
        alpha_bar = tables.alpha_bar[t][:, None]
        read = Prediction(kind, coordinates.read(value, t), x_t, alpha_bar)
        torch.testing.assert_close(read.x0_hat, x_0, rtol=1e-3, atol=1e-4)


def test_that_between_two_times_a_network_is_shown_what_lies_between():
    tables = ready(ForwardProcess)["ve"].tables(GeometricSchedule().betas(100))
    x_t, coordinates = torch.ones(3, 2), Coordinates.of(tables, "eps")
    low, middle, high = coordinates.show(x_t, torch.tensor([50.0, 50.5, 51.0]))
    torch.testing.assert_close(middle, (low * high).sqrt())
    assert torch.equal(low, coordinates.show(x_t, torch.tensor([50, 50, 50]))[0])


def chain_of(process, sampler, x_T):
    """A chain from x_T, and the denoiser that it asks; the states in the coordinates of the process."""
    tables = process.tables(LinearSchedule().betas(1000))
    denoiser = FunctionDenoiser(tables, lambda x, t: 0.9 * torch.tanh((1 + t / 1000) * x - 0.3), "x_0")
    steps = reverse_chain(
        denoiser, sampler, TIMES, x_T / tables.scale[-1], CounterNoise(0).step, clip=Unclipped()
    )
    return tables, denoiser, [step.x_s * tables.scale[step.s] for step in steps]


def test_that_a_ve_chain_is_the_vp_chain_after_the_change_of_coordinates():
    """Ancestral sampling as k-diffusion writes it: down to ς_down along ε̂, up again by fresh noise."""
    process, start = ready(ForwardProcess)["ve"], 150 * drawn(2)
    tables, denoiser, states = chain_of(process, DDPM(), start)
    level, x = tables.noise.tolist(), start
    for (t, s), state in zip(itertools.pairwise(TIMES), states, strict=True):
        eps = (x - denoiser(x / tables.scale[t], t).x0_hat) / level[t]
        up = level[s] / level[t] * math.sqrt(level[t] ** 2 - level[s] ** 2)
        down = math.sqrt(level[s] ** 2 - up**2)
        x = x + (down - level[t]) * eps + up * CounterNoise(0).step(t, tuple(x.shape)).double()
        torch.testing.assert_close(state, x, rtol=1e-9, atol=1e-9)


def test_that_annealed_langevin_is_that_of_ncsn_in_ve():
    """x ← x + α_i/2 s(x, ς_i) + √α_i z, α_i = ε ς_i²/ς_1² (Song & Ermon 2019, algorithm 1)."""
    tables = ready(ForwardProcess)["ve"].tables(GeometricSchedule(smallest=0.01, largest=1).betas(10))
    denoiser = FunctionDenoiser(tables, lambda x, t: 0.9 * torch.tanh((1 + t / 10) * x - 0.3), "x_0")
    start, noise, repeats, epsilon = drawn(4) * tables.scale_at(10), CounterNoise(0), 3, 2e-5
    sampler = AnnealedLangevin(repeats=repeats, size=epsilon / (2 * 0.01**2))
    chain = reverse_chain(
        denoiser, sampler, range(10, -1, -1), start / tables.scale_at(10), noise.step, clip=Unclipped()
    )
    x, shape = start, tuple(start.shape)
    for step in chain:
        level = tables.noise_level_at(step.t)
        for number in range(repeats if step.s else repeats - 1):
            said = denoiser(x / tables.scale_at(step.t), step.t)
            size, z = epsilon * level**2 / 0.01**2, noise.step(step.t, shape, number).double()
            x = x + size / 2 * (said.score_hat / tables.scale_at(step.t)) + size**0.5 * z
        if step.s == 0:  # the mean of the image that the last state tells of (Song & Ermon 2020, §3.4)
            x = denoiser(x / tables.scale_at(1), 1).x0_hat
        torch.testing.assert_close(step.x_s * tables.scale_at(step.s), x, rtol=1e-9, atol=1e-9)


@each
def test_that_a_chain_without_noise_is_that_of_its_own_coordinates(process):
    """x_s = a_s x̂_0 + b_s ε̂, with the a and b of the process; sub-VP's among them."""
    _, denoiser, states = chain_of(process, DDIM(), drawn(3))
    betas = LinearSchedule().betas(1000)
    alpha_bar = Tables.from_betas(betas).alpha_bar
    a, b, x = process.signal(alpha_bar).tolist(), process.noise(alpha_bar).tolist(), drawn(3)
    for (t, s), state in zip(itertools.pairwise(TIMES), states, strict=True):
        x0_hat = denoiser(x / math.hypot(a[t], b[t]), t).x0_hat
        x = a[s] * x0_hat + b[s] * (x - a[t] * x0_hat) / b[t]
        torch.testing.assert_close(state, x, rtol=1e-9, atol=1e-9)


def test_that_the_variance_of_sub_vp_is_the_square_of_vp():
    betas = CosineSchedule().betas(100)
    tables, plain = ready(ForwardProcess)["sub_vp"].tables(betas), VariancePreserving().tables(betas)
    torch.testing.assert_close(tables.noise, plain.noise**2, rtol=1e-7, atol=1e-10)
    torch.testing.assert_close(tables.signal, plain.signal)


def test_that_geometric_levels_multiply_and_a_list_is_taken_from_the_noise_to_the_data():
    levels = Tables.from_betas(GeometricSchedule(smallest=0.01, largest=10).betas(4)).noise_level[1:]
    wanted = torch.tensor([0.01, 0.1, 1, 10], dtype=torch.float64)
    torch.testing.assert_close(levels, wanted, rtol=1e-9, atol=0)
    listed = Tables.from_betas(LevelsSchedule(values=(10, 1, 0.1, 0.01)).betas(4)).noise_level[1:]
    torch.testing.assert_close(listed, levels, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GeometricSchedule(smallest=5, largest=1), "must fall from the noise to the data"),
        (lambda: LevelsSchedule(values=(1.0, 2.0)), "must fall from the noise to the data, but 2 follows 1"),
        (lambda: LevelsSchedule(values=(1.0, 0.0)), "between 0.0001 and 10000"),
        (lambda: LevelsSchedule(values=(2.0, 1.0)).betas(3), "lists 2 levels, but T is 3"),
    ],
)
def test_that_levels_that_cannot_be_are_refused(make, words):
    with pytest.raises((Refused, ValueError), match=words):
        make()


def test_that_an_end_that_is_missed_is_said():
    tables = VariancePreserving().tables
    assert missed_end(tables(LinearSchedule().betas(1000))) == ""
    assert "does not reach the noise" in missed_end(tables(GeometricSchedule(largest=1).betas(100)))
    assert "does not reach the data" in missed_end(tables(CurveSchedule(points=(1.0, -8.0)).betas(100)))
