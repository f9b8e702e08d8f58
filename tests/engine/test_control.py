"""Pause and stop across threads."""

from __future__ import annotations

import threading
import time

from diffusion_studio.engine.control import Control


def test_that_a_stop_wakes_a_paused_job() -> None:
    control = Control()
    control.pause()
    job = threading.Thread(target=control.wait_while_paused)
    job.start()
    time.sleep(0.02)
    assert job.is_alive()
    control.stop()
    job.join(2)
    assert not job.is_alive()


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
