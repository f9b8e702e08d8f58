"""The density as a landscape, with paths on it; a drag turns it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.plane.field import FieldView
from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plane.paint import age_color, class_color
from diffusion_studio.widgets.plane.raster import density_map

Floats = NDArray[np.floating]
_CELLS = 48
_HEIGHT = 2.4  # of the highest place, in the plane's units, where …
_WHOLE = 8.2  # … the ground is so many of them from corner to corner
_FARTHEST = 50.0
_LIFT = 0.03  # of a path over the ground


class SurfaceView(QWidget):
    """Quadrilaterals painted from the farthest to the nearest, and the pieces of the paths among them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setProperty("keepsArrows", True)
        self.setAccessibleName(tr("The density as a landscape"))
        self.turn, self.tilt, self.zoom = math.radians(-60), math.radians(38), 1.0
        self._field: FieldView | None = None
        self._heights: Floats = np.zeros((2, 2))
        self._paths: Floats = np.empty((0, 0, 2))
        self._labels: Sequence[int] = ()
        self._ages: Floats | None = None
        self._grabbed: QPointF | None = None
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(560, 560)

    def set_field(self, field: FieldView) -> None:
        """The density to show."""
        self._field = field
        rows, columns = field.log_density.shape
        step = max(1, -(-max(rows, columns) // _CELLS))
        density = np.exp(field.log_density - field.log_density.max())
        self._heights = _HEIGHT * density[step // 2 :: step, step // 2 :: step]
        self.update()

    def set_trails(self, paths: Floats, labels: Sequence[int] = (), ages: Floats | None = None) -> None:
        """Paths (states, m, 2) that lie on the ground, coloured by label or by `ages` (states,) in [0, 1]."""
        self._paths, self._labels, self._ages = np.clip(paths, -_FARTHEST, _FARTHEST), labels, ages
        self.update()

    # --- projection -------------------------------------------------------------------------------------

    def _grid(self) -> tuple[Floats, Floats]:
        """Places of the heights: x (columns,), y (rows,)."""
        assert self._field is not None
        window, (rows, columns) = self._field.window, self._heights.shape
        x = window.left + (np.arange(columns) + 0.5) * ((window.right - window.left) / columns)
        y = window.bottom + (np.arange(rows) + 0.5) * ((window.top - window.bottom) / rows)
        return x, y

    def height_at(self, x: Floats, y: Floats) -> Floats:
        """The height of the ground, bilinear between the cells; 0 outside."""
        xs, ys = self._grid()
        rows, columns = self._heights.shape
        u = np.clip((x - xs[0]) / (xs[1] - xs[0]), 0, columns - 1.001)
        v = np.clip((y - ys[0]) / (ys[1] - ys[0]), 0, rows - 1.001)
        i, j = v.astype(int), u.astype(int)
        a, b, h = u - j, v - i, self._heights
        low = h[i, j] * (1 - a) + h[i, j + 1] * a
        high = h[i + 1, j] * (1 - a) + h[i + 1, j + 1] * a
        height: Floats = low * (1 - b) + high * b
        return height

    def project(self, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Pixels, and how far away each place is; unzoomed, the ground fits in however it is turned."""
        assert self._field is not None
        window = self._field.window
        wide, deep = window.right - window.left, window.top - window.bottom
        whole = math.hypot(wide, deep)
        x, y, z = x - window.left - wide / 2, y - window.bottom - deep / 2, z * whole / _WHOLE
        c, s = math.cos(self.turn), math.sin(self.turn)
        across, away = c * x - s * y, s * x + c * y
        scale = self.zoom * min(self.width(), 1.25 * self.height()) / whole
        up = z * math.cos(self.tilt) + away * math.sin(self.tilt)
        depth = away * math.cos(self.tilt) - z * math.sin(self.tilt)
        return self.width() / 2 + scale * across, 0.56 * self.height() - scale * up, depth

    # --- painting ---------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self.draw_scene(painter)
        painter.end()

    def draw_scene(self, painter: QPainter) -> None:
        """The landscape as shapes."""
        palette = theme().palette
        painter.fillRect(self.rect(), QColor(palette.background))
        if self._field is None or min(self._heights.shape) < 2:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        x, y = np.meshgrid(*self._grid())
        px, py, depth = self.project(x, y, self._heights)
        quads = np.stack([
            np.stack([a[:-1, :-1], a[:-1, 1:], a[1:, 1:], a[1:, :-1]], -1) for a in (px, py, depth)
        ])  # (3, rows − 1, columns − 1, 4)  # fmt: skip
        far = quads[2].mean(-1).ravel()
        corners = quads[:2].reshape(2, -1, 4)
        mean = np.sqrt((self._heights[:-1, :-1] + self._heights[1:, 1:]).ravel() / (2 * _HEIGHT))
        colors = density_map(palette)[np.clip(mean * 255, 0, 255).astype(int)]
        pieces = self._pieces()
        order = np.argsort(-np.concatenate([far, [p[0] for p in pieces]]))
        edge = QColor(palette.text)
        edge.setAlphaF(0.10)
        outline = QPen(edge, 1)
        for k in order:
            if k < len(far):
                painter.setPen(outline)
                painter.setBrush(QColor.fromRgb(int(colors[k])))
                points = [QPointF(corners[0, k, i], corners[1, k, i]) for i in range(4)]
                painter.drawPolygon(QPolygonF(points))
            else:
                _, a, b, color = pieces[k - len(far)]
                painter.setPen(QPen(QColor(color), 2))
                painter.drawLine(a, b)

    def _pieces(self) -> list[tuple[float, QPointF, QPointF, str]]:
        """Every piece of every path: how far away it is, its ends, its colour."""
        if self._paths.shape[0] < 2 or self._paths.shape[1] == 0:
            return []
        palette = theme().palette
        x, y = self._paths[..., 0].astype(float), self._paths[..., 1].astype(float)
        known = np.isfinite(x) & np.isfinite(y)
        z = self.height_at(np.nan_to_num(x), np.nan_to_num(y)) + _LIFT
        px, py, depth = self.project(x, y, z)
        found = []
        for path in range(x.shape[1]):
            label = self._labels[path] if path < len(self._labels) else 0
            color = class_color(label, palette)
            tints = [color] * len(x) if self._ages is None else [age_color(a, palette) for a in self._ages]
            for k in range(len(x) - 1):
                if known[k, path] and known[k + 1, path]:
                    a, b = QPointF(px[k, path], py[k, path]), QPointF(px[k + 1, path], py[k + 1, path])
                    found.append((float(min(depth[k, path], depth[k + 1, path])) - 0.12, a, b, tints[k + 1]))
        return found

    # --- turning ----------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._grabbed = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._grabbed is not None:
            moved = event.position() - self._grabbed
            self._grabbed = event.position()
            self.turn_by(0.008 * moved.x(), 0.006 * moved.y())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._grabbed = None

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.zoom = min(max(self.zoom * 1.1 ** (event.angleDelta().y() / 120), 0.4), 4.0)
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {
            Qt.Key.Key_Left: (-0.1, 0), Qt.Key.Key_Right: (0.1, 0),
            Qt.Key.Key_Up: (0, -0.08), Qt.Key.Key_Down: (0, 0.08),
        }  # fmt: skip
        by = steps.get(Qt.Key(event.key()))
        if by is not None:
            self.turn_by(*by)
        else:
            super().keyPressEvent(event)

    def turn_by(self, turn: float, tilt: float) -> None:
        """Turns the landscape, in radians."""
        self.turn += turn
        self.tilt = min(max(self.tilt + tilt, 0.05), 1.5)
        self.update()
