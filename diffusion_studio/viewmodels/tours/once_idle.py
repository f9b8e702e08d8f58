"""What waits until the training of a page is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QTimer


class OnceIdle(QObject):
    """Ends a training in good order, and then does what was asked for last.

    Args:
        model: has `state.busy`, `changed` and `stop`; it is the parent.
    """

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._model = model
        self._next: Callable[[], object] | None = None
        model.changed.connect(self._look)

    def do(self, what: Callable[[], object]) -> None:
        """At once where nothing trains."""
        if not self._model.state.busy:
            what()
            return
        self._next = what
        self._model.stop()

    def _look(self, state: Any) -> None:
        if self._next is not None and not state.busy:
            QTimer.singleShot(0, self, self._do)  # when everybody has been told of the end

    def _do(self) -> None:
        what, self._next = self._next, None
        if what is not None and not self._model.state.busy:
            what()
