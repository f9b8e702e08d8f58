"""What lies over the content of a window and pushes nothing."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QRect, QTimer
from PySide6.QtWidgets import QWidget

from diffusion_studio.widgets.look.theme import GRID

_WIDEST = 96 * GRID
_MOVES = (QEvent.Type.Resize, QEvent.Type.LayoutRequest, QEvent.Type.Show)


class Floating(QObject):
    """Keeps a widget at the foot, or the head, of what another one shows, over it.

    Args:
        widget: what floats; it becomes a child of `host`.
        content: the part of `host` over which it lies, in its coordinates.
    """

    def __init__(
        self, widget: QWidget, host: QWidget, content: Callable[[], QRect], at_head: bool = False
    ) -> None:
        super().__init__(widget)
        self._at_head = at_head
        self._widget, self._host, self._content = widget, host, content
        self._later = QTimer(self, singleShot=True, interval=0)  # once the host is laid out
        self._later.timeout.connect(self.place)
        widget.setParent(host)
        widget.hide()
        for watched in (widget, host):
            watched.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in _MOVES and not self._widget.isHidden():
            self._later.start()
        return super().eventFilter(watched, event)

    def place(self) -> None:
        """Puts it where it belongs now."""
        room, widget = self._content(), self._widget
        width = max(min(room.width() - 4 * GRID, _WIDEST), 0)
        wanted = widget.heightForWidth(width) if widget.hasHeightForWidth() else widget.sizeHint().height()
        height = min(wanted, room.height() - 2 * GRID)
        x = room.x() + (room.width() - width) // 2
        down = GRID if self._at_head else room.height() - height - GRID
        widget.setGeometry(x, room.y() + down, width, height)
        widget.raise_()
