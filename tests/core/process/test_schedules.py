"""Every schedule, whatever T: what holds for all of them."""

import math

import pytest
import torch

from diffusion_studio.core.curves import curve_values
from diffusion_studio.core.describe import members
from diffusion_studio.core.process.schedules import (
    CosineSchedule,
    CurveSchedule,
    ExplicitSchedule,
    LinearSchedule,
    ScaledLinearSchedule,
    Schedule,
    with_zero_terminal_snr,
)
from diffusion_studio.core.process.tables import Tables, diffuse
from support.families import ready

KINDS, SCHEDULES = zip(*ready(Schedule).items(), strict=True)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=KINDS)
@pytest.mark.parametrize("steps", [2, 10, 100, 1000, 4000])
def test_that_alpha_bar_falls_from_one(schedule, steps):
    tables = Tables.from_betas(schedule.betas(steps))
    assert tables.steps == steps
    assert tables.alpha_bar.dtype == torch.float64
    assert tables.alpha_bar[0] == 1
    assert bool((tables.alpha_bar.diff() < 0).all())
    assert tables.alpha_bar[-1] > 0


@pytest.mark.parametrize("schedule", SCHEDULES, ids=KINDS)
def test_that_the_image_is_destroyed_at_the_end(schedule):
    assert Tables.from_betas(schedule.betas(1000)).alpha_bar[-1] < 0.006


@pytest.mark.parametrize("schedule", SCHEDULES, ids=KINDS)
def test_that_every_member_says_what_it_is(schedule):
    assert schedule.title and schedule.summary and schedule.formula and schedule.source


def test_that_linear_betas_are_those_of_ddpm():
    betas = members(Schedule)["linear"]().betas(1000)
    torch.testing.assert_close(betas, torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64))


def test_that_cosine_follows_its_formula_until_the_clip():
    alpha_bar = Tables.from_betas(members(Schedule)["cosine"]().betas(1000)).alpha_bar
    f = [math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(990)]
    torch.testing.assert_close(alpha_bar[:990], torch.tensor([v / f[0] for v in f], dtype=torch.float64))


def test_that_the_tables_obey_their_definitions():
    tables = Tables.from_betas(members(Schedule)["linear"]().betas(100))
    for t in (1, 2, 50, 100):
        alpha_bar = math.prod(1 - float(tables.beta[i]) for i in range(1, t + 1))
        assert float(tables.alpha_bar[t]) == pytest.approx(alpha_bar, rel=1e-12)
        assert float(tables.snr[t]) == pytest.approx(alpha_bar / (1 - alpha_bar), rel=1e-9)
        assert float(tables.noise_level[t]) ** -2 == pytest.approx(float(tables.snr[t]), rel=1e-9)
        assert tables.beta_between(t, t - 1) == pytest.approx(float(tables.beta[t]), rel=1e-9)
    assert tables.beta_tilde[1] == 0


def test_that_a_step_from_s_to_t_composes_with_the_marginal():
    """Var(x_t) from x_s ~ q(x_s|x_0) is 1 − ᾱ_t, for any s < t."""
    tables = Tables.from_betas(members(Schedule)["cosine"]().betas(100))
    for s, t in ((0, 1), (3, 50), (50, 99)):
        ratio = tables.alpha_bar_at(t) / tables.alpha_bar_at(s)
        variance = ratio * (1 - tables.alpha_bar_at(s)) + tables.beta_between(t, s)
        assert variance == pytest.approx(1 - tables.alpha_bar_at(t), abs=1e-14)


def test_that_diffuse_takes_a_number_or_one_value_per_sample():
    x_0, noise = torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2)
    one = diffuse(x_0, noise, 0.3)
    torch.testing.assert_close(one, diffuse(x_0, noise, torch.full((3, 1, 1, 1), 0.3)))
    torch.testing.assert_close(one, math.sqrt(0.3) * x_0 + math.sqrt(0.7) * noise)


def test_that_an_explicit_schedule_is_taken_as_given_and_checked():
    schedule = ExplicitSchedule(values=(0.1, 0.5, 0.2))
    assert schedule.betas(3).tolist() == [0.1, 0.5, 0.2]
    with pytest.raises(ValueError, match="lists 3 variances, but T is 4"):
        schedule.betas(4)
    with pytest.raises(ValueError, match=r"β_2 is 1\.5"):
        ExplicitSchedule(values=(0.1, 1.5))
    with pytest.raises(ValueError, match="at least two steps"):
        Tables.from_betas(torch.tensor([0.1]))


@pytest.mark.parametrize("beta", [0.2, 0.9])  # of ᾱ_T = 1e-97, and of one that is 0 as a float64
def test_that_steps_that_leave_nothing_of_the_image_are_refused(beta):
    with pytest.raises(ValueError, match=r"ᾱ_T must be at least 1e-70\. Choose smaller β or fewer steps"):
        Tables.from_betas(LinearSchedule(beta_first=beta, beta_last=beta).betas(1000))
    assert Tables.from_betas(LinearSchedule(beta_first=0.13, beta_last=0.13).betas(1000)).alpha_bar[-1] > 0


def test_that_a_first_step_that_is_nothing_beside_one_is_refused():
    for beta in (1e-18, 1e-50):
        with pytest.raises(ValueError, match="β_1 must be at least 1e-15"):
            Tables.from_betas(LinearSchedule(beta_first=beta).betas(1000))
    tables = Tables.from_betas(LinearSchedule(beta_first=1e-14).betas(1000))
    assert bool(torch.isfinite(tables.log_snr[1:]).all())


