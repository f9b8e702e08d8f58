"""What lies over pictures that are not what they are called any more."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.look.theme import GRID, label, theme

_DIM = 0.72  # of what lies below, how much is covered


class Veil(QWidget):
    """Dims the whole of its parent, says what is being done, and offers to stop it; hidden without words."""

    stop_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._covered = parent
        self._words = label("", "strong")
        self._words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._words.setWordWrap(True)
        self.stop = QPushButton(tr("Stop"))
        self.stop.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.stop.clicked.connect(self.stop_requested)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.stop)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setSpacing(GRID)
        column.addStretch(1)
        column.addWidget(self._words)
        column.addLayout(row)
        column.addStretch(1)
        parent.installEventFilter(self)
        theme().changed.connect(self.update)
        self.hide()

    @property
    def words(self) -> str:
        """What it says now."""
        return self._words.text() if not self.isHidden() else ""

    def say(self, words: str) -> None:
        """Covers the parent under `words`; "" lifts the veil."""
        if words != self.words:
            self._words.setText(words)
            self.setAccessibleName(words)
            self.setGeometry(self._covered.rect())
            self.setVisible(bool(words))
            self.raise_()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self.setGeometry(self._covered.rect())
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        wash = QColor(theme().palette.background)
        wash.setAlphaF(_DIM)
        painter.fillRect(self.rect(), wash)
        painter.end()
