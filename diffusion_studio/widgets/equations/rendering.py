"""Who renders formulas, and in which order: one at a time beside the window, those in sight first."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QRegion
from PySide6.QtWidgets import QApplication
from shiboken6 import isValid

TICK = 5  # ms from one look at the formula that is being rendered to the next


class Waiting(Protocol):
    """A widget that cannot be drawn before its formulas are rendered."""

    def visibleRegion(self) -> QRegion: ...

    def to_render(self) -> Callable[[], None] | None:
        """What renders the next of its formulas, in any thread; None where all are there."""

    def rendered(self) -> None:
        """Draws itself, or asks again while there is another formula."""


class Rendering(QObject):
    """A formula takes 30 to 130 ms: after a change of the theme a page waits for hundreds of them."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.setObjectName("rendering")
        self._queue: list[weakref.ref[Waiting]] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._go_on)
        self._rendering: tuple[weakref.ref[Waiting], Future[None]] | None = None

    def ask(self, widget: Waiting) -> None:
        """Puts a widget at the end of the queue, unless it is there."""
        reference = weakref.ref(widget)
        if reference not in self._queue:
            self._queue.append(reference)
        if self._rendering is None:
            self._timer.start(0)

    @property
    def at_rest(self) -> bool:
        """Whether every formula in sight is there."""
        asked = [reference() for reference in self._queue]
        return all(w is None or not isValid(w) or w.visibleRegion().isEmpty() for w in asked)

    def _go_on(self) -> None:
        if self._rendering is not None:
            reference, formula = self._rendering
            if not formula.done():
                self._timer.start(TICK)
                return
            self._rendering = None
            formula.result()
            self._tell(reference)
        self._render_next()

    def _render_next(self) -> None:
        asked = [(reference, reference()) for reference in self._queue]
        waiting = [(r, widget) for r, widget in asked if widget is not None and isValid(widget)]
        self._queue = [reference for reference, _ in waiting]
        if not waiting:
            return
        in_sight = (pair for pair in waiting if not pair[1].visibleRegion().isEmpty())
        reference, first = next(in_sight, waiting[0])
        work = first.to_render()
        if work is None:
            self._tell(reference)
        else:
            executor = ThreadPoolExecutor(1, "formula")
            self._rendering = reference, executor.submit(work)
            executor.shutdown(wait=False)
        if self._queue:
            self._timer.start(TICK if self._rendering is not None else 0)

    def _tell(self, reference: weakref.ref[Waiting]) -> None:
        """Takes a widget out of the queue, unless it asks again."""
        widget = reference()
        self._queue = [other for other in self._queue if other != reference]
        if widget is not None and isValid(widget):
            widget.rendered()


def rendering() -> Rendering:
    """The one of the running application; made at the first call."""
    app = QApplication.instance()
    if app is None:
        raise RuntimeError("a QApplication is needed before its formulas")
    found = app.findChild(Rendering, "rendering", Qt.FindChildOption.FindDirectChildrenOnly)
    return found if isinstance(found, Rendering) else Rendering(app)
