"""The window before any page is there: rail, header, and room for pages. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QByteArray, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QKeySequence,
    QMoveEvent,
    QPaintEvent,
    QResizeEvent,
    QShortcut,
)
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from diffusion_studio.widgets.frame.header import Header
from diffusion_studio.widgets.frame.rail import Rail
from diffusion_studio.widgets.look.theme import label

Item = tuple[str, str, str]  # key, label, icon
COMFORTABLE, LEAST = QSize(1280, 800), QSize(880, 520)
FRAME = QSize(16, 48)  # what the system draws around a window, about


class Shell(QMainWindow):
    """The window: pages register themselves here."""

    painted = Signal()  # after the first paint
    page_requested = Signal(str)
    paths_dropped = Signal(list)
    closing = Signal()
    moved = Signal()

    def __init__(self, items: Sequence[Item]) -> None:
        super().__init__()
        self.setWindowTitle("Diffusion Studio")
        self.setMinimumSize(LEAST)
        self.resize(COMFORTABLE)
        self.setAcceptDrops(True)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.rail, self.header = Rail(), Header()
        self.stack = QStackedWidget()
        self._waiting = label("Opening …", "muted")
        self._waiting.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.stack.addWidget(self._waiting)
        self._pages: dict[str, QWidget] = {}
        self._painted = False
        self.rail.set_items(items)
        self.rail.selected.connect(self.page_requested)
        self._lay_out()
        self._add_shortcuts(items)

    def _lay_out(self) -> None:
        centre = QWidget()
        row = QHBoxLayout(centre)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.rail)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(self.header)
        column.addWidget(self.stack, 1)
        row.addLayout(column, 1)
        self.setCentralWidget(centre)

    def _add_shortcuts(self, items: Sequence[Item]) -> None:
        for number, (key, _, _) in enumerate(items, start=1):
            shortcut = QShortcut(QKeySequence(f"Ctrl+{number}"), self)
            shortcut.activated.connect(lambda key=key: self.page_requested.emit(key))
        for sequence, signal in (
            (QKeySequence.StandardKey.Undo, self.header.undo_requested),
            (QKeySequence.StandardKey.Redo, self.header.redo_requested),
        ):
            QShortcut(QKeySequence(sequence), self).activated.connect(signal)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Quit), self).activated.connect(self.close)

    def stand(self, geometry: object) -> None:
        """Takes a remembered place on the screen; at the first start a size that the screen has room for."""
        known = isinstance(geometry, str) and self.restoreGeometry(QByteArray.fromBase64(geometry.encode()))
        if not known:
            self.resize(fitting(self.screen().availableSize()))

    def announce(self, key: str, title: str) -> None:
        """Names the page that is to come, while it is opened."""
        self.rail.set_current(key)
        self.header.set_title(title)

    def add_page(self, key: str, page: QWidget) -> None:
        self._pages[key] = page
        self.stack.addWidget(page)

    def show_page(self, key: str) -> None:
        self.rail.set_current(key)
        page = self._pages.get(key)
        if page is not None:
            self.stack.setCurrentWidget(page)
            page.setFocus()

    @property
    def current_page(self) -> QWidget | None:
        return self.stack.currentWidget()

    def say(self, sentence: str) -> None:
        """A sentence in place of the pages, when they could not be opened."""
        text: QLabel = self._waiting
        text.setWordWrap(True)
        text.setText(sentence)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._painted:
            self._painted = True
            QTimer.singleShot(0, self, self.painted.emit)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _local_paths(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = _local_paths(event)
        if paths:
            event.acceptProposedAction()
            self.paths_dropped.emit(paths)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.moved.emit()

    def moveEvent(self, event: QMoveEvent) -> None:
        super().moveEvent(event)
        self.moved.emit()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.closing.emit()
        event.accept()


def fitting(room: QSize) -> QSize:
    """The comfortable size, or as much of it as a screen has room for."""
    return COMFORTABLE.boundedTo(room - FRAME).expandedTo(LEAST)


def _local_paths(event: QDropEvent) -> list[str]:
    """The dropped files and folders."""
    return [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
