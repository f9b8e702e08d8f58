"""The table of runs."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QIcon, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from diffusion_studio.core.words import number, tr, trc
from diffusion_studio.engine.jobs.words import duration
from diffusion_studio.pages.runs.trash import megabytes
from diffusion_studio.viewmodels.runs.order import Arrangement, kind_in_words
from diffusion_studio.viewmodels.runs.summary import RunSummary
from diffusion_studio.widgets.frame.enlarge import can_enlarge
from diffusion_studio.widgets.frame.table_menu import offer_copy
from diffusion_studio.widgets.images.thumbnail import thumbnail
from diffusion_studio.widgets.look.icons import pixmap
from diffusion_studio.widgets.look.theme import theme, tip
from diffusion_studio.widgets.plots.math import with_minus_signs

_Index = QModelIndex | QPersistentModelIndex
_Role = Qt.ItemDataRole
_AT_THE_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
THUMBNAIL, STAR_SIZE, NAME = 40, 16, 180  # px


@dataclass(frozen=True)
class Column:
    """What stands in one column, and by what it sorts."""

    by: str
    title: str
    sorts: str  # the title within a sentence
    words: Callable[[RunSummary], str]


def _loss(run: RunSummary) -> str:
    return "" if math.isnan(run.loss) else with_minus_signs(number(run.loss, ".4f"))


def _trained(run: RunSummary) -> str:
    return duration(run.seconds) if run.seconds else ""


def _saved(run: RunSummary) -> str:
    return datetime.datetime.fromtimestamp(run.changed).strftime("%Y-%m-%d %H:%M") if run.changed else ""


COLUMNS = (
    Column("star", "", trc("sort by", "star"), lambda run: "★" if run.entry.star else ""),
    Column("name", tr("Run"), trc("sort by", "run"), lambda run: run.name),
    Column("tags", tr("Tags"), trc("sort by", "tags"), lambda run: ", ".join(run.entry.tags)),
    Column("kind", tr("Kind"), trc("sort by", "kind"), kind_in_words),
    Column("data", tr("Data"), trc("sort by", "data"), lambda run: run.data),
    Column("step", tr("Step"), trc("sort by", "step"), lambda run: number(run.step, ",")),
    Column("loss", tr("Loss"), trc("sort by", "loss"), _loss),
    Column("trained", tr("Trained"), trc("sort by", "trained"), _trained),
    Column("size", tr("Size"), trc("sort by", "size"), lambda run: megabytes(run.size)),
    Column("saved", tr("Saved"), trc("sort by", "saved"), _saved),
)
BY = [column.by for column in COLUMNS]
NUMBERS = ("step", "loss", "trained", "size")  # end one under the other
STAR, NAMED = BY.index("star"), BY.index("name")
LEAVING = ("size", "kind", "trained", "data", "saved", "tags")  # the order in which columns go


class RunTable(QTableView):
    """Leaves columns out where there is no room for all of them; the panel says what they say."""

    chosen = Signal(object)  # list[Path]
    opened = Signal()
    star_pressed = Signal()
    sort_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = RunRows(self)
        self.setModel(self.rows)
        self.setAccessibleName(tr("Trainings"))
        offer_copy(self)
        can_enlarge(self)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setIconSize(QSize(THUMBNAIL, THUMBNAIL))
        self.setShowGrid(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(56)
        self._lay_out_header()
        self._showing = False
        self._widths: dict[int, int] = {}  # that the cells of a column need, while none of them changes
        self.selectionModel().selectionChanged.connect(self._tell_chosen)
        self.activated.connect(lambda index: self.opened.emit() if index.column() != STAR else None)
        self.clicked.connect(lambda index: self.star_pressed.emit() if index.column() == STAR else None)
        theme().changed.connect(self.viewport().update)

    def _lay_out_header(self) -> None:
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)  # by `fit_columns`
        header.setSectionResizeMode(NAMED, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(28)
        header.setHighlightSections(False)
        header.setSectionsClickable(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.sectionClicked.connect(lambda section: self.sort_requested.emit(BY[section]))

    def show_runs(self, runs: tuple[RunSummary, ...], chosen: Sequence[Path], order: Arrangement) -> None:
        """These rows, the chosen ones marked, the last of them with the focus."""
        self._showing = True
        before = self.rows.runs
        if self.rows.show(runs, order):
            if {id(run) for run in before} != {id(run) for run in runs}:
                self._widths = {}  # in another order the same ones are as wide
            self.fit_columns()
        self._mark(chosen)
        self._showing = False

    def _mark(self, chosen: Sequence[Path]) -> None:
        places = {run.path: row for row, run in enumerate(self.rows.runs)}
        wanted = [places[path] for path in chosen if path in places]
        if sorted(wanted) == self._marked():
            return
        marked = QItemSelection()
        for row in wanted:
            marked.select(self.rows.index(row, 0), self.rows.index(row, len(COLUMNS) - 1))
        flags = QItemSelectionModel.SelectionFlag
        if wanted:
            last = self.rows.index(wanted[-1], NAMED)
            self.selectionModel().setCurrentIndex(last, flags.NoUpdate)
            self.scrollTo(last)
        self.selectionModel().select(marked, flags.ClearAndSelect)

    def _marked(self) -> list[int]:
        return sorted(index.row() for index in self.selectionModel().selectedRows())

    def _tell_chosen(self) -> None:
        if not self._showing:
            self.chosen.emit([self.rows.runs[row].path for row in self._marked()])

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit_columns()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._widths = {}
            self.fit_columns()

    def fit_columns(self) -> None:
        """Shows as many columns as there is room for; tags only where there are some."""
        header = self.horizontalHeader()
        needed = {
            by: max(self._width_of(column), header.sectionSizeHint(column), NAME * (column == NAMED))
            for column, by in enumerate(BY)
        }
        if not any(run.entry.tags for run in self.rows.runs):
            del needed["tags"]
        for by in ("", *LEAVING):
            needed.pop(by, None)
            if sum(needed.values()) <= self.viewport().width():
                break
        for column, by in enumerate(BY):
            self.setColumnHidden(column, by not in needed)
            if by in needed and column != NAMED:
                header.resizeSection(column, needed[by])

    def _width_of(self, column: int) -> int:
        """Asked of each cell once; sorting changes none of them."""
        if column not in self._widths:
            self._widths[column] = self.sizeHintForColumn(column)
        return self._widths[column]


class RunRows(QAbstractTableModel):
    """The runs as rows."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._widget = parent
        self.runs: tuple[RunSummary, ...] = ()
        self._order = Arrangement()
        self._drawings: dict[Path, tuple[NDArray[np.uint8], QIcon]] = {}  # of which samples, by the run

    def show(self, runs: tuple[RunSummary, ...], order: Arrangement) -> bool:
        """Shows these; False where nothing differs."""
        if (runs, order) == (self.runs, self._order):
            return False
        same_rows = [run.path for run in runs] == [run.path for run in self.runs]
        if not same_rows:
            self.beginResetModel()
        self.runs, self._order = runs, order
        shown = {run.path for run in runs}
        self._drawings = {path: kept for path, kept in self._drawings.items() if path in shown}
        if same_rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(runs) - 1, len(COLUMNS) - 1))
        else:
            self.endResetModel()
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(COLUMNS) - 1)
        return True

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.runs)

    def columnCount(self, parent: _Index | None = None) -> int:
        return len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = COLUMNS[section]
        if role == _Role.DisplayRole:
            arrow = ("↓" if self._order.descending else "↑") if column.by == self._order.by else ""
            return f"{column.title} {arrow}".strip()
        if role == _Role.TextAlignmentRole and column.by in NUMBERS:
            return _AT_THE_RIGHT
        if role == _Role.ToolTipRole:
            return tr("Sort by {column}; again for the other way round", column=column.sorts)
        return None

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        run, column = self.runs[index.row()], COLUMNS[index.column()]
        if role == _Role.DisplayRole:
            return "" if column.by == "star" else column.words(run)
        if role == _Role.TextAlignmentRole and column.by in NUMBERS:
            return _AT_THE_RIGHT
        if role == _Role.AccessibleTextRole and column.by == "star":
            return tr("with a star") if run.entry.star else tr("without a star")
        if role == _Role.DecorationRole and column.by == "star":
            name, color = ("star-full", "accent") if run.entry.star else ("star", "faint")
            return pixmap(name, STAR_SIZE, color, self._widget.devicePixelRatioF())
        if role == _Role.DecorationRole and column.by == "name" and run.picture is not None:
            return self._drawn(run.path, run.picture)
        if role == _Role.ToolTipRole:
            star = tr("Give it a star, or take it away")
            return star if column.by == "star" else tip(run.problem or run.entry.note or str(run.path))
        return None

    def _drawn(self, path: Path, samples: NDArray[np.uint8]) -> QIcon:
        """Drawn once: a table asks for it whenever it is measured or painted."""
        if path not in self._drawings or self._drawings[path][0] is not samples:
            self._drawings[path] = (samples, _drawing(samples))
        return self._drawings[path][1]


def _drawing(samples: NDArray[np.uint8]) -> QIcon:
    """The newest samples, small. (n, H, W, C)"""
    picture = thumbnail(samples, THUMBNAIL)
    drawn = QIcon(picture)
    drawn.addPixmap(picture, QIcon.Mode.Selected)  # not tinted in the chosen row
    return drawn
