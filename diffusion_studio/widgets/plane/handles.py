"""Modes as one takes hold of them: a dot at the mean, an ellipse, and a grip at the end of each axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QTransform

from diffusion_studio.engine.plane.shapes import Mode
from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plane.paint import class_color

Part = Literal["mean", "first", "second"]
_REACH = 11.0  # pixels around a grip
_GRIP = 2.0  # standard deviations at which the grips stand
_LEAST_SHRINK = 0.25  # below this √ᾱ the modes cannot be told apart, so none is offered


@dataclass(frozen=True)
class Grip:
    """A part of a mode that the pointer holds."""

    index: int
    part: Part


@dataclass(frozen=True)
class Handles:
    """The modes that are offered to be dragged."""

    modes: Sequence[Mode] = ()
    selected: int = -1  # its axes can be pulled as well; −1 for none
    shrink: float = 1.0  # by which the noise process has drawn them together, √ᾱ
    spread: float = 0.0  # the standard deviation that the noise adds, √(1−ᾱ)

    @property
    def offered(self) -> Sequence[Mode]:
        """Those that are there to be taken."""
        return self.modes if self.shrink >= _LEAST_SHRINK else ()


def positions(mode: Mode, shrink: float) -> dict[Part, tuple[float, float]]:
    """Where the grips of a mode stand in the plane, when the data are shrunk by √ᾱ = `shrink`."""
    c, s = math.cos(mode.angle), math.sin(mode.angle)
    return {
        "mean": (shrink * mode.x, shrink * mode.y),
        "first": (shrink * (mode.x + _GRIP * mode.sd_1 * c), shrink * (mode.y + _GRIP * mode.sd_1 * s)),
        "second": (shrink * (mode.x - _GRIP * mode.sd_2 * s), shrink * (mode.y + _GRIP * mode.sd_2 * c)),
    }


def grip_at(handles: Handles, to_pixels: QTransform, place: QPointF) -> Grip | None:
    """What is under the pointer: the selected mode's grips first, then the nearest mean."""
    best: tuple[float, Grip] | None = None
    for index, mode in enumerate(handles.offered):
        parts: tuple[Part, ...] = ("first", "second", "mean") if index == handles.selected else ("mean",)
        for part in parts:
            gap = to_pixels.map(QPointF(*positions(mode, handles.shrink)[part])) - place
            distance = math.hypot(gap.x(), gap.y())
            if distance <= _REACH and (best is None or distance < best[0]):
                best = distance, Grip(index, part)
    return best[1] if best else None


def moved(mode: Mode, part: Part, x: float, y: float, shrink: float) -> Mode:
    """The mode when a grip is dragged to (x, y) in the plane."""
    x, y = x / shrink, y / shrink
    if part == "mean":
        return mode.model_copy(update={"x": _within(x), "y": _within(y)})
    dx, dy = x - mode.x, y - mode.y
    length = min(max(math.hypot(dx, dy) / _GRIP, 0.01), 10.0)
    if part == "first":
        return mode.model_copy(update={"sd_1": length, "angle": math.atan2(dy, dx)})
    return mode.model_copy(update={"sd_2": length, "angle": math.atan2(-dx, dy)})


def _within(value: float) -> float:
    return min(max(value, -10.0), 10.0)


def paint_modes(painter: QPainter, handles: Handles, hovered: Grip | None, to_pixels: QTransform) -> None:
    """Means, and the ellipse and the grips of the mode that is selected."""
    palette = theme().palette
    for index, mode in enumerate(handles.offered):
        chosen = index == handles.selected
        near = chosen or (hovered is not None and hovered.index == index)
        center = to_pixels.map(QPointF(*positions(mode, handles.shrink)["mean"]))
        color = QColor(class_color(mode.label, palette))
        if near:
            pen = QPen(QColor(palette.text) if chosen else color, 1.5 if chosen else 1.0)
            pen.setStyle(Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            _paint_ellipse(painter, mode, handles, center, to_pixels.m11())
        painter.setPen(QPen(QColor(palette.background), 1.5))
        painter.setBrush(color)
        size = 6.0 if near else 4.5
        painter.drawEllipse(center, size, size)
        if chosen:
            painter.setBrush(QColor(palette.text))
            for part in ("first", "second"):
                at = to_pixels.map(QPointF(*positions(mode, handles.shrink)[part]))
                painter.drawRect(QRectF(at.x() - 4, at.y() - 4, 8, 8))


def _paint_ellipse(painter: QPainter, mode: Mode, handles: Handles, center: QPointF, unit: float) -> None:
    """Two standard deviations of the noised mode; `unit` is how many pixels a unit of the plane has."""
    rx, ry = (_GRIP * math.hypot(handles.shrink * sd, handles.spread) * unit for sd in (mode.sd_1, mode.sd_2))
    painter.save()
    painter.translate(center)
    painter.rotate(-math.degrees(mode.angle))
    painter.drawEllipse(QRectF(-rx, -ry, 2 * rx, 2 * ry))
    painter.restore()
