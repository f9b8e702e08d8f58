"""A curve that is drawn by hand: points at evenly spaced times, each dragged up and down."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffusion_studio.core.words import between, tr
from diffusion_studio.widgets.frame.enlarge import can_enlarge
from diffusion_studio.widgets.images.drawing_menu import open_drawing_menu
from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plots.legend import color_of
from diffusion_studio.widgets.plots.math import tick_text

_EDGE = 10.0  # px around the curve
_GRAB = 18.0  # px within which a point is taken
_MOST_POINTS = 33


class CurveEditor(QWidget):
    """Shows points and says what a person makes of them; a double click doubles the points.

    The keys ← and → choose a point, ↑ and ↓ move it.
    """

    edited = Signal(object)  # tuple of heights
    settled = Signal()

    def __init__(
        self, name: str, color_key: str, low: float | None = 0.0, falling: bool = False,
        parent: QWidget | None = None,
    ) -> None:  # fmt: skip
        """`low` is the floor of the heights, or None; `falling` keeps each point below the one before."""
        super().__init__(parent)
        self._color, self._floor, self._falling = color_key, low, falling
        self._points: tuple[float, ...] = (1.0, 1.0)
        self._range = (0.0, 1.0)
        self._taken = -1
        self._chosen = 0
        self.setAccessibleName(name)
        can_enlarge(self, name)
        self.setToolTip(tr("Drag a point up or down; double click for twice as many points"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(240, 120)

    @property
    def points(self) -> tuple[float, ...]:
        return self._points

    def set_points(self, points: Sequence[float]) -> None:
        """Show these heights; the scale stays while a point is held."""
        self._points = tuple(float(p) for p in points)
        if self._taken < 0:
            low, high = min(self._points), max(self._points)
            room = 0.25 * (high - low) or 0.5 * abs(high) or 1.0
            self._range = (low - room if self._floor is None else self._floor, high + room)
        self._chosen = min(self._chosen, len(self._points) - 1)
        self.setAccessibleDescription(between().join(tick_text(p) for p in self._points))
        self.update()

    # geometry

    def _inside(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_EDGE, _EDGE, -_EDGE, -_EDGE)

    def _place(self, index: int) -> QPointF:
        box, (low, high) = self._inside(), self._range
        share = (self._points[index] - low) / (high - low)
        x = box.left() + box.width() * index / max(len(self._points) - 1, 1)
        return QPointF(x, box.bottom() - share * box.height())

    def _height_at(self, y: float) -> float:
        box, (low, high) = self._inside(), self._range
        return low + (box.bottom() - y) / max(box.height(), 1.0) * (high - low)

    def _nearest(self, position: QPointF) -> int:
        """The point under the pointer, or −1."""
        distances = [(self._place(i) - position).manhattanLength() for i in range(len(self._points))]
        best = min(range(len(distances)), key=distances.__getitem__)
        return best if distances[best] <= _GRAB else -1

    def _move(self, index: int, height: float) -> None:
        """Moves a point as far as the curve allows."""
        if self._floor is not None:
            height = max(height, self._floor)
        if self._falling:
            gap = 1e-3 * (self._range[1] - self._range[0])
            if index > 0:
                height = min(height, self._points[index - 1] - gap)
            if index + 1 < len(self._points):
                height = max(height, self._points[index + 1] + gap)
        height = round(height, 4)
        if height != self._points[index]:
            self._points = (*self._points[:index], height, *self._points[index + 1 :])
            self.update()
            self.edited.emit(self._points)

    # what a person does

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._taken = self._nearest(event.position())
            self._chosen = max(self._taken, 0)
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._taken >= 0:
            self._move(self._taken, self._height_at(event.position().y()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._taken >= 0:
            self._taken = -1
            self.settled.emit()
            self.set_points(self._points)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if 2 * len(self._points) - 1 > _MOST_POINTS:
            return
        between = [(a + b) / 2 for a, b in zip(self._points, self._points[1:], strict=False)]
        finer = [p for pair in zip(self._points, between, strict=False) for p in pair]
        self.set_points([*finer, self._points[-1]])
        self.edited.emit(self._points)
        self.settled.emit()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        open_drawing_menu(self, event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        sideways = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        upwards = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1}.get(Qt.Key(event.key()))
        if sideways is not None:
            self._chosen = min(max(self._chosen + sideways, 0), len(self._points) - 1)
            self.update()
        elif upwards is not None:
            step = 0.02 * (self._range[1] - self._range[0])
            self._move(self._chosen, self._points[self._chosen] + upwards * step)
            self.settled.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        palette = theme().palette
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(palette.line), 1))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        color = QColor(color_of(palette, self._color))
        places = [self._place(i) for i in range(len(self._points))]
        painter.setPen(QPen(color, 1.6))
        painter.drawPolyline(QPolygonF(places))
        painter.setBrush(QColor(palette.card))
        for i, place in enumerate(places):
            held = i == self._taken or (self.hasFocus() and i == self._chosen)
            painter.setBrush(color if held else QColor(palette.card))
            painter.drawEllipse(place, 4.5, 4.5)
        painter.setPen(QColor(palette.muted))
        flags = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignRight
        shown = self._taken if self._taken >= 0 else (self._chosen if self.hasFocus() else -1)
        if shown >= 0:
            painter.drawText(self._inside(), flags, tick_text(self._points[shown]))
        painter.end()
