"""A plot's data as a table: a dialog to read and copy, and a CSV file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTableView, QVBoxLayout, QWidget

from diffusion_studio.core.words import english, number, tr
from diffusion_studio.widgets.look.theme import tabular

_Index = QModelIndex | QPersistentModelIndex
Table = tuple[list[str], list[tuple[Any, ...]]]


def table_text(table: Table, separator: str = ",") -> str:
    """The table as text for other programs, one row a line, heads in English; what is missing stays empty."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    headers, rows = table
    writer.writerow([english(header) for header in headers])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def write_csv(path: Path | str, table: Table) -> None:
    Path(path).write_text(table_text(table), encoding="utf-8")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return str(value)


class TableModel(QAbstractTableModel):
    """Rows of a plot, read only."""

    def __init__(self, headers: Sequence[str], rows: Sequence[tuple[Any, ...]], parent: QWidget) -> None:
        super().__init__(parent)
        self._headers, self._rows = headers, rows

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._headers)

    def data(
        self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        value = self._rows[index.row()][index.column()]
        return number(value, ".6g") if isinstance(value, float) else str(value)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self._headers[section]
        return None


class TableDialog(QDialog):
    """The data of a plot as a table; show it with `open()`."""

    def __init__(self, title: str, table: Table, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._table = table
        view = QTableView()
        view.setModel(TableModel(*table, view))
        view.setFont(tabular(view.font()))
        view.verticalHeader().hide()
        view.setShowGrid(False)
        view.setAccessibleName(title)
        whole = QAction(tr("Copy the table"), view)
        whole.triggered.connect(self.copy)
        view.addAction(whole)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton(tr("Copy"), QDialogButtonBox.ButtonRole.ActionRole)
        copy.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        copy.clicked.connect(self.copy)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(view)
        column.addWidget(buttons)
        self.resize(480, 520)

    def copy(self) -> None:
        """Put the table on the clipboard, with tabs between the cells."""
        QGuiApplication.clipboard().setText(table_text(self._table, "\t"))
