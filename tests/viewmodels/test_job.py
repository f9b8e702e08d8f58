"""Jobs: every event in order, exactly one `Finished`, and nothing left running."""

from __future__ import annotations

import errno
import gc
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import QThread, QTimer

from diffusion_studio.data.errors import Cancelled, DataError
from diffusion_studio.engine.files import places
from diffusion_studio.engine.files.files import write_atomically
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.events import Event, Finished, SamplingProgress, Warned
from diffusion_studio.engine.machine.memory import TOO_MUCH
from diffusion_studio.viewmodels.job import Job, Post, Slot, Stream
from support.patience import look_again_soon

OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 20.00 GiB."


def counting(number: int, last: Finished | None = None) -> Stream:
    def stream(control: Control, post: Post) -> Iterator[Event]:
        for done in range(number):
            yield SamplingProgress(done, number)
        if last is not None:
            yield last
            raise AssertionError("nothing is asked for after Finished")

    return stream


def raising(error: BaseException) -> Stream:
    def stream(control: Control, post: Post) -> Iterator[Event]:
        yield Warned("before")
        raise error

    return stream


def until_stopped(control: Control, post: Post) -> Iterator[Event]:
    yield Warned("began")
    while not control.stopped:
        look_again_soon()
    yield Warned("told after the stop")


@pytest.fixture
def run(qtbot):
    """Runs a stream as a job to its end and gives all its events."""

    def run(stream: Stream) -> list[Event]:
        job, told = Job(stream), []
        job.told.connect(told.append)
        job.start()
        qtbot.waitUntil(lambda: job.done)
        assert job._thread.isFinished()
        assert not job._timer.isActive()
        return told

    return run


def fault() -> str:
    return f"Something went wrong in the program; what happened is in the log, in {places.log_dir()}."


def finished(told: list[Event]) -> Finished:
    """The only `Finished`, which must be the last event."""
    assert [isinstance(event, Finished) for event in told] == [False] * (len(told) - 1) + [True]
    return told[-1]


def test_that_events_come_in_order_and_finished_is_the_last_one(run):
    told = run(counting(1000))
    assert [event.done for event in told[:-1]] == list(range(1000))
    assert finished(told).outcome == "done"


def test_that_the_streams_own_finished_is_told_and_ends_it(run):
    told = run(counting(3, Finished("done", "All is saved.", step=7)))
    assert finished(told) == Finished("done", "All is saved.", step=7)


def test_that_posted_events_come_before_those_that_are_yielded_later(run):
    def stream(control: Control, post: Post) -> Iterator[Event]:
        post(Warned("1"))
        yield Warned("2")
        post(Warned("3"))

    assert [event.message for event in run(stream)[:-1]] == ["1", "2", "3"]


def test_that_a_stream_without_events_finishes(run):
    assert finished(run(counting(0))).outcome == "done"


def test_that_a_refusal_is_its_sentence(run, caplog):
    last = finished(run(raising(DataError("There are no images in this folder."))))
    assert (last.outcome, last.message) == ("failed", "There are no images in this folder.")
    assert "DataError" in last.traceback
    assert caplog.text == ""


def test_that_a_file_that_the_system_does_not_give_is_named(run, caplog):
    last = finished(run(raising(PermissionError(errno.EACCES, "Permission denied", "a.png"))))
    assert (last.outcome, last.message) == ("failed", "a.png cannot be used: Permission denied.")
    assert caplog.text == ""


def test_that_a_full_disk_is_said_with_what_was_written_and_what_to_do(run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("diffusion_studio.engine.files.files.os.fsync", full)
    with pytest.raises(OSError) as caught:
        write_atomically(tmp_path / "x.png", b"a picture")
    assert list(tmp_path.glob(".x.png*")) == []
    said = f"{tmp_path / 'x.png'} cannot be used: No space left on device. Free some disk space."
    assert finished(run(raising(caught.value))).message == said


def test_that_a_shape_error_is_a_fault_with_its_traceback_in_the_log(run, caplog):
    def stream(control: Control, post: Post) -> Iterator[Event]:
        yield Warned(str(np.zeros(3) + np.zeros(4)))

    last = finished(run(stream))
    assert (last.outcome, last.message) == ("failed", fault())
    assert "could not be broadcast" in last.traceback
    assert "Traceback" in caplog.text and "could not be broadcast" in caplog.text


@pytest.mark.parametrize("error", [RuntimeError(OUT_OF_MEMORY), MemoryError()])
def test_that_a_lack_of_memory_is_told_in_words(run, error):
    last = finished(run(raising(error)))
    assert (last.outcome, last.message) == ("failed", TOO_MUCH)
    assert type(error).__name__ in last.traceback


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3)])
def test_that_no_other_exception_is_swallowed(run, error, caplog):
    last = finished(run(raising(error)))
    assert last.outcome == "failed"
    assert last.message == fault()
    assert type(error).__name__ in last.traceback
    assert type(error).__name__ in caplog.text


