"""What every page has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QSplitter, QVBoxLayout, QWidget

from diffusion_studio.core.theory.algorithms import Algorithm
from diffusion_studio.core.words import tr
from diffusion_studio.pages.tour_view import TourView
from diffusion_studio.viewmodels.history import Undoable
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.tours.tour import Tour
from diffusion_studio.widgets.actions.action_set import Act
from diffusion_studio.widgets.equations.algorithm import AlgorithmBox, Row
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.frame.banner import Banner, Kind
from diffusion_studio.widgets.frame.enlarge import enlarge_over, toggle_on
from diffusion_studio.widgets.frame.floating import Floating
from diffusion_studio.widgets.frame.saved import Teller
from diffusion_studio.widgets.frame.scrolling import FillColumn, ScrollColumn
from diffusion_studio.widgets.look.theme import label

PANEL_WIDTH, WIDEST_PANEL = 320, 520
LOW = 620  # pixels of a page's height below which nothing of its panel stays while it scrolls


@dataclass(frozen=True)
class Desk:
    """What the pages are built from."""

    runs: Path  # the folder of all runs
    memory: Memory
    owner: QObject  # of their view-models
    device: str = "auto"  # that they compute on


class Page(Teller):
    """One page: picture in the middle, parameters on the right.

    Args:
        undoable: what undo and redo act on; None for a page without parameters.
    """

    header_changed = Signal()
    go_requested = Signal(str, str)  # another page, the path of a parameter there
    key = ""  # the name of its folder
    tour: Tour | None = None

    def __init__(self, undoable: Undoable | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # a click beside the fields brings the focus back
        self._undoable = undoable
        enlarge_over(self)
        self.file_saved.connect(lambda path: self._say("info", tr("Saved {path}.", path=path), path))
        self.file_failed.connect(lambda sentence: self._say("error", sentence))

    def _say(self, kind: Kind, text: str, file: str = "") -> None:
        """In the banner of the page, for what stands in it."""
        if (banner := self.findChild(Banner)) is not None:
            banner.show_message(kind, text, file=file)

    def add_tour(self, tour: Tour, memory: Memory, place: QVBoxLayout, number: int = 0) -> TourView:
        """Lets a tour stand as item `number` of a column, where it was left the last time."""
        tour.setParent(self)
        tour.restore(memory.get(f"tour.{self.key}"))
        tour.changed.connect(lambda _: memory.set(f"tour.{self.key}", tour.to_remember()))
        self.tour, view = tour, TourView(tour)
        place.insertWidget(number, view)
        return view

    def acts(self) -> dict[str, Act]:
        """What can be done here, by the names of the table of actions."""
        return {
            "undo": Act(self.undo, lambda: self.can_undo),
            "redo": Act(self.redo, lambda: self.can_redo),
            "enlarge": Act(lambda: toggle_on(self)),
        }

    def chips(self) -> list[tuple[str, str]]:
        """(name, value) pairs for the header."""
        return []

    def undo(self) -> None:
        """Takes back the last change of a parameter."""
        if self._undoable is not None:
            self._undoable.undo()

    def redo(self) -> None:
        """Makes it again."""
        if self._undoable is not None:
            self._undoable.redo()

    @property
    def can_undo(self) -> bool:
        return self._undoable is not None and self._undoable.state.can_undo

    @property
    def can_redo(self) -> bool:
        return self._undoable is not None and self._undoable.state.can_redo

    def come_into_sight(self, run: Path | None) -> None:
        """The page is shown now; `run` is the one that is open on the Train page."""

    def settle(self) -> None:
        """Takes what is typed by half: the window closes."""

    def reveal(self, path: str) -> None:
        """Brings the parameter at `path` into sight and gives it the focus."""
        for form in sorted(self.findChildren(Form), key=lambda form: not form.isVisible()):
            if form.reveal(path):
                return

    def layout_state(self) -> dict[str, Any]:
        """Sizes and choices that are only this page's."""
        return {}

    def restore_layout(self, state: dict[str, Any]) -> None:
        """The opposite of `layout_state`; values that make no sense are ignored."""


