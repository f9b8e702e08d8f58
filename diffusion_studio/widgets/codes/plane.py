"""Two latents as a plane: the codes of images as points, or what each place decodes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.look.theme import theme

Shown = Literal["points", "map"]
_INKS = ("x0", "eps", "score", "weight", "guidance", "sky")
_DOT, _LETTER, _MARK = 2.5, 12, 16  # pixels
_KEYS = {
    Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, 1), Qt.Key.Key_Down: (0, -1)
}  # fmt: skip


class CodePlane(QWidget):
    """A square from −reach to reach in both latents; moving the pointer tells the place under it."""

    pointed = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._points = np.empty((0, 2), np.float32)
        self._names: tuple[str, ...] = ()  # of each point
        self._map: QImage | None = None
        self._shown: Shown = "points"
        self._reach = 3.0
        self._place = (0.0, 0.0)
        self._rings = True
        self._picture: QPixmap | None = None  # all but the place
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setProperty("keepsArrows", True)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName(tr("Plane of codes"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme().changed.connect(self._repaint)

    # --- what is shown ----------------------------------------------------------------------------------

    def set_points(self, points: NDArray[np.float32], names: Sequence[str], reach: float) -> None:
        """The codes of images (n, 2), each with the name of its class or ""."""
        self._points, self._names, self._reach = points, tuple(names), reach
        classes = len(set(names) - {""})
        self.setAccessibleDescription(
            tr(
                "{count} codes of {classes} classes, up to ±{reach:.1f}",
                count=len(points),
                classes=max(classes, 1),
                reach=reach,
            )
        )
        self._repaint()

    def set_map(self, picture: NDArray[np.uint8]) -> None:
        """Decoded places, from above. (H, W, 1 or 3)"""
        grey = picture.shape[2] == 1
        form = QImage.Format.Format_Grayscale8 if grey else QImage.Format.Format_RGB888
        flat = np.ascontiguousarray(picture)
        height, width, channels = flat.shape
        self._map = QImage(flat.data, width, height, width * channels, form).copy()
        self._repaint()

    def set_shown(self, shown: Shown) -> None:
        """Points or map."""
        self._shown = shown
        self._repaint()

    def set_rings(self, rings: bool) -> None:
        """Whether N(0, I) is drawn, one and two standard deviations."""
        self._rings = rings
        self._repaint()

    def set_place(self, x: float, y: float) -> None:
        """Where one stands."""
        self._place = (x, y)
        self.update()

    # --- hand -------------------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        square = self._square()
        if square.contains(event.position()):
            self.pointed.emit(*self._place_at(event.position()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = _KEYS.get(Qt.Key(event.key()))
        if step is None or event.modifiers():
            super().keyPressEvent(event)
            return
        limit = self._reach
        x, y = (self._place[i] + step[i] * limit / 30 for i in (0, 1))
        self.pointed.emit(min(max(x, -limit), limit), min(max(y, -limit), limit))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._picture = None

    def sizeHint(self) -> QSize:
        return QSize(320, 320)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, 160)

    # --- painting ---------------------------------------------------------------------------------------

    def _square(self) -> QRectF:
        side = min(self.width(), self.height())
        return QRectF((self.width() - side) / 2, (self.height() - side) / 2, side, side)

    def _place_at(self, position: QPointF) -> tuple[float, float]:
        square = self._square()
        x = (position.x() - square.left()) / square.width()
        y = (position.y() - square.top()) / square.height()
        return (2 * x - 1) * self._reach, (1 - 2 * y) * self._reach

    def _pixel(self, x: float, y: float) -> QPointF:
        square, reach = self._square(), self._reach
        return QPointF(
            square.left() + (x / reach + 1) / 2 * square.width(),
            square.top() + (1 - y / reach) / 2 * square.height(),
        )

    def _repaint(self) -> None:
        self._picture = None
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        ratio = self.devicePixelRatioF()
        if self._picture is None:
            self._picture = QPixmap(self.size() * ratio)
            self._picture.setDevicePixelRatio(ratio)
            self._picture.fill(Qt.GlobalColor.transparent)
            painter = QPainter(self._picture)
            self._paint_all(painter)
            painter.end()
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        here = self._pixel(*self._place)
        for color, width in ((theme().palette.card, 4.0), (theme().palette.accent, 2.0)):
            painter.setPen(QPen(QColor(color), width))
            painter.drawEllipse(here, 7, 7)

    def _paint_all(self, painter: QPainter) -> None:
        palette, square = theme().palette, self._square()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(square, QColor(palette.fill))
        if self._shown == "map" and self._map is not None:
            painter.drawImage(square, self._map)
        else:
            self._paint_points(painter)
        if self._rings:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            for pen in self._pens():
                painter.setPen(pen)
                for radius in (1.0, 2.0):
                    size = radius / self._reach * square.width() / 2
                    painter.drawEllipse(square.center(), size, size)

    def _pens(self) -> list[QPen]:
        """Of the rings. Pictures are light or dark whatever the theme is: over them white on black."""
        if self._shown != "map" or self._map is None:
            return [QPen(QColor(theme().palette.muted), 1, Qt.PenStyle.DashLine)]
        ground, ink = QColor(0, 0, 0, 160), QColor(255, 255, 255, 220)
        return [QPen(ground, 3), QPen(ink, 1, Qt.PenStyle.DashLine)]

    def _paint_points(self, painter: QPainter) -> None:
        names = sorted(set(self._names) - {""})
        marks = {name: self._mark(name, _INKS[number % len(_INKS)]) for number, name in enumerate(names)}
        marks[""] = self._mark("", "")
        half = _MARK / 2
        for (x, y), name in zip(self._points.tolist(), self._names, strict=True):
            if max(abs(x), abs(y)) <= self._reach:
                here = self._pixel(x, y)
                painter.drawPixmap(QPointF(here.x() - half, here.y() - half), marks[name])

    def _mark(self, name: str, ink: str) -> QPixmap:
        """A letter for a class with a name of one, else a dot; drawn once, as text takes long."""
        ratio = self.devicePixelRatioF()
        mark = QPixmap(QSize(_MARK, _MARK) * ratio)
        mark.setDevicePixelRatio(ratio)
        mark.fill(Qt.GlobalColor.transparent)
        palette, painter = theme().palette, QPainter(mark)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        color = QColor(palette.ink(ink) if ink else palette.muted)
        if len(name) == 1:
            font = self.font()
            font.setPixelSize(_LETTER)
            font.setBold(True)
            painter.setFont(font)
            painter.setPen(color)
            painter.drawText(QRectF(0, 0, _MARK, _MARK), Qt.AlignmentFlag.AlignCenter, name)
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            painter.drawEllipse(QPointF(_MARK / 2, _MARK / 2), _DOT, _DOT)
        painter.end()
        return mark
