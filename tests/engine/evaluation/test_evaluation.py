"""Evaluation: measures of samples, and the bound of a model against the functions that define it."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_studio.core.denoisers.exact import GaussianDenoiser
from diffusion_studio.core.objective.elbo import bits_per_dim, discretised_term, matching_term, prior_term
from diffusion_studio.core.objective.weights import reverse_variance
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.schedules import LinearSchedule
from diffusion_studio.core.process.tables import Tables, diffuse
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.evaluation import measured_bound
from diffusion_studio.engine.evaluation.evaluation import Evaluated, EvaluationSpec, evaluate, read_evaluation
from diffusion_studio.engine.evaluation.measured_bound import SERIES, BoundReport, measure_bound
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs import quality as module
from diffusion_studio.engine.runs.quality import QualitySpace, covered, frechet_distance, noise_images, radii
from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.engine.training.events import Preview, PreviewMeasured
from diffusion_studio.engine.training.run_data import load_run_data
from support.tiny import CPU, begin, finish, only, tiny_config, write_pictures


class ExactNetwork:
    """An exact denoiser in the clothes of a trained network."""

    classes, learns_variance = 0, False

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._exact = GaussianDenoiser(tables, std=0.5)

    def __call__(self, x_t, t, labels=None):
        return self._exact(x_t, t)


def bound_of(session, tables: Tables, count: int = 6, draws: int = 2) -> BoundReport:
    numbers = np.arange(count)
    *_, report = measure_bound(ExactNetwork(tables), session.images, numbers, draws, 5, CPU)
    return report


def test_that_the_measured_bound_is_the_sum_of_its_terms(pictures, tmp_path):
    session = begin(tmp_path / "run", tiny_config(pictures))
    tables = Tables.from_betas(LinearSchedule().betas(12))
    report = bound_of(session, tables)
    x_0 = (torch.from_numpy(session.images.images[:6]).double() / 127.5 - 1).repeat(2, 1, 1, 1)
    noise, exact = CounterNoise(5), GaussianDenoiser(tables, std=0.5)
    variance = reverse_variance(tables, report.variance)
    total = prior_term(tables, x_0)
    for t in range(1, 13):
        a, b, c = (noise.step(SERIES * t + k, tuple(x_0.shape)).double() for k in range(3))
        x_t = diffuse(x_0, c, tables.alpha_bar_at(1))
        if t > 1:
            before = diffuse(x_0, a, tables.alpha_bar_at(t - 2))
            now = diffuse(before, b, float(tables.alpha[t - 1]))
            x_t = diffuse(now, c, float(tables.alpha[t]))
        x0_hat = exact(x_t, t).x0_hat.clamp(-1, 1)
        s2 = float(variance[t])
        found = discretised_term(x_0, x0_hat, s2) if t == 1 else matching_term(tables, t, x_0, x0_hat, s2)
        assert report.terms[t - 1] == pytest.approx(float(bits_per_dim(found, 64).mean()), rel=1e-4)
        total = total + found
    assert report.total == pytest.approx(float(bits_per_dim(total, 64).mean()), rel=1e-5)
    assert report.total == pytest.approx(report.reconstruction + report.matching + report.prior, rel=1e-9)
    per_image = bits_per_dim(total, 64).reshape(2, 6).mean(0)
    assert report.total_error == pytest.approx(float(per_image.std()) / math.sqrt(6), rel=1e-3)
    assert len(report.terms) == len(report.term_errors) == 12


def test_that_the_bound_of_the_whole_chain_is_the_headline_and_no_variance_beats_the_best(pictures, tmp_path):
    session = begin(tmp_path / "run", tiny_config(pictures))
    report = bound_of(session, Tables.from_betas(LinearSchedule().betas(60)))
    costs = {cost.rule: cost for cost in report.chains}
    assert {cost.steps[-1] for cost in report.chains} == {len(report.terms)}
    totals = {report.variance: report.total, report.other_variance: report.other_total}
    assert costs["η = 1, σ² = β̃"].bits[-1] == pytest.approx(totals["posterior"], rel=1e-9)
    assert costs["η = 1, σ² = β"].bits[-1] == pytest.approx(totals["forward"], rel=1e-9)
    best = costs["η = 1, σ² the best"].bits
    for cost in report.chains:
        if cost.rule.startswith("η = 1"):
            assert all(a <= b + 1e-9 for a, b in zip(best, cost.bits, strict=True))


def test_that_both_decompositions_measure_the_same_and_triples_scatter_more(pictures, tmp_path):
    session = begin(tmp_path / "run", tiny_config(pictures))
    report = bound_of(session, Tables.from_betas(LinearSchedule().betas(20)), count=12, draws=12)
    scatter = math.hypot(report.chain_draw_spread, report.draw_spread) / math.sqrt(144)
    assert abs(report.chain_total - report.total) < 5 * scatter
    assert report.chain_draw_spread > report.draw_spread


@pytest.mark.parametrize("variance", ["fixed", "hybrid"])
def test_that_a_run_is_evaluated_and_remembers_it(variance, pictures, tmp_path):
    config = tiny_config(pictures, T=8, held_out=0.5, objective={"variance": variance})
    finish(begin(tmp_path / "run", config))
    spec = EvaluationSpec(images=4, samples=64)
    told = list(evaluate(tmp_path / "run", spec, CPU, Control()))
    (done,) = only(told, Evaluated)
    evaluation = done.evaluation
    assert done.notes == ()
    assert evaluation.held_out
    assert evaluation.elbo.images == 4
    kinds = {evaluation.elbo.variance, evaluation.elbo.other_variance}
    assert kinds == {"posterior" if variance == "fixed" else "learned", "forward"}
    assert evaluation.elbo.total <= evaluation.elbo.other_total
    assert evaluation.yardsticks.levels == len(np.unique(evaluated_images(tmp_path / "run")))
    assert len(evaluation.elbo.terms) == 8
    assert evaluation.quality.count == 64
    assert math.isfinite(evaluation.elbo.total)
    assert len(only(told, events.Preparing)) >= 8
    kept = read_evaluation(Run.open(tmp_path / "run"))
    assert kept["elbo"]["total"] == evaluation.elbo.total
    list(evaluate(tmp_path / "run", EvaluationSpec(elbo=False, samples=70), CPU, Control()))
    kept = read_evaluation(Run.open(tmp_path / "run"))
    assert kept["elbo"]["total"] == evaluation.elbo.total
    assert kept["yardsticks"]["histogram"] == evaluation.yardsticks.histogram
    assert kept["quality"]["count"] == 70


def evaluated_images(path):
    data = load_run_data(Run.open(path), None)
    return data.images.images[data.trained]


def test_that_the_headline_is_the_better_reverse_variance(pictures, tmp_path):
    session = begin(tmp_path / "run", tiny_config(pictures))
    tables = Tables.from_betas(LinearSchedule().betas(40))
    report = bound_of(session, tables)
    assert report.total < report.other_total
    x_0 = (torch.from_numpy(session.images.images[:6]).double() / 127.5 - 1).repeat(2, 1, 1, 1)
    noise, exact, totals = CounterNoise(5), GaussianDenoiser(tables, std=0.5), {}
    for kind in ("posterior", "forward"):
        variance, total = reverse_variance(tables, kind), prior_term(tables, x_0)
        for t in range(1, 41):
            a, b, c = (noise.step(SERIES * t + k, tuple(x_0.shape)).double() for k in range(3))
            if t == 1:
                x_t = diffuse(x_0, c, tables.alpha_bar_at(1))
            else:
                before = diffuse(diffuse(x_0, a, tables.alpha_bar_at(t - 2)), b, float(tables.alpha[t - 1]))
                x_t = diffuse(before, c, float(tables.alpha[t]))
            x0_hat, s2 = exact(x_t, t).x0_hat.clamp(-1, 1), float(variance[t])
            total = total + (
                discretised_term(x_0, x0_hat, s2) if t == 1 else matching_term(tables, t, x_0, x0_hat, s2)
            )
        totals[kind] = float(bits_per_dim(total, 64).mean())
    assert report.total == pytest.approx(min(totals.values()), rel=1e-5)
    assert report.other_total == pytest.approx(max(totals.values()), rel=1e-5)
    assert totals[report.variance] == min(totals.values())


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A run that was measured; not to be changed."""
    path = tmp_path_factory.mktemp("evaluated") / "run"
    finish(begin(path, tiny_config(write_pictures(path.parent / "zoo"), T=4)))
    list(evaluate(path, EvaluationSpec(images=2, quality=False), CPU, Control()))
    return path


