"""The row above the list of runs: what is looked for, and by what it is sorted."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolButton, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.pages.runs.table import COLUMNS
from diffusion_studio.viewmodels.runs.order import Arrangement
from diffusion_studio.widgets.actions.keys import hint
from diffusion_studio.widgets.forms.texts import FindField
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.icons import set_icon

_LEAST = 160  # px of the field


class Finder(QWidget):
    """Passive: it shows the order that it is given, and says what is asked for."""

    typed = Signal(str)
    starred_wanted = Signal(bool)
    sort_requested = Signal(str)
    open_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field, self.starred, self.order = FindField(), QToolButton(), QToolButton()
        self.open = QToolButton()
        self.open.setToolTip(hint("open-runs"))
        self.open.setAccessibleName(tr("Open runs elsewhere"))
        set_icon(self.open, "folder")
        self.field.setPlaceholderText(tr("Find: name, tag, note, kind, data"))
        self.field.setAccessibleName(tr("Words to find runs by"))
        self.field.setToolTip(hint("filter-runs"))
        self.field.setClearButtonEnabled(True)
        self.field.setMinimumWidth(_LEAST)
        self.field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.starred.setCheckable(True)
        self.starred.setToolTip(tr("Show only runs with a star"))
        self.starred.setAccessibleName(tr("Only with a star"))
        set_icon(self.starred, "star")
        self._build_order()
        row = FlowRow(self)
        for widget in (self.field, self.starred, self.order, self.open):
            row.addWidget(widget)
        self.field.textChanged.connect(self.typed)
        self.open.clicked.connect(self.open_requested)
        self.starred.toggled.connect(self.starred_wanted)

    def _build_order(self) -> None:
        menu, group = QMenu(self.order), QActionGroup(self.order)
        self._orders: dict[str, QAction] = {}
        for column in COLUMNS:
            action = menu.addAction(column.title or tr("Star"), partial(self.sort_requested.emit, column.by))
            action.setCheckable(True)
            group.addAction(action)
            self._orders[column.by] = action
        self.order.setMenu(menu)
        self.order.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.order.setToolTip(tr("By what the runs are sorted; chosen again, the other way round"))

    def begin(self) -> None:
        """Lets a person type what is looked for."""
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.field.selectAll()

    def show_order(self, order: Arrangement) -> None:
        if self.field.text() != order.words:
            self.field.setText(order.words)
        self.starred.setChecked(order.starred)
        set_icon(self.starred, "star-full" if order.starred else "star", "accent" if order.starred else None)
        self._orders[order.by].setChecked(True)
        title = self._orders[order.by].text()
        arrow, way = ("↓", tr("falling")) if order.descending else ("↑", tr("rising"))
        self.order.setText(tr("Sort: {title} {arrow}", title=title, arrow=arrow))
        self.order.setAccessibleName(tr("Sorted by {title}, {way}", title=title, way=way))
