"""How a field, particles and their trails are drawn; used by the screen and by exported files alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QPen

from diffusion_studio.engine.plane.field import Contours, FieldView
from diffusion_studio.widgets.look.theme import Palette, mix, theme
from diffusion_studio.widgets.plane.raster import age_map, density_map, error_map, painted

Floats = NDArray[np.floating]
CLASS_COLORS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#F0E442", "#8A93A0", "#0072B2")
_ERROR_DECADES = (-3.0, 1.0)  # log10 of ‖ŝ − s‖² / E‖s‖², from the first colour to the last
_AGES = 16  # colours of a path by age
_LONG, _MOST_OF_LONG = 20.0, 100_000.0  # pixels of a long line, and beyond them in all in one frame


@dataclass(frozen=True)
class Layers:
    """What is drawn."""

    density: bool = True
    contours: bool = True
    arrows: bool = True
    particles: bool = True
    trails: bool = True


def class_color(label: int, palette: Palette) -> str:
    """The colour of a class: strong on both themes."""
    color = CLASS_COLORS[label % len(CLASS_COLORS)]
    if palette.dark:
        return color
    return {"#F0E442": "#9a8f00", "#56B4E9": "#0b78b8", "#E69F00": "#c26a00"}.get(color, color)


def paint_field(painter: QPainter, field: FieldView, layers: Layers, width: float, height: float) -> None:
    """The density or the error, contour lines and arrows, over the whole of `width` × `height`."""
    palette = theme().palette
    rect = QRectF(0, 0, width, height)
    painter.fillRect(rect, QColor(palette.background))
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if layers.density:
        painter.drawImage(rect, _picture(field, palette))
    if layers.contours:
        painter.setPen(_line(palette.text, 0.30 if palette.dark else 0.34, 1.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(contour_path(field, width, height))
    if field.goal is not None:
        painter.setPen(_line(palette.ink("guidance"), 0.95, 1.4))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(contour_path(field.goal, width, height))
    if layers.arrows:
        _paint_arrows(painter, field, width, height)


def _picture(field: FieldView, palette: Palette) -> QImage:
    if field.error is not None:
        size = field.fisher / field.relative if field.relative > 0 else 1.0
        low, high = _ERROR_DECADES
        with np.errstate(divide="ignore"):
            shares = (np.log10(field.error / max(size, 1e-30)) - low) / (high - low)
        return painted(shares, error_map(palette))
    shares = np.exp(0.5 * (field.log_density - field.log_density.max()))  # the root shows thin parts as well
    return painted(shares, density_map(palette))


def contour_path(field: Contours, width: float, height: float) -> QPainterPath:
    """The contour lines of the density."""
    rows, columns = field.log_density.shape
    segments = field.lines
    if not len(segments):
        return QPainterPath()
    x = (segments[:, :, 0] + 0.5) * (width / columns)
    y = height - (segments[:, :, 1] + 0.5) * (height / rows)
    path: QPainterPath = pg.arrayToQPath(x.ravel(), y.ravel(), connect="pairs")
    return path


def _paint_arrows(painter: QPainter, field: FieldView, width: float, height: float) -> None:
    palette = theme().palette
    window = field.window
    scale = width / (window.right - window.left)
    size = np.hypot(field.score[:, 0], field.score[:, 1])
    usual = float(np.median(size)) or 1.0
    spacing = max(width, height) / window.arrows
    length = 0.86 * spacing * size / (size + 0.6 * usual)  # longer is stronger, and none meets its neighbour
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.nan_to_num(field.score / size[:, None])
    ax = (field.places[:, 0] - window.left) * scale
    ay = (window.top - field.places[:, 1]) * scale
    dx, dy = unit[:, 0] * length, -unit[:, 1] * length
    tail = np.stack([ax - dx / 2, ay - dy / 2], 1)
    tip = np.stack([ax + dx / 2, ay + dy / 2], 1)
    color = palette.quantity["weight"] if field.error is not None else palette.ink("score")
    pen = _line(color, 0.8, 1.2)
    if field.learned:
        pen.setDashPattern([3, 2])  # what is learned is dashed
    painter.setPen(pen)
    painter.drawPath(_segments(tail, tip))
    pen.setStyle(Qt.PenStyle.SolidLine)
    painter.setPen(pen)
    head = np.minimum(3.6, 0.4 * length)[:, None]
    along = np.stack([dx, dy], 1) / np.maximum(length, 1e-9)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], 1)
    for side in (1, -1):
        painter.drawPath(_segments(tip, tip - head * along + side * 0.6 * head * across))


def _segments(a: Floats, b: Floats) -> QPainterPath:
    """Lines from a (n, 2) to b (n, 2)."""
    both = np.stack([a, b], 1).astype(np.float64)
    path: QPainterPath = pg.arrayToQPath(both[:, :, 0].ravel(), both[:, :, 1].ravel(), connect="pairs")
    return path


def affordable(paths: Floats) -> Floats:
    """As many of the paths (states, m, 2), in pixels, as a frame has time for; of a wild one its last part.

    Lines within a few pixels cost nothing to speak of; long ones, all across each other, cost a second.
    """
    lengths = np.linalg.norm(np.diff(paths, axis=0), axis=-1)  # (states−1, m); NaN where nothing is drawn
    costs = np.nan_to_num(np.maximum(lengths - _LONG, 0.0))
    if not costs.size:
        return paths
    count = int((costs.sum(0).cumsum() <= _MOST_OF_LONG).sum())
    if count:
        return paths[:, :count]
    states = int((costs[::-1, 0].cumsum() <= _MOST_OF_LONG).sum()) + 1
    return paths[-states:, :1]


def paint_trails(painter: QPainter, paths: Floats, colors: Sequence[str], fade: bool = True) -> None:
    """Paths (states, m, 2) in pixels, the oldest part faintest; `colors` has one for each of m."""
    states, count = paths.shape[:2]
    if states < 2 or count == 0:
        return
    painter.setBrush(Qt.BrushStyle.NoBrush)
    pieces = 2 if fade and states >= 8 else 1
    edges = np.linspace(0, states - 1, pieces + 1).astype(int)
    for color in dict.fromkeys(colors):
        chosen = [i for i, c in enumerate(colors) if c == color]
        for piece in range(pieces):
            part = paths[edges[piece] : edges[piece + 1] + 1, chosen]  # (states, m, 2)
            a, b = part[:-1].reshape(-1, 2), part[1:].reshape(-1, 2)
            known = np.isfinite(a).all(1) & np.isfinite(b).all(1)
            faint = mix(theme().palette.background, color, (piece + 1) / pieces)
            painter.setPen(_line(faint, 1.0, 1.0 if pieces > 1 else 1.5))
            painter.drawPath(_segments(a[known], b[known]))  # joined lines take ten times as long


def age_color(age: float, palette: Palette) -> str:
    """The colour of a moment, 0 at the start of a chain and 1 at its end."""
    colors = age_map(palette)
    return QColor.fromRgb(int(colors[round(min(max(float(age), 0.0), 1.0) * (len(colors) - 1))])).name()


def paint_aged_trails(painter: QPainter, paths: Floats, ages: Floats) -> None:
    """Paths (states, m, 2) in pixels, each piece in the colour of the moment `ages` (states,) it ends at."""
    bins = np.minimum((_AGES * ages[1:]).astype(int), _AGES - 1)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for number in np.unique(bins):
        chosen = np.flatnonzero(bins == number)
        a, b = paths[chosen].reshape(-1, 2), paths[chosen + 1].reshape(-1, 2)
        known = np.isfinite(a).all(1) & np.isfinite(b).all(1)
        painter.setPen(_line(age_color((number + 0.5) / _AGES, theme().palette), 1.0, 1.3))
        painter.drawPath(_segments(a[known], b[known]))


def paint_dots(painter: QPainter, x: Floats, y: Floats, colors: Sequence[str], radius: float) -> None:
    """Dots as shapes, for files that can be scaled."""
    painter.setPen(Qt.PenStyle.NoPen)
    for color in dict.fromkeys(colors):
        painter.setBrush(QColor(color))
        for i in (i for i, c in enumerate(colors) if c == color):
            painter.drawEllipse(QPointF(float(x[i]), float(y[i])), radius, radius)


def _line(color: str, alpha: float, width: float) -> QPen:
    """A pen; long lines that let the ground through take twenty times as long as opaque ones."""
    tint = QColor(color)
    tint.setAlphaF(alpha)
    pen = QPen(tint, width)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)  # round ones take fifty times as long
    return pen
