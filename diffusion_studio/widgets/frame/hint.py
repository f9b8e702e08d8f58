"""A hint in the bar above the page, until it is followed or put away."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QToolButton, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.look.icons import set_icon


class Hint(QWidget):
    """A few words to click on, and a cross; hidden until it is shown."""

    followed = Signal()

    def __init__(self, words: str, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words, self.close_button = QPushButton(words), QToolButton()
        self.words.setProperty("link", True)
        self.words.setToolTip(what)
        self.words.setCursor(Qt.CursorShape.PointingHandCursor)
        self.words.clicked.connect(self._follow)
        self.close_button.setProperty("flat", True)
        self.close_button.setToolTip(tr("Put the hint away"))
        self.close_button.setAccessibleName(tr("Put the hint away"))
        set_icon(self.close_button, "close", "muted", 16)
        self.close_button.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.words)
        row.addWidget(self.close_button)
        self.hide()

    def _follow(self) -> None:
        self.hide()
        self.followed.emit()
