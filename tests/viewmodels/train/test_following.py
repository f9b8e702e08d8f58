"""A run that another process trains is shown live, for as long as it trains."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.remote import Remote
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.metrics_log import MetricsLog
from diffusion_studio.engine.runs.quality import Quality
from diffusion_studio.engine.runs.run import Run, ask
from diffusion_studio.engine.training.events import PreviewMeasured, TimestepErrors
from diffusion_studio.engine.training.learner import Learner
from diffusion_studio.engine.training.trainer import train
from diffusion_studio.viewmodels.train import following, seen
from diffusion_studio.viewmodels.train.model import TrainViewModel
from support.machines import Machine
from support.tiny import begin, finish, resume, tiny_config


@pytest.fixture
def model(qapp, tmp_path, monkeypatch):
    monkeypatch.setattr(following, "EVERY", 0.01)
    made = TrainViewModel(tmp_path / "runs", device="cpu")
    yield made
    made.shutdown()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A training that goes on step by step, whose every step is written at once; it holds its run's lock."""
    monkeypatch.setattr("diffusion_studio.engine.loop.run_keeper.WRITE_EVERY", 0.0)
    monkeypatch.setattr("diffusion_studio.engine.loop.loop.TELL_EVERY", 0.0)
    config = tiny_config(steps=12, checkpoint_every=4, preview_count=4)
    stream = train(begin(tmp_path / "runs" / "far", config), Control())
    yield stream
    stream.close()


def until(stream, step: int) -> None:
    """Lets it train to this step."""
    for event in stream:
        if isinstance(event, events.Progress) and event.step >= step:
            next(stream)  # it is written before the next event
            return


def test_that_a_run_that_another_process_trains_is_followed_to_its_end(qtbot, model, elsewhere, tmp_path):
    until(elsewhere, 3)
    path, saved = tmp_path / "runs" / "far", []
    model.saved.connect(saved.append)
    model.show_run(path)
    assert model.state.run == path
    until(elsewhere, 6)
    qtbot.waitUntil(lambda: model.record.last_step >= 6)
    assert model.state.phase == "idle", "nothing is trained here"
    assert "trained by another process" in model.state.detail
    assert model.state.device.startswith("CPU · ")
    for _ in elsewhere:
        pass
    qtbot.waitUntil(lambda: "has ended" in model.state.detail)
    assert model.record.losses.steps.tolist() == list(range(1, 13))
    known = Run.open(path).metrics.losses()
    assert np.array_equal(model.record.losses.values, known.losses.astype(np.float32))
    assert model.record.timesteps.newest.step == 12
    assert model.record.previews.step(len(model.record.previews) - 1) == 12
    assert model.state.saved_step == 12
    assert saved and set(saved) == {path}


def test_that_another_process_is_asked_to_end_and_saves(qtbot, model, elsewhere, tmp_path, monkeypatch):
    monkeypatch.setattr("diffusion_studio.engine.loop.loop.CHECK_EVERY", 0.0)
    until(elsewhere, 3)
    model.show_run(tmp_path / "runs" / "far")
    assert model.following.run == tmp_path / "runs" / "far"
    model.following.ask("stop")
    assert "asked to save and to end" in model.state.notice.text
    last = list(elsewhere)[-1]
    assert last.outcome == "stopped"
    assert last.step <= 4, "within a step of being asked"
    qtbot.waitUntil(lambda: "has ended" in model.state.detail)
    assert model.state.saved_step == last.step
    finish(resume(tmp_path / "runs" / "far"))
    assert Run.open(tmp_path / "runs" / "far").step == 12, "the wish was for the training before"


def test_that_another_process_rests_until_it_is_asked_to_go_on(
    qtbot, model, elsewhere, tmp_path, monkeypatch
):
    monkeypatch.setattr("diffusion_studio.engine.loop.loop.CHECK_EVERY", 0.0)
    path = tmp_path / "runs" / "far"
    until(elsewhere, 3)
    model.show_run(path)
    model.following.ask("pause")
    assert "asked to save and to rest" in model.state.notice.text
    paused = next(event for event in elsewhere if isinstance(event, events.Paused))
    step = paused.step
    assert step <= 4, "within a step of being asked"
    assert (path / "pause").exists()
    qtbot.waitUntil(lambda: f"step {step} · paused in another process" in model.state.detail)
    assert model.following.rests
    assert model.state.saved_step == step
    model.following.ask("go on")
    assert next(event for event in elsewhere if isinstance(event, events.Resumed)).step == step
    qtbot.waitUntil(lambda: not model.following.rests)
    assert [*elsewhere][-1].step == 12
    assert not (path / "pause").exists()


