"""Batches in parts where that is faster as the machine is now."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop import loop
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.learner import Learner, faster_parts
from diffusion_studio.engine.training.minimised import StepResult
from diffusion_studio.engine.training.trainer import train
from support.processors import processors
from support.tiny import begin, tiny_config

SHAPE = (1, 8, 8)


class Pretended:
    """Steps that take no time but by a clock of the test: so long whole, so long in parts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, whole: float, parts: float) -> None:
        self.now, self.sizes = 0.0, []
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

        def step(learner: Learner, batch, number: int) -> StepResult:
            self.sizes.append(len(batch.t))
            self.now += whole if learner.spec.parts == 1 else parts
            return StepResult(torch.zeros(1), torch.zeros(1))

        monkeypatch.setattr(Learner, "step", step)


@pytest.mark.parametrize(("whole", "parts", "expected"), [(1.0, 1.05, 1), (1.0, 0.95, 1), (1.0, 0.3, 3)])
def test_that_parts_are_taken_where_they_are_clearly_faster(
    whole, parts, expected, pictures, tmp_path, monkeypatch
):
    learner = begin(tmp_path / "run", tiny_config(pictures)).learner
    steps = Pretended(monkeypatch, whole, parts)
    with processors(3):
        assert faster_parts(learner, SHAPE, 128, lambda: None) == expected
    assert set(steps.sizes) == {12}  # a few images for each processor are enough


@pytest.mark.parametrize(("whole", "steps_taken"), [(3.0, 4), (9.0, 2)])
def test_that_one_round_is_enough_beside_other_programs_and_a_stop_is_heeded(
    whole, steps_taken, pictures, tmp_path, monkeypatch
):
    """A round that prepares, and one; not even that one where whole batches nearly stand still."""
    learner = begin(tmp_path / "run", tiny_config(pictures)).learner
    steps = Pretended(monkeypatch, whole, 1.0)
    with processors(3):
        assert faster_parts(learner, SHAPE, 128, lambda: None) == 3
        assert len(steps.sizes) == steps_taken

        def stop() -> None:
            raise Cancelled

        with pytest.raises(Cancelled):
            faster_parts(learner, SHAPE, 128, stop)
    assert len(steps.sizes) == steps_taken


def test_that_one_processor_has_nothing_to_choose(pictures, tmp_path, monkeypatch):
    learner = begin(tmp_path / "run", tiny_config(pictures)).learner
    steps = Pretended(monkeypatch, 1.0, 0.1)
    assert faster_parts(learner, SHAPE, 128, lambda: None) == 1 and steps.sizes == []


@pytest.mark.parametrize("found", [1, 2])
def test_that_what_was_measured_is_kept_and_the_network_begins_untouched(
    found, pictures, tmp_path, monkeypatch
):
    """The steps that were tried are of a network that nobody keeps."""
    given = begin(tmp_path / "given", tiny_config(pictures, parts=found))
    monkeypatch.setattr("diffusion_studio.engine.training.session.faster_parts", lambda *_: found)
    with processors(2):
        session = begin(tmp_path / "run", tiny_config(pictures, parts=0))
    assert Run.open(session.run.path).config.training.parts == found
    assert session.may_split == (found == 1) and not given.may_split
    for a, b in zip(session.learner.unet.parameters(), given.learner.unet.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("may_split", [True, False])
def test_that_a_training_goes_on_in_parts_once_other_programs_slow_it_down(
    may_split: bool, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TELL_EVERY", 0.0)
    monkeypatch.setattr(loop, "RATES", 1)
    session = begin(tmp_path / "run", tiny_config(pictures, parts=1, steps=9))
    session.may_split = may_split
    taken = iter([0.1] * 4 + [1.0] * 100)
    now = [0.0]

    def clock() -> float:
        return now[0]

    step = Learner.step

    def slower(learner: Learner, batch, number: int) -> StepResult:
        now[0] += next(taken)
        return step(learner, batch, number)

    monkeypatch.setattr(time, "perf_counter", clock)
    monkeypatch.setattr(Learner, "step", slower)
    with processors(2):
        told = list(train(session, Control()))
    assert told[-1].outcome == "done"
    run = Run.open(session.run.path)
    assert run.config.training.parts == session.learner.spec.parts == (2 if may_split else 1)
    noted = [message for _, kind, message in run.metrics.events() if kind == "parts"]
    assert noted == (["batches in 2 parts, beside other programs"] if may_split else [])
