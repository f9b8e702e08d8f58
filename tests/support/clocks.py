"""Finds where a test asks the clock: such a test fails on a machine that is busy enough."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ASKING = {
    "qtbot.wait": "wait until something has come",
    "msleep": "wait until something has come (support.patience)",
    "monotonic": "count steps, or move the clock yourself (support.clock)",
    "perf_counter": "count steps, or move the clock yourself (support.clock)",
    "process_time": "count steps, or move the clock yourself (support.clock)",
    "qWait": "wait until something has come",
    "remainingTime": "ask for the interval of the timer",
    "sleep": "wait until something has come (support.patience)",
    "Timer": "begin at an event",
    "time.time": "count steps, or move the clock yourself (support.clock)",
}
LIMITED = ("join", "run", "communicate", "wait", "waitSignal", "waitUntil", "waitActive", "waitExposed")


def asked(source: str) -> Iterator[tuple[int, str]]:
    """Line, and what to do instead, of each call that makes a test hang on the clock."""
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        last = name.rpartition(".")[2]
        for asking in (name, last):
            if asking in ASKING:
                yield call.lineno, f"{name}: {ASKING[asking]}"
                break
        if last in LIMITED and any(word.arg == "timeout" for word in call.keywords):
            yield call.lineno, f"{name}: the time limit of a test is limit enough"


def in_tests(folder: Path) -> Iterator[str]:
    """The same for each file of the tests, but for what is made to wait."""
    for path in sorted(folder.rglob("*.py")):
        if path.parent.name != "support":
            place = path.relative_to(folder).as_posix()
            yield from (f"{place}:{line}: {words}" for line, words in asked(path.read_text(encoding="utf-8")))
