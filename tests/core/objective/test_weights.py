"""Identities of the weights, in float64, for every schedule and many T."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.describe import members
from diffusion_studio.core.objective.weights import (
    CurveWeight,
    DDPMWeight,
    MinSNRWeight,
    P2Weight,
    ScoreWeight,
    SNRDifferenceWeight,
    UnitWeight,
    Weight,
    check_weight,
    ddim_elbo_weight,
    ddpm_elbo_weight,
    error_scale,
    printed_ddim_weight,
    reverse_variance,
    weight_on,
)
from diffusion_studio.core.process.schedules import Schedule
from diffusion_studio.core.process.tables import Tables
from support.families import ready

SCHEDULES = ready(Schedule)
STEPS = (10, 100, 1000, 4000)


@pytest.fixture(params=[(s, T) for s in SCHEDULES for T in STEPS], ids=lambda p: f"{p[0]}-{p[1]}")
def tables(request) -> Tables:
    schedule, steps = request.param
    return Tables.from_betas(SCHEDULES[schedule].betas(steps))


def close(a, b, rtol=1e-9):
    torch.testing.assert_close(a, b, rtol=rtol, atol=0.0)


def test_that_the_corrected_ddim_weight_is_the_one_of_ddpm_at_the_posterior_variance(tables):
    variance = reverse_variance(tables)
    close(ddim_elbo_weight(tables, variance), ddpm_elbo_weight(tables, variance), rtol=1e-8)


def test_that_the_printed_ddim_weight_is_one_too_large(tables):
    """The erratum, proved: Stratos eq. 25 at σ² = β̃ is λ^DDPM + 1, against the note's own corollary 3.2."""
    printed = printed_ddim_weight(tables, tables.beta_tilde)[2:]  # at t = 1, β̃ = 0
    close(printed, ddpm_elbo_weight(tables, tables.beta_tilde)[2:] + 1)


@pytest.mark.parametrize("eta", [0.2, 0.5, 0.9])
def test_that_the_corrected_weight_is_the_squared_distance_of_the_two_means(tables, eta):
    """KL of two reverse steps that differ only in their ε, per ε error, from the kernel of Lemma 3.1."""
    variance = eta**2 * tables.beta_tilde[2:]
    now, before = tables.alpha_bar[2:], tables.alpha_bar[1:-1]
    c_eps = (1 - before - variance).sqrt()
    moved = c_eps - before.sqrt() * (1 - now).sqrt() / now.sqrt()  # ∂mean/∂ε̂ at a fixed x_t
    expected = moved**2 / (2 * variance)
    close(ddim_elbo_weight(tables, eta**2 * reverse_variance(tables))[2:], expected, rtol=1e-5)


def test_that_the_x0_weight_is_half_of_the_lost_snr(tables):
    on_x0 = weight_on(tables, DDPMWeight().on_eps(tables), "x_0")[2:]
    close(on_x0, (tables.snr[1:-1] - tables.snr[2:]) / 2, rtol=1e-6)


def test_that_the_bounds_of_all_four_predictions_agree_on_the_common_axis(tables):
    plain = DDPMWeight().on_eps(tables)
    close(SNRDifferenceWeight().on_eps(tables), plain, rtol=1e-6)
    close(ScoreWeight().on_eps(tables), plain)
    for kind in READINGS:
        there = weight_on(tables, plain, kind)
        close(there[1:] / error_scale(tables, kind)[1:] ** 2, plain[1:])


