"""Arrows at one place of the plane, each in the colour of its quantity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from diffusion_studio.widgets.look.theme import theme

LONGEST = 110.0  # pixels
_HEAD = 9.0


@dataclass(frozen=True)
class Arrow:
    """A vector, and how it is drawn."""

    vector: tuple[float, float]  # in the plane, y upwards
    quantity: str  # whose colour it has
    width: float = 2.0
    after: int = -1  # the arrow at whose tip this one begins; −1 begins at the place


def arrow_ends(arrows: Sequence[Arrow], longest: float = LONGEST) -> list[tuple[QPointF, QPointF]]:
    """Tail and tip of each arrow in pixels from the place; the longest of them is `longest` long."""
    vectors = np.array([a.vector for a in arrows], float).reshape(-1, 2)
    size = float(np.hypot(*vectors.T).max(initial=0.0))
    if not np.isfinite(size) or size == 0:
        return [(QPointF(), QPointF()) for _ in arrows]
    vectors *= np.array([longest, -longest]) / size
    ends: list[tuple[QPointF, QPointF]] = []
    for arrow, (dx, dy) in zip(arrows, vectors, strict=True):
        tail = ends[arrow.after][1] if arrow.after >= 0 else QPointF()
        ends.append((tail, tail + QPointF(dx, dy)))
    return ends


def paint_arrows(painter: QPainter, at: QPointF, arrows: Sequence[Arrow]) -> None:
    """Draws them with a rim in the colour of the background, so that they stand out on every field."""
    palette = theme().palette
    for arrow, (tail, tip) in zip(arrows, arrow_ends(arrows), strict=True):
        along = tip - tail
        length = (along.x() ** 2 + along.y() ** 2) ** 0.5
        if length < 1:
            continue
        unit = along / length
        head = min(_HEAD, 0.6 * length)
        across = QPointF(-unit.y(), unit.x()) * (0.45 * head)
        neck = at + tip - unit * head
        triangle = QPolygonF([at + tip, neck + across, neck - across])
        for color, extra in ((palette.background, 2.5), (palette.ink(arrow.quantity), 0.0)):
            pen = QPen(QColor(color), arrow.width + extra)
            pen.setCapStyle(Qt.PenCapStyle.FlatCap)
            painter.setPen(pen)
            painter.drawLine(at + tail, neck)
            painter.setPen(QPen(QColor(color), max(extra, 1.0)))
            painter.setBrush(QColor(color))
            painter.drawPolygon(triangle)