@pytest.mark.parametrize("schedule", SCHEDULES, ids=KINDS)
def test_that_tables_can_begin_with_alpha_bar(schedule):
    wanted = Tables.from_betas(schedule.betas(1000))
    found = Tables.from_alpha_bar(wanted.alpha_bar[1:])
    torch.testing.assert_close(found.alpha_bar, wanted.alpha_bar, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.beta, wanted.beta, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("values", [[0.9, 0.9], [0.5, 0.8], [1.0, 0.5], [0.5, 0.0], [[0.9, 0.5]]])
def test_that_an_alpha_bar_that_does_not_fall_is_refused(values):
    with pytest.raises(ValueError, match="must fall strictly"):
        Tables.from_alpha_bar(values)


def test_that_betas_may_be_a_list():
    assert torch.equal(Tables.from_betas([0.1, 0.2]).beta, torch.tensor([0.0, 0.1, 0.2], dtype=torch.float64))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=KINDS)
@pytest.mark.parametrize("steps", [10, 100, 1000, 4000])
def test_that_a_zero_terminal_schedule_ends_in_pure_noise(schedule, steps):
    """Its first state stays where it was, and every table is finite (Lin et al. 2024)."""
    plain = Tables.from_betas(schedule.betas(steps))
    tables = Tables.from_betas(with_zero_terminal_snr(schedule.betas(steps)))
    assert float(tables.alpha_bar[1]) == pytest.approx(float(plain.alpha_bar[1]))
    assert float(tables.snr[-1]) < 1e-7
    assert bool((tables.alpha_bar.diff() < 0).all())
    for table in (tables.log_snr[1:], tables.noise_level, tables.beta_tilde):
        assert bool(torch.isfinite(table).all())
    moved, before = tables.alpha_bar[1:-1].sqrt(), plain.alpha_bar[1:-1].sqrt()
    if steps > 10:  # an affine map of √ᾱ
        slope = moved.diff() / before.diff()
        torch.testing.assert_close(slope, slope[:1].expand_as(slope), rtol=1e-4, atol=0)


def test_that_a_drawn_schedule_passes_through_its_points():
    points = (8.0, 2.0, -1.0, -6.0)
    log_snr = Tables.from_betas(CurveSchedule(points=points).betas(100)).log_snr[1:]
    for k, height in enumerate(points):
        assert float(log_snr[33 * k]) == pytest.approx(height, abs=1e-6)


@pytest.mark.parametrize("points", [(30.0, -30.0), (29.0, 15.0, 14.999, -20.0), (14.0, 13.0, -14.0)])
@pytest.mark.parametrize("steps", [5, 50, 1000])
def test_that_a_drawn_schedule_is_bent_nowhere(points, steps):
    """β was kept within 10⁻⁹ … 0.999, which moved ln SNR by up to 11 beyond ±14."""
    log_snr = Tables.from_betas(CurveSchedule(points=points).betas(steps)).log_snr[1:]
    torch.testing.assert_close(log_snr, curve_values(points, steps), rtol=0, atol=0.02)


@pytest.mark.parametrize("cls", [LinearSchedule, ScaledLinearSchedule])
@pytest.mark.parametrize("steps", [3, 5, 10, 15, 30, 1000])
def test_that_a_cut_beta_is_told(cls, steps):
    """Linear β at T = 10 has five of its ten β cut."""
    cut = int((cls().betas(steps) == 0.999).sum())
    remark = cls().remark(steps)
    assert remark.startswith(f"{cut} of the {steps} β_t") if cut else remark == ""
    assert LinearSchedule().remark(10).startswith("5 of the 10 β_t are cut to 0.999")


@pytest.mark.parametrize(
    ("points", "sentence"),
    [((1.0,), "two points"), ((3.0, 3.0), "lose signal"), ((0.0, 1.0), "lose signal"), ((99.0, 0.0), "−30")],
)
def test_that_a_schedule_that_does_not_fall_is_refused(points, sentence):
    with pytest.raises(ValueError, match=sentence):
        CurveSchedule(points=points)


@pytest.mark.parametrize("steps", [50, 1000, 4000])
def test_that_the_shown_formulas_say_what_is_computed(steps):
    """Each written out as it is shown, with 1000/T and the offset in it."""
    share = (torch.arange(1, steps + 1, dtype=torch.float64) - 1) / (steps - 1)
    linear, scaled, cosine = LinearSchedule(), ScaledLinearSchedule(), CosineSchedule(offset=0.03)
    assert all(r"\frac{1000}{T}" in shown.formula for shown in (linear, scaled))
    expected = 1000 / steps * (linear.beta_first + share * (linear.beta_last - linear.beta_first))
    torch.testing.assert_close(linear.betas(steps), expected.clamp(max=0.999))
    first, last = scaled.beta_first**0.5, scaled.beta_last**0.5
    torch.testing.assert_close(scaled.betas(steps), 1000 / steps * (first + share * (last - first)) ** 2)
    assert r"\frac{t/T+s}{1+s}" in cosine.formula
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    f = torch.cos((t + 0.03) / 1.03 * torch.pi / 2) ** 2
    torch.testing.assert_close(cosine.betas(steps), (1 - f[1:] / f[:-1]).clamp(max=0.999))