class Workspace(QSplitter):
    """The main area and, on the right, a panel that scrolls over a foot that stays.

    Nothing is cut: the main area scrolls where the window is lower than what stands in it, and in a low
    window the foot scrolls with the panel. Where the main area needs the panel's room for a while, the panel
    has it back afterwards.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.main = QWidget()
        self.area = QVBoxLayout(self.main)
        self.area.setContentsMargins(16, 16, 16, 16)
        self.area.setSpacing(12)
        self._foot = QFrame()
        self._foot.setProperty("edge", "top")
        self.foot = QVBoxLayout(self._foot)
        self.foot.setContentsMargins(16, 12, 16, 16)
        self.foot.setSpacing(8)
        side = self._build_side()
        self._column_of_main = FillColumn(self.main)
        self.addWidget(self._column_of_main)
        self.addWidget(side)
        self.setStretchFactor(0, 1)
        self.setStretchFactor(1, 0)
        self.setChildrenCollapsible(False)
        self.setHandleWidth(1)
        side.setMaximumWidth(WIDEST_PANEL)
        self.setSizes([960, PANEL_WIDTH])
        self.splitterMoved.connect(lambda: self._wish(self.sizes()[1]))

    def setSizes(self, sizes: Sequence[int]) -> None:
        """Widths of both; that of the panel is kept to as long as there is room."""
        self._wish(sizes[1])
        super().setSizes(sizes)

    def wanted_sizes(self) -> list[int]:
        """The widths of both, if there were room."""
        return [max(sum(self.sizes()) - self._wanted, 1), self._wanted]

    def _wish(self, width: int) -> None:
        self._wanted = width

    def _give_back(self) -> None:
        """What was taken from the panel, as far as the main area can spare it."""
        main, panel = self.sizes()
        if panel < min(self._wanted, WIDEST_PANEL) and main > self._column_of_main.minimumSizeHint().width():
            super().setSizes(self.wanted_sizes())

    def event(self, event: QEvent) -> bool:
        handled = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            self._give_back()
        return handled

    def lay_over(self, notice: QWidget) -> None:
        """Lets a notice lie over the foot of the largest part of the main area; it pushes nothing."""
        Floating(notice, self._column_of_main, self._largest)

    def _largest(self) -> QRect:
        """What is seen of it, in the column that may scroll."""
        column = self._column_of_main
        items = (self.area.itemAt(number) for number in range(self.area.count()))
        largest = max((item.geometry() for item in items if item is not None), key=QRect.height)
        return largest.translated(self.main.mapTo(column, QPoint())).intersected(column.rect())

    def _build_side(self) -> QFrame:
        side, inner, upper = QFrame(), QWidget(), QWidget()
        side.setProperty("panel", True)
        side.setProperty("edge", "left")
        self.panel = QVBoxLayout(upper)
        self.panel.setContentsMargins(16, 16, 16, 16)
        self.panel.setSpacing(16)
        self._scrolled = QVBoxLayout(inner)
        self._column = QVBoxLayout(side)
        for layout in (self._scrolled, self._column):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(0)
        self._scrolled.addWidget(upper, 1)
        self._column.addWidget(ScrollColumn(inner), 1)
        self._column.addWidget(self._foot)
        return side

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._give_back()
        place = self._scrolled if self.height() < LOW else self._column
        if place.indexOf(self._foot) < 0:
            place.addWidget(self._foot)  # leaves the other one


def show_algorithm(box: AlgorithmBox, algorithm: Algorithm) -> None:
    """The lines of an algorithm in its box."""
    rows = [Row(line.words, line.latex, line.indent) for line in algorithm.lines]
    box.set_algorithm(algorithm.title, algorithm.source, rows)


def ask_for_folder(parent: QWidget, title: str, then: Callable[[str], object]) -> None:
    """Asks for a folder; `then` is given its path."""
    dialog = QFileDialog(parent, title)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(then)
    dialog.open()


def show_notice(banner: Banner, notice: Notice | None) -> None:
    """What a page has to tell, or nothing."""
    if notice is None:
        banner.dismiss()
    else:
        banner.show_message(notice.kind, notice.text, notice.action, notice.details, notice.file)


def titled(title: str, *widgets: QWidget) -> QVBoxLayout:
    """Widgets under a section title."""
    column = QVBoxLayout()
    column.setSpacing(8)
    column.addWidget(label(title, "section"))
    for widget in widgets:
        column.addWidget(widget)
    return column


def restored_sizes(splitter: QSplitter, sizes: Any) -> None:
    """Gives a splitter its remembered shares, if they are ones; what was closed up is opened again."""
    sane = isinstance(sizes, list) and all(type(s) is int and 0 <= s < 100_000 for s in sizes)
    if sane and len(sizes) == splitter.count():
        splitter.setSizes([max(size, 1) for size in sizes])
