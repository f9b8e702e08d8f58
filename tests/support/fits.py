"""What of a window cannot be read or reached: text wider than its room, controls that are cut or covered."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QScrollArea,
    QScrollBar,
    QTableView,
    QToolButton,
    QWidget,
)

from diffusion_studio.widgets.chain.timeline import Timeline
from diffusion_studio.widgets.forms.segmented import Segmented, symbol_width
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.plots import BasePlot
from diffusion_studio.widgets.plots.base import LEAST
from diffusion_studio.widgets.plots.legend import LegendLine

CONTROLS = (QAbstractButton, QComboBox, QAbstractSlider, QLineEdit, Segmented, Timeline)
_PATIENCE = 20  # looks at a window in which labels and layouts still ask each other for room
_SMALLEST = 16  # pixels of a picture
_SLACK = 1  # pixels lost to rounding
_MOST_LETTERS = 40  # of a name that a person gave: it may end in an ellipsis


def faults(window: QWidget) -> list[str]:
    """Everything that is wrong with what is seen of `window` and does not settle by itself, in words."""
    found: list[str] = []
    for _ in range(_PATIENCE):
        settle()
        found = _faults_now(window)
        if not found:
            break
    return found


def _faults_now(window: QWidget) -> list[str]:
    seen = [widget for widget in window.findChildren(QWidget) if _is_seen(widget, window)]
    found = [fault for widget in seen for fault in _text_faults(widget)]
    for look in (_crushed, _sideways, _flat, _tiny):
        found += [fault for widget in seen for fault in look(widget)]
    found += [fault for widget in seen if _is_control(widget) for fault in _reach_faults(widget, window)]
    return found


def settle() -> None:
    """Lets layouts come to rest: some know their height only once they know their width."""
    for _ in range(6):
        QApplication.processEvents()


def _is_seen(widget: QWidget, window: QWidget) -> bool:
    return widget.isVisible() and widget.window() is window and not widget.size().isEmpty()


def _is_control(widget: QWidget) -> bool:
    if not isinstance(widget, CONTROLS) or isinstance(widget, QScrollBar):
        return False
    inside = widget.parentWidget()
    return not isinstance(inside, (QComboBox, QTableView))  # their own parts


# --- text ------------------------------------------------------------------------------------------------


def _text_faults(widget: QWidget) -> Iterator[str]:
    needed = _needed(widget)
    if _begins_with_a_dot(widget):
        yield f"{_name(widget)}: a line of it may begin with a dot"
    if needed is None:
        return
    room = widget.contentsRect().size()
    if needed.width() > room.width() + _SLACK or needed.height() > room.height() + _SLACK:
        yield f"{_name(widget)}: needs {needed.toTuple()}, has {room.toTuple()}"


def _needed(widget: QWidget) -> QSize | None:
    """The room that the text of a widget takes; None where it has none or gives way by itself."""
    if isinstance(widget, ElidedLabel):
        return QSize(min(24, widget.sizeHint().width()), widget.fontMetrics().height())
    if isinstance(widget, QLabel):
        return _of_label(widget)
    if isinstance(widget, QToolButton) and widget.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonIconOnly:
        return widget.iconSize() if not widget.icon().isNull() else _of_words(widget, widget.text())
    if isinstance(widget, QAbstractButton) and widget.text():
        return _of_words(widget, widget.text().replace("&&", "&"))
    if isinstance(widget, Segmented):
        return _of_segments(widget)
    if isinstance(widget, ImageGrid):
        return widget.room_for_words
    if isinstance(widget, LegendLine):
        return QSize(widget.minimumSizeHint().width(), widget.heightForWidth(widget.width()))
    return None


def _begins_with_a_dot(widget: QWidget) -> bool:
    """Whether words in several lines have a dot that is not held by what stands before it."""
    return isinstance(widget, QLabel) and widget.wordWrap() and " ·" in widget.text()


def _of_label(widget: QLabel) -> QSize | None:
    text = widget.text()
    if not text:
        return None
    margins = 2 * widget.margin()
    if widget.wordWrap():
        return QSize(_longest_word(widget, text) + margins, widget.heightForWidth(widget.width()))
    if widget.textFormat() == Qt.TextFormat.RichText:
        return QSize(widget.sizeHint().width(), 0)
    widths = [widget.fontMetrics().horizontalAdvance(line) for line in text.split("\n")]
    return QSize(max(widths) + margins, widget.fontMetrics().height())


def _longest_word(widget: QLabel, text: str) -> int:
    if widget.textFormat() == Qt.TextFormat.RichText:
        document = QTextDocument()
        document.setHtml(text)
        text = document.toPlainText()
    words = [word for word in text.split() if "/" not in word]  # a path is broken where it must be
    return max((widget.fontMetrics().horizontalAdvance(word) for word in words), default=0)


def _of_words(widget: QAbstractButton, text: str) -> QSize:
    """The words and, beside them, the drawing."""
    metrics = widget.fontMetrics()
    beside = isinstance(widget, QToolButton) and widget.toolButtonStyle() != (
        Qt.ToolButtonStyle.ToolButtonTextBesideIcon
    )
    icon = 0 if widget.icon().isNull() or beside else widget.iconSize().width() + 4
    return QSize(metrics.horizontalAdvance(text) + icon, metrics.height())


def _of_segments(widget: Segmented) -> QSize:
    """As wide as it must be if every symbol is to fit into its part."""
    lacking = 0.0
    for option in widget._options:
        room = widget.segment_rect(option.key).width()
        lacking = max(lacking, symbol_width(option.label, widget.font()) + 2 - room)
    return QSize(widget.width() + max(0, round(lacking)), 0)


def _crushed(widget: QWidget) -> Iterator[str]:
    """Plots need some height before they say anything."""
    if isinstance(widget, BasePlot) and widget.canvas.height() < LEAST - 8:
        yield f"{_name(widget)}: its curves have {widget.canvas.height()} pixels of height"


def _tiny(widget: QWidget) -> Iterator[str]:
    """Something can be seen in a picture."""
    if isinstance(widget, ImageGrid) and widget.count and widget.tile_rect(0).width() < _SMALLEST:
        yield f"{_name(widget)}: pictures of {widget.tile_rect(0).width():.0f} pixels"


def _flat(widget: QWidget) -> Iterator[str]:
    """What shows a line of text is as high as that."""
    high = widget.fontMetrics().height()
    if isinstance(widget, (QComboBox, QLineEdit)) and widget.height() < high + _SLACK:
        yield f"{_name(widget)}: {widget.height()} pixels of height for a line of {high}"


def _sideways(widget: QWidget) -> Iterator[str]:
    """What scrolls up and down does not hide anything at its sides."""
    if isinstance(widget, QScrollArea) and widget.widget().width() > widget.viewport().width():
        widths = widget.widget().width(), widget.viewport().width()
        yield f"{_name(widget)}: {widths[0]} pixels of width in {widths[1]}"


# --- reach -----------------------------------------------------------------------------------------------


def _reach_faults(widget: QWidget, window: QWidget) -> Iterator[str]:
    """Scrolled to, a control lies in the window as a whole, and a click on it meets it."""
    for area in _areas(widget):
        area.ensureWidgetVisible(widget, 4, 4)
        if isinstance(widget, QLineEdit):  # of which that looks at the cursor only
            middle = widget.mapTo(area.widget(), widget.rect().center())
            area.ensureVisible(middle.x(), middle.y(), widget.width() // 2 + 4, widget.height() // 2 + 4)
    area = _in_window(widget, window)
    if not _room(widget, window).contains(area.adjusted(_SLACK, _SLACK, -_SLACK, -_SLACK)):
        yield f"{_name(widget)} at {area.getRect()} lies outside of {_room(widget, window).getRect()}"
        return
    for point in (area.center(), area.topLeft() + QPoint(4, 4), area.bottomRight() - QPoint(4, 4)):
        met = window.childAt(point)
        if met is not None and met is not widget and not widget.isAncestorOf(met):
            yield f"{_name(widget)} at {point.toTuple()} lies under {_name(met)}"
            return


def _areas(widget: QWidget) -> list[QScrollArea]:
    """The areas that a widget scrolls with, from the inside to the outside."""
    parent, found = widget.parentWidget(), list[QScrollArea]()
    while parent is not None:
        if isinstance(parent, QScrollArea):
            found.append(parent)
        parent = parent.parentWidget()
    return found


def _room(widget: QWidget, window: QWidget) -> QRect:
    """The part of the window in which a widget can be seen."""
    room, parent = window.rect(), widget.parentWidget()
    while parent is not None and parent is not window:
        inside = parent.parentWidget()
        edge = isinstance(inside, QAbstractScrollArea) and parent is inside.viewport()
        if not edge or isinstance(inside, QScrollArea):
            room = room.intersected(_in_window(parent, window))
        parent = inside
    return room


def _in_window(widget: QWidget, window: QWidget) -> QRect:
    return QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())


def _name(widget: QWidget) -> str:
    """How a person would call it, and what it is."""
    text = getattr(widget, "text", lambda: "")()
    said = widget.accessibleName() or (text if isinstance(text, str) else "") or widget.toolTip()
    above = widget.parentWidget()
    within = f" in {type(above).__name__}" if above is not None else ""
    return f"{type(widget).__name__} {said[:_MOST_LETTERS]!r}{within}"
