"""The trash: what lies in it, put back or deleted for good."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.words import number, plural, tr
from diffusion_studio.engine.labbook.entries import called
from diffusion_studio.engine.runs.trash import Trashed
from diffusion_studio.viewmodels.runs.model import RunsViewModel
from diffusion_studio.viewmodels.runs.state import RunsState
from diffusion_studio.widgets.frame.table_menu import offer_copy
from diffusion_studio.widgets.look.theme import GRID, label

_WHICH = Qt.ItemDataRole.UserRole


class TrashDialog(QDialog):
    """The runs in the trash; show it with `open()`. What deletes for good asks to be pressed twice."""

    def __init__(self, model: RunsViewModel, parent: QWidget) -> None:
        super().__init__(parent)
        self.model = model
        self.setWindowTitle(tr("Trash"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.about = label("", "muted")
        self.list = QTreeWidget()
        self.list.setHeaderLabels([tr("Run"), tr("Size")])
        self.list.setRootIsDecorated(False)
        self.list.setAccessibleName(tr("Runs in the trash"))
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        offer_copy(self.list)
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.back, self.delete, close = QPushButton(tr("Put back")), QPushButton(), QPushButton(tr("Close"))
        self._sure = False  # the next press deletes
        row = QHBoxLayout()
        for button in (self.back, self.delete, close):
            button.setAutoDefault(False)
            row.addWidget(button)
        row.insertStretch(2, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(3 * GRID, 3 * GRID, 3 * GRID, 2 * GRID)
        column.setSpacing(2 * GRID)
        column.addWidget(self.about)
        column.addWidget(self.list, 1)
        column.addLayout(row)
        self.resize(64 * GRID, 48 * GRID)
        self.list.itemSelectionChanged.connect(self._show_choice)
        self.back.clicked.connect(self._put_back)
        self.delete.clicked.connect(self._delete)
        close.clicked.connect(self.reject)
        model.changed.connect(self._show)
        self._show(model.state)

    def _show(self, state: RunsState) -> None:
        if [item.path for item in state.trash] != [item.path for item in self._all()]:
            self.list.clear()
            for run in state.trash:
                item = QTreeWidgetItem([called(run.path), megabytes(run.size)])
                item.setData(0, _WHICH, run)
                item.setToolTip(0, str(run.home))
                self.list.addTopLevelItem(item)
        self.about.setText(in_words(state.trash) or tr("The trash is empty."))
        self._show_choice()

    def _all(self) -> list[Trashed]:
        items = (self.list.topLevelItem(row) for row in range(self.list.topLevelItemCount()))
        return [item.data(0, _WHICH) for item in items if item is not None]

    def _chosen(self) -> list[Trashed]:
        return [item.data(0, _WHICH) for item in self.list.selectedItems()]

    def _show_choice(self) -> None:
        self._sure = False
        chosen, all_of_it = self._chosen(), self._all()
        self.back.setEnabled(bool(chosen))
        self.delete.setEnabled(bool(all_of_it))
        self.delete.setText(tr("Delete for good") if chosen else tr("Empty the trash"))

    def _put_back(self) -> None:
        for run in self._chosen():
            self.model.restore(run.path, run.home)

    def _delete(self) -> None:
        doomed = self._chosen() or self._all()
        if self._sure:
            self.model.bin.delete([run.path for run in doomed])
            self._show_choice()
        else:
            self._sure = True
            self.delete.setText(tr("Really delete {runs}?", runs=in_words(doomed)))


def in_words(trash: list[Trashed] | tuple[Trashed, ...]) -> str:
    """ "3 runs, 120.5 MB"; nothing for none."""
    count, size = len(trash), sum(run.size for run in trash)
    return plural("{n} run, {size}", "{n} runs, {size}", count, size=megabytes(size)) if count else ""


def megabytes(size: int) -> str:
    return f"{number(size / 1e6, ',.1f')} MB"
