"""Guidance against what is known exactly: mixtures in the plane and finite data sets."""

import math
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.denoiser import ChunkedDenoiser
from diffusion_studio.core.denoisers.exact import MemorisingDenoiser, PosteriorClassifier
from diffusion_studio.core.denoisers.mixture import Mixture, MixtureDenoiser
from diffusion_studio.core.describe import members
from diffusion_studio.core.guidance.guidance import (
    ClassifierGuidedDenoiser,
    GuidedDenoiser,
    MeanShift,
    constant,
    gradient_of,
)
from diffusion_studio.core.guidance.guides import (
    Aids,
    ByClassifier,
    ByEarlierSelf,
    ClassifierFree,
    DrawnGuidance,
    GuidanceCurve,
    Guide,
    IntervalGuidance,
)
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.schedules import CosineSchedule, LinearSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers import DDIM, DDPM
from diffusion_studio.core.steps.clipping import Clip, Unclipped
from diffusion_studio.core.steps.kernel import posterior_variance
from support.families import ready

TABLES = Tables.from_betas(CosineSchedule().betas(100))
IMAGES = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
LABELS = torch.arange(20) % 4


def mixture(seed: int) -> Mixture:
    """Six random modes of three classes."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    roots = torch.eye(2, dtype=torch.float64) * 0.2 + 0.3 * draw(6, 2, 2)
    weights = draw(6) + 0.1
    return Mixture(4 * draw(6, 2) - 2, roots @ roots.mT, weights, torch.arange(6) % 3)


def points(count: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exact(seed: int = 0, tables: Tables = TABLES) -> tuple[MixtureDenoiser, PosteriorClassifier]:
    denoiser = MixtureDenoiser(tables, mixture(seed))
    return denoiser, PosteriorClassifier(denoiser, 3)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("t", [1, 10, 50, 99])
def test_that_the_exact_classifier_s_gradient_is_that_of_its_own_probabilities(seed, t):
    denoiser, classifier = exact(seed)
    level = denoiser.level(t)
    x = points(40, seed) * (1 - TABLES.alpha_bar_at(t)) ** 0.5 + level.sample(
        40, torch.Generator().manual_seed(seed)
    )
    labels = torch.arange(40) % 3
    automatic = gradient_of(lambda x: classifier.log_probs(x, t), x, labels)
    torch.testing.assert_close(classifier.gradient(x, t, labels), automatic, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(
        classifier.log_probs(x, t).exp().sum(1), torch.ones(40, dtype=torch.float64), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("t", [1, 10, 50, 99])
def test_that_an_exact_classifier_at_gamma_1_gives_the_conditional_score(seed, t):
    denoiser, classifier = exact(seed)
    x, labels = points(60, seed), torch.arange(60) % 3
    guided = ClassifierGuidedDenoiser(denoiser, classifier, constant(1.0))(x, t, labels)
    expected = denoiser(x, t, labels).score_hat
    assert float((guided.score_hat - expected).abs().max()) <= 1e-10 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("gamma", [-2.0, 0.0, 0.5, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("t", [1, 30, 99])
def test_that_both_kinds_of_guidance_agree_where_both_are_exact(gamma, t):
    denoiser, classifier = exact(1)
    x, labels = points(60), torch.arange(60) % 3
    free = GuidedDenoiser(denoiser, constant(gamma))(x, t, labels).eps_hat
    by_classifier = ClassifierGuidedDenoiser(denoiser, classifier, constant(gamma))(x, t, labels).eps_hat
    torch.testing.assert_close(free, by_classifier, rtol=1e-10, atol=1e-10)


def test_that_both_forms_of_classifier_guidance_agree_as_steps_become_small():
    """One step of DDPM: what the two forms add to the mean differs by a factor that goes to 1."""
    x, labels = points(60), torch.arange(60) % 3
    apart = []
    for steps in (100, 1000, 10_000):
        tables = Tables.from_betas(LinearSchedule().betas(steps))
        t = steps // 3
        denoiser, classifier = exact(1, tables)
        noise = given = CounterNoise(0).step

        def end(denoiser, shift=None, t=t, given=given):
            chain = reverse_chain(denoiser, DDPM(), (t, t - 1, 0), x, given, labels, Unclipped(), shift=shift)
            return next(chain).x_s

        plain = end(ClassifierGuidedDenoiser(denoiser, classifier, constant(0.0)))
        of_eps = end(ClassifierGuidedDenoiser(denoiser, classifier, constant(2.0))) - plain
        of_mean = (
            end(
                ClassifierGuidedDenoiser(denoiser, classifier, constant(0.0)),
                MeanShift(classifier, constant(2.0)),
            )
            - plain
        )
        assert noise is given
        apart.append(float((of_eps - of_mean).norm() / of_eps.norm()))
    assert apart[0] > 5 * apart[1] > 25 * apart[2]  # first order: ten times smaller each time, about
    assert apart[2] < 1e-3


def test_that_a_shift_of_the_mean_is_the_term_that_is_shown():
    denoiser, classifier = exact(2)
    x, labels, shift = points(30), torch.arange(30) % 3, MeanShift(classifier, constant(1.5))
    update = DDPM().update(TABLES, 40, 30)
    (step,) = list(
        reverse_chain(denoiser, DDPM(), (40, 30), x, CounterNoise(0).step, None, Unclipped(), shift=None)
    )
    (moved,) = list(
        reverse_chain(
            ClassifierGuidedDenoiser(denoiser, classifier, constant(0.0)), DDPM(), (40, 30), x,
            CounterNoise(0).step, labels, Unclipped(), shift=shift,
        )
    )  # fmt: skip
    gradient = classifier.gradient(x, 40, labels)
    shown = shift.shown(update, 40)
    assert shown["class_gradient"] == 1.5 * update.sigma**2
    torch.testing.assert_close(moved.x_s, step.x_s + shown["class_gradient"] * gradient)
    steering = moved.prediction.steering
    torch.testing.assert_close(steering.unguided, step.prediction.eps_hat)
    assert shift.shown(DDIM().update(TABLES, 40, 30), 40) == DDIM().update(TABLES, 40, 30)


@pytest.mark.parametrize(("v", "fixed"), [(0, "posterior"), (1, "fixed_large")])
def test_that_the_mean_moves_by_the_learned_variance(v, fixed):
    """Where v is the same in each number, it is one of the fixed variances that multiplies the gradient."""
    denoiser, classifier = exact(2)

    def learned(x_t, t, labels=None):
        return replace(denoiser(x_t, t, labels), fraction=torch.full_like(x_t, v))

    learned.tables = TABLES
    shift, labels = MeanShift(classifier, constant(1.5)), torch.arange(30) % 3

    def end(base, sampler):
        unguided = ClassifierGuidedDenoiser(base, classifier, constant(0.0))
        return list(
            reverse_chain(
                unguided, sampler, (40, 30, 20), points(30), CounterNoise(0).step, labels, Unclipped(),
                shift=shift,
            )
        )  # fmt: skip

    steps = end(learned, DDPM(variance="learned"))
    expected = end(denoiser, DDPM(variance=fixed))
    torch.testing.assert_close(steps[-1].x_s, expected[-1].x_s, rtol=1e-9, atol=1e-9)
    shown = shift.shown(steps[0].update, 40)
    assert shown["learned_gradient"] == pytest.approx(1.5 * posterior_variance(TABLES, 40, 30), rel=1e-12)


def test_that_the_memorising_classifier_follows_bayes():
    denoiser = MemorisingDenoiser(TABLES, IMAGES, LABELS)
    classifier = PosteriorClassifier(denoiser, 4)
    x, labels = CounterNoise(1).start((12, 1, 4, 4)).double(), torch.arange(12) % 4
    for t in (5, 50, 90):
        automatic = gradient_of(lambda x, t=t: classifier.log_probs(x, t), x, labels)
        torch.testing.assert_close(classifier.gradient(x, t, labels), automatic, rtol=1e-7, atol=1e-7)


def test_that_the_prediction_tells_what_guidance_did():
    denoiser, _ = exact(3)
    x, labels = points(20), torch.arange(20) % 3
    guided = GuidedDenoiser(denoiser, constant(3.0))(x, 50, labels)
    clipped = Clip()(guided)
    for prediction in (guided, clipped):
        steering = prediction.steering
        torch.testing.assert_close(steering.unguided, denoiser(x, 50).eps_hat)
        torch.testing.assert_close(
            steering.direction, denoiser(x, 50, labels).eps_hat - denoiser(x, 50).eps_hat
        )
        torch.testing.assert_close(steering.unguided + 3 * steering.direction, guided.eps_hat)
        torch.testing.assert_close(prediction.unguided.x0_hat, denoiser(x, 50).x0_hat)
    assert GuidedDenoiser(denoiser, constant(1.0))(x, 50, labels).steering is None


def test_that_each_sample_may_have_its_own_gamma():
    denoiser, classifier = exact(3)
    x, labels, gammas = points(4), torch.tensor([0, 1, 2, 0]), torch.tensor([0.0, 1.0, 2.5, 7.0])
    for make in (
        lambda gamma: GuidedDenoiser(denoiser, constant(gamma)),
        lambda gamma: ClassifierGuidedDenoiser(denoiser, classifier, constant(gamma)),
    ):
        together = make(gammas)(x, 30, labels).eps_hat
        for k in range(4):
            alone = make(float(gammas[k]))(x[k : k + 1], 30, labels[k : k + 1]).eps_hat
            torch.testing.assert_close(together[k : k + 1], alone)


def test_that_a_negative_class_and_a_mixture_of_two_are_what_they_say():
    denoiser, _ = exact(4)
    x, labels = points(20), torch.zeros(20, dtype=torch.int64)

    def eps(k):
        return denoiser(x, 30, torch.full((20,), k)).eps_hat

    away = GuidedDenoiser(denoiser, constant(3.0), negative=2)(x, 30, labels).eps_hat
    torch.testing.assert_close(away, 3 * eps(0) - 2 * eps(2))
    torch.testing.assert_close(
        GuidedDenoiser(denoiser, constant(0.0), negative=2)(x, 30, labels).eps_hat, eps(2)
    )
    mixed = GuidedDenoiser(denoiser, constant(1.0), second=1, share=0.25)(x, 30, labels).eps_hat
    torch.testing.assert_close(mixed, 0.75 * eps(0) + 0.25 * eps(1))
    both = GuidedDenoiser(denoiser, constant(2.0), 2, 1, 0.25)(x, 30, labels).eps_hat
    torch.testing.assert_close(both, 2 * (0.75 * eps(0) + 0.25 * eps(1)) - eps(2))


def test_that_a_younger_self_takes_the_place_of_no_class():
    denoiser, weak = exact(4)[0], exact(5)[0]
    x = points(20)
    for labels in (None, torch.arange(20) % 3):
        found = GuidedDenoiser(denoiser, constant(1.5), weak=weak)(x, 30, labels)
        expected = 1.5 * denoiser(x, 30, labels).eps_hat - 0.5 * weak(x, 30, labels).eps_hat
        torch.testing.assert_close(found.eps_hat, expected)
    assert torch.equal(
        GuidedDenoiser(denoiser, constant(1.0), weak=weak)(x, 30, None).eps_hat, denoiser(x, 30).eps_hat
    )


def test_that_guided_chains_can_be_asked_in_chunks():
    denoiser, _ = exact(4)
    x, labels = points(20), torch.arange(20) % 3
    whole = GuidedDenoiser(denoiser, constant(3.0))(x, 30, labels).eps_hat
    chunked = GuidedDenoiser(ChunkedDenoiser(denoiser, 7), constant(3.0))(x, 30, labels).eps_hat
    torch.testing.assert_close(whole, chunked)


def test_that_curves_of_guidance_are_what_they_say():
    interval = IntervalGuidance(low=0.2, high=0.6, outside=1)
    assert [interval.at(4, share) for share in (0.1, 0.2, 0.4, 0.6, 0.7)] == [1, 4, 4, 4, 1]
    drawn = DrawnGuidance(points=((1.0, 0.0), (0.0, 1.0), (0.5, 2.0)))
    assert [drawn.at(3, share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)] == [3.0, 4.5, 6.0, 3.0, 0.0]


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: IntervalGuidance(low=0.9, high=0.1), "before it begins"),
        (lambda: DrawnGuidance(points=()), "at least one point"),
        (lambda: DrawnGuidance(points=((0.5, 1.0), (0.5, 2.0))), "same t/T"),
        (lambda: DrawnGuidance(points=((1.5, 1.0),)), "between 0 and 1"),
        (lambda: DrawnGuidance(points=((0.5, math.nan),)), "finite"),
    ],
)
def test_that_a_curve_that_cannot_be_is_refused(make, what):
    with pytest.raises(ValidationError, match=what):
        make()


@pytest.mark.parametrize("curve", ready(GuidanceCurve).values(), ids=lambda curve: curve.kind)
def test_that_every_curve_has_a_strength_at_every_time(curve):
    for gamma in (0.0, 1.0, 7.5):
        values = [curve.at(gamma, share / 20) for share in range(21)]
        assert all(math.isfinite(value) and value >= 0 for value in values)
        assert gamma in values  # it is reached somewhere


@pytest.mark.parametrize("kind", list(members(Guide)))
def test_that_every_guide_leaves_the_model_as_it_is_at_gamma_1_or_conditions_it(kind):
    """γ = 1 is the conditional model for guides by class, and the plain one for the others."""
    denoiser, classifier = exact(6)
    x, labels = points(20), torch.arange(20) % 3
    guide = members(Guide)[kind]()
    guided = guide.denoiser(denoiser, constant(1.0), Aids(classifier, exact(5)[0]))(x, 30, labels)
    torch.testing.assert_close(guided.eps_hat, denoiser(x, 30, labels).eps_hat)


def test_that_only_one_form_of_classifier_guidance_moves_the_mean():
    denoiser, classifier = exact(6)
    assert ByClassifier(form="mean").shift(constant(1.0), Aids(classifier)) is not None
    x, labels = points(20), torch.arange(20) % 3
    asked = ByClassifier(form="mean").denoiser(denoiser, constant(2.0), Aids(classifier))(x, 30, labels)
    assert torch.equal(asked.eps_hat, denoiser(x, 30).eps_hat)  # without the class
    assert ByClassifier().shift(constant(1.0), Aids(classifier)) is None
    assert (
        ClassifierFree().shift(constant(1.0), Aids()) is None
        and ByEarlierSelf().shift(constant(1.0), Aids()) is None
    )
