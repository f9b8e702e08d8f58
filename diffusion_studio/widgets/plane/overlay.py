"""What stands over the particles: trails, the start, the modes, arrows, a stroke, words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen

from diffusion_studio.widgets.look.theme import tabular, theme
from diffusion_studio.widgets.plane.arrows import paint_arrows
from diffusion_studio.widgets.plane.camera import Camera
from diffusion_studio.widgets.plane.drawing import Drawing, label_color
from diffusion_studio.widgets.plane.handles import Grip, paint_modes
from diffusion_studio.widgets.plane.paint import (
    affordable,
    paint_aged_trails,
    paint_dots,
    paint_field,
    paint_trails,
)
from diffusion_studio.widgets.plane.raster import radius_for

Stroke = Sequence[tuple[float, float]]  # places of the plane
_WRAPPED = Qt.AlignmentFlag.AlignLeft.value | Qt.TextFlag.TextWordWrap.value
_MOST_HIGH = 0.25  # of the picture, that words hide
_CLAUSE, _SPACE = re.compile(r"((?<=[·,;]) (?!γ)|   |\n)"), re.compile("( )")  # between what is left out
_NARROW = 400  # pixels of a picture below which its words are small


def paint_scene(painter: QPainter, drawing: Drawing, camera: Camera) -> None:
    """Everything but what one takes hold of, as shapes, for a file that can be scaled."""
    if drawing.field is not None:
        paint_field(painter, drawing.field, drawing.layers, camera.width, camera.height)
    if len(drawing.dots):
        places = camera.pixels(drawing.dots)
        names, index = drawing.inks
        colors = [names[0]] * len(places) if index is None else [names[k] for k in index.tolist()]
        paint_dots(painter, places[:, 0], places[:, 1], colors, radius_for(len(places)))
    paint_paths(painter, drawing, camera)


def paint_paths(painter: QPainter, drawing: Drawing, camera: Camera) -> None:
    """The trails, and the point where they all begin."""
    if drawing.layers.trails and drawing.trails.paths.size:
        _paint_trails(painter, drawing, camera)
    if drawing.start is not None:
        painter.setPen(QPen(QColor(theme().palette.text), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(camera.at(drawing.start), 7, 7)


def _paint_trails(painter: QPainter, drawing: Drawing, camera: Camera) -> None:
    trails = drawing.trails
    places = camera.pixels(trails.paths)
    far = np.abs(places) > 2 * max(camera.width, camera.height)
    places[far.any(-1)] = np.nan  # long lines out of sight cost much time and memory
    places = affordable(places)
    if trails.ages is not None:
        paint_aged_trails(painter, places, trails.ages[-len(places) :])
        return
    labels = trails.labels or [-1] * places.shape[1]
    paint_trails(painter, places, [label_color(label) for label in labels[: places.shape[1]]], trails.fade)


def paint_handles(painter: QPainter, drawing: Drawing, camera: Camera, hovered: Grip | None) -> None:
    """What can be taken hold of, and the arrows at the pointer."""
    paint_modes(painter, drawing.handles, hovered, camera.to_pixels)
    place, arrows = drawing.arrows
    if arrows:
        paint_arrows(painter, camera.at(place), arrows)


def paint_stroke(painter: QPainter, stroke: Stroke, camera: Camera) -> None:
    """The line that is being drawn by hand."""
    if stroke:
        painter.setPen(QPen(QColor(theme().palette.quantity["x0"]), 3))
        painter.drawPolyline([camera.at(place) for place in stroke])


def paint_words(painter: QPainter, drawing: Drawing, camera: Camera) -> None:
    """What is said in the corners, in as many lines as the picture is narrow."""
    palette = theme().palette
    font = tabular(painter.font())
    if camera.width < _NARROW:
        font.setPixelSize(11)
    painter.setFont(font)
    metrics = QFontMetrics(painter.font())
    back = QColor(palette.card)
    back.setAlphaF(0.88)
    for corner, text in drawing.words.items():
        if not text:
            continue
        room = QRect(0, 0, max(40, round(camera.width) - 40), 10_000)
        text = _within(text, metrics, room, max(2 * metrics.lineSpacing(), _MOST_HIGH * camera.height))
        size = metrics.boundingRect(room, _WRAPPED, text)
        top = 8 if corner == "top" else camera.height - size.height() - 18
        box = QRectF(8, top, size.width() + 24, size.height() + 10)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(back)
        painter.drawRoundedRect(box, 6, 6)
        painter.setPen(QColor(palette.text))
        painter.drawText(room.translated(18, int(top) + 5), _WRAPPED, text)


def _within(text: str, metrics: QFontMetrics, room: QRect, most: float) -> str:
    """As much of a text as is no higher than that, or it would hide a small picture; in whole clauses."""
    kept, shown = text, text
    for between in (_CLAUSE, _SPACE):
        parts = between.split(kept)
        while len(parts) > 1 and metrics.boundingRect(room, _WRAPPED, shown).height() > most:
            del parts[-2:]  # the last, with what stands before it
            kept = "".join(parts).rstrip(" \u00a0·,;")
            shown = kept + " …"
    return shown


def paint_focus(painter: QPainter, camera: Camera) -> None:
    """That the keys go here."""
    painter.setPen(QPen(QColor(theme().palette.accent), 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(0, 0, camera.width - 1, camera.height - 1)
