"""What is said of several runs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QStackedWidget, QTableView, QWidget

from diffusion_studio.widgets.frame.table_menu import offer_copy
from diffusion_studio.widgets.look.theme import label, tip

_Index = QModelIndex | QPersistentModelIndex
_Role = Qt.ItemDataRole
_ROW, _LEAST = 26, 92  # px


@dataclass(frozen=True)
class BesideRow:
    """One thing, as it is said of every run."""

    title: str
    values: tuple[str, ...]
    help: str = ""
    marked: bool = False


class BesideTable(QStackedWidget):
    """A row for each thing, a column for each run; marked rows are bold."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table, self.nothing = QTableView(), label("", "muted")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing.setWordWrap(True)
        self.rows = _Rows(self)
        self.table.setModel(self.rows)
        self.table.setAccessibleName(name)
        self.table.setShowGrid(False)
        self.table.setMinimumHeight(_LEAST)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(_ROW)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(_LEAST)
        header.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        offer_copy(self.table)
        self.addWidget(self.table)
        self.addWidget(self.nothing)

    def show_rows(self, names: Sequence[str], rows: Sequence[BesideRow], otherwise: str) -> None:
        """These rows of runs of these names; without any, a sentence."""
        self.rows.show(tuple(names), tuple(rows))
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.nothing.setText(otherwise)
        self.setCurrentWidget(self.table if rows else self.nothing)


class _Rows(QAbstractTableModel):
    """The rows as Qt wants them."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.names: tuple[str, ...] = ()
        self.said: tuple[BesideRow, ...] = ()

    def show(self, names: tuple[str, ...], rows: tuple[BesideRow, ...]) -> None:
        if (names, rows) != (self.names, self.said):
            self.beginResetModel()
            self.names, self.said = names, rows
            self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.said)

    def columnCount(self, parent: _Index | None = None) -> int:
        return 1 + len(self.names)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole) -> Any:
        if role in (_Role.DisplayRole, _Role.ToolTipRole) and orientation == Qt.Orientation.Horizontal:
            return ("", *self.names)[section]
        return None

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        row = self.said[index.row()]
        if role == _Role.DisplayRole:
            return (row.title, *row.values)[index.column()] or "–"
        if role == _Role.ToolTipRole and row.help:
            return tip(row.help)
        if role == _Role.FontRole and row.marked:
            font = QFont()
            font.setBold(True)
            return font
        return None
