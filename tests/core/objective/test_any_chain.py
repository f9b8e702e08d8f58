"""The bound of any chain against the algebra of joint Gaussians, and the best reverse variance."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_studio.core.denoisers.exact import GaussianDenoiser
from diffusion_studio.core.objective.any_chain import (
    RULES,
    ChainRule,
    best_variance,
    best_variance_by_score,
    first_variance,
    kernel_kl,
    matching_nats,
)
from diffusion_studio.core.objective.elbo import matching_term
from diffusion_studio.core.process.schedules import CosineSchedule, GeometricSchedule, LinearSchedule
from diffusion_studio.core.process.spacing import TrailingSpacing
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.steps.kernel import posterior_variance, reverse_kernel

LINEAR = Tables.from_betas(LinearSchedule().betas(1000))
COSINE = Tables.from_betas(CosineSchedule().betas(200))
GEOMETRIC = Tables.from_betas(GeometricSchedule().betas(1000))
STD = 0.6
ETAS = [
    RULES[0],
    RULES[1],
    RULES[2],
    RULES[3],
    ChainRule("η = 0.2", 0.2, "best"),
    ChainRule("", 0.7, "posterior"),
]


def left(tables, t):
    """Var(x_0 | x_t) for x_0 ~ N(0, STD²)."""
    alpha_bar = tables.alpha_bar_at(t)
    return STD**2 * (1 - alpha_bar) / (alpha_bar * STD**2 + 1 - alpha_bar)


def joint(rows):
    """Covariance of variables each of which is a sum of earlier ones and fresh noise: (weights, variance)."""
    mix = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for i, (weights, variance) in enumerate(rows):
        for j, weight in weights.items():
            mix[i] += weight * mix[j]
        mix[i, i] = variance**0.5
    return mix @ mix.T


def gaussian_kl(first, second):
    solved = torch.linalg.solve(second, first)
    return 0.5 * float(solved.trace() - len(first) - torch.logdet(solved))


def joint_bound(tables, times, rule):
    """E[−log p] + KL(q(x_0, x_τ) ‖ p(x_0, x_τ)): the bound, from two covariances alone."""
    sigmas = [
        rule.reverse_variance(tables, t, s, left(tables, t)) if s else
        first_variance(tables, times, rule, lambda t: left(tables, t))
        for t, s in itertools.pairwise(times)
    ]  # fmt: skip
    count = len(times)
    forward = [({}, STD**2), ({0: tables.alpha_bar_at(times[0]) ** 0.5}, 1 - tables.alpha_bar_at(times[0]))]
    reverse = [({}, 1.0)]
    denoiser = GaussianDenoiser(tables, std=STD)
    one = torch.ones(1, 1, dtype=torch.float64)
    for k, (t, s) in enumerate(itertools.pairwise(times)):
        variance = rule.variance(tables, t, s) if s else 0.0
        update = reverse_kernel(tables, t, s, variance, variance)
        room, root = (1 - tables.alpha_bar_at(t)) ** 0.5, tables.alpha_bar_at(t) ** 0.5
        of_x = update["eps_hat"] / room
        of_x0 = update["x0_hat"] - of_x * root
        if s:
            forward.append(({0: of_x0, k + 1: of_x}, variance))
        estimate = float(denoiser(one, t).x0_hat)  # linear in x_t
        reverse.append(({k: of_x + of_x0 * estimate}, sigmas[k]))
    order = [*range(1, count), 0]  # x_T … x_τ1, x_0 in both
    q = joint(forward)[order][:, order]
    return 0.5 * math.log(2 * math.pi * math.e * STD**2) + gaussian_kl(q, joint(reverse))


@pytest.mark.parametrize("rule", ETAS, ids=lambda rule: f"{rule.eta} {rule.choice}")
@pytest.mark.parametrize(
    "times", [(1000, 0), (1000, 400, 0), (1000, 700, 300, 50, 1, 0), (1000, 999, 2, 1, 0)]
)
@pytest.mark.parametrize("tables", [LINEAR, GEOMETRIC], ids=["linear", "geometric"])
def test_that_the_bound_is_that_of_the_joint_gaussians(tables, rule, times):

    def errors(t):
        return left(tables, t)

    sigma2 = first_variance(tables, times, rule, errors)
    first = 0.5 * (left(tables, times[-2]) / sigma2 + math.log(2 * math.pi * sigma2))
    last = tables.alpha_bar_at(times[0])
    prior = 0.5 * (last * STD**2 - last - math.log(1 - last))
    found = prior + first + matching_nats(tables, times, rule, errors)
    assert found == pytest.approx(joint_bound(tables, times, rule), abs=1e-9)


@pytest.mark.parametrize("steps", [10, 100, 1000])
def test_that_the_last_step_between_geometric_levels_costs_no_more_than_under_other_schedules(steps):
    """At most ½ (1 − ln 2) over the best, however fine the step before it is."""
    times = TrailingSpacing().times(GEOMETRIC, steps)
    error = left(GEOMETRIC, times[-2])
    for rule in RULES[1:3]:
        ratio = error / first_variance(GEOMETRIC, times, rule, lambda t: left(GEOMETRIC, t))
        assert 0.5 * (ratio - 1 - math.log(ratio)) <= 0.5 * (1 - math.log(2)) + 1e-9


def test_that_every_step_of_the_ancestral_chain_is_the_term_of_the_bound():
    for t, reverse in ((2, "posterior"), (100, "forward"), (700, "posterior")):
        sigma2 = ChainRule("", 1.0, reverse).reverse_variance(LINEAR, t, t - 1, 0.0)
        x_0, x0_hat = torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), 0.3, dtype=torch.float64)
        found = kernel_kl(LINEAR, t, t - 1, posterior_variance(LINEAR, t, t - 1), sigma2, 0.09)
        assert found == pytest.approx(float(matching_term(LINEAR, t, x_0, x0_hat, sigma2)), rel=1e-9)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_that_the_best_variance_is_the_one_of_the_paper(eta):
    for tables in (LINEAR, COSINE):
        for t, s in ((2, 1), (50, 20), (200, 1), (180, 179), (90, 0)):
            variance = eta**2 * posterior_variance(tables, t, s)
            alpha_bar = tables.alpha_bar_at(t)
            score = 1 / (alpha_bar * STD**2 + 1 - alpha_bar)  # E‖s‖² of the exact score
            found = best_variance(tables, t, s, variance, left(tables, t))
            assert found == pytest.approx(best_variance_by_score(tables, t, s, variance, score), rel=1e-7)


@given(
    t=st.integers(3, 1000), share=st.floats(0.01, 0.99), eta=st.floats(0.05, 1), error=st.floats(1e-6, 2),
    other=st.floats(-3, 3),
)  # fmt: skip
def test_that_no_variance_beats_the_best(t, share, eta, error, other):
    s = max(1, round(share * (t - 1)))
    rule = ChainRule("", eta, "best")
    variance = rule.variance(LINEAR, t, s)
    best = kernel_kl(LINEAR, t, s, variance, rule.reverse_variance(LINEAR, t, s, error), error)
    for sigma2 in (variance, LINEAR.beta_between(t, s), variance * math.exp(other)):
        assert best <= kernel_kl(LINEAR, t, s, variance, sigma2, error) + 1e-9


def test_that_fewer_steps_never_cost_less_with_an_exact_denoiser():
    """Leaving times out of the ancestral chain with the best variance can only loosen the bound."""

    def errors(t):
        return left(LINEAR, t)

    costs = []
    for steps in (1000, 500, 250, 125, 25, 5, 1):
        times = TrailingSpacing().times(LINEAR, steps)
        first = 0.5 * math.log(2 * math.pi * math.e * errors(times[-2]))
        costs.append(first + matching_nats(LINEAR, times, RULES[0], errors))
    assert costs == sorted(costs)


def test_that_the_deterministic_chain_has_no_bound():
    assert matching_nats(LINEAR, (1000, 500, 0), ChainRule("", 0.0, "best"), lambda t: 0.1) == math.inf


def test_that_times_out_of_order_are_refused():
    with pytest.raises(Refused, match="must fall"):
        matching_nats(LINEAR, (500, 700, 300, 0), RULES[0], lambda t: 0.1)