def test_that_cancelling_is_not_an_error(run):
    assert finished(run(raising(Cancelled()))) == Finished("stopped")


def test_that_a_stop_is_told_as_stopped(qtbot):
    job, told = Job(until_stopped), []
    job.told.connect(told.append)
    job.start()
    qtbot.waitUntil(lambda: len(told) == 1)
    job.stop()
    qtbot.waitUntil(lambda: job.done)
    assert told == [Warned("began"), Warned("told after the stop"), Finished("stopped")]


def test_that_finish_stops_waits_and_tells_what_is_left(qapp):
    job, told = Job(until_stopped), []
    job.told.connect(told.append)
    job.start()
    assert job.finish()
    assert finished(told).outcome == "stopped"
    assert told[-2] == Warned("told after the stop")
    assert job._thread.isFinished()
    assert job.finish()  # again does no harm
    assert finished(told)


def test_that_finish_says_when_the_job_does_not_end(qtbot):
    end = threading.Event()

    def stream(control: Control, post: Post) -> Iterator[Event]:
        end.wait()
        yield Warned("late")

    job = Job(stream)
    job.start()
    assert not job.finish(20)
    assert not job.done
    end.set()
    assert job.finish()


def test_that_a_thread_that_does_not_end_outlives_its_job(qtbot):
    """Qt ends the program where a running thread is deleted."""
    end = threading.Event()

    def stream(control: Control, post: Post) -> Iterator[Event]:
        end.wait()
        yield Warned("late")

    slot = Slot()
    slot.start(stream)
    thread = slot.findChild(Job)._thread
    assert not slot.finish(20)
    gone = weakref.ref(slot)
    del slot
    qtbot.waitUntil(lambda: gc.collect() >= 0 and gone() is None)
    assert thread.isRunning()
    end.set()
    assert thread.wait()
    thread.deleteLater()


def test_that_the_generator_is_closed_before_finished_is_told(run):
    closed = []

    def stream(control: Control, post: Post) -> Iterator[Event]:
        try:
            yield Finished("done")
        finally:
            closed.append(QThread.currentThread())

    seen = []
    job = Job(stream)
    job.told.connect(lambda event: seen.append(list(closed)))
    job.start()
    assert job.finish()
    assert [len(now) for now in seen] == [1]
    assert closed[0] is not QThread.currentThread()


def test_that_a_slot_tells_its_jobs_events_and_is_free_afterwards(qtbot):
    slot, told = Slot(), []
    slot.told.connect(told.append)
    slot.start(counting(3))
    assert slot.busy
    qtbot.waitUntil(lambda: not slot.busy)
    assert finished(told).outcome == "done"
    assert slot.control is None


def test_that_a_slot_is_free_when_finished_is_told(qtbot):
    slot, busy = Slot(), []
    slot.told.connect(lambda event: busy.append(slot.busy))
    slot.start(counting(2))
    qtbot.waitUntil(lambda: len(busy) == 3)
    assert busy == [True, True, False]


def test_that_a_new_stream_stops_the_old_one_whose_late_events_are_not_told(qtbot):
    slot, told = Slot(), []
    slot.told.connect(told.append)
    slot.start(until_stopped)
    qtbot.waitUntil(lambda: told == [Warned("began")])
    slot.start(counting(2))
    qtbot.waitUntil(lambda: not slot.busy)
    assert told == [Warned("began"), *told[1:]]
    assert [type(event) for event in told[1:]] == [SamplingProgress, SamplingProgress, Finished]


