"""A clock that a test moves."""

from __future__ import annotations

import time

import pytest


class Clock:
    """Takes the place of `time.perf_counter`; each look at it moves it on by `tick` seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tick: float = 0.001) -> None:
        self.seconds, self._tick = 0.0, tick
        monkeypatch.setattr(time, "perf_counter", self._look)

    def _look(self) -> float:
        self.seconds += self._tick
        return self.seconds
