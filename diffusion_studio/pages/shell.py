"""The window before any page is there: rail, header, and room for pages. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QByteArray, QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QMoveEvent,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.widgets.actions import menus
from diffusion_studio.widgets.actions.action_set import Act, ActionSet, Acts
from diffusion_studio.widgets.actions.table import with_pages
from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.frame.floating import Floating
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
    activated = Signal()  # it is in front now

    def __init__(self, items: Sequence[Item]) -> None:
        super().__init__()
        self.setWindowTitle("Diffusion Studio")
        self.setMinimumSize(LEAST)
        self.resize(COMFORTABLE)
        self.setAcceptDrops(True)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.rail, self.header = Rail(), Header()
        self.stack = QStackedWidget()
        self._waiting = label(tr("Opening …"), "muted")
        self._waiting.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.stack.addWidget(self._waiting)
        self._pages: dict[str, QWidget] = {}
        self._centre, self._painting = QWidget(), QTimer(self, interval=0, singleShot=True)
        self._painting.timeout.connect(partial(self._centre.setUpdatesEnabled, True))
        self._painted = False
        self.rail.set_items(items)
        self.rail.selected.connect(self.page_requested)
        self.banner = Banner()
        self._lay_out()
        self.actions_of_window = ActionSet(self, with_pages([(key, title) for key, title, _ in items]))
        self.menus = menus.fill(self.menuBar(), self.actions_of_window)
        self._own = self._acts(items)
        self.set_acts({})

    def _lay_out(self) -> None:
        centre = self._centre
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
        Floating(self.banner, centre, self.stack.geometry, at_head=True)

    def _acts(self, items: Sequence[Item]) -> dict[str, Act]:
        """What the window can do before and beside its pages."""
        to_page = {f"page-{key}": Act(partial(self.page_requested.emit, key)) for key, _, _ in items}
        return {**to_page, "quit": Act(self.close)}

    def set_acts(self, acts: Acts) -> None:
        """What more can be done in the window, whatever the page."""
        self._own = {**self._own, **acts}
        self.actions_of_window.set_acts(self._own)

    def show_acts(self, acts: Acts, home: QWidget) -> None:
        """What can be done on the page that is shown, and where the focus comes back to."""
        self.actions_of_window.keyboard.set_home(home)
        self.actions_of_window.set_acts(self._own, acts)

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
        page = self._pages.get(key)
        if page is not None and page is not self.stack.currentWidget():
            self._centre.setUpdatesEnabled(False)  # painted in a turn of its own, with its name
            self.stack.setCurrentWidget(page)
            self._painting.start()
        self.rail.set_current(key)
        if page is not None:
            page.setFocus()

    @property
    def current_page(self) -> QWidget | None:
        return self.stack.currentWidget()

    def tell(self, notice: Notice) -> None:
        """What concerns no single page."""
        self.banner.show_message(notice.kind, notice.text, notice.action, notice.details)

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

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self.activated.emit()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.closing.emit()
        event.accept()


def fitting(room: QSize) -> QSize:
    """The comfortable size, or as much of it as a screen has room for."""
    return COMFORTABLE.boundedTo(room - FRAME).expandedTo(LEAST)


def _local_paths(event: QDropEvent) -> list[str]:
    """The dropped files and folders."""
    return [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
