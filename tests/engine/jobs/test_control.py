"""Pause and stop across threads."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.training import session
from support.tiny import CPU, tiny_config


def test_that_a_stop_wakes_a_paused_job() -> None:
    control = Control()
    control.pause()
    job = threading.Thread(target=control.wait_while_paused)
    job.start()
    assert job.is_alive()
    control.stop()
    job.join()


def test_that_a_pause_after_a_stop_does_nothing() -> None:
    control = Control()
    control.stop()
    control.pause()
    assert control.stopped
    assert not control.paused
    control.wait_while_paused()


def test_that_a_pause_that_meets_a_stop_never_outlasts_it() -> None:
    for _ in range(200):
        control, ready = Control(), threading.Barrier(2)

        def job(control: Control = control, ready: threading.Barrier = ready) -> None:
            ready.wait()
            control.pause()

        thread = threading.Thread(target=job)
        thread.start()
        ready.wait()
        control.stop()
        thread.join()
        assert not control.paused


def test_that_pausing_and_resuming_can_be_repeated() -> None:
    control = Control()
    for _ in range(3):
        control.pause()
        control.pause()
        assert control.paused
        control.resume()
        control.resume()
        assert not control.paused
        assert not control.stopped


def test_that_a_stop_before_the_run_is_made_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = Control()
    build = session.learner_for

    def built(*arguments: object) -> object:
        control.stop()  # while the network is built
        return build(*arguments)

    monkeypatch.setattr(session, "learner_for", built)
    with pytest.raises(Cancelled):
        session.new_session(tmp_path / "run", tiny_config(), CPU, None, lambda: control.stopped)
    assert not (tmp_path / "run").exists()


def test_that_wishes_of_different_types_do_not_replace_each_other() -> None:
    control = Control()
    for wish in (1, "a", 2):
        control.ask(wish)
    assert control.asked and set(control.wishes) == {2, "a"}
    assert {control.take_wish(), control.take_wish()} == {2, "a"}
    assert not control.asked and control.take_wish() is None


def test_that_only_what_was_there_is_forgotten() -> None:
    control = Control()
    control.ask("old")
    seen = control.wishes
    control.ask("new")
    control.ask(1.5)
    control.forget(seen)
    assert set(control.wishes) == {"new", 1.5}