@pytest.mark.parametrize(
    "change",
    [{"elbo": 7}, {"elbo": {"total": 1.0}}, {"step": "two"}, {"quality": [1]}, {"elbo.terms": "many"},
     {"elbo.terms": [1.0]}, {"elbo.total": None}],
)  # fmt: skip
def test_that_an_evaluation_that_makes_no_sense_is_refused_and_replaced(change, evaluated, tmp_path):
    run = Run.open(shutil.copytree(evaluated, tmp_path / "run"))
    content = read_evaluation(run)
    for path, value in change.items():
        holder = content["elbo"] if "." in path else content
        holder[path.rpartition(".")[2]] = value
    (run.path / "evaluation.json").write_text(json.dumps(content))
    with pytest.raises(Refused, match=r"What was measured of run cannot be read: .*[^.]\.$"):
        read_evaluation(run)
    list(evaluate(run.path, EvaluationSpec(elbo=False, samples=70), CPU, Control()))
    assert read_evaluation(run)["quality"]["count"] == 70


def test_that_what_a_newer_version_measured_beside_it_is_left_out(evaluated, tmp_path):
    run = Run.open(shutil.copytree(evaluated, tmp_path / "run"))
    content = read_evaluation(run)
    (run.path / "evaluation.json").write_text(json.dumps(content | {"dreams": 7}))
    assert read_evaluation(run) == content