def test_that_a_pause_of_its_own_is_seen_and_ended_by_others_and_by_a_stop(tmp_path, monkeypatch):
    monkeypatch.setattr("diffusion_studio.engine.loop.loop.CHECK_EVERY", 0.0)
    control, path = Control(), tmp_path / "run"
    stream = train(begin(path, tiny_config(steps=4)), control)
    control.pause()
    for event in stream:
        if isinstance(event, events.Paused):
            assert (path / "pause").exists()
            ask(path, "go on")
            break
    assert next(event for event in stream if isinstance(event, events.Resumed)).step == 0
    control.pause()
    for event in stream:
        if isinstance(event, events.Paused):
            ask(path, "stop")
    assert event.outcome == "stopped"
    assert not (path / "pause").exists()
    (path / "pause").touch()
    finish(resume(path))
    assert Run.open(path).step == 4, "the wish was for the training before"


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are scripts of a shell")
def test_that_a_run_on_another_machine_is_followed_and_asked(qtbot, model, elsewhere, tmp_path, monkeypatch):
    monkeypatch.setattr("diffusion_studio.engine.loop.loop.CHECK_EVERY", 0.0)
    monkeypatch.setattr(following, "EVERY_THERE", 0.01)
    machine, there = Machine(tmp_path / "bin", monkeypatch), tmp_path / "runs" / "far"
    until(elsewhere, 3)
    model.following.look_at(f"ssh://server{there}")
    assert "Asking server for far" in model.state.notice.text
    qtbot.waitUntil(lambda: model.record.last_step >= 3)
    mirror = model.state.run
    assert model.following.remote(mirror) == Remote("server", 0, str(there))
    assert not (mirror / "checkpoints").exists()
    model.following.ask("pause")
    qtbot.waitUntil(lambda: "on server was asked to save and to rest" in model.state.notice.text)
    step = next(event for event in elsewhere if isinstance(event, events.Paused)).step
    assert step in (3, 4), "within a step of being asked"
    qtbot.waitUntil(lambda: f"step {step} · paused in another process" in model.state.detail)
    model.following.ask("go on")
    qtbot.waitUntil(lambda: not (there / "pause").exists())
    assert [*elsewhere][-1].step == 12
    qtbot.waitUntil(lambda: "step 12 · its training has ended" in model.state.detail)
    machine.has_trouble("ssh: connect to host server port 22: Connection refused")
    qtbot.waitUntil(lambda: "cannot be reached" in model.state.notice.text)
    machine.has_trouble("")
    qtbot.waitUntil(lambda: "server is reached again" in model.state.notice.text)
    machine.has_the_program()
    model.following.begin_there(mirror)
    qtbot.waitUntil(machine.begun.exists)
    expected = f"train digits --resume --quiet --steps 24 --run {there}"
    assert machine.begun.read_text() == expected, "as much again, as it had reached its limit"


def test_that_a_folder_that_is_away_for_a_while_is_followed_on(qtbot, model, elsewhere, tmp_path):
    path = tmp_path / "runs" / "far"
    until(elsewhere, 3)
    model.show_run(path)
    until(elsewhere, 6)
    qtbot.waitUntil(lambda: model.record.last_step >= 6)
    path.rename(tmp_path / "away")
    qtbot.waitUntil(
        lambda: "is not there now. It is tried again." in notice_of(model),
    )
    (tmp_path / "away").rename(path)
    qtbot.waitUntil(lambda: f"The folder {path} is reached again." in notice_of(model))
    assert [*elsewhere][-1].step == 12
    qtbot.waitUntil(lambda: "step 12 · its training has ended" in model.state.detail)
    assert model.record.losses.steps.tolist() == list(range(1, 13))


def lain_in_the_place_of(path: Path, steps: int) -> None:
    """The run is deleted, and another one is trained in its place at once."""
    other = path.with_name("other")
    finish(begin(other, tiny_config(steps=steps, preview_count=4)))
    path.rename(path.with_name("deleted"))
    other.rename(path)