def test_that_the_four_errors_are_tied(tables):
    """‖x_0 − x̂_0‖² = (1−ᾱ)/ᾱ ‖ε − ε̂‖² and so on, measured on readings of one prediction."""
    generator = torch.Generator().manual_seed(0)
    x_t, eps, eps_hat = torch.randn(3, 1, 4, dtype=torch.float64, generator=generator)
    for t in sorted({1, 2, tables.steps // 2, tables.steps - 1, tables.steps}):
        alpha_bar = tables.alpha_bar_at(t)
        true, guess = (Prediction("eps", e, x_t, alpha_bar) for e in (eps, eps_hat))
        error = float((eps - eps_hat).square().sum())
        ratios = {
            "eps": 1,
            "x_0": (1 - alpha_bar) / alpha_bar,
            "score": 1 / (1 - alpha_bar),
            "v": 1 / alpha_bar,
        }
        for kind, ratio in ratios.items():
            there = float((true.read(kind) - guess.read(kind)).square().sum())
            assert there == pytest.approx(ratio * error, rel=1e-6)
            assert float(error_scale(tables, kind)[t]) ** 2 * there == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize("kind", list(members(Weight)))
def test_that_every_weight_can_be_trained_with_and_leaves_t_0_alone(tables, kind):
    weight = members(Weight)[kind]().on_eps(tables)
    assert weight.dtype == torch.float64
    assert weight.shape == (tables.steps + 1,)
    assert weight[0] == 0
    check_weight(weight)


def test_that_the_weight_of_the_bound_is_not_monotone_for_the_linear_schedule():
    """Stratos §2.3 says "larger for small t"; it holds at the left end only."""
    weight = DDPMWeight().on_eps(Tables.from_betas(SCHEDULES["linear"].betas(1000)))
    lowest = int(weight[2:].argmin()) + 2
    assert float(weight[2]) == pytest.approx(0.6, abs=0.01)
    assert 340 < lowest < 360
    assert float(weight[lowest]) == pytest.approx(0.00498, abs=5e-6)
    assert float(weight[500]) == pytest.approx(0.0055, abs=5e-5)
    assert float(weight[1000]) == pytest.approx(0.0102, abs=5e-5)


def test_that_training_on_x0_stresses_late_times():
    """Course remark 2.7 says it stresses small t; relative to the ε error it does the opposite."""
    tables = Tables.from_betas(SCHEDULES["linear"].betas(1000))
    assert bool((UnitWeight(error="x_0").on_eps(tables)[1:].diff() > 0).all())


def test_that_the_named_weights_are_what_their_papers_say():
    tables = Tables.from_betas(SCHEDULES["cosine"].betas(100))
    snr = tables.snr[1:]
    close(weight_on(tables, MinSNRWeight(gamma=5).on_eps(tables), "x_0")[1:], snr.clamp(max=5))
    close(weight_on(tables, MinSNRWeight(gamma=5).on_eps(tables), "v")[1:], snr.clamp(max=5) / (snr + 1))
    close(P2Weight(k=1, gamma=1).on_eps(tables)[1:], 1 - tables.alpha_bar[1:], rtol=1e-12)
    close(UnitWeight(error="v").on_eps(tables)[1:], 1 / tables.alpha_bar[1:])


@given(st.integers(2, 300), st.lists(st.floats(0, 10), min_size=2, max_size=8).filter(any))
def test_that_a_drawn_curve_passes_through_its_points(steps, points):
    weight = CurveWeight(points=tuple(points)).on_eps(Tables.from_betas(torch.full((steps,), 0.01)))
    assert float(weight[1]) == pytest.approx(points[0])
    assert float(weight[steps]) == pytest.approx(points[-1])
    assert min(points) - 1e-12 <= float(weight[1:].min()) <= float(weight[1:].max()) <= max(points) + 1e-12


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([0, 1, float("inf")], "not finite at t = 2"),
        ([0, float("nan"), 1], "not finite at t = 1"),
        ([0, 1, -1e-9], "negative at t = 2"),
        ([0, 0, 0], "0 for every t"),
    ],
)
def test_that_a_weight_that_cannot_be_gets_its_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_weight(torch.tensor(values, dtype=torch.float64))


@pytest.mark.parametrize("points", [(1.0,), (1.0, -0.5), (0.0, 0.0), ()])
def test_that_a_curve_that_cannot_be_is_refused(points):
    with pytest.raises(ValueError, match=r"point|0 everywhere"):
        CurveWeight(points=points)


def test_that_both_reverse_variances_are_those_of_the_literature_at_the_first_step(tables):
    """β̃_2 at t = 1, for β as well: with β_1 there, L_0 is off by tenths of a bit."""
    for kind, values in (("posterior", tables.beta_tilde), ("forward", tables.beta)):
        found = reverse_variance(tables, kind)
        if tables.beta[2] >= tables.beta[1]:
            assert found[1] == tables.beta_tilde[2]
        assert torch.equal(found[2:], values[2:])


def test_that_the_first_step_has_a_variance_of_the_size_of_what_it_cannot_know(tables):
    """L_0 of N(0, 1) with its exact denoiser, over the best: ½ (e/σ² − 1 − ln(e/σ²)), e = Var(x_0 | x_1)."""
    error = 1 - tables.alpha_bar_at(1)  # of data of variance 1

    def excess(variance):
        return 0.5 * (error / variance - 1 - math.log(error / variance))

    assert excess(float(reverse_variance(tables)[1])) <= 0.5 * (1 - math.log(2)) + 1e-9


def test_that_the_clipped_variance_alone_would_cost_nats_between_geometric_levels():
    tables = Tables.from_betas(SCHEDULES["geometric"].betas(1000))
    ratio = (1 - tables.alpha_bar_at(1)) / float(tables.beta_tilde[2])
    assert 0.5 * (ratio - 1 - math.log(ratio)) == pytest.approx(27, abs=1)
