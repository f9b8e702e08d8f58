"""pytest-qt's robot, for a machine that may be busy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytestqt.qtbot import QtBot

from support.patience import PATIENCE

LIMIT = 1000 * PATIENCE  # ms
FRAME = 20  # ms in which a painting that was asked for is done


class PatientBot(QtBot):
    """Its own limits are a second or five; here none is to be given."""

    def waitActive(self, widget: Any) -> Any:
        return super().waitActive(widget, timeout=LIMIT)

    def waitExposed(self, widget: Any) -> Any:
        return super().waitExposed(widget, timeout=LIMIT)

    def waitSignal(self, signal: Any, *, timeout: int = LIMIT, **options: Any) -> Any:
        return super().waitSignal(signal, timeout=timeout, **options)  # `assertNotEmitted` waits for nothing

    def waitUntil(self, callback: Callable[[], bool | None]) -> None:
        super().waitUntil(callback, timeout=LIMIT)

    def let_timers_pass(self) -> None:
        """Whatever was to come within a frame comes first: timers go off in the order of their times."""
        self.wait(FRAME)
