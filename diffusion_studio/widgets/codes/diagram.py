"""Both chains of a hierarchy as boxes and arrows: up by the encoder, down by the decoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.look.theme import subscripts, theme

_HIGH = 130  # pixels


@dataclass(frozen=True)
class Chains:
    """What is drawn: levels from x on.

    Args:
        dims: numbers in x, z_1 … z_T.
        fixed: whether the encoder only adds noise, so that the levels are noised images.
        standard: whether the last level is N(0, I) whatever x is.
        random: whether codes are drawn, or, in a plain autoencoder, computed.
    """

    dims: tuple[int, ...] = (64, 16)
    fixed: bool = False
    standard: bool = False
    random: bool = True


class ChainDiagram(QWidget):
    """The picture of the references: q above, p below; what is learned is dashed, what is fixed is solid."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chains = Chains()
        self.setAccessibleName(tr("Both chains"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumHeight(_HIGH)
        theme().changed.connect(self.update)

    def set_chains(self, chains: Chains) -> None:
        """Draw these."""
        if chains != self._chains:
            self._chains = chains
            self.setAccessibleDescription(self.describe())
            self.update()

    def describe(self) -> str:
        """The picture in words."""
        chains = self._chains
        sizes = " → ".join(str(dim) for dim in chains.dims)
        up = tr("a fixed encoder that adds noise") if chains.fixed else tr("a learned encoder")
        end = tr(", ending at N(0, I)") if chains.standard else ""
        return tr(
            "Levels of {sizes} numbers, up by {up}{end}, down by a learned decoder.",
            sizes=sizes, up=up, end=end,
        )  # fmt: skip

    def sizeHint(self) -> QSize:
        return QSize(420, _HIGH)

    def minimumSizeHint(self) -> QSize:
        return QSize(240, _HIGH)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chains, count = self._chains, len(self._chains.dims)
        step = self.width() / count
        side, largest = min(40.0, step * 0.5), math.log2(max(*chains.dims, 2))
        middles = [QPointF((number + 0.5) * step, self._middle) for number in range(count)]
        boxes = [
            self._box(middle, side, 0.35 + 0.65 * math.log2(max(dim, 2)) / largest)
            for middle, dim in zip(middles, chains.dims, strict=True)
        ]
        for number, (box, dim) in enumerate(zip(boxes, chains.dims, strict=True)):
            self._paint_box(painter, box, number, dim)
        for number in range(count - 1):
            self._arrow(painter, boxes[number], boxes[number + 1], number)

    @property
    def _middle(self) -> float:
        """The height of the boxes' centres."""
        return _HIGH / 2 - 3

    @staticmethod
    def _box(middle: QPointF, side: float, share: float) -> QRectF:
        return QRectF(middle.x() - side / 2, middle.y() - side * share / 2 - 2, side, side * share + 4)

    def _paint_box(self, painter: QPainter, box: QRectF, number: int, dim: int) -> None:
        palette, chains = theme().palette, self._chains
        last = number == len(chains.dims) - 1
        key = "x0" if number == 0 else "eps" if last and chains.standard else "xt"
        color = QColor(palette.quantity[key])
        painter.setPen(QPen(color, 1.5))
        color.setAlphaF(0.18)
        painter.setBrush(color)
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(QColor(palette.text))
        painter.setFont(self._sized(12))
        letter = "x" if number == 0 or chains.fixed else "z"
        name = letter if number == 0 and not chains.fixed else f"{letter}{subscripts(number)}"
        wide = QRectF(box.center().x() - 40, box.top(), 80, box.height())
        painter.drawText(wide, Qt.AlignmentFlag.AlignCenter, name)
        painter.setPen(QColor(palette.muted))
        painter.setFont(self._sized(11))
        below = QRectF(box.center().x() - 40, _HIGH - 16, 80, 16)
        painter.drawText(
            below, Qt.AlignmentFlag.AlignCenter, "N(0, I)" if last and chains.standard else str(dim)
        )

    def _arrow(self, painter: QPainter, left: QRectF, right: QRectF, number: int) -> None:
        palette, middle = theme().palette, self._middle
        solid, dashed = Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine
        up, down = ("q", "p") if self._chains.random else ("E", "D")
        begin, end = left.center().x() + 6, right.center().x() - 6
        style = solid if self._chains.fixed else dashed
        self._curve(
            painter,
            QPointF(begin, middle - 26),
            QPointF(end, middle - 26),
            -20,
            palette.quantity["eps"],
            style,
        )
        self._curve(
            painter,
            QPointF(end, middle + 26),
            QPointF(begin, middle + 26),
            16,
            palette.quantity["x0"],
            dashed,
        )
        if end - begin < 26:
            return
        painter.setFont(self._sized(11))
        place = QRectF(begin, middle - 58, end - begin, 14)
        painter.setPen(QColor(palette.ink("eps")))
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, up)
        place.moveTop(middle + 37)
        painter.setPen(QColor(palette.ink("x0")))
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, down)

    @staticmethod
    def _curve(
        painter: QPainter, begin: QPointF, end: QPointF, bend: float, color: str, style: Qt.PenStyle
    ) -> None:
        path = QPainterPath(begin)
        path.quadTo(QPointF((begin.x() + end.x()) / 2, begin.y() + bend), end)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(color), 1.5, style))
        painter.drawPath(path)
        way = 1 if end.x() > begin.x() else -1
        painter.setPen(QPen(QColor(color), 1.5))
        for lift in (-5, 1):
            painter.drawLine(end, QPointF(end.x() - way * 6, end.y() + lift + (2 if bend > 0 else -1)))

    def _sized(self, pixels: int) -> QFont:
        font = self.font()
        font.setPixelSize(pixels)
        return font