def test_that_of_many_new_streams_only_the_last_one_runs(qtbot):
    slot, told, ran = Slot(), [], []

    def named(name: str) -> Stream:
        def stream(control: Control, post: Post) -> Iterator[Event]:
            ran.append(name)
            yield Warned(name)

        return stream

    slot.told.connect(told.append)
    slot.start(until_stopped)
    for name in "abcd":
        slot.start(named(name))
    qtbot.waitUntil(lambda: not slot.busy)
    assert ran == ["d"]
    assert told[-2:] == [Warned("d"), Finished("done")]


def test_that_stopping_a_slot_also_forgets_the_stream_that_waits(qtbot):
    slot, told = Slot(), []
    slot.told.connect(told.append)
    slot.start(until_stopped)
    slot.start(counting(2))
    slot.stop()
    qtbot.waitUntil(lambda: not slot.busy)
    assert finished(told).outcome == "stopped"
    assert not any(isinstance(event, SamplingProgress) for event in told)


def test_that_a_stream_that_was_taken_back_is_told_as_stopped_though_the_one_before_was_done(qtbot):
    slot, told = Slot(), []
    slot.told.connect(told.append)
    slot.start(counting(1))
    slot._job._thread.wait()  # done, and nobody has heard of it yet
    slot.start(counting(2))
    slot.stop()
    qtbot.waitUntil(lambda: not slot.busy)
    assert finished(told).outcome == "stopped"
    slot.start(counting(1))
    qtbot.waitUntil(lambda: not slot.busy)
    assert told[-1] == Finished("done")


def test_that_nothing_more_is_told_of_a_job_that_is_dropped_and_the_next_one_is_told(qtbot):
    slot, told = Slot(), []
    slot.told.connect(told.append)
    slot.drop()  # there is none: the next one is told all the same
    slot.start(until_stopped)
    qtbot.waitUntil(lambda: told == [Warned("began")])
    slot.drop()
    qtbot.waitUntil(lambda: not slot.busy)
    assert told == [Warned("began")]
    slot.start(counting(1))
    qtbot.waitUntil(lambda: not slot.busy)
    assert [type(event) for event in told[1:]] == [SamplingProgress, Finished]


def test_that_a_job_is_told_that_was_begun_while_a_dropped_one_ended(qtbot):
    slot, told = Slot(), []
    slot.start(until_stopped)
    slot.drop()
    slot.told.connect(told.append)
    slot.start(counting(2))
    qtbot.waitUntil(lambda: not slot.busy)
    assert [type(event) for event in told] == [SamplingProgress, SamplingProgress, Finished]


def test_that_finishing_a_busy_slot_leaves_nothing(qapp):
    slot, told = Slot(), []
    slot.told.connect(told.append)
    slot.start(until_stopped)
    slot.start(counting(2))
    assert slot.finish()
    assert not slot.busy
    assert finished(told)
    assert slot.finish()


def test_that_what_the_last_events_set_off_is_finished_too(qtbot):
    slot, told = Slot(), []

    def once_more(event: Event) -> None:
        told.append(event)
        if told == [Warned("began"), Warned("told after the stop")]:
            slot.start(until_stopped)

    slot.told.connect(once_more)
    slot.start(until_stopped)
    qtbot.waitUntil(lambda: told == [Warned("began")])
    assert slot.finish()
    assert not slot.busy
    assert told[-1] == Finished("stopped")


def test_that_jobs_that_are_done_are_given_back(qtbot):
    slot = Slot()
    for _ in range(3):
        slot.start(counting(1))
        qtbot.waitUntil(lambda: not slot.busy)
    qtbot.waitUntil(lambda: not slot.findChildren(Job))
    assert not slot.findChildren(QTimer)


def test_that_nothing_of_an_ended_job_is_kept(qtbot):
    """A signal with the name of one of Qt's own methods keeps its object alive for ever."""

    class Large:
        pass

    large = Large()
    left = weakref.ref(large)

    def stream(control: Control, post: Post, held: Large = large) -> Iterator[Event]:
        yield Warned(repr(held))

    slot = Slot()
    slot.start(stream)
    qtbot.waitUntil(lambda: not slot.busy)
    del large, stream
    qtbot.waitUntil(lambda: gc.collect() >= 0 and left() is None)
