"""How few calls are as good as fifty, on exact denoisers and by the command line."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers import DDPM
from diffusion_studio.data.digits import digits
from diffusion_studio.data.imageset import to_uint8
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.export import run_chain
from diffusion_studio.engine.chains.sample_spec import NO_CLASS, SampleSpec
from diffusion_studio.engine.chains.source import memorising_source
from diffusion_studio.engine.evaluation.few_calls import (
    CALLS,
    RULES,
    Fare,
    FewCalls,
    few_calls,
    most_steps,
    rule_of,
)
from diffusion_studio.engine.evaluation.text import calls_lines, calls_sentence
from diffusion_studio.engine.runs.quality import QualitySpace

CPU = torch.device("cpu")
TABLES = Tables.from_betas(CosineSchedule().betas(100))
DIGITS = digits(DataSpec())
SOURCE = memorising_source(DIGITS, TABLES, CPU)
SPACE = QualitySpace(DIGITS.images)
REFERENCE = Fare("DDIM", 50, 1.0)


def chain(**spec) -> Chain:
    return Chain(SOURCE, SampleSpec(**{"steps": 7, "count": 2, "sampler": DDPM(), "seed": 3, **spec}), CPU)


def test_that_each_distance_is_that_of_a_chain_of_its_own():
    told = list(few_calls(chain(), SPACE, 70))
    found = told[-1]
    assert len(told) - 1 - len(found.fares) <= most_steps(100)
    for fare in (found.reference, found.fares[0], found.fares[-1]):
        rule = rule_of(fare)
        asked = {"sampler": rule.sampler, "spacing": rule.spacing, "steps": fare.steps, "count": 70}
        samples = run_chain(chain(**asked), False)
        assert fare.frechet == pytest.approx(SPACE.measure(to_uint8(samples.samples)).frechet, rel=1e-6)


def test_that_all_are_tried_in_turn_until_one_is_as_good():
    """An exact denoiser of second order needs a part of the calls only."""
    *_, found = few_calls(chain(), SPACE, 70)
    tried = sorted({fare.steps for fare in found.fares})
    assert tuple(tried) == CALLS[: len(tried)]
    assert [fare.rule for fare in found.fares] == [rule.name for rule in RULES] * len(tried)
    assert found.best is not None and found.best.steps == tried[-1] < 50
    assert found.best.frechet <= found.reference.frechet + found.spread


def test_that_samples_are_of_all_classes_unless_none_is_asked_for():
    first = next(found for found in few_calls(chain(label=4), SPACE, 70) if found)
    assert first == next(found for found in few_calls(chain(), SPACE, 70) if found)
    without = next(found for found in few_calls(chain(label=NO_CLASS), SPACE, 70) if found)
    assert without.reference.frechet != first.reference.frechet


@pytest.mark.parametrize(
    ("fares", "best"),
    [
        ([], None),
        ([Fare("a", 5, 1.2)], None),
        ([Fare("a", 5, 1.2), Fare("a", 6, 1.1), Fare("b", 6, 1.05), Fare("b", 8, 0.9)], Fare("b", 6, 1.05)),
    ],
)
def test_that_the_best_has_the_fewest_calls(fares, best):
    assert FewCalls(100, REFERENCE, 0.1, tuple(fares)).best == best


def test_that_a_chain_of_few_times_is_measured_by_itself():
    """With T = 8 nothing has more steps than T, and fewer than all of them are tried."""
    short = memorising_source(DIGITS, Tables.from_betas(CosineSchedule().betas(8)), CPU)
    found = [each for each in few_calls(replace(chain(), source=short), SPACE, 64) if each][-1]
    assert found.reference.steps == 8
    assert {fare.steps for fare in found.fares} <= {3, 4, 5, 6}


def test_what_is_said_of_it():
    found = FewCalls(500, REFERENCE, 0.01, (Fare("DDIM", 5, 2.0),))
    assert calls_sentence(found) == "Nothing measured with fewer calls is as good as 50 steps of DDIM."
    found = found.with_fare(Fare("DPM++ (2M)", 12, 1.005))
    assert calls_sentence(found) == "As good as 50 steps of DDIM in 12 calls: DPM++ (2M)."
    assert [line.split(",")[0].strip() for line in calls_lines(found)[1:4]] == [
        "50 calls", "5 calls", "12 calls",
    ]  # fmt: skip


def test_that_rules_have_names_of_their_own():
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert rule_of(Fare("none of them", 5, 1.0)) is None
    assert np.all(np.diff(CALLS) > 0)
