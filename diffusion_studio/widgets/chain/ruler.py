"""The ruler over the tracks: what lies at both ends, and ticks between them."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.chain.timeline_plan import MARGIN, TimelinePlan
from diffusion_studio.widgets.look.theme import theme

TICKS = 24  # top of the ticks, below the words
_ROUND = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # steps from one tick to the next


class Ruler(Protocol):
    """Paints itself over the tracks of a plan."""

    def paint(self, painter: QPainter, plan: TimelinePlan) -> None: ...


class TimeRuler:
    """From the first to the last time of the active track."""

    def paint(self, painter: QPainter, plan: TimelinePlan) -> None:
        times = plan.track.times
        first, last = (times[0], times[-1]) if times else ("T", 0)
        ends = tr("noise   t = {first}", first=first), tr("t = {last}   image", last=last)
        _paint_ends(painter, plan.span, ends)
        spacing = plan.span / max(1, plan.track.last)
        every = next((n for n in _ROUND if n * spacing >= 4), 1000)
        major = every * (5 if every in (2, 20, 200) else 10)
        colors = theme().palette
        for k in range(0, len(times), every):
            long = k % major == 0 or k == plan.track.last
            painter.setPen(QPen(QColor(colors.muted if long else colors.faint), 1))
            painter.drawLine(_tick(plan, k, long))


class StepRuler:
    """Steps of equal width between two ends that are told."""

    def __init__(self) -> None:
        self.ends = ("", "")
        self._lines: tuple[list[QLineF], list[QLineF]] = ([], [])
        self._laid_out = (0, 0)  # width and number of states for which the ticks stand

    def paint(self, painter: QPainter, plan: TimelinePlan) -> None:
        """All ticks of a kind at once: this is painted at every frame."""
        _paint_ends(painter, plan.width - 2 * MARGIN, self.ends)
        if not plan.track.times:
            return
        if self._laid_out != (plan.width, len(plan.track.times)):
            self._laid_out = plan.width, len(plan.track.times)
            self._lines = _short_and_long(plan)
        palette = theme().palette
        for lines, color in zip(self._lines, (palette.faint, palette.muted), strict=True):
            painter.setPen(QPen(QColor(color), 1))
            painter.drawLines(lines)


def _short_and_long(plan: TimelinePlan) -> tuple[list[QLineF], list[QLineF]]:
    """Ticks, as many as there is room for."""
    room = (plan.width - 2 * MARGIN) / max(1, plan.track.last)
    every = next((n for n in _ROUND if n * room >= 6), 1000)
    found: tuple[list[QLineF], list[QLineF]] = ([], [])
    for k in range(0, len(plan.track.times), every):
        long = k % (10 * every) == 0 or k == plan.track.last
        found[long].append(_tick(plan, k, long))
    return found


def _tick(plan: TimelinePlan, k: int, long: bool) -> QLineF:
    x = round(plan.x_of(k)) + 0.5
    return QLineF(x, TICKS if long else TICKS + 3, x, TICKS + 9)


def _paint_ends(painter: QPainter, span: int, words: tuple[str, str]) -> None:
    painter.setPen(QColor(theme().palette.muted))
    room = QRectF(MARGIN, 0, span, 18)
    painter.drawText(room, Qt.AlignmentFlag.AlignLeft, words[0])
    painter.drawText(room, Qt.AlignmentFlag.AlignRight, words[1])
