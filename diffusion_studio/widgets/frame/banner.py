"""A message in the page itself: what happened, what was done, and what one can do about it."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import Signal
from PySide6.QtGui import QAccessible, QAccessibleEvent, QFontDatabase, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.frame.saved import show_in_folder
from diffusion_studio.widgets.look.icons import pixmap, set_icon
from diffusion_studio.widgets.look.theme import GRID, label, theme

Kind = Literal["info", "warning", "error"]

_MOST_LINES = 9  # of the details, without scrolling
_KINDS = {"info": tr("info"), "warning": tr("warning"), "error": tr("error")}
_TINTS = {"info": "accent", "warning": "warning", "error": "danger"}


class Banner(QFrame):
    """A closable strip with a text, perhaps a button, and the log behind "Details"; hidden until used."""

    action_triggered = Signal()
    details_toggled = Signal(bool)
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sign = _Sign(self)
        self._text = label()
        self._text.setWordWrap(True)
        self._action = QPushButton(self)
        self._action.clicked.connect(self.action_triggered)
        self._file = ""
        self._folder = QPushButton(tr("Show in folder"), self)
        self._folder.setToolTip(tr("Opens the folder in which the file lies"))
        self._folder.clicked.connect(lambda: show_in_folder(self._file))
        self._toggle = QPushButton(tr("Details"), self)
        self._toggle.setCheckable(True)
        self._toggle.toggled.connect(self._show_details)
        self._close = QToolButton(self)
        self._close.setAccessibleName(tr("Close the message"))
        self._close.setToolTip(tr("Close"))
        self._close.clicked.connect(self.dismiss)
        set_icon(self._close, "close", "muted", 16)
        self._log = QPlainTextEdit(self)
        self._log.setReadOnly(True)
        self._log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._log.setAccessibleName(tr("Details"))
        self._log.hide()
        self._build()
        self.hide()

    @property
    def text(self) -> str:
        return self._text.text()

    def show_message(
        self, kind: Kind, text: str, action: str = "", details: str = "", file: str = ""
    ) -> None:
        """Say `text`, in place of the last message.

        Args:
            action: names a button.
            details: are shown on demand.
            file: was written, and can be shown in its folder.
        """
        self._file = file
        self._folder.setVisible(bool(file))
        self.setProperty("banner", kind)
        self.style().unpolish(self)
        self.style().polish(self)
        self._sign.set_kind(kind)
        self._text.setText(text)
        self._action.setText(action)
        self._action.setVisible(bool(action))
        self._log.setPlainText(details)
        lines = min(max(details.count("\n") + 1, 2), _MOST_LINES)
        self._log.setFixedHeight(lines * self._log.fontMetrics().lineSpacing() + 3 * GRID)
        self._toggle.setChecked(False)
        self._toggle.setVisible(bool(details))
        self.setAccessibleName(f"{_KINDS[kind]}: {text}")
        self.show()
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))

    def dismiss(self) -> None:
        """Hide the message and say so."""
        self.hide()
        self.closed.emit()

    def _show_details(self, shown: bool) -> None:
        self._log.setVisible(shown)
        self._toggle.setText(tr("Hide details") if shown else tr("Details"))
        self.details_toggled.emit(shown)

    def _build(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(GRID)
        row.addWidget(self._sign)
        row.addSpacing(GRID // 2)
        row.addWidget(self._text, 1)
        row.addWidget(self._action)
        row.addWidget(self._folder)
        row.addWidget(self._toggle)
        row.addWidget(self._close)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 6, 8, 6)
        column.setSpacing(GRID)
        column.addLayout(row)
        column.addWidget(self._log)


class _Sign(QWidget):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFixedSize(20, 20)
        self._kind: Kind = "info"
        theme().changed.connect(self.update)

    def set_kind(self, kind: Kind) -> None:
        self._kind = kind
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawPixmap(0, 0, pixmap(self._kind, 20, _TINTS[self._kind], self.devicePixelRatioF()))
        painter.end()
