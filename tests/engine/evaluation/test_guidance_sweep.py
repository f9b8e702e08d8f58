"""What guidance trades, on exact denoisers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffusion_studio.core.guidance.guides import ByClassifier, IntervalGuidance
from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers import DDIM, DDPM
from diffusion_studio.data.digits import digits
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import memorising_source
from diffusion_studio.engine.evaluation.guidance_sweep import Judge, gamma_strip, sweep
from diffusion_studio.engine.runs.quality import QualitySpace

CPU = torch.device("cpu")
TABLES = Tables.from_betas(CosineSchedule().betas(50))
DIGITS = digits(DataSpec())
SOURCE = memorising_source(DIGITS, TABLES, CPU)


def chain(**spec) -> Chain:
    return Chain(SOURCE, SampleSpec(**{"steps": 10, "count": 4, **spec}), CPU)


def last(found):
    return [each for each in found if each is not None]


@pytest.mark.parametrize("guide", ["free", "eps", "mean"])
def test_that_a_strip_is_one_noise_under_every_strength(guide):
    """Each picture is that of a chain of its own with the same first noise, class and strength."""
    sampler = DDPM() if guide == "mean" else DDIM()
    spec = {"sampler": sampler} | ({} if guide == "free" else {"guide": ByClassifier(form=guide)})
    (strip,) = last(gamma_strip(chain(**spec), (0.0, 1.0, 3.0)))
    assert strip.classes == SOURCE.class_names[:10] and strip.images.shape == (30, 8, 8, 1)
    for row, column in ((0, 0), (4, 1), (7, 2)):
        alone = chain(count=1, label=row, guidance=strip.gammas[column], **spec)
        *_, step = alone.steps()
        pixels = strip.images[3 * row + column, ..., 0].astype(int)
        expected = np.rint((step.x_s[0, 0].float().numpy().clip(-1, 1) + 1) * 127.5)
        assert np.abs(pixels - expected).max() <= 1


def test_that_a_strip_follows_the_curve_of_guidance():
    curve = IntervalGuidance(low=0.3, high=0.7)
    (strip,) = last(gamma_strip(chain(curve=curve), (1.0, 5.0)))
    *_, step = chain(count=1, label=2, guidance=5.0, curve=curve).steps()
    expected = np.rint((step.x_s[0, 0].float().numpy().clip(-1, 1) + 1) * 127.5)
    assert np.abs(strip.images[2 * 2 + 1, ..., 0].astype(int) - expected).max() <= 1


def test_that_the_judge_is_right_about_images_it_has_not_seen():
    judge = Judge(DIGITS)
    assert judge.accuracy > 0.95
    assert judge.adherence(DIGITS.images[:500], DIGITS.labels[:500]) > 0.97
    wrong = (DIGITS.labels[:500] + 1) % 10
    assert judge.adherence(DIGITS.images[:500], wrong) < 0.03


def test_that_diversity_is_1_for_real_images_and_0_for_copies_of_one():
    judge = Judge(DIGITS)
    assert judge.diversity(DIGITS.images, DIGITS.labels) == pytest.approx(1, abs=0.02)
    assert judge.diversity(DIGITS.images[[0] * 20], np.zeros(20, np.int64)) == 0
    halves = np.concatenate([DIGITS.images[:1], DIGITS.images[10:11]])
    by_hand = np.sqrt(((halves[0] / 255.0 - halves[1] / 255.0) ** 2).mean())
    assert judge.diversity(halves, np.zeros(2, np.int64)) == pytest.approx(by_hand / judge.real_diversity)


def test_that_an_exact_model_obeys_at_gamma_1_and_not_at_0():
    space, judge = QualitySpace(DIGITS.images), Judge(DIGITS)
    found = last(sweep(chain(steps=25), judge, space, 60, (0.0, 1.0)))
    assert [each.gamma for each in found] == [0.0, 1.0]
    assert found[0].adherence < 0.35 and found[1].adherence > 0.95
    assert all(0 <= each.recall <= 1 and each.count == 60 for each in found)


def test_that_a_model_without_classes_has_nothing_to_trade():
    source = replace(SOURCE, class_names=())
    with pytest.raises(ValueError, match="without labels"):
        next(gamma_strip(Chain(source, SampleSpec(), CPU)))
    with pytest.raises(ValueError, match="no two classes"):
        Judge(replace(DIGITS, labels=np.full(DIGITS.count, -1)))
