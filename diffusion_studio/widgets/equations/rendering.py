"""Who renders formulas, and in which order: one at a time between a person's events, those in sight first."""

from __future__ import annotations

import weakref
from typing import Protocol

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QRegion
from PySide6.QtWidgets import QApplication
from shiboken6 import isValid


class Waiting(Protocol):
    """A widget that cannot be drawn before its formulas are rendered."""

    def visibleRegion(self) -> QRegion: ...

    def render_next(self) -> None:
        """Renders one formula, and asks again while there is another."""


class Rendering(QObject):
    """A formula takes some 30 ms: after a change of the theme a page waits for hundreds of them."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.setObjectName("rendering")
        self._queue: list[weakref.ref[Waiting]] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._render_next)

    def ask(self, widget: Waiting) -> None:
        """Puts a widget at the end of the queue, unless it is there."""
        reference = weakref.ref(widget)
        if reference not in self._queue:
            self._queue.append(reference)
        self._timer.start(0)

    @property
    def at_rest(self) -> bool:
        """Whether every formula in sight is there."""
        asked = [reference() for reference in self._queue]
        return all(w is None or not isValid(w) or w.visibleRegion().isEmpty() for w in asked)

    def _render_next(self) -> None:
        asked = [reference() for reference in self._queue]
        waiting = [widget for widget in asked if widget is not None and isValid(widget)]
        if not waiting:
            self._queue.clear()
            return
        first = next((widget for widget in waiting if not widget.visibleRegion().isEmpty()), waiting[0])
        self._queue = [weakref.ref(widget) for widget in waiting if widget is not first]
        first.render_next()
        if self._queue:
            self._timer.start(0)


def rendering() -> Rendering:
    """The one of the running application; made at the first call."""
    app = QApplication.instance()
    if app is None:
        raise RuntimeError("a QApplication is needed before its formulas")
    found = app.findChild(Rendering, "rendering", Qt.FindChildOption.FindDirectChildrenOnly)
    return found if isinstance(found, Rendering) else Rendering(app)
