"""Fields of words: a line, a few lines, a line to find with."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QWidget

_NOTE_LINES = 4


class NoteEdit(QPlainTextEdit):
    """A few lines of text that count when they are left; Esc brings back what stood there."""

    settled = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stood = ""
        self.setProperty("field", True)
        self.setTabChangesFocus(True)
        lines = self.fontMetrics().lineSpacing() * _NOTE_LINES
        self.setFixedHeight(lines + 2 * round(self.document().documentMargin()) + 8)

    def show_text(self, text: str) -> None:
        """Another text, unless a person is writing over the same one."""
        if text != self._stood:
            self._stood = text
            self.setPlainText(text)

    def settle(self) -> None:
        """What stands there now counts."""
        text = self.toPlainText().rstrip()
        if text != self._stood:
            self._stood = text
            self.settled.emit(text)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.setPlainText(self._stood)
        super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.settle()


class LineEdit(QLineEdit):
    """A line of text that counts when it is left; Esc brings back what stood there."""

    settled = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stood = ""
        self.editingFinished.connect(self.settle)

    def show_text(self, text: str) -> None:
        """Another text, unless a person is writing over the same one."""
        if text != self._stood:
            self._stood = text
            self.setText(text)

    def settle(self) -> None:
        """What stands there now counts."""
        if self.text() != self._stood:
            self._stood = self.text()
            self.settled.emit(self._stood)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.setText(self._stood)
        super().keyPressEvent(event)


class FindField(QLineEdit):
    """Words to find something by; Esc takes them away."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.clear()
        super().keyPressEvent(event)
