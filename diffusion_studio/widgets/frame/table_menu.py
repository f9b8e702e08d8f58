"""Copying the rows of a table, for a spreadsheet."""

from __future__ import annotations

import re

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QAbstractItemView

from diffusion_studio.core.words import english, spoken, tr


def offer_copy(table: QAbstractItemView) -> None:
    """A right click or Ctrl+C copies the chosen rows, or the whole table with its heads."""
    rows, whole = QAction(tr("Copy the chosen rows"), table), QAction(tr("Copy the table"), table)
    rows.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
    rows.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
    rows.triggered.connect(lambda: _copy(table, chosen=True))
    whole.triggered.connect(lambda: _copy(table, chosen=False))
    table.addActions([rows, whole])
    table.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)


def _copy(table: QAbstractItemView, chosen: bool) -> None:
    QGuiApplication.clipboard().setText(table_words(table, chosen))


def table_words(table: QAbstractItemView, chosen: bool) -> str:
    """The heads and the rows, or the chosen rows only, with tabs between cells; hidden columns too.

    They are written as in a file: heads in English, numbers with a point.
    """
    model = table.model()
    columns = range(model.columnCount())
    heads = [english(str(model.headerData(column, Qt.Orientation.Horizontal))) for column in columns]
    picked = sorted({index.row() for index in table.selectionModel().selectedIndexes()})
    rows = picked if chosen and picked else list(range(model.rowCount()))
    cells = [[_plain(str(model.index(row, column).data() or "")) for column in columns] for row in rows]
    return "\n".join("\t".join(line) for line in [heads, *cells])


_NUMBER = re.compile(r"([+−-]?)(\d{1,3}(?:\u202f\d{3})+|\d+)(?:,(\d+))?((?:e[+−-]?\d+)?)")


def _plain(cell: str) -> str:
    """A cell with the numbers in it as files write them."""
    if spoken().marks[0] == ".":
        return cell
    words = cell.split(" ")
    return " ".join(_NUMBER.sub(_with_point, word) if _NUMBER.fullmatch(word) else word for word in words)


def _with_point(found: re.Match[str]) -> str:
    sign, whole, broken, power = found.groups()
    return sign + whole.replace("\u202f", "") + (f".{broken}" if broken else "") + power
