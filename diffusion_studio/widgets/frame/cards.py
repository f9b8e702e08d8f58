"""Cards: a title with its content, the data set at hand, and work in progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QMouseEvent
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.words import number, plural, tr
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.frame.enlarge import can_enlarge, toggle
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.frame.table_menu import offer_copy
from diffusion_studio.widgets.images.drawing_menu import open_drawing_menu
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.images.mosaic import Images
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import GRID, label, tabular, tip, unbroken

WorkState = Literal["idle", "running", "paused", "stopping"]

_WIDEST = 400  # pixels of a name in the menu
_STRIP, _SHOWN = 60, 16  # height of the thumbnails, and how many at most: two rows of eight


class Card(QFrame):
    """A surface with a title, a detail to its right, and content in `body`; enlarged and copied whole."""

    def __init__(self, title: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self._title, self._detail = label(role="strong"), ElidedLabel(role="muted")
        self._detail.setFont(tabular(self._detail.font()))
        self._head = FlowRow()
        self._head.addWidget(self._title)
        self._head.add_stretch()
        self._head.addWidget(self._detail)
        self.body = QVBoxLayout()
        self.body.setSpacing(GRID)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 12, 14, 12)
        column.setSpacing(GRID)
        column.addLayout(self._head)
        column.addLayout(self.body)
        self.set_title(title)

    def set_title(self, title: str, detail: str = "", short: str = "") -> None:
        self._title.setText(title)
        self._title.setVisible(bool(title))
        self._detail.set_short(short)
        self._detail.setText(detail)
        self._detail.setVisible(bool(detail))
        self.setAccessibleName(title)
        can_enlarge(self, title)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        toggle(self)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        open_drawing_menu(self, event.globalPos())

    def add_header_widget(self, widget: QWidget) -> None:
        """Put `widget` at the right end of the title's row, or below it where there is no room."""
        self._head.addWidget(widget)


