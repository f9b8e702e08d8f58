"""A run folder on a network that is away for a while, and a database that another program holds."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop import loop, run_keeper
from diffusion_studio.engine.runs import metrics
from diffusion_studio.engine.runs.metrics import Metrics
from diffusion_studio.engine.runs.metrics_log import MetricsLog
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.trainer import train
from support.tiny import begin, finish, only, tiny_config

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="an open folder is not moved there; a network's is away in its own ways"
)


@pytest.fixture
def session(pictures, tmp_path, monkeypatch):
    """A training of 12 steps, saved at every fourth, that looks at its folder and writes at each step."""
    monkeypatch.setattr(loop, "CHECK_EVERY", 0.0)
    monkeypatch.setattr(loop, "TELL_EVERY", 0.0)
    monkeypatch.setattr(loop, "LOOK_AGAIN", 0.001)
    monkeypatch.setattr(run_keeper, "WRITE_EVERY", 0.0)
    return begin(tmp_path / "run", tiny_config(pictures, steps=12, checkpoint_every=4))


def away_from(session, first: int, back: int) -> list[events.Event]:
    """All that is told by a training whose folder is away between two steps."""
    path, told = session.run.path, []
    elsewhere = path.with_name("elsewhere")
    for event in train(session, Control()):
        told.append(event)
        if isinstance(event, events.Progress) and event.step == first:
            path.rename(elsewhere)
        if isinstance(event, events.Progress) and event.step == back:
            assert not path.exists(), "nothing makes it anew"
            elsewhere.rename(path)
    return told


def losses_of(session) -> list[int]:
    """The steps whose losses are in the database; each is in the file beside it too."""
    lines = [json.loads(line) for line in session.run.metrics_log_path.read_text().splitlines()]
    known = Run.open(session.run.path).metrics.losses().steps.tolist()
    assert [line["step"] for line in lines if line["kind"] == "loss"] == known
    return known


def test_that_a_folder_that_is_away_for_a_while_costs_nothing(session):
    told = away_from(session, 6, 10)
    saved = [event.step for event in only(told, events.Saved)]
    assert saved[0] == 4
    assert saved[1] in (10, 11), "once it is back, at once"
    assert saved[-1] == 12
    path = session.run.path
    assert [event.message for event in only(told, events.Warned)] == [
        f"The folder {path} is not there now. Training goes on, and is saved when it is back.",
        f"The folder {path} is there again.",
    ]
    assert told[-1].outcome == "done"
    assert losses_of(session) == list(range(1, 13))


def test_that_the_end_of_a_training_waits_for_its_folder(session):
    path, told = session.run.path, []
    elsewhere = path.with_name("elsewhere")
    for event in train(session, Control()):
        told.append(event)
        if isinstance(event, events.Progress) and event.step == 11:
            path.rename(elsewhere)
        if isinstance(event, events.Warned) and "is saved when its folder" in event.message:
            elsewhere.rename(path)
    assert "Step 12 is saved when its folder is there again." in [
        w.message for w in only(told, events.Warned)
    ]
    assert (told[-1].outcome, Run.open(path).step) == ("done", 12)
    assert losses_of(session) == list(range(1, 13))


def test_that_one_that_stays_away_ends_the_training(session, monkeypatch):
    monkeypatch.setattr(run_keeper, "MOST_AWAY", 0.0)
    told = away_from(session, 6, -1)
    assert told[-1].outcome == "failed"
    assert told[-1].message.endswith("The last step saved in it was 4.")


def test_that_one_that_is_deleted_is_not_waited_for(session):
    told = []
    for event in train(session, Control()):
        told.append(event)
        if isinstance(event, events.Progress) and event.step == 6:
            shutil.rmtree(session.run.path)
    assert told[-1].outcome == "failed"
    assert told[-1].step <= 7
    assert "was deleted or moved" in told[-1].message


def test_that_a_training_that_rests_does_not_go_on_because_its_folder_is_away(session):
    path, control = session.run.path, Control()
    keeper = run_keeper.RunKeeper(session.run, 1, 0)
    others = loop.Others(keeper, control)
    control.pause()
    others.mark(True)
    path.rename(path.with_name("elsewhere"))
    assert not others._taken_away
    path.with_name("elsewhere").rename(path)
    assert not others._taken_away
    (path / "pause").unlink()
    assert others._taken_away
    keeper.close()


def test_that_a_network_that_answers_with_errors_is_away(session, monkeypatch):
    keeper = run_keeper.RunKeeper(session.run, 1, 0)

    def stale(*_: object) -> bool:
        raise OSError(116, "Stale file handle")

    with monkeypatch.context() as patched:
        patched.setattr(run_keeper, "is_run", stale)
        patched.setattr("pathlib.Path.exists", stale)
        assert not keeper.check()
        assert not keeper.asked_to_stop
        assert not keeper.asked_to_rest
    assert keeper.check()
    keeper.close()


def test_that_a_database_that_another_program_holds_gets_all_later(session, monkeypatch):
    monkeypatch.setattr(metrics, "WAIT", 0.0)
    told, other = [], None
    for event in train(session, Control()):
        told.append(event)
        if isinstance(event, events.Progress) and event.step == 3:
            other = sqlite3.connect(session.run.metrics_path, isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")
        if isinstance(event, events.Progress) and event.step == 9 and other is not None:
            other.execute("ROLLBACK")
            other.close()
    warned = [event.message for event in only(told, events.Warned)]
    assert warned[0] == "The curves could not be written: another program holds it. Training goes on."
    assert told[-1].outcome == "done"
    assert losses_of(session) == list(range(1, 13))
    noted = [message for _, kind, message in Run.open(session.run.path).metrics.events() if kind == "warning"]
    assert noted == [], "what the database itself says of its trouble is no event of the training"


def test_that_what_happened_is_noted_once_the_database_is_free(session):
    keeper = run_keeper.RunKeeper(session.run, 1, 0)
    assert keeper.metrics is not None
    keeper.metrics.wait(0.0)
    other = sqlite3.connect(session.run.metrics_path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    keeper.note(1, "warning", "something")
    keeper._write()
    other.execute("ROLLBACK")
    other.close()
    keeper.close()
    assert (1, "warning", "something") in Run.open(session.run.path).metrics.events()


def test_that_handles_that_lead_nowhere_are_opened_again(tmp_path):
    written, log = Metrics(tmp_path / "metrics.sqlite", 0), MetricsLog(tmp_path / "metrics.jsonl", 0)
    written._db.close()
    lost = sqlite3.OperationalError("disk I/O error")
    lost.sqlite_errorcode = sqlite3.SQLITE_IOERR
    written.open_again(lost)
    written.add(1, np.ones(1, np.float32))
    written.close()
    log._file.close()
    log.losses(1, np.ones(1, np.float32))
    with Path(os.devnull).open("rb", buffering=0) as nowhere, pytest.raises(OSError, match="writing"):
        log._file = nowhere
        log.flush()
    log.close(1)
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert kinds == ["start", "loss", "end"]


def test_that_a_run_that_was_not_disturbed_is_told_as_before(session):
    assert only(finish(session), events.Warned) == []


def test_that_long_numbers_of_steps_have_commas(session):
    keeper = run_keeper.RunKeeper(session.run, 1, 5995)
    assert keeper.kept == "The checkpoint of step 5,995 is kept."
    assert keeper.farewell(12_345) == "Step 12,345, everything is saved."
    keeper.close()
