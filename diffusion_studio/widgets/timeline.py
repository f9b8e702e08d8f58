"""The times of a reverse chain on one axis: what is computed, where it branched, and where one stands."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffusion_studio.widgets.theme import mix, theme

Axis = Literal["t", "step", "log_snr"]

_MARGIN = 10  # room for half a playhead at both ends
_TICKS, _TRACK = 24, 38  # tops, below the end labels
_BAR = 8
_LANE = 24  # between a track and the branch under it


@dataclass(frozen=True)
class Branch:
    """A second chain that leaves the first at state `start` and is computed up to state `ready`."""

    start: int
    ready: int
    label: str


class Timeline(QWidget):
    """Draws the chain's states from noise to image and lets the playhead be dragged."""

    seek_requested = Signal(int)
    branch_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._times: tuple[int, ...] = ()
        self._axis: Axis = "t"
        self._places: tuple[float, ...] = ()  # of each state, from 0 (noise) to 1 (image)
        self._position, self._ready = 0, -1
        self._branches: tuple[Branch, ...] = ()
        self._active = -1
        self._dragged: float | None = None  # where the playhead is held, in pixels
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(160)
        self.setAccessibleName("Timeline")
        theme().changed.connect(self.update)

    @property
    def times(self) -> tuple[int, ...]:
        return self._times

    @property
    def position(self) -> int:
        return self._position

    @property
    def last(self) -> int:
        """The index of the last state, the image."""
        return max(0, len(self._times) - 1)

    def set_times(self, times: Sequence[int]) -> None:
        """The decreasing times of the states, T … 0; keeps the axis, goes back to the first state."""
        if any(a <= b for a, b in pairwise(times)):
            raise ValueError("the times of a reverse chain must decrease")
        self._times = tuple(times)
        self._position, self._ready, self._branches = 0, -1, ()
        self.set_axis("t" if self._axis == "log_snr" else self._axis)

    def set_axis(self, axis: Axis, values: Sequence[float] = ()) -> None:
        """Space the states by t, by step number, or by the finite `values` given for each (log SNR).

        Raises ValueError when the number of values is not that of the times.
        """
        if axis == "t":
            values = [-t for t in self._times]
        elif axis == "step":
            values = range(len(self._times))
        if len(values) != len(self._times):
            raise ValueError(f"{len(values)} places for {len(self._times)} states")
        low, high = (min(values), max(values)) if values else (0.0, 0.0)
        self._axis = axis
        self._places = tuple((value - low) / (high - low or 1.0) for value in values)
        self.update()

    def set_position(self, k: int) -> None:
        self._position = min(max(k, 0), self.last)
        self.update()

    def set_ready(self, k: int) -> None:
        """States 0 … k are computed; -1 for none."""
        self._ready = min(max(k, -1), self.last)
        self.update()

    def set_branches(self, branches: Sequence[Branch], active: int = -1) -> None:
        """Draw `branches` below the chain; the playhead stands on number `active` (-1: the chain itself)."""
        self._branches, self._active = tuple(branches), active
        self.setFixedHeight(self.sizeHint().height())
        self.update()

    def x_of(self, k: int) -> float:
        """Where state `k` stands, in pixels."""
        place = self._places[k] if self._places else 0.0
        return _MARGIN + place * (self.width() - 2 * _MARGIN)

    def index_at(self, x: float) -> int:
        """The state nearest to `x` pixels."""
        place = (x - _MARGIN) / max(1, self.width() - 2 * _MARGIN)
        right = min(bisect_left(self._places, place), self.last)
        left = max(0, right - 1)
        return left if place - self._places[left] <= self._places[right] - place else right

    def sizeHint(self) -> QSize:
        below = 8 if self._branches else 0  # for the label of the last
        return QSize(480, _TRACK + _BAR + 10 + _LANE * len(self._branches) + below)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_ends(painter)
        if self._times:
            self._draw_ticks(painter)
            self._draw_bar(painter, self.x_of(0), _TRACK, self._ready, theme().palette.quantity["x0"])
            for lane, branch in enumerate(self._branches, start=1):
                self._draw_branch(painter, lane, branch)
            self._draw_playhead(painter)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or not self._times:
            return
        lane = int((event.position().y() - _TRACK + _BAR) // _LANE)
        if 1 <= lane <= len(self._branches) and self._active != lane - 1:
            self.branch_requested.emit(lane - 1)
        self._drag(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragged is not None:
            self._drag(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._dragged = None
        self.update()

    def _drag(self, x: float) -> None:
        """The head follows the pointer; the state nearest to it is asked for once."""
        self._dragged = min(max(x, self.x_of(0)), self.x_of(self.last))
        before, self._position = self._position, self.index_at(x)
        if self._position != before:
            self.seek_requested.emit(self._position)
        self.update()

    def _draw_ends(self, painter: QPainter) -> None:
        painter.setPen(QColor(theme().palette.muted))
        room = QRectF(_MARGIN, 0, self.width() - 2 * _MARGIN, 18)
        first, last = (self._times[0], self._times[-1]) if self._times else ("T", 0)
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft, f"noise   t = {first}")
        painter.drawText(room, Qt.AlignmentFlag.AlignRight, f"t = {last}   image")

    def _draw_ticks(self, painter: QPainter) -> None:
        colors = theme().palette
        spacing = (self.width() - 2 * _MARGIN) / max(1, self.last)
        every = next((n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500) if n * spacing >= 4), 1000)
        major = every * (5 if every in (2, 20, 200) else 10)
        for k in range(0, len(self._times), every):
            long = k % major == 0 or k == self.last
            painter.setPen(QPen(QColor(colors.muted if long else colors.faint), 1))
            x = round(self.x_of(k)) + 0.5
            painter.drawLine(QPointF(x, _TICKS if long else _TICKS + 3), QPointF(x, _TICKS + 9))

    def _draw_bar(self, painter: QPainter, left: float, top: float, ready: int, color: str) -> None:
        """From `left` to the image, filled as far as state `ready`."""
        painter.setPen(Qt.PenStyle.NoPen)
        for k, tint in ((self.last, mix(theme().palette.card, color, 0.28)), (ready, color)):
            width = self.x_of(k) - left if k >= 0 else 0.0
            if width > 0:
                painter.setBrush(QColor(tint))
                painter.drawRoundedRect(QRectF(left, top, width, _BAR), _BAR / 2, _BAR / 2)

    def _draw_branch(self, painter: QPainter, lane: int, branch: Branch) -> None:
        color = theme().palette.quantity["eps"]
        top, start = _TRACK + lane * _LANE, self.x_of(branch.start)
        bend = min(18.0, self.width() - _MARGIN - start)
        path = QPainterPath(QPointF(start, _TRACK + _BAR / 2))
        end = QPointF(start + bend, top + _BAR / 2)
        path.cubicTo(QPointF(end.x(), _TRACK + _BAR / 2), QPointF(start, end.y()), end)
        painter.setPen(QPen(QColor(color), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(path)
        self._draw_bar(painter, end.x() - 2, top, branch.ready, color)
        painter.setPen(QColor(theme().palette.muted))
        painter.drawText(QPointF(end.x() + 4, top + _BAR + 11), branch.label)

    def _draw_playhead(self, painter: QPainter) -> None:
        colors = theme().palette
        x = self.x_of(self._position) if self._dragged is None else self._dragged
        bottom = _TRACK + _BAR + 6 + _LANE * (self._active + 1)
        painter.setPen(QPen(QColor(colors.text), 2))
        painter.drawLine(QPointF(x, _TICKS), QPointF(x, bottom))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.text))
        head = [(-6, -8), (6, -8), (6, -2), (0, 5), (-6, -2)]
        painter.drawPolygon(QPolygonF([QPointF(x + dx, _TICKS + dy) for dx, dy in head]))
