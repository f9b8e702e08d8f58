"""What stands where there is nothing yet: a drawing, what to do next, and the button for it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from diffusion_studio.widgets.look.icons import pixmap
from diffusion_studio.widgets.look.theme import GRID, label, theme


class EmptyState(QWidget):
    """An icon, a title, a sentence, and up to two buttons in the middle of the free space."""

    primary_requested = Signal()
    secondary_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon = _Drawing(self)
        self._title = label(role="title")
        self._text = label(role="muted")
        self._text.setWordWrap(True)
        self._text.setMinimumWidth(30 * GRID)
        self._text.setMaximumWidth(50 * GRID)
        self._primary, self._secondary = QPushButton(self), QPushButton(self)
        self._primary.setProperty("primary", True)
        self._primary.clicked.connect(self.primary_requested)
        self._secondary.clicked.connect(self.secondary_requested)
        self._build()
        self.set_content("image", "", "")

    def set_content(self, icon: str, title: str, text: str, primary: str = "", secondary: str = "") -> None:
        """Say what is missing and what to do; a button without a text is left out."""
        self._icon.set_name(icon)
        for part, words in (
            (self._title, title),
            (self._text, text),
            (self._primary, primary),
            (self._secondary, secondary),
        ):
            part.setText(words)
            part.setVisible(bool(words))
        self.setAccessibleName(title)
        self.setAccessibleDescription(text)

    def _build(self) -> None:
        centre = Qt.AlignmentFlag.AlignHCenter
        self._title.setAlignment(centre)
        self._text.setAlignment(centre)
        column = QVBoxLayout(self)
        column.setSpacing(GRID)
        column.addStretch(1)
        column.addWidget(self._icon, 0, centre)
        column.addSpacing(GRID)
        column.addWidget(self._title)
        column.addLayout(_centred(self._text))
        column.addSpacing(GRID)
        column.addLayout(_centred(self._primary, self._secondary))
        column.addStretch(1)


def _centred(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(GRID)
    row.addStretch(1)
    for widget in widgets:
        row.addWidget(widget, 100 if isinstance(widget, QLabel) else 0)  # text takes what it may
    row.addStretch(1)
    return row


class _Drawing(QWidget):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFixedSize(QSize(48, 48))
        self._name = "image"
        theme().changed.connect(self.update)

    def set_name(self, name: str) -> None:
        self._name = name
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawPixmap(0, 0, pixmap(self._name, 48, "faint", self.devicePixelRatioF()))
        painter.end()
