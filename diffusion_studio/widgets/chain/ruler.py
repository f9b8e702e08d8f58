"""The ruler over the tracks: what lies at both ends, and ticks between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.chain.timeline_plan import MARGIN, TimelinePlan
from diffusion_studio.widgets.look.theme import theme

TICKS = 24  # top of the ticks, below the words
_ROUND = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # steps from one tick to the next
_Lines = tuple[list[QLineF], list[QLineF]]  # short and long


class Ruler(Protocol):
    """Paints itself over the tracks of a plan."""

    def paint(self, painter: QPainter, plan: TimelinePlan) -> None: ...


class _Ticks:
    """The ticks of a plan, made anew where they stand elsewhere: they are painted at every frame."""

    def __init__(self, made: Callable[[TimelinePlan], _Lines]) -> None:
        self._made = made
        self._lines: _Lines = ([], [])
        self._of: tuple[Sequence[float], int] = ((), 0)  # places and span for which they stand

    def paint(self, painter: QPainter, plan: TimelinePlan) -> None:
        """All of a kind at once."""
        if self._of != (plan.places, plan.span):
            self._of = plan.places, plan.span
            self._lines = self._made(plan)
        palette = theme().palette
        for lines, color in zip(self._lines, (palette.faint, palette.muted), strict=True):
            painter.setPen(QPen(QColor(color), 1))
            painter.drawLines(lines)


class TimeRuler:
    """From the first to the last time of the active track."""

    def __init__(self) -> None:
        self._ticks = _Ticks(_times)

    def paint(self, painter: QPainter, plan: TimelinePlan) -> None:
        times = plan.track.times
        first, last = (times[0], times[-1]) if times else ("T", 0)
        ends = tr("noise   t = {first}", first=first), tr("t = {last}   image", last=last)
        _paint_ends(painter, plan.span, ends)
        self._ticks.paint(painter, plan)


def _times(plan: TimelinePlan) -> _Lines:
    """A tick at each state, or at as many as there is room for."""
    spacing = plan.span / max(1, plan.track.last)
    every = next((n for n in _ROUND if n * spacing >= 4), 1000)
    return _short_and_long(plan, every, every * (5 if every in (2, 20, 200) else 10))


class StepRuler:
    """Steps of equal width between two ends that are told."""

    def __init__(self) -> None:
        self.ends = ("", "")
        self._ticks = _Ticks(_steps)

    def paint(self, painter: QPainter, plan: TimelinePlan) -> None:
        _paint_ends(painter, plan.width - 2 * MARGIN, self.ends)
        self._ticks.paint(painter, plan)


def _steps(plan: TimelinePlan) -> _Lines:
    """Ticks, as many as there is room for."""
    room = (plan.width - 2 * MARGIN) / max(1, plan.track.last)
    every = next((n for n in _ROUND if n * room >= 6), 1000)
    return _short_and_long(plan, every, 10 * every)


def _short_and_long(plan: TimelinePlan, every: int, major: int) -> _Lines:
    found: _Lines = ([], [])
    for k in range(0, len(plan.track.times), every):
        long = k % major == 0 or k == plan.track.last
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