class RemainderCard(Card):
    """A card that takes the height that the others leave, but `least` pixels and what it needs."""

    def __init__(self, least: int = 112, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self._least = least

    def hasHeightForWidth(self) -> bool:
        return False

    def sizeHint(self) -> QSize:
        return QSize(300, self._least).expandedTo(self.minimumSizeHint())

    def minimumSizeHint(self) -> QSize:
        """Room for what is in it."""
        return QSize(190, self._least).expandedTo(super().minimumSizeHint())


START, READING = tr("Start"), tr("Reading images …")


class DataCard(QFrame):
    """The pictures to learn from: a few of them, how many, what was left out, and how to take others."""

    open_requested = Signal()
    source_requested = Signal(str)  # one of those that are offered
    skipped_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self.setAccessibleName(tr("Data"))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self._strip = ImageGrid(tr("Images of the data"), self, centre=False, selectable=False)
        self._strip.setFixedHeight(_STRIP)
        self._name, self._facts, self._notes = label(role="strong"), label(role="muted"), label(role="muted")
        for words in (self._facts, self._notes):
            words.setWordWrap(True)
        self._skipped = label(role="muted")
        self._show = _link(tr("Show…"), self.skipped_requested)
        self._open = _button(tr("Open folder…"), self.open_requested, "folder")
        self._recent, self._offered = QPushButton(tr("Recent")), QMenu(self)
        self._recent.setToolTip(tr("The built-in digits, and folders that were opened before"))
        self._recent.setMenu(self._offered)
        self._recent.hide()
        self._bar = _bar(self)
        self._doing = label(role="small")
        self._cancel = _link(tr("Cancel"), self.cancel_requested)
        self._way = QStackedWidget()  # to open a folder, or how far the reading of one is
        self._build()
        self.set_notes("", ())
        self.set_skipped(0)
        self.set_idle()

    def set_data(self, name: str, count: int, classes: int, size: str, thumbnails: Images | None) -> None:
        """What the data set is: `size` such as "8×8 grey", `thumbnails` uint8 (N, H, W, C)."""
        self._name.setText(name)
        facts = [plural("1 image", "{n} images", count, n=number(count, ","))]
        facts += [tr("{classes} classes", classes=classes)] if classes > 1 else []
        self._facts.setText(unbroken(" · ".join([*facts, size] if size else facts)))
        self._strip.set_images(None if thumbnails is None else thumbnails[:_SHOWN])
        self._strip.setVisible(thumbnails is not None and len(thumbnails) > 0)

    def offer(self, sources: Callable[[], Sequence[tuple[str, str]]]) -> None:
        """Offers what `sources` gives when it is asked: (source, name), in a menu beside the button."""
        self._offered.aboutToShow.connect(lambda: self._fill(sources()))
        self._recent.show()

    def _fill(self, sources: Sequence[tuple[str, str]]) -> None:
        self._offered.clear()
        for source, name in sources:
            shown = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, _WIDEST)
            action = self._offered.addAction(shown.replace("&", "&&"))
            action.triggered.connect(lambda _=False, source=source: self.source_requested.emit(source))

    def set_notes(self, how: str, notes: Sequence[str]) -> None:
        """How the classes were found, and what else a person should know of the set, in sentences."""
        self._notes.setText("\n".join([how, *notes] if how else notes))
        self._notes.setVisible(bool(how or notes))

    def set_skipped(self, count: int) -> None:
        """How many files were left out; the button that lists them stands beside it."""
        self._skipped.setText(
            tr("{count} skipped", count=number(count, ",")) if count else tr("none skipped")
        )
        self._show.setVisible(count > 0)

    def set_progress(self, done: int, total: int) -> None:
        """A folder is read, or gone through while `total` is 0; nothing else can be opened meanwhile."""
        _show_share(self._bar, done, total)
        looking = tr("Looking through the folder: {done} files …", done=number(done, ","))
        self._doing.setText(READING if total or not done else looking)
        self._set_busy(True)

    def set_idle(self) -> None:
        """Nothing is being read."""
        self._set_busy(False)

    def _set_busy(self, busy: bool) -> None:
        self._way.setCurrentIndex(int(busy))  # in one place, so that nothing below moves
        self._open.setEnabled(not busy)

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 12, 14, 12)
        column.setSpacing(GRID // 2)
        column.addWidget(self._strip)
        column.addSpacing(GRID // 2)
        column.addWidget(self._name)
        column.addWidget(self._facts)
        column.addWidget(self._notes)
        column.addLayout(left_out := _row(self._skipped, self._show))
        left_out.addStretch(1)
        column.addSpacing(GRID // 2)
        opening, reading = QWidget(), QWidget()
        opening.setLayout(buttons := _row(self._open, self._recent))
        buttons.setStretch(0, 1)
        rows = QVBoxLayout(reading)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(GRID // 2)
        rows.addWidget(self._bar)
        rows.addLayout(doing := _row(self._doing, self._cancel))
        doing.insertStretch(1, 1)
        for way in (opening, reading):
            self._way.addWidget(way)
        column.addWidget(self._way)


class ProgressCard(QFrame):
    """Long work: what it does, how far it is, and the buttons that steer it."""

    start_requested = Signal()
    pause_requested = Signal()
    resume_requested = Signal()
    stop_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._title, self._detail = ElidedLabel(role="strong"), ElidedLabel(role="muted")
        self._detail.setFont(tabular(self._detail.font()))
        self._start = _button(tr("Start"), self.start_requested, primary=True)
        self._pause = _button(tr("Pause"), self.pause_requested)
        self._resume = _button(tr("Resume"), self.resume_requested, primary=True)
        self._stop = _button(tr("Stop && save"), self.stop_requested)
        self._bar = _bar(self)
        self._slot = _row()
        self._title.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._detail.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._title.elide_middle()  # names of runs begin with their day
        head = _row(self._title, self._start, self._pause, self._resume)
        head.addLayout(self._slot)
        head.addWidget(self._stop)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 12, 14, 14)
        column.setSpacing(GRID)
        column.addLayout(head)
        column.addWidget(self._detail)  # below the buttons, which would leave no room for it
        column.addWidget(self._bar)
        self.set_detail("")
        self.set_state("idle")

    @property
    def state(self) -> WorkState:
        return self._state

    def set_state(self, state: WorkState) -> None:
        """Offer what can be done in that state."""
        self._state = state
        self._start.setVisible(state == "idle")
        self._pause.setVisible(state in ("running", "stopping"))
        self._resume.setVisible(state == "paused")
        self._stop.setVisible(state != "idle")
        self._pause.setEnabled(state == "running")
        self._stop.setEnabled(state != "stopping")
        self._stop.setText(tr("Saving…") if state == "stopping" else tr("Stop && save"))

    def set_title(self, title: str, start: str = START) -> None:
        """What the work is; `start` is the word on the button that begins it."""
        self._title.setText(title)
        self._start.setText(start)
        self.setAccessibleName(title)

    def set_detail(self, text: str) -> None:
        """One line: step and total, speed, time left."""
        self._detail.set_short(text.partition(" · ")[0])
        self._detail.setText(text)
        self._detail.setVisible(bool(text))
        self._bar.setAccessibleDescription(text)

    def set_progress(self, done: int, total: int) -> None:
        _show_share(self._bar, done, total)

    def set_start_enabled(self, enabled: bool, reason: str = "") -> None:
        self._start.setEnabled(enabled)
        self._start.setToolTip("" if enabled else reason)

    def add_action_widget(self, widget: QWidget) -> None:
        """Put `widget` before the button that stops."""
        self._slot.addWidget(widget)


class SkippedDialog(QDialog):
    """The files that were left out and why; does not block the window."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Skipped files"))
        self.resize(640, 400)
        self._model = _Rows(self)
        self._table = QTableView(self)
        self._table.setModel(self._model)
        self._table.setShowGrid(False)
        self._table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self._table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._table.setAccessibleName(tr("Skipped files"))
        offer_copy(self._table)
        self._table.verticalHeader().hide()
        self._table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self._table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        close = QPushButton(tr("Close"), self)
        close.clicked.connect(self.close)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.addWidget(self._table)
        column.addLayout(foot)

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        return self._model.rows

    def set_rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show `rows` of file and reason."""
        self._model.set_rows(rows)
        count = number(len(rows), ",")
        self.setWindowTitle(plural("{n} skipped file", "{n} skipped files", len(rows), n=count))

    def open(self) -> None:
        """Show the table beside the window; unlike Qt's own `open` it blocks nothing."""
        self.setWindowModality(Qt.WindowModality.NonModal)
        self.show()
        self.raise_()


class _Rows(QAbstractTableModel):
    _HEADS = (tr("File"), tr("Reason"))

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: tuple[tuple[str, str], ...] = ()

    def set_rows(self, rows: Sequence[tuple[str, str]]) -> None:
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return len(self._HEADS)

    def data(
        self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if role == Qt.ItemDataRole.DisplayRole:
            return self.rows[index.row()][index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(self.rows[index.row()][index.column()])
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> object:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self._HEADS[section]
        return None


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(GRID)
    for widget in widgets:
        row.addWidget(widget)
    return row


def _button(text: str, signal: object, icon: str = "", primary: bool = False) -> QPushButton:
    button = QPushButton(text)
    button.setProperty("primary", primary)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.clicked.connect(signal)
    if icon:
        set_icon(button, icon, size=16)
    return button


def _link(text: str, signal: object) -> QPushButton:
    button = _button(text, signal)
    button.setProperty("link", True)
    return button


def _bar(parent: QWidget) -> QProgressBar:
    bar = QProgressBar(parent)
    bar.setTextVisible(False)
    bar.setAccessibleName(tr("Progress"))
    return bar


def _show_share(bar: QProgressBar, done: int, total: int) -> None:
    """An unknown total shows an empty bar rather than a restless one."""
    bar.setRange(0, max(1, total))
    bar.setValue(min(done, total) if total > 0 else 0)
