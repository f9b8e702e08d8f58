"""No outcome of a test hangs on the clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import clocks


def test_that_no_test_asks_the_clock():
    assert list(clocks.in_tests(Path(__file__).parent)) == []


@pytest.mark.parametrize(
    "source",
    [
        "time.sleep(0.1)",
        "sleep(1)",
        "QThread.msleep(5)",
        "began = time.perf_counter()",
        "assert time.monotonic() < deadline",
        "qtbot.wait(60)",
        "QTest.qWait(60)",
        "qtbot.waitUntil(lambda: done, timeout=500)",
        "subprocess.run(command, timeout=60)",
        "threading.Timer(1.0, go).start()",
        "assert timer.remainingTime() > 5",
    ],
)
def test_that_asking_is_found(source):
    assert [line for line, _ in clocks.asked(f"\n{source}")] == [2]


@pytest.mark.parametrize(
    "source", ["qtbot.waitUntil(lambda: done)", "thread.join()", "wait(model)", "end.wait()", "QTimer(self)"]
)
def test_that_waiting_for_an_event_is_no_such_thing(source):
    assert list(clocks.asked(source)) == []
