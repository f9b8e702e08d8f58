"""Ctrl+C, SIGTERM, and SIGHUP: a terminal that is closed."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from diffusion_studio.cli.sentences import errors
from diffusion_studio.engine.jobs.control import Control

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextlib.contextmanager
def stopping_on_signals(control: Control, patient: bool = False, quiet: bool = False) -> Iterator[None]:
    """The first Ctrl+C, SIGTERM or SIGHUP stops in good order; a second one interrupts at once.

    Args:
        patient: a second one does nothing, where a launcher passes on the one that the terminal sent as well.
        quiet: nothing is said of it.
    """

    heard: list[int] = []  # a second signal may come while the first one stops: it may not wait for it

    def stop(number: int, frame: FrameType | None) -> None:
        if heard or control.stopped:
            if patient:
                return
            raise KeyboardInterrupt
        heard.append(number)
        control.stop()
        if not quiet:
            errors.print("Stopping and saving …")

    with _heard_by(stop):
        yield


@contextlib.contextmanager
def leaving_signals_to_the_first() -> Iterator[None]:
    """Of several processes that train together only the first one stops; the others end when it says so."""
    with _heard_by(lambda number, frame: None):
        yield


@contextlib.contextmanager
def _heard_by(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """One that whoever started this lets it ignore (`nohup`, `&` in a script) stays ignored."""
    heeded = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
