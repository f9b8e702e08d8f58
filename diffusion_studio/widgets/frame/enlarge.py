"""One picture, plot or card over the whole page, and back to its place."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QColor, QCursor, QKeySequence, QPainter, QPaintEvent, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.frame.scrolling import Holder
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import ANY_SIZE, GRID, label, theme

_MARK = "enlarges"  # the property of what can be enlarged: what it is called
_PAGE = "enlargesWithin"  # the property of what it is enlarged over


def can_enlarge(widget: QWidget, name: str = "") -> None:
    """Lets a person see `widget` over the whole page."""
    widget.setProperty(_MARK, name or widget.accessibleName() or tr("enlarged"))


def enlarge_over(page: QWidget) -> None:
    """What is inside `page` is enlarged over all of it, so that its keys go on to act."""
    page.setProperty(_PAGE, True)


def toggle(widget: QWidget) -> None:
    """Enlarges what `widget` is or belongs to, or puts it back."""
    page, part = _page_of(widget), _part_of(widget)
    if page is None:
        return
    shown = page.findChild(Enlarged)
    if shown is not None:
        shown.put_back()
    elif part is not None and part is not page:
        Enlarged(part, page).show()


def toggle_on(page: QWidget) -> None:
    """What is under the pointer; else what has the focus; else the first thing that can be enlarged."""
    under = page.childAt(page.mapFromGlobal(QCursor.pos()))
    focus = QApplication.focusWidget()
    candidates = [under, focus if focus is not None and page.isAncestorOf(focus) else None]
    parts = [_part_of(widget) for widget in candidates if widget is not None]
    visible = (w for w in page.findChildren(QWidget) if w.property(_MARK) and w.isVisible())
    found = next((part for part in parts if part is not None), None) or next(visible, None)
    if found is not None or page.findChild(Enlarged) is not None:
        toggle(found or page)


def _part_of(widget: QWidget) -> QWidget | None:
    """The nearest thing around a widget that can be enlarged; in a stack, all of the stack."""
    found: QWidget | None = widget
    while found is not None and not found.property(_MARK):
        found = found.parentWidget()
    while found is not None and isinstance(found.parentWidget(), QStackedWidget):
        found = found.parentWidget()
    return found


def _page_of(widget: QWidget) -> QWidget | None:
    found: QWidget | None = widget
    while found is not None and not found.property(_PAGE):
        found = found.parentWidget()
    return found


class Enlarged(QWidget):
    """Covers a page with one part of it; F11, Escape or the cross put it back."""

    def __init__(self, part: QWidget, page: QWidget) -> None:
        super().__init__(page)
        self._page, self._part, self._parent = page, part, part.parentWidget()
        self._empty = _Place(part)
        self._swap(part, self._empty)
        self._before = part.sizePolicy(), part.minimumSize(), part.maximumSize()
        part.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        part.setMinimumSize(0, 0)
        part.setMaximumSize(ANY_SIZE, ANY_SIZE)
        name = ElidedLabel(part.accessibleName() or str(part.property(_MARK)), "title")
        close = QToolButton()
        close.setProperty("flat", True)
        close.setToolTip(tr("Back to its place (F11 or Esc)"))
        close.setAccessibleName(tr("Back to its place"))
        set_icon(close, "close", "muted", 16)
        close.clicked.connect(self.put_back)
        head = QHBoxLayout()
        head.setSpacing(GRID)
        head.addWidget(name, 1)
        head.addWidget(label(tr("F11 or Esc puts it back"), "muted"))
        head.addWidget(close)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(16, 12, 16, 16)
        self._column.addLayout(head)
        self._column.addWidget(part, 1)
        part.show()
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), page)
        escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        escape.activated.connect(self.put_back)
        self.destroyed.connect(escape.deleteLater)
        page.installEventFilter(self)
        if not page.isAncestorOf(QApplication.focusWidget() or page):
            page.setFocus()  # or Escape would not be heard
        self.setGeometry(page.rect())
        self.raise_()

    def put_back(self) -> None:
        """The part stands where it stood."""
        policy, least, most = self._before
        self._column.removeWidget(self._part)
        self._part.setSizePolicy(policy)
        self._part.setMinimumSize(least)
        self._part.setMaximumSize(most)
        self._swap(self._empty, self._part)
        self._part.setParent(self._parent)  # where it is already; or it would be Python's, and go with this
        self._part.show()
        self._empty.deleteLater()
        self.hide()
        self.setParent(None)
        self.deleteLater()

    def _swap(self, old: QWidget, new: QWidget) -> None:
        """`new` in the place of `old`."""
        parent = self._parent
        layout = None if parent is None else parent.layout()
        if isinstance(parent, QSplitter):
            sizes = parent.sizes()
            parent.replaceWidget(parent.indexOf(old), new)
            parent.setSizes(sizes)
        elif (area := _scrolled_by(parent)) is not None:
            area.takeWidget()  # or the next line would delete it
            area.setWidget(new)
            new.setAutoFillBackground(False)  # as `ScrollColumn` has it
        elif isinstance(parent, Holder):
            parent.hold(new)
        elif layout is not None:
            layout.replaceWidget(old, new, Qt.FindChildOption.FindChildrenRecursively)
        new.show()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self.setGeometry(self._page.rect())
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme().palette.background))
        painter.end()


def _scrolled_by(parent: QWidget | None) -> QScrollArea | None:
    """The area whose viewport a widget is, if it is one."""
    above = None if parent is None else parent.parentWidget()
    return above if isinstance(above, QScrollArea) and above.viewport() is parent else None


class _Place(QWidget):
    """As large as what stood there."""

    def __init__(self, part: QWidget) -> None:
        super().__init__()
        self.setSizePolicy(part.sizePolicy())
        self.setMinimumSize(part.minimumSizeHint().expandedTo(part.minimumSize()))
        self._hint = part.size()

    def sizeHint(self) -> QSize:
        return self._hint
