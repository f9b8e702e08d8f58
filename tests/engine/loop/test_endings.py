"""A training ends well only if its last step is on disk; otherwise it says which one is."""

from __future__ import annotations

import errno
import shutil
import sqlite3

import pytest
import torch

from diffusion_studio.cli.program import main
from diffusion_studio.engine.files.files import write_synced
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop import loop, run_keeper
from diffusion_studio.engine.runs import checkpoints
from diffusion_studio.engine.runs.metrics import Metrics
from diffusion_studio.engine.training.learner import Learner
from diffusion_studio.engine.training.trainer import train
from support.tiny import begin, finish, only, resume, tiny_config

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def session(pictures, tmp_path):
    """A training of 20 steps that is saved at every fourth."""
    return begin(tmp_path / "run", tiny_config(pictures, steps=20, checkpoint_every=4))


def full_from(monkeypatch, session, first, last=10**6):
    """No checkpoint can be written from one step on."""

    def write(path, data):
        if first <= session.counters.step <= last:
            raise FULL
        write_synced(path, data)

    monkeypatch.setattr(checkpoints, "write_synced", write)


def saved_steps(told):
    return [event.step for event in only(told, events.Saved)]


@pytest.mark.parametrize(
    ("first", "saved", "kept"),
    [(0, [], "Nothing was saved before."), (5, [4], "The checkpoint of step 4 is kept.")],
    ids=["from the start", "later"],
)
def test_that_a_full_disk_at_the_end_is_a_failure_that_says_what_is_kept(
    session, monkeypatch, first, saved, kept
):
    full_from(monkeypatch, session, first)
    told = finish(session)
    assert saved_steps(told) == saved
    end = f"Step 20 could not be saved: No space left on device. {kept} Free some disk space."
    assert (told[-1].outcome, told[-1].message, told[-1].step) == ("failed", end, 20)
    attempts = [4, 8, 12, 16, 20]
    assert [event.step for event in only(told, events.Warned)] == [n for n in attempts if n not in saved]
    assert all(kept in event.message for event in only(told, events.Warned))


def test_that_a_disk_with_room_again_is_no_failure(session, monkeypatch):
    full_from(monkeypatch, session, 5, 19)
    told = finish(session)
    assert saved_steps(told) == [4, 20]
    assert told[-1] == events.Finished("done", "Step 20, everything is saved.", step=20)


def test_that_a_stop_that_cannot_be_saved_is_a_failure(session, monkeypatch):
    full_from(monkeypatch, session, 5)
    control, told = Control(), []
    for event in train(session, control):
        told.append(event)
        if isinstance(event, events.Saved):
            control.stop()
        if isinstance(event, events.Warned):
            raise AssertionError(event)
    assert told[-1].outcome == "stopped", "step 4 is on disk"
    again, control = resume(session.run.path), Control()
    full_from(monkeypatch, again, 5)
    for event in train(again, control):
        told.append(event)
        if isinstance(event, events.Warned):
            control.stop()
    assert told[-1].outcome == "failed"
    assert "The checkpoint of step 4 is kept." in told[-1].message


def test_that_weights_that_are_no_numbers_at_the_end_are_a_failure(session):
    for event in (job := train(session, Control())):
        if isinstance(event, events.Saved) and event.step == 16:
            with torch.no_grad():
                session.learner.ema_unet.conv_out.bias.fill_(torch.nan)  # the losses do not show it
            break
    last = list(job)[-1]
    assert (last.outcome, last.step) == ("failed", 20)
    assert last.message == (
        "Step 20 was not saved: its weights are not numbers. The checkpoint of step 16 is kept."
    )
    assert resume(session.run.path).counters.step == 16


def test_that_a_training_in_which_no_step_was_sound_is_not_saved(pictures, tmp_path, monkeypatch):
    session = begin(tmp_path / "run", tiny_config(pictures, steps=2))
    monkeypatch.setattr(Learner, "learning_rate", lambda *_: 1.0)
    with torch.no_grad():
        session.learner.unet.conv_out.bias.fill_(1e30)  # finite, but no loss is
    told = finish(session)
    assert saved_steps(told) == []
    assert told[-1].outcome == "failed"
    assert "Step 2 was not saved: the loss was not a number" in told[-1].message


