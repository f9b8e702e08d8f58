"""Painting the lanes of a timeline: bars, the curves between them, labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPainterPath, QPen

from diffusion_studio.widgets.chain.tracks import Track, quantity_of, root_lane, walked
from diffusion_studio.widgets.look.theme import mix, theme
from diffusion_studio.widgets.plots.math import lowered

TRACK = 38  # top of the first bar
LANES = 6  # so many at full height; more are squeezed into the same room
_PITCH, _BAR = 26.0, 8.0
_LABELS_FROM = 19.0  # a narrower lane has no room for its label
_BEND = 9.0
_AHEAD, _ASIDE = 0.22, 0.55  # how full are what is not computed, and what is off the active path


def pitch_of(count: int) -> float:
    """From one lane to the next, for so many tracks."""
    return _PITCH if count <= LANES else max(2.0, _PITCH * (LANES - 1) / (count - 1))


def bar_height(count: int) -> float:
    return min(_BAR, max(1.0, pitch_of(count) - 3))


class LanePainter:
    """Draws all tracks with one painter; `x_at` places a time."""

    def __init__(
        self,
        painter: QPainter,
        tracks: Sequence[Track],
        active: int,
        x_at: Callable[[float], float],
        left: float,
    ) -> None:
        self._painter, self._tracks, self._active = painter, tracks, active
        self._x_at, self._left = x_at, left
        self._pitch, self._bar = pitch_of(len(tracks)), bar_height(len(tracks))
        self._walked = walked(tracks, active)

    def draw(self, right: float) -> None:
        """Everything, with the labels inside `right`."""
        for lane in range(len(self._tracks) - 1, 0, -1):
            self._draw_curve(lane)
        for lane in range(len(self._tracks)):
            self._draw_bar(lane)
        if self._pitch >= _LABELS_FROM:
            for lane in range(len(self._tracks)):
                self._draw_label(lane, right)

    def _middle(self, lane: int) -> float:
        return TRACK + lane * self._pitch + self._bar / 2

    def _bar_left(self, lane: int) -> float:
        track = self._tracks[lane]
        left = self._x_at(track.leaves)
        bend = min(_BEND, self._pitch / 2, self._x_at(track.times[-1]) - left)
        return left + bend - 2 if lane else left

    def _tint(self, lane: int, share: float) -> QColor:
        color = theme().palette.quantity[quantity_of(lane)]
        return QColor(color if share == 1 else mix(theme().palette.card, color, share))

    def _draw_curve(self, lane: int) -> None:
        """Down from the lane it leaves, then round into its own bar."""
        x, top = self._x_at(self._tracks[lane].leaves), self._middle(root_lane(self._tracks, lane))
        y, end = self._middle(lane), self._bar_left(lane) + 2
        path = QPainterPath(QPointF(x, top))
        path.lineTo(x, y - (end - x))
        path.quadTo(QPointF(x, y), QPointF(end, y))
        self._painter.setPen(QPen(self._tint(lane, 1 if lane in self._walked else _ASIDE), 2))
        self._painter.setBrush(Qt.BrushStyle.NoBrush)
        self._painter.drawPath(path)

    def _draw_bar(self, lane: int) -> None:
        """Faint as far as the image, fuller as far as it is computed, full along the active path."""
        track = self._tracks[lane]
        ready = min(track.ready, track.last)
        self._fill(lane, track.times[-1], _AHEAD)
        if ready >= 0:
            self._fill(lane, track.times[ready], _ASIDE)
        if ready >= 0 and lane in self._walked:
            self._fill(lane, max(track.times[ready], self._walked[lane]), 1)

    def _fill(self, lane: int, until: int, share: float) -> None:
        left = self._bar_left(lane)
        width = self._x_at(until) - left
        if width > 0:
            self._painter.setPen(Qt.PenStyle.NoPen)
            self._painter.setBrush(self._tint(lane, share))
            bar = QRectF(left, self._middle(lane) - self._bar / 2, width, self._bar)
            self._painter.drawRoundedRect(bar, self._bar / 2, self._bar / 2)

    def _draw_label(self, lane: int, right: float) -> None:
        """Below the bar's beginning, moved to the left where there is too little room."""
        if not (text := lowered(self._tracks[lane].label)):
            return
        metrics, palette = QFontMetricsF(self._painter.font()), theme().palette
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, right - self._left)
        width = metrics.horizontalAdvance(text)
        x = max(self._left, min(self._bar_left(lane) + 4, right - width))
        top = self._middle(lane) + self._bar / 2 + 1
        room = QRectF(x, top, width + 1, max(metrics.height(), self._pitch - self._bar - 1))
        self._painter.fillRect(room.adjusted(-3, 1, 3, -1), QColor(palette.card))
        self._painter.setPen(QColor(palette.text if lane == self._active else palette.muted))
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextDontClip
        self._painter.drawText(room, flags, text)
