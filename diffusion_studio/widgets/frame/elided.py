"""A line of text that gives way with an ellipsis."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QStyle, QWidget

from diffusion_studio.widgets.look.theme import Role, tip

_LEAST = 48  # pixels: a few letters and the ellipsis


class ElidedLabel(QLabel):
    """Takes the room of its text where there is so much, and less where there is not.

    What does not fit ends in an ellipsis and stands whole in the tooltip; where a few letters have no room,
    nothing stands there. It draws its text by itself: a QLabel that is given another one has the whole window
    laid out again, thirty times a second where a chain plays. It asks for that only where its text needs
    another width, and one whose width is left to its layout (the policy Ignored) never does so.
    """

    def __init__(self, text: str = "", role: Role | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._whole = self._shown = self._short = ""
        self._middle = False
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        if role is not None:
            self.setProperty("role", role)
        self.setText(text)

    def elide_middle(self) -> None:
        """Leaves out letters of the middle: the end of a name tells as much as its beginning."""
        self._middle = True
        self._show()

    def set_short(self, text: str) -> None:
        """What stands there where the whole has no room: its most telling part, rather than its beginning."""
        if text != self._short:
            self._short = text
            self._show()

    def text(self) -> str:
        """The whole text."""
        return self._whole

    def shown(self) -> str:
        """What stands there of it."""
        return self._shown

    def setText(self, text: str) -> None:
        if text != self._whole:
            room = self.sizeHint()
            self._whole = text
            self.setAccessibleName(text)
            ignored = self.sizePolicy().horizontalPolicy() == QSizePolicy.Policy.Ignored
            if not ignored and self.sizeHint() != room:
                self.updateGeometry()
            self._show()

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self._whole) + 2, metrics.height() + 2)

    def minimumSizeHint(self) -> QSize:
        hint = self.sizeHint()
        return QSize(min(hint.width(), _LEAST), hint.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self.drawFrame(painter)
        where = QStyle.visualAlignment(self.layoutDirection(), self.alignment())
        self.style().drawItemText(
            painter, self.contentsRect(), int(where), self.palette(), self.isEnabled(), self._shown,
            self.foregroundRole(),
        )  # fmt: skip
        painter.end()

    def _show(self) -> None:
        mode = Qt.TextElideMode.ElideMiddle if self._middle else Qt.TextElideMode.ElideRight
        metrics, room = self.fontMetrics(), max(self.contentsRect().width(), 0)
        shown = metrics.elidedText(self._whole, mode, room)
        if self._short and not self._tells_more(shown):
            shown = metrics.elidedText(self._short, mode, room)
        if shown.endswith("…") and shown != self._whole and room < _LEAST:
            shown = ""
        if shown != self._shown:
            self._shown = shown
            self.update()
        self.setToolTip("" if shown == self._whole else tip(self._whole))

    def _tells_more(self, shown: str) -> bool:
        """Whether that is the whole, or its most telling part with at least half of what follows it."""
        kept, short = shown.removesuffix("…"), len(self._short)
        begins = self._whole.startswith(self._short)
        return shown == self._whole or (begins and 2 * (len(kept) - short) >= len(self._whole) - short)
