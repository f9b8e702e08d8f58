"""The settings of runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QStackedWidget, QTableView, QWidget

from diffusion_studio.engine.labbook.settings import Setting, settings_of
from diffusion_studio.viewmodels.runs.comparison import RunRead
from diffusion_studio.widgets.frame.table_menu import offer_copy
from diffusion_studio.widgets.look.theme import label, tip

_Index = QModelIndex | QPersistentModelIndex
_Role = Qt.ItemDataRole
_ROW, _LEAST = 26, 92  # px


class SettingsTable(QStackedWidget):
    """A row for each parameter, a column for each run; among all, those that differ are bold."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table, self.nothing = QTableView(), label("", "muted")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing.setWordWrap(True)
        self.rows = _Settings(self)
        self.table.setModel(self.rows)
        self.table.setAccessibleName("Settings of the chosen runs")
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

    def show_runs(self, runs: Sequence[RunRead], only_differences: bool) -> None:
        """The settings of these runs, or only those that differ."""
        settings = settings_of([run.config for run in runs]) if runs else ()
        shown = tuple(one for one in settings if one.differs or not only_differences)
        self.rows.show([run.name for run in runs], shown, not only_differences)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        several = len(runs) > 1
        alike = "The chosen runs have the same settings." if several else "All settings are the defaults."
        self.nothing.setText(alike if runs else "Nothing is chosen.")
        self.setCurrentWidget(self.table if shown else self.nothing)


class _Settings(QAbstractTableModel):
    """The settings as rows."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.names: list[str] = []
        self.settings: tuple[Setting, ...] = ()
        self._marks = False

    def show(self, names: list[str], settings: tuple[Setting, ...], marks: bool) -> None:
        """Shows these settings; `marks` those that differ."""
        if (names, settings, marks) != (self.names, self.settings, self._marks):
            self.beginResetModel()
            self.names, self.settings, self._marks = names, settings, marks
            self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.settings)

    def columnCount(self, parent: _Index | None = None) -> int:
        return 1 + len(self.names)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole) -> Any:
        if role in (_Role.DisplayRole, _Role.ToolTipRole) and orientation == Qt.Orientation.Horizontal:
            return ("Setting", *self.names)[section]
        return None

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        setting = self.settings[index.row()]
        if role == _Role.DisplayRole:
            title = f"{setting.title}  {setting.symbol}".rstrip()
            return (title, *setting.values)[index.column()] or "–"
        if role == _Role.ToolTipRole:
            return tip(f"{setting.help}\n{setting.path}")
        if role == _Role.FontRole and setting.differs and self._marks:
            font = QFont()
            font.setBold(True)
            return font
        return None