def test_that_another_run_in_the_place_of_a_followed_one_is_shown_as_it_is(qtbot, model, elsewhere, tmp_path):
    path = tmp_path / "runs" / "far"
    until(elsewhere, 6)
    model.show_run(path)
    qtbot.waitUntil(lambda: model.record.last_step >= 6)
    lain_in_the_place_of(path, 2)
    qtbot.waitUntil(lambda: f"Another run lies in {path} now" in notice_of(model))
    assert model.record.losses.steps.tolist() == [1, 2]
    assert model.state.saved_step == 2


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are scripts of a shell")
def test_that_of_another_run_on_another_machine_nothing_is_left_in_the_mirror(
    qtbot, model, elsewhere, tmp_path, monkeypatch
):
    monkeypatch.setattr(following, "EVERY_THERE", 0.01)
    Machine(tmp_path / "bin", monkeypatch)
    there = tmp_path / "runs" / "far"
    for _ in elsewhere:
        pass
    model.following.look_at(f"ssh://server{there}")
    qtbot.waitUntil(lambda: model.record.last_step == 12)
    assert len(model.record.previews)
    mirror = model.state.run
    lain_in_the_place_of(there, 2)
    qtbot.waitUntil(lambda: f"Another run lies in {mirror} now" in notice_of(model))
    qtbot.waitUntil(lambda: model.record.last_step == 2)
    assert [path.name for path in (mirror / "samples").iterdir()] == ["step-00000002.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are scripts of a shell")
def test_that_the_next_window_follows_a_mirror_on(qtbot, model, elsewhere, tmp_path, monkeypatch):
    monkeypatch.setattr(following, "EVERY_THERE", 0.01)
    Machine(tmp_path / "bin", monkeypatch)
    there = tmp_path / "runs" / "far"
    until(elsewhere, 3)
    model.following.look_at(f"ssh://server{there}")
    qtbot.waitUntil(lambda: model.record.last_step >= 3)
    model.following.stop()
    qtbot.waitUntil(lambda: model.following.run is None)
    until(elsewhere, 6)
    later = TrainViewModel(tmp_path / "runs", device="cpu")
    later.show_run(model.state.run)
    assert later.following.remote(later.state.run) == Remote("server", 0, str(there))
    qtbot.waitUntil(lambda: later.record.last_step >= 6)
    later.shutdown()


def test_that_a_process_that_was_killed_is_not_said_to_train(qtbot, model, elsewhere, tmp_path, monkeypatch):
    monkeypatch.setattr(following, "QUIET", 2)
    until(elsewhere, 3)
    model.show_run(tmp_path / "runs" / "far")
    until(elsewhere, 6)
    qtbot.waitUntil(lambda: model.record.last_step >= 6)
    monkeypatch.setattr(following, "lock_of", lambda _: contextlib.nullcontext())  # nobody holds it any more
    qtbot.waitUntil(lambda: "has ended without a word" in model.state.detail)


@pytest.mark.parametrize(
    ("held", "sentence"), [(False, "has ended without a word"), (None, "nothing new since 20")]
)
def test_that_a_folder_that_may_only_be_read_is_not_said_to_be_trained_for_ever(
    held, sentence, qtbot, model, elsewhere, tmp_path, monkeypatch
):
    monkeypatch.setattr(following, "QUIET", 2)
    monkeypatch.setattr(following, "lock_of", read_only)
    monkeypatch.setattr(following, "is_held", lambda _: held)
    monkeypatch.setattr(following, "_is_read_only", lambda _: True)
    until(elsewhere, 3)
    model.show_run(tmp_path / "runs" / "far")
    qtbot.waitUntil(lambda: sentence in model.state.detail)
    until(elsewhere, 6)  # of another machine, whose lock is not seen
    qtbot.waitUntil(lambda: model.record.last_step >= 6)
    assert [*elsewhere][-1].step == 12
    qtbot.waitUntil(lambda: "step 12 · its training has ended" in model.state.detail)


def read_only(path: Path) -> object:
    raise OSError(30, "read-only file system")


