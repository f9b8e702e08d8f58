"""What the cards of the Theory page's tour say is so.

Oracles: the number of images that an exact denoiser tells apart, the discretised normal distribution in
closed form, and the formulas of the weights.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pytest
import torch

from diffusion_studio.core.describe import with_values
from diffusion_studio.core.objective.elbo import bits_per_dim, prior_term
from diffusion_studio.core.objective.weights import DDPMWeight, reverse_variance, weight_on
from diffusion_studio.data.imageset import to_model_range
from diffusion_studio.engine.chains.source import training_images
from diffusion_studio.engine.evaluation.evaluation import Evaluated
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.viewmodels.theory.exact_bound import EXACT, evaluate_exact
from diffusion_studio.viewmodels.theory.model import TheorySpec
from diffusion_studio.viewmodels.tours import theory
from diffusion_studio.viewmodels.tours.theory import Part
from diffusion_studio.viewmodels.tours.tour import TourCard

WHICH = math.log2(1797) / 64  # bits for each pixel that say which image it is
IMAGES = 24


def spec_of(part: Part) -> TheorySpec:
    return with_values(TheorySpec(), part.values.items())


@lru_cache(maxsize=8)
def bound_under(steps: int, schedule):
    tables = TheorySpec(steps=steps, schedule=schedule).tables()
    (found,) = (e for e in evaluate_exact(tables, Control(), IMAGES) if isinstance(e, Evaluated))
    return found.evaluation.elbo


def bound(part: Part):
    assert part.measures and part.part == "elbo"
    spec = spec_of(part)
    return bound_under(spec.steps, spec.schedule)


def test_that_the_matching_terms_sum_to_the_choice_among_the_images():
    (part,) = theory.COUNTS.actions
    found = bound(part)
    assert pytest.approx(0.169, abs=5e-4) == WHICH
    unsure = 3 * found.draw_spread / math.sqrt(2 * IMAGES)
    assert WHICH - unsure < found.matching < 1.1 * WHICH + unsure


def quartiles(terms):
    """Where a quarter and three quarters of Σ L are reached, as shares of T."""
    sums = np.cumsum(terms[1:]) / np.sum(terms[1:])
    return [(np.searchsorted(sums, share) + 2) / len(terms) for share in (0.25, 0.75)]


def test_that_half_of_the_bits_lie_where_the_card_says_and_another_schedule_moves_them_alone():
    linear, cosine = map(bound, theory.WHERE.actions)
    assert quartiles(linear.terms) == pytest.approx([0.23, 0.41], abs=0.025)
    assert quartiles(cosine.terms) == pytest.approx([0.44, 0.71], abs=0.025)
    assert cosine.matching == pytest.approx(linear.matching, rel=0.1)


def test_that_the_last_step_pays_for_its_noise():
    few, many = (bound(part) for part in theory.LAST.actions)
    assert many.reconstruction / many.total == pytest.approx(0.9, abs=0.03)
    assert few.reconstruction > many.reconstruction + 0.5
    for part, found in zip(theory.LAST.actions, (few, many), strict=True):
        images = training_images(EXACT)
        chosen = images.images[np.linspace(0, images.count - 1, IMAGES).astype(np.int64)]
        sigma = float(reverse_variance(spec_of(part).tables())[1]) ** 0.5
        inside = math.erf(1 / 255 / sigma / math.sqrt(2))  # of the bin around the right level
        at_an_end = ((chosen == 0) | (chosen == 255)).mean()  # whose bin is open on one side
        expected = -(1 - at_an_end) * math.log2(inside) - at_an_end * math.log2((1 + inside) / 2)
        assert found.reconstruction == pytest.approx(expected, rel=0.02)


def test_that_the_prior_term_is_next_to_nothing_and_nothing_without_signal():
    linear, zero = (spec_of(part).tables() for part in theory.PRIOR.actions)
    assert float(linear.alpha_bar[-1]) == pytest.approx(4e-5, rel=0.02)
    pixels = torch.from_numpy(to_model_range(training_images(EXACT).images)).double()
    assert 0 < float(bits_per_dim(prior_term(linear, pixels), 64).max()) < 1e-4
    assert float(bits_per_dim(prior_term(zero, pixels), 64).abs().max()) < 1e-12


def test_that_the_weight_is_what_the_card_says():
    on_eps, on_x_0 = (spec_of(part) for part in theory.WEIGHTS.actions)
    tables = on_eps.tables()
    weight = weight_on(tables, DDPMWeight().on_eps(tables), on_eps.error).numpy()
    assert weight[[2, 350, 1000]] == pytest.approx([0.6, 0.00498, 0.0102], rel=0.01)
    assert 2 + weight[2:].argmin() == pytest.approx(350, abs=3)
    assert (np.diff(weight[2:350]) < 0).all() and (np.diff(weight[352:]) > 0).all()
    other = weight_on(tables, DDPMWeight().on_eps(tables), on_x_0.error).numpy()
    snr = tables.snr.numpy()
    np.testing.assert_allclose(other[2:], (snr[1:-1] - snr[2:]) / 2, rtol=1e-6)
    assert (np.diff(other[2:]) < 0).all()


def test_that_triples_have_the_same_mean_and_scatter_more():
    (part,) = theory.TWO_SUMS.actions
    found = bound(part)
    assert abs(found.chain_total - found.total) < 4 * found.chain_error
    assert found.chain_draw_spread > 20 * found.draw_spread


def test_that_fewer_steps_cost_bits_and_beta_more_than_beta_tilde():
    (part,) = theory.FEWER.actions
    assert part.view == "steps"
    best, small, large = (cost.bits for cost in bound(part).chains[:3])
    assert (np.diff(small) < 0).all()
    assert all(a <= b < c for a, b, c in zip(best, small, large, strict=True))
    ten = bound(part).chains[0].steps.index(10)
    assert best[ten] < small[ten] / 2


@pytest.mark.parametrize("card", theory.CARDS, ids=lambda card: card.title)
def test_that_every_part_can_be_set(card: TourCard[Part]):
    for part in card.actions:
        assert spec_of(part).tables().steps in (20, 100, 1000)
