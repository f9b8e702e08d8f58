"""Losses, densities of t, and the history that importance sampling rests on."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.describe import members
from diffusion_studio.core.objective.losses import HuberLoss, L1Loss, L2Loss, Loss
from diffusion_studio.core.objective.time_density import (
    CurveDensity,
    ImportanceDensity,
    LogNormalDensity,
    LossHistory,
    TimeDensity,
    UniformDensity,
)
from diffusion_studio.core.process.schedules import CosineSchedule, GeometricSchedule
from diffusion_studio.core.process.tables import Tables, diffuse
from diffusion_studio.core.refused import Refused


@pytest.mark.parametrize("kind", list(members(Loss)))
def test_that_every_loss_is_0_at_0_even_and_grows(kind):
    loss, e = members(Loss)[kind](), torch.linspace(0, 4, 40, dtype=torch.float64)
    values = loss.of(e)
    assert values[0] == 0
    assert bool((values.diff() > 0).all())
    torch.testing.assert_close(loss.of(-e), values)


def test_that_huber_is_l2_inside_and_runs_like_l1_outside():
    e = torch.tensor([0.1, 0.5, 2.0, 3.0], dtype=torch.float64)
    huber = HuberLoss(delta=0.5).of(e)
    torch.testing.assert_close(huber[:2], L2Loss().of(e)[:2])
    assert float(huber[3] - huber[2]) == pytest.approx(2 * 0.5 * float(L1Loss().of(e)[3] - L1Loss().of(e)[2]))


@pytest.mark.parametrize("kind", READINGS)
def test_that_a_target_read_as_a_prediction_gives_back_image_and_noise(kind):
    tables = Tables.from_betas(CosineSchedule().betas(100))
    x_0, noise = torch.randn(2, 3, 1, 4, 4, dtype=torch.float64)
    for t in (1, 50, 99):
        alpha_bar = tables.alpha_bar[t]
        value = READINGS[kind].target(x_0, noise, alpha_bar.sqrt(), (1 - alpha_bar).sqrt())
        reading = Prediction(kind, value, diffuse(x_0, noise, float(alpha_bar)), float(alpha_bar))
        torch.testing.assert_close(reading.x0_hat, x_0)
        torch.testing.assert_close(reading.eps_hat, noise)


def tables_of(steps):
    return Tables.from_betas(CosineSchedule().betas(steps))


def test_that_the_log_normal_density_is_that_of_the_noise_level():
    tables = tables_of(1000)
    p = LogNormalDensity().probabilities(tables)
    levels = tables.noise_level[1:].log()
    assert float((p * levels).sum()) == pytest.approx(-1.2, abs=0.01)
    assert float((p * (levels + 1.2) ** 2).sum()) == pytest.approx(1.2**2, abs=0.03)
    with pytest.raises(Refused, match="where this log-normal density has nothing"):
        LogNormalDensity(mean=8, std=0.1).probabilities(Tables.from_betas(GeometricSchedule().betas(100)))


@pytest.mark.parametrize("kind", list(members(TimeDensity)))
@pytest.mark.parametrize("steps", [2, 10, 1000, 4000])
def test_that_every_density_sums_to_one(kind, steps):
    density = members(TimeDensity)[kind]()
    for history in (None, torch.linspace(0, 3, steps) ** 2):
        p = density.probabilities(tables_of(steps), history)
        assert p.shape == (steps,)
        assert p.dtype == torch.float64
        assert bool((p >= 0).all())
        assert float(p.sum()) == pytest.approx(1, abs=1e-12)
        assert not density.corrects or bool((p > 0).all())


def test_that_importance_follows_the_root_mean_square():
    square = torch.tensor([1.0, 4.0, 9.0, 16.0])
    p = ImportanceDensity(floor=0.1).probabilities(tables_of(4), square)
    torch.testing.assert_close(p, 0.9 * torch.tensor([0.1, 0.2, 0.3, 0.4]).double() + 0.025)
    torch.testing.assert_close(
        ImportanceDensity().probabilities(tables_of(4), torch.zeros(4)),
        UniformDensity().probabilities(tables_of(4)),
    )


def test_that_a_density_that_is_0_where_t_lies_is_refused():
    with pytest.raises(ValueError, match="0 at every t"):
        CurveDensity(points=(0.0, 1.0, 0.0)).probabilities(tables_of(2))


class Slowly:
    """One loss at a time, as the definition says."""

    def __init__(self, steps: int, length: int) -> None:
        self.kept: list[list[float]] = [[] for _ in range(steps)]
        self.length = length

    def add(self, t: int, loss: float) -> None:
        self.kept[t - 1] = [*self.kept[t - 1], loss][-self.length :]


@given(
    st.integers(1, 5).flatmap(
        lambda steps: st.tuples(
            st.just(steps),
            st.lists(
                st.lists(st.tuples(st.integers(1, steps), st.floats(0, 9, width=32)), max_size=20),
                max_size=5,
            ),
        )
    )
)
def test_that_the_history_keeps_the_last_losses_of_each_time(case):
    steps, batches = case
    history, slowly = LossHistory(steps, length=3), Slowly(steps, 3)
    for batch in batches:
        history.add(
            torch.tensor([t for t, _ in batch], dtype=torch.int64), torch.tensor([v for _, v in batch])
        )
        for t, loss in batch:
            slowly.add(t, loss)
    for row, count, kept in zip(history.losses, history.count, slowly.kept, strict=True):
        assert sorted(row.tolist()[: int(min(count, 3))]) == pytest.approx(sorted(kept))
    if all(len(kept) == 3 for kept in slowly.kept):
        expected = [sum(v**2 for v in kept) / 3 for kept in slowly.kept]
        assert history.mean_square().tolist() == pytest.approx(expected)
    else:
        assert history.mean_square().tolist() == [1.0] * steps
