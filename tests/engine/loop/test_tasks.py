"""What every task of the loop must do, whatever it learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_studio.engine.classifier.data import classifier_data
from diffusion_studio.engine.classifier.training import ClassifierTask
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop import loop
from diffusion_studio.engine.loop.descent import Descent, Gradient
from diffusion_studio.engine.loop.loop import train
from diffusion_studio.engine.loop.run_keeper import RunKeeper
from diffusion_studio.engine.loop.task import Counters, Limits, Task
from diffusion_studio.engine.plane.learner import PlaneTask
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.engine.runs.checkpoints import (
    CheckpointContent,
    CheckpointError,
    read_checkpoint,
    save_checkpoint,
)
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.trainer import ImageTask
from support.classifiers import QUICK, make_run
from support.tiny import CPU, begin, only, tiny_config

Make = Callable[[], Task]
PLANE = PlaneSpec(learning={"width": 16, "dropped": 0.5, "points": 100})


@pytest.fixture(params=["image", "classifier", "plane"])
def make(request: pytest.FixtureRequest, pictures: Path, tmp_path: Path) -> Iterator[Make]:
    """A function that makes the same fresh task as often as it is called."""
    if request.param == "plane":
        yield lambda: PlaneTask(PLANE)
    elif request.param == "classifier":
        run = Run.open(make_run(tmp_path / "run", pictures))
        yield lambda: ClassifierTask(run, classifier_data(run), QUICK, CPU)
    else:
        keepers: list[RunKeeper] = []

        def image() -> ImageTask:
            session = begin(tmp_path / str(len(keepers)), tiny_config(pictures, preview_count=0))
            keepers.append(RunKeeper(session.run, 1, 0))
            return ImageTask(session, Control(), keepers[-1])

        yield image
        for keeper in keepers:
            keeper.close()


def stepped(task: Task, first: int, end: int) -> list[float]:
    """The losses of some steps."""
    losses = []
    for number in range(first, end):
        if isinstance(task, ImageTask):  # which images come next is counted by the loop
            task.session.counters.position = number * task.size
        losses.append(float(task.step(number, 0.0).mean()))
    return losses


def same(one: CheckpointContent, other: CheckpointContent) -> bool:
    return one.json == other.json and all(
        one.tensors[part].keys() == tensors.keys()
        and all(torch.equal(one.tensors[part][name], tensor) for name, tensor in tensors.items())
        for part, tensors in other.tensors.items()
    )


def test_that_it_goes_on_bit_for_bit_from_its_state_on_disk(make: Make, tmp_path: Path) -> None:
    whole = make()
    stepped(whole, 0, 3)
    path = save_checkpoint(tmp_path / "checkpoints", 3, whole.state())
    rest = stepped(whole, 3, 6)
    again = make()
    again.restore(read_checkpoint(path))
    assert stepped(again, 3, 6) == rest
    assert same(again.state(), whole.state())


def test_that_a_state_of_something_else_is_refused(make: Make) -> None:
    with pytest.raises(CheckpointError):
        make().restore(CheckpointContent({}, {}))


def test_that_it_learns_in_the_loop_and_ends_with_finished(make: Make) -> None:
    told = list(train(make(), Control(), Limits(steps=3)))
    assert isinstance(told[-1], events.Finished)
    assert (told[-1].outcome, told[-1].step) == ("done", 3)
    losses = np.concatenate([event.losses for event in only(told, events.Progress)])
    assert len(losses) == 3
    assert np.isfinite(losses).all()


def test_that_losses_that_are_no_numbers_pause_it_and_change_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradient = Descent.gradient

    def spoilt(self: Descent, loss: torch.Tensor, leaves: Sequence[torch.Tensor] = ()) -> Gradient:
        return gradient(self, loss * torch.nan, leaves)

    monkeypatch.setattr(Descent, "gradient", spoilt)
    task, control = make(), Control()
    step, before = task.step, make().state()
    monkeypatch.setattr(task, "step", lambda number, share: step(number, share) * torch.nan)
    told = []
    for event in train(task, control, Limits(steps=100)):
        told.append(event)
        if isinstance(event, events.Paused):
            control.stop()
    (paused,) = only(told, events.Paused)
    assert "not a number" in paused.reason
    assert told[-1] == events.Finished("stopped", step=paused.step)
    now = task.state().tensors
    weights = [part for part in before.tensors if "optimizer" not in part and "draws" not in part]
    assert weights
    for part in weights:
        assert all(torch.equal(now[part][name], tensor) for name, tensor in before.tensors[part].items())


def test_that_what_the_receiver_does_is_not_training_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def tick() -> float:
        clock[0] += 0.001
        return clock[0]

    monkeypatch.setattr(loop.time, "perf_counter", tick)
    counters, told = Counters(), 0
    for _ in train(PlaneTask(PLANE), Control(), Limits(steps=100), counters=counters):
        clock[0] += 1000
        told += 1
    assert told > 3
    assert counters.seconds < 1
