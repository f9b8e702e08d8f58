"""Nodes in a row with arrows between them: what the texts draw of their chains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.forms.segmented import draw_symbol
from diffusion_studio.widgets.look.theme import theme

_HIGH, _NODE = 150, 44  # pixels
_AWAY, _NAME = 7, 15  # pixels: an arrow from its node, and the height of a picture's name
_HEAD, _SPREAD = 9, 28  # of an arrow: pixels and degrees of the two lines at its tip
_GREY = QImage.Format.Format_Grayscale8


@dataclass(frozen=True)
class Way:
    """An arrow between two nodes: above in the colour of noise, or below in that of images."""

    begin: int
    end: int
    above: bool
    words: str
    strong: bool = False


class ChainFigure(QWidget):
    """Passive: it draws what it is given."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._nodes: tuple[str, ...] = ()
        self._ways: tuple[Way, ...] = ()
        self._pictures: list[QImage] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumHeight(_HIGH)
        self.setAccessibleName(tr("Figure"))
        theme().changed.connect(self.update)

    def set_figure(
        self, nodes: Sequence[str], ways: Sequence[Way], pictures: Sequence[NDArray[np.uint8]] = ()
    ) -> None:
        """Draw these nodes and arrows.

        Args:
            pictures: one for each node (H, W), grey; none: circles.
        """
        self._nodes, self._ways = tuple(nodes), tuple(ways)
        self._pictures = [_image(each) for each in pictures]
        self.setAccessibleDescription(
            "; ".join(
                tr("{begin} → {end} by {words}", begin=nodes[way.begin], end=nodes[way.end], words=way.words)
                for way in ways
            )
        )
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(520, _HIGH)

    def minimumSizeHint(self) -> QSize:
        return QSize(240, _HIGH)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        step = self.width() / max(len(self._nodes), 1)
        side = min(_NODE, step * 0.6)
        places = [QPointF((number + 0.5) * step, _HIGH / 2) for number in range(len(self._nodes))]
        for number, place in enumerate(places):
            self._paint_node(painter, QRectF(place.x() - side / 2, place.y() - side / 2, side, side), number)
        for way in self._ways:
            self._paint_way(painter, places[way.begin], places[way.end], side, way)
        painter.end()

    def _paint_node(self, painter: QPainter, box: QRectF, number: int) -> None:
        palette, name = theme().palette, self._nodes[number]
        painter.setFont(_sized(self.font(), 12))
        if self._pictures and name != "…":
            painter.drawImage(box, self._pictures[number])
            painter.setPen(QColor(palette.text))
            box = QRectF(box.left() - 20, box.bottom() + 1, box.width() + 40, _NAME)
        elif name != "…":
            color = QColor(palette.quantity["x0" if number == 0 else "xt"])
            painter.setPen(QPen(color, 1.5))
            color.setAlphaF(0.18)
            painter.setBrush(color)
            painter.drawEllipse(box)
        draw_symbol(painter, box, name, painter.font(), QColor(palette.text))

    def _paint_way(self, painter: QPainter, begin: QPointF, end: QPointF, side: float, way: Way) -> None:
        palette, sign = theme().palette, -1 if way.above else 1
        key, ahead = "eps" if way.above else "x0", 1 if end.x() > begin.x() else -1
        low = side / 2 + _AWAY + (0 if way.above or not self._pictures else _NAME)
        first = QPointF(begin.x() + 8 * ahead, begin.y() + sign * low)
        last = QPointF(end.x() - 8 * ahead, end.y() + sign * low)
        middle = QPointF((first.x() + last.x()) / 2, first.y() + sign * 22)
        path = QPainterPath(first)
        path.quadTo(middle, last)
        dashed = Qt.PenStyle.SolidLine if way.above else Qt.PenStyle.DashLine
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(palette.quantity[key]), 3 if way.strong else 1.5, dashed))
        painter.drawPath(path)
        painter.setPen(QPen(QColor(palette.quantity[key]), 3 if way.strong else 1.5))
        for turn in (-_SPREAD, _SPREAD):
            side_line = QLineF(last, middle)
            side_line.setLength(_HEAD)
            side_line.setAngle(side_line.angle() + turn)
            painter.drawLine(side_line)
        painter.setFont(_sized(self.font(), 11))
        words = QRectF(middle.x() - 70, first.y() + sign * 21 - 8, 140, 16)
        draw_symbol(painter, words, way.words, painter.font(), QColor(palette.ink(key)))


def _image(grey: NDArray[np.uint8]) -> QImage:
    grey = np.ascontiguousarray(grey)
    return QImage(grey.tobytes(), grey.shape[1], grey.shape[0], grey.shape[1], _GREY).copy()


def _sized(font: QFont, pixels: int) -> QFont:
    font.setPixelSize(pixels)
    return font
