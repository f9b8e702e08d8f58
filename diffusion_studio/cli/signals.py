"""Ctrl+C, SIGTERM, and SIGHUP: a terminal that is closed."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from diffusion_studio.cli.sentences import errors
from diffusion_studio.engine.jobs.control import Control

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextlib.contextmanager
def stopping_on_signals(control: Control) -> Iterator[None]:
    """The first Ctrl+C, SIGTERM or SIGHUP stops in good order; a second one interrupts at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        if control.stopped:
            raise KeyboardInterrupt
        errors.print("Stopping and saving …")
        control.stop()

    before = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
