"""A line for a value: its unit stands in it, keys step, and what was not entered is taken back."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QFontMetrics, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QLineEdit

from diffusion_studio.widgets.look.theme import theme

_STEPS = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1, Qt.Key.Key_PageUp: 10, Qt.Key.Key_PageDown: -10}


class ValueEdit(QLineEdit):
    """A line of text with its unit; arrow keys step, Escape and leaving take back what was not entered."""

    stepped = Signal(int)
    entered = Signal(str)  # Enter, or leaving the field after a change
    abandoned = Signal()

    def __init__(self, unit: str = "") -> None:
        super().__init__()
        self._unit = unit
        self._shown = ""
        self.setTextMargins(0, 0, self.unit_width(), 0)
        self.returnPressed.connect(self._enter)

    def unit_width(self) -> int:
        """The room that the unit takes."""
        return QFontMetrics(self.font()).horizontalAdvance(self._unit) + 4 if self._unit else 0

    def show_text(self, text: str) -> None:
        """Show `text` as what stands, replacing what is being typed."""
        self._shown = text
        if text != self.text():
            self.setText(text)
            self.setCursorPosition(0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in _STEPS:
            self.stepped.emit(
                _STEPS[key] * (10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
            )
        elif key == Qt.Key.Key_Escape and self.text() != self._shown:
            self._abandon()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if event.reason() != Qt.FocusReason.MouseFocusReason:
            self.selectAll()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() == Qt.FocusReason.PopupFocusReason or self.text() == self._shown:
            return
        self._enter()
        if self.text() != self._shown:
            self._abandon()

    def _enter(self) -> None:
        if self.text() != self._shown:
            self.entered.emit(self.text())

    def _abandon(self) -> None:
        self.show_text(self._shown)
        self.abandoned.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._unit and not self.text()[:1].isalpha():
            painter = QPainter(self)
            palette = theme().palette
            painter.setPen(QColor(palette.muted if self.isEnabled() else palette.faint))
            right = QRect(self.rect()).adjusted(0, 0, -9, 0)
            painter.drawText(right, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, self._unit)
            painter.end()