@pytest.mark.parametrize(
    ("limits", "told", "expected"),
    [
        ({"steps": 12}, ("loss", 11), []),
        ({"steps": 12}, ("end", 12), ["--steps", "24"]),
        ({"steps": 12}, ("end", 8), []),
        ({"seconds": 30.0}, ("loss", 8), []),
        ({"seconds": 30.0}, ("end", 8), ["--seconds", "90.0"]),
        ({"steps": 12, "seconds": 30.0}, ("end", 12), ["--steps", "24", "--seconds", "90.0"]),
        ({"steps": 12, "seconds": 30.0}, ("loss", 12), ["--steps", "24", "--seconds", "30.0"]),
        ({"steps": 12, "seconds": 30.0}, ("end", 8), ["--steps", "12", "--seconds", "90.0"]),
        ({}, ("end", 8), []),
        ({"steps": 12}, None, []),
    ],
)
def test_that_limits_that_were_reached_are_moved(limits, told, expected):
    config = RunConfig.model_validate({"training": {"steps": 0, "seconds": 0.0} | limits})
    lines = [] if told is None else [{"kind": told[0], "step": told[1]}]
    assert following.further(config, lines) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are scripts of a shell")
def test_that_a_process_that_was_killed_on_another_machine_is_not_said_to_train(
    qtbot, model, elsewhere, tmp_path, monkeypatch
):
    monkeypatch.setattr(following, "EVERY_THERE", 0.01)
    monkeypatch.setattr(following, "QUIET", 2)
    Machine(tmp_path / "bin", monkeypatch)
    there = tmp_path / "runs" / "far"
    until(elsewhere, 3)
    model.following.look_at(f"ssh://server{there}")
    qtbot.waitUntil(lambda: model.record.last_step >= 3)
    until(elsewhere, 6)
    qtbot.waitUntil(lambda: "trained by another process" in model.state.detail)
    monkeypatch.setattr(MetricsLog, "close", lambda log, *_: log._file.close())  # no word of an end
    elsewhere.close()  # which lets go of the lock
    qtbot.waitUntil(lambda: "has ended without a word" in model.state.detail)
    resumed = train(resume(there), Control())
    until(resumed, 9)
    qtbot.waitUntil(lambda: "trained by another process" in model.state.detail)
    resumed.close()


def test_that_a_training_that_has_failed_elsewhere_is_said_to_have_failed(
    qtbot, model, elsewhere, tmp_path, monkeypatch
):
    until(elsewhere, 3)
    model.show_run(tmp_path / "runs" / "far")
    until(elsewhere, 6)
    qtbot.waitUntil(lambda: model.record.last_step >= 6)

    def without_room(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Learner, "step", without_room)
    assert [*elsewhere][-1].outcome == "failed"
    qtbot.waitUntil(lambda: "its training has failed" in model.state.detail)
    assert model.state.notice.kind == "error"
    assert "not enough memory" in notice_of(model)


def test_that_a_training_that_its_process_gave_up_has_ended_without_a_word(qtbot, model, elsewhere, tmp_path):
    until(elsewhere, 3)
    model.show_run(tmp_path / "runs" / "far")
    until(elsewhere, 6)
    qtbot.waitUntil(lambda: model.record.last_step >= 6)
    elsewhere.close()
    qtbot.waitUntil(lambda: "has ended without a word" in model.state.detail)


def notice_of(model) -> str:
    return "" if model.state.notice is None else model.state.notice.text


def test_that_an_address_that_is_none_is_a_notice(model):
    model.following.look_at("server:/runs")
    assert "is no address of a run" in model.state.notice.text


def test_that_nobody_is_asked_where_nobody_trains(qtbot, model, tmp_path):
    finish(begin(tmp_path / "runs" / "mine", tiny_config(steps=2)))
    model.show_run(tmp_path / "runs" / "mine")
    qtbot.waitUntil(lambda: model.following.run is None)
    model.following.ask("stop")
    assert "No other process" in model.state.notice.text
    assert not (tmp_path / "runs" / "mine" / "stop").exists()


def test_that_a_run_that_nobody_trains_is_not_followed(qtbot, model, tmp_path):
    finish(begin(tmp_path / "runs" / "mine", tiny_config(steps=2)))
    model.show_run(tmp_path / "runs" / "mine")
    qtbot.waitUntil(lambda: not model.following._slot.busy)
    assert "another process" not in model.state.detail


