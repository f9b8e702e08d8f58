"""What moves over the tracks of a timeline: the playhead, and the letters of two that are compared."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from diffusion_studio.widgets.chain.ruler import TICKS
from diffusion_studio.widgets.chain.timeline_plan import MARGIN, TimelinePlan
from diffusion_studio.widgets.chain.tracks import quantity_of
from diffusion_studio.widgets.look.theme import theme

_HEAD = ((-6, -8), (6, -8), (6, -2), (0, 5), (-6, -2))


def paint_letters(painter: QPainter, plan: TimelinePlan) -> None:
    """A beside the active track, B beside the compared one."""
    if plan.compared is None:
        return
    font = painter.font()
    font.setBold(True)
    painter.save()
    painter.setFont(font)
    for letter, lane in (("A", plan.active), ("B", plan.compared)):
        top = plan.lane_top(lane) + plan.bar / 2 - 8
        side = 0 if letter == "A" or lane != plan.active else 9
        painter.setPen(QColor(theme().palette.ink(quantity_of(lane))))
        room = QRectF(MARGIN + plan.span + 6 + side, top, 16, 16)
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, letter)
    painter.restore()


def paint_playhead(painter: QPainter, plan: TimelinePlan, x: float, keyboard: bool) -> None:
    """At `x`, down to the active track; in the accent's colour when the keyboard moves it."""
    colors = theme().palette
    painter.setPen(QPen(QColor(colors.text), 2))
    painter.drawLine(QPointF(x, TICKS), QPointF(x, plan.lane_top(plan.active) + plan.bar + 2))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colors.accent if keyboard else colors.text))
    painter.drawPolygon(QPolygonF([QPointF(x + dx, TICKS + dy) for dx, dy in _HEAD]))
