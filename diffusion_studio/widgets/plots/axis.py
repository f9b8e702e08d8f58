"""A quiet axis: no line, faint grid, end labels pushed inside."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter

from diffusion_studio.widgets.plots.math import log_ticks, nice_ticks, tick_text

_Text = tuple[QRectF, Qt.AlignmentFlag, str]
_APART, _CLOSE = 8, 2  # pixels between a number and the curves, and where it is long
_SMALLEST = 7  # pixels of a font


def font_within(room: float, text: str, font: QFont) -> QFont:
    """The font, or a smaller one in which no letter of a long number is cut off at so many pixels."""
    width = QFontMetricsF(font).horizontalAdvance(text)
    if width <= room:
        return font
    smaller = QFont(font)
    smaller.setPixelSize(max(_SMALLEST, int(font.pixelSize() * room / width)))
    return smaller


class QuietAxis(pg.AxisItem):
    """An axis that says few numbers. `ends` names the two ends of a bottom axis."""

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation)
        self.log = False
        self.whole = False  # what it counts has no halves: steps
        self.ends: tuple[str, str] | None = None  # "{}" stands for the value there
        self.text_of: Callable[[float], str] = tick_text
        self.fixed: list[tuple[float, str]] | None = None
        self.setStyle(tickLength=0, autoExpandTextSpace=False)
        self.enableAutoSIPrefix(False)  # else a label that nobody sees is laid out again at each new range

    def set_ends(self, left: str, right: str) -> None:
        """Label the ends of the axis; `{}` stands for the value."""
        self.ends = (left, right)
        self._redraw()

    def set_log(self, log: bool) -> None:
        """Whether positions are exponents of ten."""
        self.log = log
        self._redraw()

    def _redraw(self) -> None:
        self.picture = None
        self.update()

    def values(self, pixels: float) -> list[float]:
        """Where ticks stand on an axis so many pixels long."""
        low, high = self.range
        count = max(2.0, pixels / (46 if self.orientation == "left" else 96))
        found = (log_ticks if self.log else nice_ticks)(low, high, count)
        return [value for value in found if value.is_integer()] if self.whole else found

    def label_of(self, position: float) -> str:
        return self.text_of(10.0**position if self.log else position)

    def _rough(self, position: float) -> str:
        """The label of an end: no more digits than its neighbours have."""
        span = abs(self.range[1] - self.range[0]) or 1.0
        digits = max(0, 2 - math.floor(math.log10(span)))
        return self.label_of(position) if self.log else self.text_of(round(position, digits))

    def generateDrawSpecs(self, p: QPainter) -> Any:
        font = self.style["tickFont"]
        if font is not None:
            p.setFont(font)
        bounds = self.mapRectFromParent(self.geometry())
        metrics = QFontMetricsF(p.font())
        if self.range[0] == self.range[1] or bounds.width() <= 0 or bounds.height() <= 0:
            return None, [], []
        if self.orientation == "left":
            return None, *self._left(bounds, metrics)
        return None, [], self._bottom(bounds, metrics)

    def drawPicture(self, p: QPainter, axisSpec: None, tickSpecs: list[Any], textSpecs: list[_Text]) -> None:
        p.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for pen, start, end in tickSpecs:
            p.setPen(pen)
            p.drawLine(start, end)
        font = self.style["tickFont"] or p.font()
        p.setPen(self.textPen())
        for rect, flags, text in textSpecs:
            p.setFont(font_within(rect.width(), text, font))
            p.drawText(rect, int(flags), text)

    def _left(self, bounds: QRectF, metrics: QFontMetricsF) -> tuple[list[Any], list[_Text]]:
        view = self.linkedView()
        right = view.mapRectToItem(self, view.boundingRect()).right() if view else bounds.right()
        lines: list[Any] = []
        texts: list[_Text] = []
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextDontClip
        half = metrics.height() / 2
        for value in self.values(bounds.height()):
            share = (value - self.range[0]) / (self.range[1] - self.range[0])
            y = bounds.bottom() - share * bounds.height()
            lines.append((self.tickPen(), QPointF(bounds.right(), y), QPointF(right, y)))
            y = min(max(y, bounds.top() + half - 3), bounds.bottom() - half + 3)
            text, room = self.label_of(value), bounds.width() - _APART
            if metrics.horizontalAdvance(text) > room:  # there is no more room on the left
                text = tick_text(10.0**value if self.log else value, 1e4)
            apart = _APART if metrics.horizontalAdvance(text) <= room else _CLOSE
            texts.append((QRectF(bounds.left(), y - half, bounds.width() - apart, 2 * half), flags, text))
        return lines, texts

    def _bottom(self, bounds: QRectF, metrics: QFontMetricsF) -> list[_Text]:
        low, high = self.range
        ends = self.ends or ("{}", "{}")
        marks = [(low, ends[0].format(self._rough(low))), (high, ends[1].format(self._rough(high)))]
        marks += [(value, self.label_of(value)) for value in self.values(bounds.width())]
        texts: list[_Text] = []
        for value, text in marks:
            width = metrics.horizontalAdvance(text) + 2
            x = bounds.left() + (value - low) / (high - low) * bounds.width() - width / 2
            x = min(max(x, bounds.left()), bounds.right() - width)
            rect = QRectF(x, bounds.top() + 5, width, metrics.height())
            if all(not rect.adjusted(-14, 0, 14, 0).intersects(other) for other, _, _ in texts):
                texts.append((rect, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextDontClip, text))
        return texts
