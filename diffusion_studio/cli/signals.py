"""Ctrl+C and SIGTERM."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from diffusion_studio.cli.sentences import errors
from diffusion_studio.engine.jobs.control import Control


@contextlib.contextmanager
def stopping_on_signals(control: Control) -> Iterator[None]:
    """The first Ctrl+C or SIGTERM stops in good order; a second one interrupts at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        if control.stopped:
            raise KeyboardInterrupt
        errors.print("Stopping and saving …")
        control.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
