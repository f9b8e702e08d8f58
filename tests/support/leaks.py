"""What a test of the window may not leave behind: threads, timers, windows, temporary folders."""

from __future__ import annotations

import gc
import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QThread, QTimer
from shiboken6 import isValid

from support.patience import PATIENCE

GRACE = PATIENCE  # for threads that were told to end: they may import a library meanwhile
COLLECTED_EVERY = 1.0  # seconds in which they have Python to themselves


def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The body of a fixture: runs the test and fails it for what it leaves behind."""
    started: WeakSet[QObject] = WeakSet()
    _remember(monkeypatch, QThread, started)
    _remember(monkeypatch, QTimer, started)
    before = set(threading.enumerate())
    folders = _temporary_folders()
    yield
    gc.unfreeze()  # what a window passes over is looked through again
    left = _after_grace(lambda: leftovers(started, before, folders))
    if left:
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


def leftovers(started: Iterable[QObject], before: set[threading.Thread], folders: set[Path]) -> list[str]:
    """What is there now that was not there before the test, in words."""
    alive = [thing for thing in started if isValid(thing)]
    threads = [
        f"thread {thread.name}" for thread in set(threading.enumerate()) - before if _is_python(thread)
    ]
    running = [f"running {thing!r}" for thing in alive if isinstance(thing, QThread) and thing.isRunning()]
    timers = [f"active {thing!r} without a parent" for thing in alive if _is_stray_timer(thing)]
    temporary = [f"folder {folder}" for folder in sorted(_temporary_folders() - folders)]
    return [*threads, *running, *timers, *_visible_windows(), *temporary]


def _remember(monkeypatch: pytest.MonkeyPatch, kind: type[QObject], started: WeakSet[QObject]) -> None:
    """Notes every object of `kind` that is started from Python, without keeping it alive."""
    start: Callable[..., Any] = kind.start  # type: ignore[attr-defined]

    def remembered(self: QObject, *arguments: Any) -> None:
        started.add(self)
        start(self, *arguments)

    monkeypatch.setattr(kind, "start", remembered)


def _is_python(thread: threading.Thread) -> bool:
    """Not the shadow that Python keeps of a foreign thread (a QThread's, which is judged by itself)."""
    return not isinstance(thread, threading._DummyThread)


def _is_stray_timer(thing: QObject) -> bool:
    return isinstance(thing, QTimer) and thing.isActive() and thing.parent() is None


def _visible_windows() -> list[str]:
    application = QCoreApplication.instance()
    windows = getattr(application, "topLevelWidgets", list)()
    return [f"visible {window!r}" for window in windows if window.isVisible()]


def _temporary_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("diffusion-studio*"))


def _after_grace(look: Callable[[], list[str]]) -> list[str]:
    """What `look` still finds after deferred deletions are done and `GRACE` has passed."""
    deadline, collected = time.monotonic() + GRACE, -math.inf
    _settle()
    while (left := look()) and time.monotonic() < deadline:
        if time.monotonic() - collected >= COLLECTED_EVERY:
            gc.collect()  # only now: with torch loaded it takes a tenth of a second
            collected = time.monotonic()
        time.sleep(0.02)
        _settle()
    return left


def _settle() -> None:
    if QCoreApplication.instance() is not None:
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        QCoreApplication.processEvents()
