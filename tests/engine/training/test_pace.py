"""Batches in parts where that is faster as the machine is now."""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.events import Progress
from diffusion_studio.engine.loop import loop
from diffusion_studio.engine.loop.pace import FASTER, Pace
from diffusion_studio.engine.runs.metrics_log import newest_line
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.events import PartsChanged
from diffusion_studio.engine.training.learner import Learner, faster_parts
from diffusion_studio.engine.training.minimised import StepResult
from diffusion_studio.engine.training.session import Session
from diffusion_studio.engine.training.trainer import train
from support.processors import processors
from support.tiny import begin, differing, everything, finish, only, resume, tiny_config, with_training

SHAPE = (1, 8, 8)


class Pretended:
    """Steps that take no time but by a clock of the test: so long whole, so long in parts."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, whole: float, parts: float | dict[int, float]
    ) -> None:
        self.now, self.sizes = 0.0, []
        split = parts if isinstance(parts, dict) else defaultdict(lambda: parts)
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

        def step(learner: Learner, batch, number: int) -> StepResult:
            self.sizes.append(len(batch.t))
            self.now += whole if learner.spec.parts == 1 else split[learner.spec.parts]
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


@pytest.mark.parametrize(
    ("whole", "split", "expected"),
    [(1.0, {8: 0.8, 4: 0.6, 2: 0.7}, 4), (1.0, {8: 0.95, 4: 0.98, 2: 0.92}, 1), (9.0, {8: 1, 4: 2, 2: 4}, 8)],
)
def test_that_a_machine_of_many_processors_tries_fewer_parts_too(
    whole, split, expected, pictures, tmp_path, monkeypatch
):
    learner = begin(tmp_path / "run", tiny_config(pictures)).learner
    Pretended(monkeypatch, whole, split)
    with processors(8):
        assert faster_parts(learner, SHAPE, 128, lambda: None) == expected


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
    assert session.run.parts_measured and not given.run.parts_measured
    for a, b in zip(session.learner.unet.parameters(), given.learner.unet.parameters(), strict=True):
        assert torch.equal(a, b)


def found_by(found: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each measuring comes to the next of these."""
    monkeypatch.setattr("diffusion_studio.engine.training.session.faster_parts", lambda *_: found.pop(0))


def parts_noted(session: Session) -> list[str]:
    return [message for _, kind, message in session.run.metrics.events() if kind == "parts"]


def test_that_a_training_that_goes_on_by_itself_keeps_its_parts(pictures, tmp_path, monkeypatch):
    """So it comes to the bits of one that never stopped."""
    found_by([2], monkeypatch)
    with processors(2):
        finish(begin(tmp_path / "run", tiny_config(pictures, parts=0, steps=1)))
        session = resume(tmp_path / "run")
    assert session.run.parts_measured and session.config.training.parts == 2


def test_that_a_training_that_goes_on_beside_others_measures_again(pictures, tmp_path, monkeypatch):
    found_by(found := [1, 2], monkeypatch)
    with processors(2, company=True):
        finish(begin(tmp_path / "run", tiny_config(pictures, parts=0, steps=1)))
        longer = with_training(Run.open(tmp_path / "run").config, steps=2)
        finish(session := resume(tmp_path / "run", longer))
    assert session.run.parts_measured and session.learner.spec.parts == 2 and not found
    assert Run.open(tmp_path / "run").config.training.parts == 2
    assert parts_noted(session) == ["batches in 2 parts, since this start"]


def test_that_parts_that_somebody_chose_stay(pictures, tmp_path, monkeypatch):
    found_by([1], monkeypatch)
    with processors(2):
        finish(begin(tmp_path / "chosen", tiny_config(pictures, parts=1, steps=1)))
        assert resume(tmp_path / "chosen").config.training.parts == 1
        finish(measured := begin(tmp_path / "measured", tiny_config(pictures, parts=0, steps=1)))
        session = resume(tmp_path / "measured", with_training(measured.config, parts=2))
        assert session.config.training.parts == 2 and not session.run.parts_measured


def test_that_a_run_that_was_killed_before_its_first_checkpoint_knows_that_nobody_chose_its_parts(
    pictures, tmp_path, monkeypatch
):
    found_by([2], monkeypatch)
    with processors(2):
        begin(tmp_path / "run", tiny_config(pictures, parts=0))
        session = resume(tmp_path / "run")
    assert session.run.parts_measured and session.config.training.parts == 2
    assert session.run.afresh.training.parts == 0


