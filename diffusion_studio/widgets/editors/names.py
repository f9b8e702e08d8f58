"""Words on curves, where none runs through them, or over those that do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter
from PySide6.QtWidgets import QWidget

from diffusion_studio.widgets.forms.segmented import draw_symbol, symbol_width
from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plots.math import Floats

_FROM_CURVE = 2.0  # pixels
_PLACES = 24  # along a curve
_OVER_LINES = 5  # and under dots
_COVER = 0.8  # how much of a line that it could not avoid is hidden behind a word


class CurveName(pg.GraphicsObject):
    """A word on the ground of the card, its lower left end where it stands; draws hats well."""

    def __init__(self) -> None:
        super().__init__()
        self._text, self._font = "", QFont()
        self.setFlag(self.GraphicsItemFlag.ItemIgnoresTransformations)
        self.setZValue(_OVER_LINES)

    def show_text(self, text: str, font: QFont) -> None:
        self.prepareGeometryChange()
        self._text, self._font = text, font
        self.update()

    def boundingRect(self) -> QRectF:
        height = QFontMetricsF(self._font).height()
        return QRectF(0, -height, symbol_width(self._text, self._font) + 2, height)

    def paint(self, painter: QPainter, option: object, widget: QWidget | None = None) -> None:
        color, ground = (QColor(name) for name in (theme().palette.muted, theme().palette.card))
        ground.setAlphaF(_COVER)
        painter.fillRect(self.boundingRect(), ground)
        draw_symbol(painter, self.boundingRect(), self._text, self._font, color)


def place_of(
    word: QRectF,
    curve: Floats,
    all_curves: Sequence[Floats],
    taken: Sequence[QRectF],
    room: QRectF,
    first: float,
) -> QRectF:
    """Where a word stands beside its curve: in `room`, off all curves and off what is taken, if that can be.

    Where it cannot, as little of it as possible is over curves.

    Args:
        curve: its places (N, 2) in pixels, x rising; so are all_curves.
        first: the share of the curve's length near which it would be best.
    """
    boxes = [box for box in _beside(word, curve, first) if room.contains(box)] or [
        next(_beside(word, curve, first))
    ]
    return min(
        boxes, key=lambda box: _struck(box, all_curves) + sum(box.intersects(other) for other in taken)
    )


def _beside(word: QRectF, curve: Floats, first: float) -> Iterator[QRectF]:
    """Above and below the curve, from its best place on."""
    width, height = word.width(), word.height()
    for share in sorted(np.linspace(0.02, 0.98, _PLACES), key=lambda share: abs(share - first)):
        x = curve[0, 0] + share * (curve[-1, 0] - curve[0, 0])
        under = np.interp(x + np.linspace(0, width, 9), curve[:, 0], curve[:, 1])
        yield QRectF(QPointF(x, under.min() - _FROM_CURVE - height), word.size())
        yield QRectF(QPointF(x, under.max() + _FROM_CURVE), word.size())


def _struck(box: QRectF, curves: Sequence[Floats]) -> float:
    """The share of a box's width over which curves run through it, of all of them together."""
    x = np.linspace(box.left(), box.right(), 17)
    y = [np.interp(x, curve[:, 0], curve[:, 1], np.nan, np.nan) for curve in curves]
    return sum(float(np.mean((line > box.top()) & (line < box.bottom()))) for line in y)
