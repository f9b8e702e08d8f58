"""How long a test waits for what must come: so long that only a hang exceeds it, however busy the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytestqt.qtbot import QtBot

PATIENCE = 300  # seconds


class PatientBot(QtBot):
    """pytest-qt's own gives up after a second or five."""

    def waitActive(self, widget: Any, **_: int) -> Any:
        return super().waitActive(widget, timeout=1000 * PATIENCE)

    def waitExposed(self, widget: Any, **_: int) -> Any:
        return super().waitExposed(widget, timeout=1000 * PATIENCE)

    def waitSignal(self, signal: Any, *, raising: bool | None = None, **options: Any) -> Any:
        if raising is not False:  # `assertNotEmitted` waits for nothing
            options["timeout"] = 1000 * PATIENCE
        return super().waitSignal(signal, raising=raising, **options)

    def waitUntil(self, callback: Callable[[], bool | None], **_: int) -> None:
        super().waitUntil(callback, timeout=1000 * PATIENCE)