def test_that_a_training_of_ones_own_ends_the_following(qtbot, model, elsewhere, tmp_path):
    until(elsewhere, 3)
    model.show_run(tmp_path / "runs" / "far")
    model.start()
    qtbot.waitUntil(lambda: not model.following._slot.busy)
    model.stop()
    qtbot.waitUntil(lambda: not model.state.busy)


def test_that_what_computes_elsewhere_is_said_of_that_run_alone(qtbot, model, elsewhere, tmp_path):
    finish(begin(tmp_path / "runs" / "mine", tiny_config(steps=2)))
    until(elsewhere, 3)
    model.show_run(tmp_path / "runs" / "far")
    qtbot.waitUntil(lambda: model.state.device != "")
    model.show_run(tmp_path / "runs" / "mine")
    assert model.state.device == "", "nothing computes it now"
    model.show_run(tmp_path / "runs" / "far")
    qtbot.waitUntil(lambda: model.state.device != "")
    model.start()
    assert model.state.device == "", "what will compute is not known yet"
    model.stop()
    qtbot.waitUntil(lambda: not model.state.busy)


def stream_of(lines: list[dict[str, object]], run: Run, step: int) -> list[events.Event]:
    return list(seen.Seen(run, step).told_by(lines))


def loss(step: int, value: float | None = 0.5) -> dict[str, object]:
    return {"kind": "loss", "step": step, "loss": value}


@pytest.fixture
def run(tmp_path) -> Run:
    finish(begin(tmp_path / "run", tiny_config(steps=1)))
    return Run.open(tmp_path / "run")


def test_that_it_is_told_what_computes_however_long_ago_that_was_said(run, monkeypatch):
    monkeypatch.setattr("diffusion_studio.engine.runs.metrics_log._RECENT", 100)
    log = MetricsLog(run.metrics_log_path, 1)
    for parts in (1, 2):
        log.note(1, "device", f"CPU · {parts} parts")
    log.losses(2, np.ones(9, np.float32))
    log.flush()
    log._file.close()  # as that of a process that was killed
    with run.lock():
        told = next(following.followed(run, 1, Control()))
    assert told == seen.ComputedBy(1, "CPU · 2 parts")


def test_that_losses_that_are_known_are_not_told_again(run):
    (progress,) = stream_of([loss(1), loss(2), loss(3, None)], run, 1)
    assert (progress.first_loss_step, progress.step) == (2, 3)
    assert np.array_equal(progress.losses, np.array([0.5, np.nan], np.float32), equal_nan=True)


def test_that_a_training_that_goes_on_from_before_is_told_from_there(run):
    told = stream_of([loss(9), {"kind": "start", "step": 4}, loss(5)], run, 8)
    assert [event.step for event in told] == [9, 5]


@pytest.mark.parametrize(
    "odd", [{}, {"t": [1, 2], "error": [1], "spread": [1], "count": [1]}, {"t": "x", "count": []}]
)
def test_that_errors_of_another_form_are_passed_over(odd, run):
    assert stream_of([{"kind": "errors", "step": 9, **odd}], run, 1) == []
    whole = {"t": [1, 2], "error": [None, 1], "spread": [0, 1], "count": [0, 3]}
    (found,) = stream_of([{"kind": "errors", "step": 9, **whole}], run, 1)
    assert isinstance(found, TimestepErrors)
    assert np.isnan(found.error[0])
    told = stream_of([loss(9), {"kind": "errors", "step": 7, **whole}], run, 1)
    assert [type(event).__name__ for event in told] == ["Progress", "TimestepErrors"], "older than the loss"


def test_that_it_is_told_how_good_samples_are(run):
    numbers = dict.fromkeys((field.name for field in fields(Quality)), 0.5) | {"count": 64}
    lines = [{"kind": "quality", "step": 9, **numbers}, {"kind": "quality", "step": 9, "count": 64}]
    lines.append({"kind": "quality", "step": 9, **numbers, "frechet": "far"})
    assert stream_of(lines, run, 1) == [PreviewMeasured(9, Quality(**numbers))]


def test_that_a_folder_that_says_nothing_of_its_holder_is_followed(run, monkeypatch):
    monkeypatch.setattr(following, "lock_of", read_only)
    monkeypatch.setattr(following, "_is_read_only", lambda _: True)
    assert following._goes_on(run.path, loss(3))
    assert not following._goes_on(run.path, {"kind": "end", "step": 3})
