"""Losses that are not numbers: nothing of the model changes, and too many in a row pause the training."""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop import loop
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.engine.training.learner import Learner
from diffusion_studio.engine.training.minimised import StepResult
from diffusion_studio.engine.training.session import Session
from diffusion_studio.engine.training.trainer import train
from support.clock import Clock
from support.tiny import begin, differing, everything, finish, losses_told, only, resume, tiny_config


def spoil(monkeypatch: pytest.MonkeyPatch, steps: Collection[int], value: float = float("nan")) -> None:
    """The network's errors at these steps are no numbers (and so is the gradient)."""
    result_of, step = Learner._result, Learner.step
    number = [0]

    def counted(self: Learner, batch: Batch, n: int) -> StepResult:
        number[0] = n
        return step(self, batch, n)

    def spoilt(self: Learner, batch: Batch, drawn: object = None) -> StepResult:
        result, factor = result_of(self, batch, drawn), value if number[0] in steps else 1.0
        return StepResult(result.errors * factor, result.losses * factor)

    monkeypatch.setattr(Learner, "step", counted)
    monkeypatch.setattr(Learner, "_result", spoilt)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("before", [0, 3])
def test_that_a_skipped_step_changes_nothing(
    value: float, before: int, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, weight_decay=0.1))
    batches, learner = session.batches, session.learner
    for n in range(before):
        learner.step(batches.batch(n, 16 * n, 16), n)
    spoil(monkeypatch, {before}, value)
    was = everything(session)
    loss = learner.step(batches.batch(before, 16 * before, 16), before).minimised
    assert not torch.isfinite(loss).any()
    now = everything(session)
    fresh = set(now) - set(was)
    assert all(name.startswith("optimizer.") and not now[name].any() for name in fresh)
    assert differing(was, {name: now[name] for name in was}) == []
    learner.step(batches.batch(before + 1, 16 * (before + 1), 16), before + 1)
    assert differing(was, everything(session)) != []


def test_that_a_finite_loss_with_an_infinite_gradient_changes_nothing(pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures))
    batch = session.batches.batch(0, 0, 16)
    session.learner.step(batch, 0)
    was = everything(session)
    parameter = next(session.learner.unet.parameters())
    handle = parameter.register_hook(lambda gradient: gradient * torch.inf)
    assert torch.isfinite(session.learner.step(batch, 1).minimised).all()
    handle.remove()
    assert differing(was, everything(session)) == []


def test_that_skipped_steps_are_counted_and_stored_as_gaps(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, {2, 5, 6})
    session = begin(tmp_path / "run", tiny_config(pictures, steps=9))
    told = finish(session)
    assert told[-1].outcome == "done"
    assert only(told, events.Paused) == []
    assert session.counters.skipped_steps == 3
    bad = np.isnan(losses_told(told))
    assert np.flatnonzero(bad).tolist() == [2, 5, 6]
    assert np.array_equal(np.isnan(session.run.metrics.losses().losses), bad)
    assert int(session.averages.count.sum()) == 6 * 16
    assert resume(tmp_path / "run").counters.skipped_steps == 3
    assert any("(3 so far)" in event.message for event in only(told, events.Warned))


def watched(session: Session, control: Control, on_pause: str) -> list[events.Event]:
    told: list[events.Event] = []
    for event in train(session, control):
        told.append(event)
        if isinstance(event, events.Paused):
            threading.Thread(target=getattr(control, on_pause)).start()
    return told


@pytest.mark.parametrize("tell_every", [0.0, 0.033])
def test_that_five_in_a_row_pause_and_keep_the_last_sound_checkpoint(
    tell_every: float, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TELL_EVERY", tell_every)
    spoil(monkeypatch, range(4, 10**6))
    session = begin(tmp_path / "run", tiny_config(pictures, steps=0, checkpoint_every=4))
    told = watched(session, Control(), "stop")
    (paused,) = only(told, events.Paused)
    assert "not a number" in paused.reason
    assert "The checkpoint of step 4 is kept. Try a smaller learning rate." in paused.reason
    assert isinstance(told[-1], events.Finished)
    assert told[-1].outcome == "failed", "the step at which it was stopped is not on disk"
    assert "was not saved: the loss was not a number" in told[-1].message
    assert told[-1].message.endswith("The checkpoint of step 4 is kept.")
    assert session.run.newest_checkpoint()[0].name == "step-00000004"
    again = resume(tmp_path / "run")
    assert again.state().is_finite
    assert again.counters.skipped_steps == 0


def test_that_a_training_resumed_after_such_a_pause_goes_on(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TELL_EVERY", 0.0)
    spoil(monkeypatch, range(4, 9))
    session = begin(tmp_path / "run", tiny_config(pictures, steps=14))
    told = watched(session, Control(), "resume")
    assert [type(e).__name__ for e in told if isinstance(e, events.Paused | events.Resumed)] == [
        "Paused",
        "Resumed",
    ]
    assert told[-1].outcome == "done"
    assert session.run.step == 14


def test_that_the_time_of_such_a_pause_is_not_counted(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TELL_EVERY", 0.0)
    spoil(monkeypatch, range(4, 9))
    session, control = begin(tmp_path / "run", tiny_config(pictures, steps=11)), Control()
    clock = Clock(monkeypatch)
    for event in train(session, control):
        if isinstance(event, events.Paused):
            clock.seconds += 1000
            threading.Thread(target=control.resume).start()
    assert clock.seconds > 1000
    assert session.counters.seconds < 10


def test_that_one_bad_step_at_the_end_does_not_cost_the_work_before(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, {5})
    session = begin(tmp_path / "run", tiny_config(pictures, steps=6))
    finish(session)
    assert session.run.step == 6
    assert len(session.run.metrics.losses().steps) == 6


def test_that_a_wild_learning_rate_never_saves_broken_weights(pictures: Path, tmp_path: Path) -> None:
    config = tiny_config(
        pictures,
        steps=30,
        learning_rate=1.0,
        warmup=0,
        gradient_clip=0,
        checkpoint_every=1,
        keep_checkpoints=30,
    )
    session = begin(tmp_path / "run", config)
    with torch.no_grad():
        session.learner.unet.conv_out.weight.mul_(1e19)  # the square of the error overflows
    watched(session, Control(), "stop")
    for path in session.run.checkpoint_folder.glob("step-*"):
        from diffusion_studio.engine.runs.checkpoints import read_tensors

        for file in path.rglob("*.safetensors"):
            assert all(torch.isfinite(t).all() for t in read_tensors(file.parent, file.name).values())


def test_that_weights_that_are_no_numbers_are_never_saved(pictures: Path, tmp_path: Path) -> None:
    session, control = begin(tmp_path / "run", tiny_config(pictures, steps=8, checkpoint_every=2)), Control()
    told = []
    for event in train(session, control):
        told.append(event)
        if isinstance(event, events.Saved) and event.step == 2:
            with torch.no_grad():
                session.learner.unet.conv_out.bias.fill_(torch.nan)
        if isinstance(event, events.Paused):
            control.stop()
    assert {event.step for event in only(told, events.Saved)} == {2}
    assert any("The checkpoint of step 2 is kept." in event.message for event in only(told, events.Warned))
    assert told[-1].outcome == "failed"
    assert told[-1].message.endswith("The checkpoint of step 2 is kept.")
    assert resume(tmp_path / "run").counters.step == 2
