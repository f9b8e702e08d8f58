"""The queue in a dialog: what waits, in which order, and whether it goes on by itself."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.words import tr
from diffusion_studio.viewmodels.queue import Queue, QueueState
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.theme import GRID, label

EMPTY = tr(
    "Nothing waits. “Into the queue” on the Train page puts the parameters there into it, “Queue” on the "
    "Runs page a run, to go on with or to begin one like it."
)
WAITS = tr("They begin one after the other when you start the queue.")
GOES = tr("The next one begins when the training of now has ended. Stopping that one holds the queue.")


class QueueDialog(QDialog):
    """Show it with `open()`."""

    def __init__(self, queue: Queue, parent: QWidget) -> None:
        super().__init__(parent)
        self.queue = queue
        self.setWindowTitle(tr("Queue"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.about = label("", "muted")
        self.about.setWordWrap(True)
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Trainings in the queue"))
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.earlier, self.later = QPushButton(tr("Earlier")), QPushButton(tr("Later"))
        self.remove, self.back = QPushButton(tr("Take out")), QPushButton(tr("Put back"))
        self.back.setToolTip(tr("Undoes the last taking out"))
        self.start, close = QPushButton(), QPushButton(tr("Close"))
        self.start.setProperty("primary", True)
        row = FlowRow()
        for button in (self.start, self.earlier, self.later, self.remove, self.back, close):
            button.setAutoDefault(False)
            if button is close:
                row.add_stretch()
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(3 * GRID, 3 * GRID, 3 * GRID, 2 * GRID)
        column.setSpacing(2 * GRID)
        column.addWidget(self.about)
        column.addWidget(self.list, 1)
        column.addLayout(row)
        self.resize(76 * GRID, 48 * GRID)
        self.list.itemSelectionChanged.connect(self._show_choice)
        self.earlier.clicked.connect(partial(self._move, -1))
        self.later.clicked.connect(partial(self._move, +1))
        self.remove.clicked.connect(lambda: queue.remove(self._chosen()))
        self.back.clicked.connect(queue.put_back)
        self.start.clicked.connect(self._start)
        close.clicked.connect(self.reject)
        queue.changed.connect(self._show)
        self._show(queue.state)

    def _chosen(self) -> list[int]:
        return sorted(index.row() for index in self.list.selectedIndexes())

    def _move(self, by: int, _checked: bool = False) -> None:
        place = self._chosen()[0]
        self.queue.move(place, by)
        self.list.setCurrentRow(place + by)

    def _start(self) -> None:
        if self.queue.state.going:
            self.queue.hold()
        else:
            self.queue.go()

    def _show(self, state: QueueState) -> None:
        titles = [item.title for item in state.items]
        if titles != [self.list.item(row).text() for row in range(self.list.count())]:
            self.list.clear()
            self.list.addItems(titles)
        self.about.setText((GOES if state.going else WAITS) if titles else EMPTY)
        self.start.setText(tr("Hold the queue") if state.going else tr("Start the queue"))
        self.start.setEnabled(bool(titles))
        self.back.setEnabled(bool(state.taken))
        self._show_choice()

    def _show_choice(self) -> None:
        chosen = self._chosen()
        self.remove.setEnabled(bool(chosen))
        self.earlier.setEnabled(len(chosen) == 1 and chosen[0] > 0)
        self.later.setEnabled(len(chosen) == 1 and chosen[0] < self.list.count() - 1)
