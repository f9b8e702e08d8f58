"""A run is opened while a training saves newer checkpoints in it and deletes older ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from diffusion_studio.engine.chains import source as module
from diffusion_studio.engine.chains.source import open_source
from diffusion_studio.engine.evaluation import evaluation
from diffusion_studio.engine.evaluation.evaluation import Evaluated, EvaluationSpec, evaluate
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.checkpoints import CheckpointError, checkpoint_step
from diffusion_studio.engine.runs.run import Run, RunError
from support.tiny import CPU, begin, finish, only, tiny_config, write_pictures

KEPT = {"checkpoint_every": 2, "keep_checkpoints": 100}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    config = tiny_config(write_pictures(tmp_path / "zoo"), T=8, held_out=0.25, **{"steps": 6} | KEPT)
    finish(begin(tmp_path / "run", config))
    return tmp_path / "run"


class Pruning:
    """Keeps later checkpoints aside, and puts the next one in the place of the one that is read."""

    def __init__(self, run: Path) -> None:
        self._folder = run / "checkpoints"
        self._aside = run.parent / "aside"
        self._aside.mkdir()
        for step in (4, 6):
            shutil.move(self._at(step), self._aside)

    def _at(self, step: int) -> Path:
        return self._folder / f"step-{step:08d}"

    def step(self) -> None:
        (now,) = (checkpoint_step(path) for path in self._folder.iterdir())
        if now < 6:
            shutil.move(self._aside / self._at(now + 2).name, self._folder)
            shutil.rmtree(self._at(now))


def test_that_a_run_is_opened_though_its_checkpoints_are_deleted(run: Path, monkeypatch) -> None:
    training, load = Pruning(run), module.load_model

    def late(*arguments):
        training.step()
        return load(*arguments)

    monkeypatch.setattr(module, "load_model", late)
    opened = open_source(run, CPU)
    assert (opened.step, opened.notes) == (6, ())


def test_that_bound_and_quality_are_measured_of_one_step(run: Path, monkeypatch) -> None:
    training, measure = Pruning(run), evaluation.measure_bound

    def late(*arguments):
        training.step()
        yield from measure(*arguments)

    monkeypatch.setattr(evaluation, "measure_bound", late)
    told = list(evaluate(run, EvaluationSpec(images=2, draws=1, samples=64), CPU, Control()))
    (done,) = only(told, Evaluated)
    assert done.evaluation.step == 2
    assert done.evaluation.quality is not None


def test_that_a_damaged_checkpoint_is_not_tried_for_ever(run: Path) -> None:
    def read(checkpoint: Path) -> None:
        raise CheckpointError(f"{checkpoint.name} is odd.")

    with pytest.raises(CheckpointError, match="step-00000006 is odd"):
        Run.open(run).read_newest(read)


def test_that_a_run_whose_last_checkpoint_goes_has_none(run: Path) -> None:
    def read(checkpoint: Path) -> None:
        shutil.rmtree(checkpoint.parent)
        raise CheckpointError("It is gone.")

    with pytest.raises(RunError, match=r"run has no usable checkpoint\. Nothing was saved yet\."):
        Run.open(run).read_newest(read)
