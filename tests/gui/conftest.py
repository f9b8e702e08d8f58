"""A test of this tier fails if it leaves a thread, a timer, a window or a temporary folder behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def no_leaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from support import leaks  # not above: without Qt this file is still read, to leave the tier out

    yield from leaks.watch(monkeypatch)


@pytest.fixture(autouse=True)
def pointer_elsewhere(qapp: Any) -> None:
    """To move it to where a test before left it would be no movement, and nothing would be told.

    Qt's robot still holds the button after a double click, and each move would be a drag: it lets go here.
    """
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QCursor
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QWidget

    QTest.mouseRelease(QWidget(), Qt.MouseButton.LeftButton)
    QCursor.setPos(0, 0)


@pytest.fixture
def make_app(qapp: Any) -> Iterator[Any]:
    """The whole window, before it is shown: `make_app(path)`."""
    from support import window

    yield from window.apps()


@pytest.fixture
def open_app(qtbot: Any, make_app: Any) -> Any:
    """Opens the whole window: `open_app(path)`."""
    from support import window

    return window.windows(qtbot, make_app)
