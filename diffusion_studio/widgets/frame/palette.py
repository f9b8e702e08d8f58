"""The palette: one line to type in, over everything that can be found by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.look.theme import GRID, theme

Row = tuple[str, str, str]  # title, kind, keys
_WIDTH, _ROWS = 72 * GRID, 9
_MOVES = {
    Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -_ROWS, Qt.Key.Key_PageDown: _ROWS,
}  # fmt: skip
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_STAYS = (Qt.FocusReason.PopupFocusReason, Qt.FocusReason.ActiveWindowFocusReason)
_Index = QModelIndex | QPersistentModelIndex
_KIND, _KEYS = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1
_ROLES = (Qt.ItemDataRole.DisplayRole, _KIND, _KEYS)  # of the parts of a row


class Palette(QFrame):
    """Lies over the window, asks for rows for what is typed, and says which one was chosen."""

    typed = Signal(str)
    chosen = Signal(int)  # the number of a row

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setProperty("finder", True)
        self.setAccessibleName(tr("Find anything"))
        self.line = QLineEdit()
        self.line.setPlaceholderText(tr("Find an action, a page, a run, a tour …"))
        self.line.setAccessibleName(tr("What to find"))
        self.line.textChanged.connect(self._ask)
        self._model = _Rows(self)
        self.list = QListView()
        self.list.setModel(self._model)
        self.list.setItemDelegate(_Delegate(self.list))
        self.list.setUniformItemSizes(True)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setAccessibleName(tr("What was found"))
        self.list.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.list.clicked.connect(self._take)
        column = QVBoxLayout(self)
        column.setContentsMargins(GRID, GRID, GRID, GRID)
        column.setSpacing(GRID)
        column.addWidget(self.line)
        column.addWidget(self.list)
        self._before: QWidget | None = None  # what had the focus
        self.line.installEventFilter(self)
        window.installEventFilter(self)
        self.hide()

    def open(self) -> None:
        """Shows it, empty, over the middle of its window."""
        window = self.parentWidget()
        assert window is not None
        self._before = window.focusWidget()
        self.line.clear()
        self._ask("")
        self._place()
        self.show()
        self.raise_()
        self.line.setFocus()

    def _place(self) -> None:
        window = self.parentWidget()
        assert window is not None
        width = min(_WIDTH, window.width() - 8 * GRID)
        height = self.line.sizeHint().height() + _ROWS * self.list.sizeHintForRow(0) + 4 * GRID
        self.setGeometry((window.width() - width) // 2, 8 * GRID, width, min(height, window.height() - 96))

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Offers these; the first one is marked."""
        self._model.show(rows)
        self._mark(0)

    @property
    def titles(self) -> tuple[str, ...]:
        """What is offered."""
        return tuple(title for title, _, _ in self._model.rows)

    def _ask(self, text: str) -> None:
        self.typed.emit(text)

    def _mark(self, row: int) -> None:
        last = self._model.rowCount() - 1
        self.list.setCurrentIndex(self._model.index(min(max(row, 0), last), 0))

    def _take(self, index: QModelIndex) -> None:
        if index.isValid():
            self.leave()
            self.chosen.emit(index.row())

    def leave(self) -> None:
        """Hides it; the focus goes back to where it was."""
        self.hide()
        if self._before is not None and isValid(self._before):
            self._before.setFocus()
        self._before = None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The keys that the line does not take."""
        key = Qt.Key(event.key())
        if key in _MOVES:
            self._mark(self.list.currentIndex().row() + _MOVES[key])
        elif key in _ENTER:
            self._take(self.list.currentIndex())
        elif key == Qt.Key.Key_Escape:
            self.leave()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is not self.line:
            if event.type() == QEvent.Type.Resize and self.isVisible():
                self._place()  # the window has another middle
        elif isinstance(event, QFocusEvent) and event.reason() not in _STAYS and self.isVisible():
            self.setVisible(event.gotFocus())  # the person went elsewhere
        return super().eventFilter(watched, event)


class _Rows(QAbstractListModel):
    """What is offered; nothing is made of a row before it is in sight."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.rows: tuple[Row, ...] = ()

    def show(self, rows: Sequence[Row]) -> None:
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        return self.rows[index.row()][_ROLES.index(role)] if role in _ROLES else None


class _Delegate(QStyledItemDelegate):
    """A title at the left; what it is and its key, muted, at the right."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(0, option.fontMetrics.height() + 12)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        super().paint(painter, option, index)
        words = "   ".join(part for part in (index.data(_KEYS), index.data(_KIND)) if part)
        painter.save()
        colors, chosen = theme().palette, option.state & QStyle.StateFlag.State_Selected
        painter.setPen(QColor(colors.text if chosen else colors.muted))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(option.rect.adjusted(0, 0, -GRID, 0), right, words)
        painter.restore()