class Clocked:
    """Steps of a training that take so long by a clock of the test, whole and in parts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, whole: Iterator[float], parts: float) -> None:
        self.now, step = 0.0, Learner.step

        def slower(learner: Learner, batch, number: int) -> StepResult:
            self.now += next(whole) if learner.spec.parts == 1 else parts
            return step(learner, batch, number)

        monkeypatch.setattr(loop, "TELL_EVERY", 0.0)
        monkeypatch.setattr(loop, "RATES", 1)
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(Learner, "step", slower)


@pytest.mark.parametrize("measured", [True, False])
def test_that_a_training_goes_on_in_parts_once_other_programs_slow_it_down(
    measured: bool, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, parts=1, steps=9))
    session.run = replace(session.run, parts_measured=measured)
    Clocked(monkeypatch, chain([0.1] * 4, repeat(1.0)), 1.0)
    with processors(2, company=True):
        told = list(train(session, Control()))
    assert told[-1].outcome == "done"
    run = Run.open(session.run.path)
    assert run.config.training.parts == session.learner.spec.parts == (2 if measured else 1)
    assert parts_noted(session) == (["batches in 2 parts, beside other programs"] if measured else [])
    assert [event.parts for event in only(told, PartsChanged)] == ([2] if measured else [])
    noted = newest_line(run.metrics_log_path, "device")
    assert noted is not None and ("2 parts" in noted["message"]) == measured


def test_that_a_run_that_was_killed_after_its_parts_changed_knows_that_nobody_chose_them(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_by([1], monkeypatch)
    with processors(2, company=True):
        session = begin(tmp_path / "run", tiny_config(pictures, parts=0, steps=9))
        Clocked(monkeypatch, chain([0.1] * 4, repeat(1.0)), 1.0)
        for event in train(session, Control()):
            if isinstance(event, PartsChanged):  # what lies on the disk now is what a killed process leaves
                shutil.copytree(tmp_path / "run", tmp_path / "killed")
    with processors(2):
        left = resume(tmp_path / "killed")
    assert left.run.parts_measured and left.config.training.parts == 2


@pytest.mark.parametrize(("whole", "expected"), [(2.0, [1]), (2.1, [1, 2])])
def test_that_a_training_has_its_helpers_back_once_it_is_alone(
    whole: float, expected: list[int], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are given up again where parts were faster after all; nobody is said to be beside."""
    session = begin(tmp_path / "run", tiny_config(pictures, parts=2, steps=20))
    session.run = replace(session.run, parts_measured=True)
    Clocked(monkeypatch, repeat(whole), 2.0)
    with processors(2):
        told = list(train(session, Control()))
    assert [event.parts for event in only(told, PartsChanged)] == expected
    assert Run.open(session.run.path).config.training.parts == expected[-1]
    again = ["batches in 2 parts, faster than with helper threads"]
    assert parts_noted(session) == ["whole batches, with nothing beside", *again[: len(expected) - 1]]


def progress(step: int, seconds: float, rate: float = 0.0) -> Progress:
    return Progress(step, 0, seconds, 0.0, rate, step, np.zeros(1, np.float32))


def test_that_helpers_are_tried_only_after_a_while_without_company_and_less_often_each_time():
    pace = Pace()
    assert not pace.may_be_helped(progress(1, 1.0), 8, False)
    assert not pace.may_be_helped(progress(100, 10.9), 8, False)
    assert not pace.may_be_helped(progress(101, 11.5), 8, True)
    assert not pace.may_be_helped(progress(200, 21.4), 8, False)
    assert pace.may_be_helped(progress(201, 21.5), 8, False)  # 80 images a second
    assert pace.gives_up(progress(202, 21.6, 79.0)) == ""
    assert pace.gives_up(progress(203, 21.7, 78.0)) == FASTER  # no tenth of the speed is given away
    assert not pace.may_be_helped(progress(204, 22.0), 8, False)
    assert not pace.may_be_helped(progress(900, 41.9), 8, False)
    assert pace.may_be_helped(progress(901, 42.0), 8, False)


def test_that_a_few_long_steps_do_not_tell_that_nothing_is_beside():
    pace = Pace()
    said = [pace.may_be_helped(progress(step, 20.0 * step), 8, False) for step in range(1, 12)]
    assert said == [False] * 10 + [True]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_that_a_training_that_is_split_on_the_way_goes_on_like_one_that_was_split_when_it_began_again(
    optimizer: str, pictures: Path, tmp_path: Path
) -> None:
    """Layouts of memory differ with the parts, and the last bits with them."""
    one = begin(tmp_path / "one", tiny_config(pictures, parts=1, optimizer=optimizer))
    other = begin(tmp_path / "other", tiny_config(pictures, parts=2, optimizer=optimizer))
    for number in range(2):
        one.step(number, 16 * number)
    before = everything(one)
    other.learner.restore(one.learner.state())
    one.set_parts(2)
    assert differing(before, everything(one)) == []
    for session in (one, other):
        session.step(2, 32)
    assert differing(everything(one), everything(other)) == []
    assert one.learner.memory_format == other.learner.memory_format