def test_that_a_scatter_that_one_draw_cannot_tell_is_null_and_comes_back(evaluated, tmp_path):
    run = Run.open(shutil.copytree(evaluated, tmp_path / "run"))
    list(evaluate(run.path, EvaluationSpec(images=2, draws=1, quality=False), CPU, Control()))
    assert "NaN" not in (run.path / "evaluation.json").read_text(encoding="utf-8")
    assert math.isnan(read_evaluation(run)["elbo"]["draw_spread"])


def test_that_training_images_are_named_as_such(pictures, tmp_path):
    finish(begin(tmp_path / "run", tiny_config(pictures, T=4)))
    told = list(evaluate(tmp_path / "run", EvaluationSpec(images=2, quality=False), CPU, Control()))
    (done,) = only(told, Evaluated)
    assert not done.evaluation.held_out
    assert "keeps no images apart" in done.notes[0]


def test_that_the_bound_does_not_depend_on_how_many_images_go_together(pictures, tmp_path, monkeypatch):
    session = begin(tmp_path / "run", tiny_config(pictures))
    tables = Tables.from_betas(LinearSchedule().betas(12))
    together = bound_of(session, tables)
    monkeypatch.setattr(measured_bound, "_PIXELS_AT_ONCE", 5 * 64)
    apart = bound_of(session, tables)
    np.testing.assert_allclose(apart.terms, together.terms, rtol=1e-6)
    assert apart.chain_total == pytest.approx(together.chain_total, rel=1e-6)


@pytest.mark.parametrize(
    ("count", "spec", "words"),
    [
        (1, EvaluationSpec(quality=False), "has 1 image to measure the bound on; at least 2"),
        (
            9,
            EvaluationSpec(elbo=False, samples=63),
            "63 samples say too little of the quality; draw at least 64",
        ),
        (3, EvaluationSpec(elbo=False), "has 3 images to compare samples with; at least 4"),
    ],
)
def test_that_too_few_images_are_refused(count, spec, words, tmp_path):
    folder = write_pictures(tmp_path / "few", classes=(), each=count)
    finish(begin(tmp_path / "run", tiny_config(folder)))
    with pytest.raises(Refused, match=words):
        list(evaluate(tmp_path / "run", spec, CPU, Control()))


def test_that_a_stopped_evaluation_tells_nothing(pictures, tmp_path):
    finish(begin(tmp_path / "run", tiny_config(pictures, T=4)))
    control = Control()
    control.stop()
    assert only(evaluate(tmp_path / "run", EvaluationSpec(quality=True), CPU, control), Evaluated) == []


def test_that_a_run_without_a_checkpoint_says_so(pictures, tmp_path):
    begin(tmp_path / "run", tiny_config(pictures))
    with pytest.raises(RunError, match="Nothing was saved"):
        list(evaluate(tmp_path / "run", EvaluationSpec(), CPU, Control()))


