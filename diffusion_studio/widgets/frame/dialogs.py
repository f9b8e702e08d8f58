"""Dialogs that show text: facts line by line, or a file."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase, QGuiApplication, QTextCursor
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.frame.scrolling import ScrollColumn
from diffusion_studio.widgets.look.theme import GRID, label


class TextualDialog(QDialog):
    """Text that can be copied, over its buttons; show it with `open()`."""

    def __init__(self, title: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(3 * GRID, 3 * GRID, 3 * GRID, 2 * GRID)
        self.column.setSpacing(2 * GRID)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.rejected.connect(self.reject)
        self.add_button(tr("Copy")).clicked.connect(self.copy)

    def add_button(self, text: str) -> QPushButton:
        """A button beside Close."""
        button = self.buttons.addButton(text, QDialogButtonBox.ButtonRole.ActionRole)
        button.setAutoDefault(False)
        return button

    def text(self) -> str:
        """What is shown, as plain text."""
        raise NotImplementedError

    def copy(self) -> None:
        """Puts it on the clipboard."""
        QGuiApplication.clipboard().setText(self.text())


class FactsDialog(TextualDialog):
    """Names and values, a line each."""

    def __init__(
        self, title: str, head: str, about: str, facts: Sequence[tuple[str, str]], parent: QWidget
    ) -> None:
        super().__init__(title, parent)
        self._head, self._facts = head, tuple(facts)
        words = label(about)
        words.setWordWrap(True)
        inner = QWidget()
        grid = QGridLayout(inner)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(3 * GRID)
        grid.setColumnStretch(1, 1)
        for number, (name, value) in enumerate(facts):
            shown = label(value)
            shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            grid.addWidget(label(name, "muted"), number, 0)
            grid.addWidget(shown, number, 1)
        self.column.addWidget(label(head, "title"))
        self.column.addWidget(words)
        facts_column = ScrollColumn(inner)
        facts_column.setAccessibleName(title)
        self.column.addWidget(facts_column, 1)
        self.column.addWidget(self.buttons)
        width = max(64 * GRID, self.sizeHint().width())
        others = self.column.totalHeightForWidth(width) - facts_column.sizeHint().height()
        height = others + inner.sizeHint().height()
        self.resize(min(width, parent.width()), min(height, parent.height() - 4 * GRID))

    def text(self) -> str:
        return "\n".join([self._head, *(f"{name}: {value}" for name, value in self._facts)])


class TextDialog(TextualDialog):
    """A text of many lines, at its end."""

    def __init__(self, title: str, note: str, text: str, parent: QWidget) -> None:
        super().__init__(title, parent)
        words = label(note, "muted")
        words.setWordWrap(True)
        self.body = QPlainTextEdit(text)
        self.body.setReadOnly(True)
        self.body.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.body.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.body.setAccessibleName(title)
        self.body.moveCursor(QTextCursor.MoveOperation.End)
        for widget in (words, self.body, self.buttons):
            self.column.addWidget(widget)
        self.resize(min(90 * GRID, parent.width() - 6 * GRID), min(60 * GRID, parent.height() - 10 * GRID))

    def text(self) -> str:
        return self.body.toPlainText()
