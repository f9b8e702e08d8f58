"""Pause and stop, asked for from another thread and polled at each step."""

from __future__ import annotations

import threading
from collections.abc import Iterable


class Control:
    """Tokens that a long job polls."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self._go.set()
        self._stop = threading.Event()
        self._wishes: dict[type, object] = {}  # what should be different from the next step on
        self._change = threading.RLock()  # a pause may not outlast a stop; signals come between

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    @property
    def paused(self) -> bool:
        return not self._go.is_set()

    def stop(self) -> None:
        """Ask the job to end in good order; a paused one wakes up for it."""
        with self._change:
            self._stop.set()
            self._go.set()

    def pause(self) -> None:
        with self._change:
            if not self.stopped:
                self._go.clear()

    def resume(self) -> None:
        self._go.set()

    def ask(self, wish: object) -> None:
        """Ask a training to go on with something else; the last wish of its type before a step counts."""
        with self._change:
            self._wishes[type(wish)] = wish

    @property
    def asked(self) -> bool:
        """Whether there is a wish that nobody took yet."""
        return bool(self._wishes)

    @property
    def wishes(self) -> tuple[object, ...]:
        """All that nobody took yet."""
        with self._change:
            return tuple(self._wishes.values())

    def forget(self, wishes: Iterable[object]) -> None:
        """Drops these, unless they were taken or replaced."""
        with self._change:
            for wish in wishes:
                if self._wishes.get(type(wish)) is wish:
                    del self._wishes[type(wish)]

    def take_wish(self) -> object:
        """One thing that was asked for and nobody took yet, or None."""
        with self._change:
            return self._wishes.popitem()[1] if self._wishes else None

    def rest(self, seconds: float) -> None:
        """Blocks the job's own thread for so long, or until it should end."""
        self._stop.wait(seconds)

    def wait_while_paused(self, seconds: float | None = None) -> bool:
        """Blocks the job's own thread until it may go on, or for so long; whether it may."""
        return self._go.wait(seconds)