# --- quality ------------------------------------------------------------------------------------------------


def random_images(count: int, seed: int = 0, side: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, side, side), dtype=np.uint8)


def test_that_the_frechet_distance_is_its_closed_form():
    random = np.random.default_rng(1)
    a = random.normal(size=(200_000, 2)) * [1.0, 2.0]
    b = random.normal(size=(200_000, 2)) * [3.0, 2.0] + [0.0, 4.0]
    assert frechet_distance(a, b) == pytest.approx(math.sqrt(4 + 16), rel=0.01)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


@given(st.integers(2, 40), st.integers(2, 5))
def test_that_a_set_is_covered_by_itself(count, dims):
    points = np.random.default_rng(count).normal(size=(count, dims))
    assert covered(points, points, radii(points)) == 1


@pytest.mark.parametrize("count", [12, 300])
def test_that_training_images_are_perfect_samples_of_themselves(count):
    images = random_images(count)
    quality = QualitySpace(images).measure(images)
    assert quality.frechet == pytest.approx(0, abs=1e-3)
    assert quality.precision == quality.recall == 1
    assert quality.nearest == pytest.approx(0, abs=1e-6)
    assert quality.real_nearest > 0


def test_that_bad_samples_are_told_from_good_ones_beside_their_reference():
    space = QualitySpace(random_images(400))
    good, bad = space.measure(random_images(50, seed=3)), space.measure(random_images(50, seed=3) // 4)
    assert abs(good.frechet - good.real_frechet) < 6 * good.real_frechet_spread
    assert bad.frechet > 2 * good.frechet
    assert bad.precision < good.precision


def test_that_many_pixels_and_few_images_are_no_trouble():
    space = QualitySpace(random_images(20, side=16))
    assert space.components == 19
    assert space.explained == pytest.approx(1, abs=1e-6)


def test_that_large_pictures_are_compared_by_the_means_of_blocks():
    small = random_images(20, side=64)
    large = small.repeat(2, axis=2).repeat(2, axis=3)
    found, expected = (QualitySpace(images).measure(images[:9]) for images in (large, small))
    assert found.frechet == pytest.approx(expected.frechet)
    assert found.real_nearest == pytest.approx(expected.real_nearest)


@pytest.mark.parametrize(
    ("sides", "block"), [((64, 64), 1), ((65, 65), 5), ((132, 132), 3), ((512, 256), 8), ((67, 67), 67)]
)
def test_that_blocks_divide_both_sides(sides, block):
    assert module._block(*sides) == block


def discs(count: int, seed: int, side: int = 16) -> np.ndarray:
    """Pictures of plain areas: a disc on a ground, both of any colour."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    cx, cy, r = random.uniform(4, 12, (3, count, 1, 1))
    inside = ((x - cx) ** 2 + (y - cy) ** 2 < (r / 2) ** 2)[:, None]
    disc, ground = random.integers(0, 256, (2, count, 3, 1, 1))
    return np.where(inside, disc, ground).astype(np.uint8)


@pytest.mark.parametrize("count", [16, 100])
def test_that_noise_is_told_from_pictures(count):
    """In pixels alone much of it lies amid pictures of plain areas."""
    space = QualitySpace(discs(600, 0))
    noise = noise_images((count, 3, 16, 16))
    pixels = (noise.reshape(count, -1) / 255 - space._mean) @ space._axes
    assert covered(pixels, space.real, radii(space.real)) > 0.4
    half = (discs(count, 1) // 2 + noise // 2).astype(np.uint8)
    assert space.measure(noise).precision == space.measure(half).precision == 0
    good = space.measure(discs(count, 1))
    assert good.precision > 0.7
    assert good.noise_precision == good.noise_recall == 0
    assert good.frechet < good.noise_frechet


def test_that_previews_are_measured_while_training(pictures, tmp_path):
    config = tiny_config(pictures, steps=30, preview_count=64, preview_share=0.5)
    session = begin(tmp_path / "run", config)
    told = finish(session)
    last = only(told, PreviewMeasured)[-1]
    assert last.step == only(told, Preview)[-1].step
    assert last.quality.count == 64
    (*_, (step, quality)) = session.run.metrics.quality()
    assert (step, quality) == (last.step, last.quality)
