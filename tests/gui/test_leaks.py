"""The leak check itself finds what it is there for."""

from __future__ import annotations

import gc
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, pairwise, repeat
from types import SimpleNamespace

import psutil
import pytest
import torch
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QThread, QTimer, Signal
from PySide6.QtWidgets import QApplication, QWidget

from diffusion_studio.app import App
from diffusion_studio.pages.sample.side import TABS
from support import leaks
from support.window import settle

MOST_WINDOWS = 8  # that are opened before one is said to leave something


@contextmanager
def complaint(monkeypatch: pytest.MonkeyPatch, part: str) -> Iterator[None]:
    """The body leaves something behind, and the check says so in words that contain `part`."""
    monkeypatch.setattr(leaks, "GRACE", 0.05)
    with monkeypatch.context() as patch:
        watch = leaks.watch(patch)
        next(watch)
        yield
        with pytest.raises(pytest.fail.Exception, match=part):
            next(watch, None)


def test_that_a_thread_that_is_waited_for_has_its_turns(monkeypatch):
    """It may be in the middle of Python's work; the collector lets nobody else do any."""
    now, collected, looks = count(0, 0.01), [], repeat(["running"], 150)
    with monkeypatch.context() as patch:
        patch.setattr(leaks, "time", SimpleNamespace(monotonic=lambda: next(now), sleep=lambda _: None))
        patch.setattr(leaks, "gc", SimpleNamespace(collect=lambda: collected.append(1)))
        assert leaks._after_grace(lambda: next(looks, [])) == []
    assert 1 < len(collected) < 10


def test_that_a_running_python_thread_is_found(monkeypatch):
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten")
    with complaint(monkeypatch, "thread forgotten"):
        thread.start()
    end.set()
    thread.join()


def test_that_a_running_qthread_is_found(qapp, monkeypatch):
    thread = QThread()
    with complaint(monkeypatch, "running .*QThread"):
        thread.start()
    thread.quit()
    assert thread.wait()


def test_that_an_active_timer_without_a_parent_is_found(qapp, monkeypatch):
    timer = QTimer()
    with complaint(monkeypatch, "active .*QTimer"):
        timer.start(1000)
    timer.stop()


def test_that_a_visible_window_is_found(qapp, monkeypatch):
    window = QWidget()
    with complaint(monkeypatch, "visible .*QWidget"):
        window.show()
    window.close()


def test_that_a_temporary_folder_is_found(monkeypatch):
    with tempfile.TemporaryDirectory() as outer:
        monkeypatch.setattr(tempfile, "tempdir", outer)
        with complaint(monkeypatch, "folder .*diffusion-studio-x"):
            tempfile.mkdtemp(prefix="diffusion-studio-x")


def test_that_a_tidy_test_passes(qapp, monkeypatch):
    with monkeypatch.context() as patch:
        watch = leaks.watch(patch)
        next(watch)
        thread, timer = QThread(), QTimer()
        timer.start(1000)
        thread.start()
        thread.quit()
        timer.stop()
        assert next(watch, "silent") == "silent"


def test_that_no_signal_takes_the_name_of_a_method_of_qt(open_app):
    """Qt would ask the signal where it means its method, and keep the object alive for ever."""
    open_app(computed=False)  # every module of the window is imported
    found = [QObject]
    for kind in found:
        found += kind.__subclasses__()
    own = [kind for kind in found if kind.__module__.startswith("diffusion_studio.")]
    assert len(own) > 50
    for kind in own:
        above = next(base for base in kind.__mro__ if base.__module__.startswith("PySide6."))
        signals = [name for name, value in vars(kind).items() if isinstance(value, Signal)]
        assert not [name for name in signals if hasattr(above, name)], kind


def test_that_a_closed_window_leaves_nothing(qtbot):
    """Nothing of it stays alive, and the next one takes its memory; the first two fill the caches.

    What the system gives comes in jumps, so that a window may seem to take some; what each window loses is
    missing after every one of them.
    """
    taken: list[float] = []
    for number in range(MOST_WINDOWS):
        before = {id(thing) for thing in window_parts()}
        parts = [weakref.ref(thing) for thing in opened_and_closed(qtbot) if id(thing) not in before]
        assert len(parts) > 1000
        left = left_of(parts)
        assert number < 2 or left == []
        taken.append(psutil.Process().memory_info().rss / 2**20)
        grown = [after - before for before, after in pairwise(taken[1:])]
        if sum(more < 3 for more in grown) == 2:  # MB for a window of 16
            return
    pytest.fail(f"Each window but one took more memory: {taken} MB.")


def opened_and_closed(qtbot) -> list[object]:
    """What there was of a window that stood at each of its pages and at each tab of Sample."""
    app = App()
    with qtbot.waitSignal(app.ready):
        app.show()
    settle(qtbot, app)
    for key in app.studio.pages:
        app.studio.show_page(key)
        QApplication.processEvents()
    for tab, *_ in TABS:
        app.studio.sample_page.side.show_tab(tab)
    parts = window_parts()
    app.close()
    return parts


def window_parts() -> list[object]:
    """Whatever Python knows of Qt's objects, tensors, and instances of the window's own classes."""
    gc.unfreeze()  # what is passed over is not listed
    return [thing for thing in gc.get_objects() if is_part(type(thing))]


def is_part(kind: type) -> bool:
    own = str(kind.__module__).startswith("diffusion_studio.") and kind.__weakrefoffset__ > 0
    return own or issubclass(kind, (QObject, torch.Tensor))


def left_of(parts: list[weakref.ref[object]]) -> list[str]:
    """What is alive, by name, after deferred deletions and a look of the collector."""
    for _ in range(2):  # what the collector finds may delete more
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        QApplication.processEvents()
        gc.collect()
    return [repr(thing) for part in parts if (thing := part()) is not None]