LOST = {"deleted": shutil.rmtree, "moved": lambda path: path.rename(path.with_name("elsewhere"))}


@pytest.mark.parametrize("way", LOST)
@pytest.mark.parametrize("check_every", [0.0, 1e9], ids=["looked for", "found missing when it is saved"])
def test_that_a_run_folder_that_is_gone_ends_the_training_and_stays_gone(
    session, monkeypatch, way, check_every
):
    monkeypatch.setattr(loop, "CHECK_EVERY", check_every)
    monkeypatch.setattr(run_keeper, "MOST_AWAY", 0.0)
    told = []
    for event in train(session, Control()):
        told.append(event)
        if isinstance(event, events.Saved) and event.step == 8:
            LOST[way](session.run.path)
    assert saved_steps(told) == [4, 8]
    assert 8 <= told[-1].step <= 12
    assert told[-1].outcome == "failed"
    assert told[-1].message == (
        f"The folder {session.run.path} was deleted or moved while it was trained, so the training was "
        "ended. The last step saved in it was 8."
    )
    assert not session.run.path.exists()
    if way == "moved":
        assert resume(session.run.path.with_name("elsewhere")).counters.step == 8


def test_that_a_run_folder_that_goes_while_it_is_saved_is_not_made_anew(session, monkeypatch):
    def write(path, data):
        if session.counters.step == 8 and session.run.path.exists():
            shutil.rmtree(session.run.path)
        write_synced(path, data)

    monkeypatch.setattr(checkpoints, "write_synced", write)
    told = finish(session)
    assert told[-1].outcome == "failed"
    assert not session.run.path.exists()


def test_that_a_run_folder_that_is_gone_before_the_first_step_is_not_made_anew(session):
    shutil.rmtree(session.run.path)
    (last,) = finish(session)
    assert last.outcome == "failed"
    assert "is not a run: it was deleted or moved." in last.message
    assert not session.run.path.exists()


def test_that_a_failure_that_cannot_be_rescued_says_what_is_kept(session, monkeypatch):
    full_from(monkeypatch, session, 5)
    step = Learner.step

    def failing(self, batch, number):
        if number == 7:
            raise ZeroDivisionError("a strange thing")
        return step(self, batch, number)

    monkeypatch.setattr(Learner, "step", failing)
    last = finish(session)[-1]
    assert last.message.startswith("Training stopped after step 7. Something went wrong in the program")
    assert last.message.endswith(" The checkpoint of step 4 is kept.")
    assert "Saving after the failure failed too: Step 7 could not be saved" in last.traceback


def test_that_curves_that_cannot_be_written_are_told_again_at_every_save(session, monkeypatch):
    def locked(*_):
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(Metrics, "add", locked)
    monkeypatch.setattr(run_keeper, "WRITE_EVERY", 0.0)
    told = finish(session)
    warned = [event for event in only(told, events.Warned) if "curves could not be written" in event.message]
    assert len(warned) == 6, "at the first attempt, and at each of five saves"
    assert told[-1].outcome == "done"


@pytest.mark.parametrize("way", ["full", "not a number"])
def test_that_the_command_line_fails_with_the_same_sentence(pictures, tmp_path, monkeypatch, capsys, way):
    def full(*_):
        raise FULL

    if way == "full":
        monkeypatch.setattr(checkpoints, "write_synced", full)
    else:
        monkeypatch.setattr(checkpoints.CheckpointContent, "is_finite", False)
    asked = ["train", str(pictures), "--run", str(tmp_path / "run"), "--steps", "2"]
    small = ["--set", "data.resolution=8", "--set", "model.width=8", "--set", "training.preview_count=0"]
    assert main([*asked, *small]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "Step 2 " in said
    assert "Nothing was saved before." in said
    assert "everything is saved" not in said
