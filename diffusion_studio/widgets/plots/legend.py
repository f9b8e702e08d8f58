"""Words of a plot: the line above it, with title and curves in their own colours, and those beside marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffusion_studio.widgets.look.theme import Palette, theme, tip
from diffusion_studio.widgets.plots.math import lowered

_SAMPLE = 18.0
_GAP = 12.0
_WIDEST = 240  # pixels that one name may ask for
_ELLIPSIS = Qt.TextElideMode.ElideMiddle
LINE = 17  # pixels of height of the words beside marks
_AROUND = 10  # pixels of width beside them
_MOST_ROWS = 6
_SHARE = 0.4  # of the height of a plot, for them at most


@dataclass(frozen=True)
class LegendEntry:
    """A word of the legend; with `color_key` in that colour, with `sample` after a piece of its line."""

    text: str
    color_key: str | None = None
    dash: Qt.PenStyle = Qt.PenStyle.SolidLine
    sample: bool = False
    block: bool = False  # the sample is a piece of a bar
    width: float = 1.5  # of the line, px


def color_of(palette: Palette, key: str | None) -> str:
    """The colour of a line: a quantity's, or one of the palette's own."""
    return palette.quantity[key] if key and key in palette.quantity else str(getattr(palette, key or "text"))


def ink_of(palette: Palette, key: str | None) -> str:
    """The same as text, readable."""
    return palette.ink(key) if key and key in palette.quantity else str(getattr(palette, key or "text"))


class LegendLine(QWidget):
    """Paints a title and entries; wraps where there is no room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: tuple[LegendEntry, ...] = ()
        self._kept = 0  # pixels: a number that gets shorter has not the whole window laid out again
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        theme().changed.connect(self._restyle)

    def _restyle(self) -> None:
        self._kept = 0
        self.update()

    def set_entries(self, entries: Sequence[LegendEntry]) -> None:
        entries = [replace(entry, text=lowered(entry.text)) for entry in entries]
        if tuple(entries) != self._entries:
            before = self._room()
            self._kept = before[0].width() if len(entries) == len(self._entries) else 0
            self._entries = tuple(entries)
            self.setAccessibleName(self.text())
            self.setToolTip(tip(self.text()) if self._is_long() else "")
            if self._room() != before:
                self.updateGeometry()
            self.update()

    def _room(self) -> tuple[QSize, QSize]:
        return self.minimumSizeHint(), self.sizeHint()

    def _is_long(self) -> bool:
        """Whether a name may be cut short."""
        return any(rect.width() > _WIDEST for rect, _ in self._places(0.0))

    def text(self) -> str:
        return " ".join(entry.text for entry in self._entries)

    def sizeHint(self) -> QSize:
        return QSize(200, self.heightForWidth(max(self.width(), 200)))

    def minimumSizeHint(self) -> QSize:
        """Room for the widest of what stays together, and a name that is very long ends in an ellipsis."""
        widest = max((rect.width() for rect, _ in self._places(0.0)), default=0.0)
        return QSize(max(60, min(round(widest) + 1, _WIDEST), self._kept), self._line_height())

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        places = self._places(width)
        return round(places[-1][0].bottom()) if places else self._line_height()

    def _line_height(self) -> int:
        return round(QFontMetricsF(self.font()).height()) + 4

    def _places(self, width: float) -> list[tuple[QRectF, LegendEntry]]:
        metrics, height = QFontMetricsF(self.font()), self._line_height()
        places: list[tuple[QRectF, LegendEntry]] = []
        x = y = 0.0
        for entry, gap in self._parts(metrics):
            wide = metrics.horizontalAdvance(entry.text) + (_SAMPLE + 5 if entry.sample else 0) + 1
            if x and x + wide > width:
                x, y = 0.0, y + height
            places.append((QRectF(round(x), y, wide, height), entry))  # letters between pixels would blur
            x += wide + gap
        return places

    def _parts(self, metrics: QFontMetricsF) -> Iterator[tuple[LegendEntry, float]]:
        """What stays together, each with the gap behind it: names of curves, and single words."""
        for entry in self._entries:
            words = [entry.text] if entry.sample else entry.text.split(" ")
            for number, word in enumerate(words, start=1):
                last = number == len(words)
                yield replace(entry, text=word), _GAP if last else metrics.horizontalAdvance(" ")

    def paintEvent(self, event: QPaintEvent) -> None:
        palette = theme().palette
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetricsF(self.font())
        for rect, entry in self._places(self.width()):
            rect.setRight(min(rect.right(), self.width()))
            if entry.sample:
                self._paint_sample(painter, QPointF(rect.left(), rect.center().y()), entry, palette)
                rect = rect.adjusted(_SAMPLE + 5, 0, 0, 0)
            painter.setPen(QColor(ink_of(palette, entry.color_key)))
            middle = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(rect, middle, metrics.elidedText(entry.text, _ELLIPSIS, rect.width()))
        painter.end()

    def _paint_sample(self, painter: QPainter, left: QPointF, entry: LegendEntry, palette: Palette) -> None:
        color = QColor(color_of(palette, entry.color_key))
        if entry.block:
            color.setAlphaF(0.45)
            painter.fillRect(QRectF(left.x() + 4, left.y() - 5, 10, 10), color)
            return
        painter.setPen(QPen(color, entry.width, entry.dash))
        painter.drawLine(left, left + QPointF(_SAMPLE, 0))


@dataclass(frozen=True)
class Mark:
    """A vertical line with a word: resumed, checkpoint."""

    step: float
    text: str


@dataclass(frozen=True)
class Words:
    """What is written beside a line.

    Args:
        before: whether it ends at its line; else it begins there.
        row: counted from above; None where there is no room for it.
    """

    text: str
    before: bool
    row: int | None


def rows_in(height: float) -> int:
    """How many rows of words there may be in a plot of so many pixels."""
    return max(1, min(_MOST_ROWS, int(_SHARE * height / LINE)))


def placed(
    marks: Sequence[tuple[float, str]], width: float, rows: int, metrics: QFontMetricsF
) -> list[Words]:
    """Where the words of marks (pixel, words) stand in a plot of so many pixels; newer ones come first."""
    taken: list[list[tuple[float, float]]] = [[] for _ in range(rows)]
    found: list[Words] = []
    for x, text in reversed(marks):
        before = x > width / 2  # to the side where there is more room
        room = (x if before else width - x) - _AROUND
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, max(room, 0.0))
        long = metrics.horizontalAdvance(shown) + _AROUND
        begin, end = (x - long, x) if before else (x, x + long)
        free = (row for row, spans in enumerate(taken) if all(begin >= b or end <= a for a, b in spans))
        row = next(free, None) if shown else None
        if row is not None:
            taken[row].append((begin, end))
        found.append(Words(shown, before, row))
    return found[::-1]


def head_room(words: Sequence[Words], height: float) -> float:
    """The share of a plot's height that the words take above the curves."""
    used = max((found.row + 1 for found in words if found.row is not None), default=0)
    return min(used * LINE / max(height, 1.0), 0.5)
