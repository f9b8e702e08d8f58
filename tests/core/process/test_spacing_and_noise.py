"""τ and the counter noise."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_studio.core.process.noise import CounterNoise, drawn_noise, given_noise
from diffusion_studio.core.process.schedules import CosineSchedule, LinearSchedule
from diffusion_studio.core.process.spacing import (
    ExplicitSpacing,
    KarrasSpacing,
    LeadingSpacing,
    LogSNRSpacing,
    SectionsSpacing,
    Spacing,
    TrailingSpacing,
)
from diffusion_studio.core.process.tables import Tables
from support.families import ready

RULES = ready(Spacing)


def tables_of(total):
    return Tables.from_betas(CosineSchedule().betas(total))


@pytest.mark.parametrize("kind", list(RULES))
@given(total=st.integers(2, 4000), data=st.data())
def test_that_times_fall_from_noise_to_image(kind, total, data):
    count = data.draw(st.integers(1, total))
    times = RULES[kind].times(tables_of(total), count)
    assert len(times) == count + 1
    assert times[-1] == 0
    assert all(a > b for a, b in itertools.pairwise(times))
    assert times[0] == total or (not RULES[kind].begins_at_noise and times[0] <= total)


@pytest.mark.parametrize("kind", list(RULES))
def test_that_all_steps_visit_every_time(kind):
    assert RULES[kind].times(tables_of(50), 50) == tuple(range(50, -1, -1))


def iddpm_times(total, sections):
    """`space_timesteps` of iDDPM's code, written out; it counts from 0."""
    size, extra = divmod(total, len(sections))
    start, found = 0, set()
    for i, count in enumerate(sections):
        length = size + (1 if i < extra else 0)
        stride = 1 if count <= 1 else (length - 1) / (count - 1)
        place = 0.0
        for _ in range(count):
            found.add(start + round(place))
            place += stride
        start += length
    return (*sorted((time + 1 for time in found), reverse=True), 0)


@pytest.mark.parametrize("total", [300, 1000, 1001])
@pytest.mark.parametrize("sections", [(10, 15, 20), (20,), (1, 1, 2), (50, 2, 7, 11), (60, 60, 40, 20, 20)])
def test_that_sections_are_those_of_iddpm(total, sections):
    found = SectionsSpacing(shares=sections).times(tables_of(total), sum(sections))
    assert found == iddpm_times(total, sections)


def test_that_other_numbers_of_steps_keep_the_shares_of_the_sections():
    times = SectionsSpacing(shares=(10, 15, 20)).times(tables_of(300), 90)[:-1]
    assert [sum(low < t <= low + 100 for t in times) for low in (0, 100, 200)] == [20, 30, 40]
    full = SectionsSpacing(shares=(1, 1, 8)).times(tables_of(30), 28)[:-1]
    assert sum(t > 20 for t in full) == 10  # a section holds no more than its times


@pytest.mark.parametrize("shares", [(), (3, 0), (5, -1)])
def test_that_sections_without_steps_are_refused(shares):
    with pytest.raises(ValueError, match="a whole number above 0"):
        SectionsSpacing(shares=shares)


def test_the_published_times():
    """Table 2 of Lin et al. 2024, T = 1000 and 10 steps, counted from 1."""
    tables = tables_of(1000)
    assert TrailingSpacing().times(tables, 10) == (
        1000,
        900,
        800,
        700,
        600,
        500,
        400,
        300,
        200,
        100,
        0,
    )
    assert LeadingSpacing().times(tables, 10) == (901, 801, 701, 601, 501, 401, 301, 201, 101, 1, 0)


@pytest.mark.parametrize("count", [0, 101, -1])
def test_that_too_many_steps_are_refused(count):
    with pytest.raises(ValueError, match="between 1 and T = 100"):
        TrailingSpacing().times(tables_of(100), count)


def test_that_explicit_times_are_checked():
    assert ExplicitSpacing(values=(0, 3, 7)).times(tables_of(10)) == (7, 3, 0)
    with pytest.raises(ValueError, match="must increase"):
        ExplicitSpacing(values=(3, 3))
    with pytest.raises(ValueError, match="beyond T = 5"):
        ExplicitSpacing(values=(3, 7)).times(tables_of(5))


def test_that_log_snr_spacing_rises_evenly():
    tables = Tables.from_betas(LinearSchedule().betas(4000))
    times = LogSNRSpacing().times(tables, 20)
    rises = tables.log_snr[list(times[:-1])].diff()
    assert times[0] == 4000 and times[-2] == 1
    assert float(rises[:12].std() / rises[:12].mean()) < 0.02  # where the schedule is fine enough


@pytest.mark.parametrize("rho", [1.0, 3.0, 7.0])
def test_that_karras_spacing_is_even_in_a_root_of_the_noise_level(rho):
    tables = Tables.from_betas(LinearSchedule().betas(4000))
    roots = tables.noise_level[list(KarrasSpacing(rho=rho).times(tables, 12)[:-1])] ** (1 / rho)
    steps = roots.diff()
    assert float(steps.std() / steps.mean().abs()) < 0.1


def test_that_noise_can_be_given_step_by_step():
    values = [torch.full((2,), float(k)) for k in range(3)]
    noise = given_noise((9, 5, 2, 0), values)
    assert torch.equal(noise(5, (2,)), values[1])
    with pytest.raises(ValueError, match="t = 7"):
        noise(7, (2,))
    with pytest.raises(ValueError, match="must be"):
        noise(5, (3,))


def test_that_noise_can_be_drawn_in_order():
    noise, again = (torch.Generator().manual_seed(4) for _ in range(2))
    found = drawn_noise(noise)
    for t in (9, 5):
        assert torch.equal(found(t, (3, 2)), torch.randn((3, 2), generator=again))


def test_that_several_draws_of_one_step_can_be_given():
    a, b, c = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    noise = given_noise(torch.tensor([9, 5, 0]), [[a, b], c])  # times as whole numbers of any kind
    assert all(
        x is y
        for x, y in zip((noise(9, (4, 2)), noise(9, (4, 2), 1), noise(5, (4, 2))), (a, b, c), strict=True)
    )
    with pytest.raises(ValueError, match="draw 2 of the step that begins at t = 9"):
        noise(9, (4, 2), 2)


def test_that_each_draw_of_a_step_is_fresh():
    noise = CounterNoise(7)
    assert torch.equal(noise.step(5, (4,)), noise.step(5, (4,), 0))
    assert not torch.equal(noise.step(5, (4,)), noise.step(5, (4,), 1))


def test_that_noise_depends_on_seed_and_time_alone():
    noise = CounterNoise(7)
    first, later = noise.step(5, (2, 3)), noise.step(6, (2, 3))
    assert torch.equal(noise.step(5, (2, 3)), first)
    assert not torch.equal(first, later)
    assert not torch.equal(first, CounterNoise(8).step(5, (2, 3)))
    assert not torch.equal(noise.start((2, 3)), noise.step(0, (2, 3)))


def test_that_a_sample_keeps_its_noise_when_others_join():
    noise = CounterNoise(7)
    assert torch.equal(noise.step(5, (2, 1, 4, 4)), noise.step(5, (50, 1, 4, 4))[:2])


def test_that_the_noise_is_standard_normal():
    values = CounterNoise(0).start((200_000,)).double()
    assert float(values.mean()) == pytest.approx(0, abs=4 / 200_000**0.5)
    assert float(values.var()) == pytest.approx(1, abs=4 * (2 / 200_000) ** 0.5)
    assert float((values**4).mean()) == pytest.approx(3, abs=4 * (96 / 200_000) ** 0.5)
