"""Copying the rows of a table, for a spreadsheet."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QTableView

from diffusion_studio.core.words import tr


def offer_copy(table: QTableView) -> None:
    """A right click or Ctrl+C copies the chosen rows, or the whole table with its heads."""
    rows, whole = QAction(tr("Copy the chosen rows"), table), QAction(tr("Copy the table"), table)
    rows.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
    rows.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
    rows.triggered.connect(lambda: _copy(table, chosen=True))
    whole.triggered.connect(lambda: _copy(table, chosen=False))
    table.addActions([rows, whole])
    table.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)


def _copy(table: QTableView, chosen: bool) -> None:
    QGuiApplication.clipboard().setText(table_words(table, chosen))


def table_words(table: QTableView, chosen: bool) -> str:
    """The heads and the rows, or the chosen rows only, with tabs between cells; hidden columns too."""
    model = table.model()
    columns = range(model.columnCount())
    heads = [str(model.headerData(column, Qt.Orientation.Horizontal)) for column in columns]
    picked = sorted({index.row() for index in table.selectionModel().selectedIndexes()})
    rows = picked if chosen and picked else list(range(model.rowCount()))
    cells = [[str(model.index(row, column).data() or "") for column in columns] for row in rows]
    return "\n".join("\t".join(line) for line in [heads, *cells])
