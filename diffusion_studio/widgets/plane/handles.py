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


@dataclass(frozen=True)
class Grip:
    """A part of a mode that the pointer holds."""

    index: int
    part: Part


def positions(mode: Mode, shrink: float) -> dict[Part, tuple[float, float]]:
    """Where the grips of a mode stand in the plane, when the data are shrunk by √ᾱ = `shrink`."""
    c, s = math.cos(mode.angle), math.sin(mode.angle)
    return {
        "mean": (shrink * mode.x, shrink * mode.y),
        "first": (shrink * (mode.x + _GRIP * mode.sd_1 * c), shrink * (mode.y + _GRIP * mode.sd_1 * s)),
        "second": (shrink * (mode.x - _GRIP * mode.sd_2 * s), shrink * (mode.y + _GRIP * mode.sd_2 * c)),
    }


def grip_at(
    modes: Sequence[Mode], selected: int, shrink: float, screen: QTransform, place: QPointF
) -> Grip | None:
    """What is under the pointer: the selected mode's grips first, then the nearest mean."""
    best: tuple[float, Grip] | None = None
    for index, mode in enumerate(modes):
        parts: tuple[Part, ...] = ("first", "second", "mean") if index == selected else ("mean",)
        for part in parts:
            gap = screen.map(QPointF(*positions(mode, shrink)[part])) - place
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


def paint_modes(
    painter: QPainter, modes: Sequence[Mode], selected: int, hovered: Grip | None, shrink: float,
    screen: QTransform, spread: float,
) -> None:  # fmt: skip
    """Means and ellipses; `spread` is the standard deviation √(1−ᾱ) that the noise adds."""
    palette = theme().palette
    for index, mode in enumerate(modes):
        chosen = index == selected
        color = QColor(class_color(mode.label, palette))
        center = screen.map(QPointF(*positions(mode, shrink)["mean"]))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        pen = QPen(QColor(palette.text) if chosen else color, 1.5 if chosen else 1.0)
        pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.save()
        painter.translate(center)
        painter.rotate(-math.degrees(mode.angle))
        unit = screen.m11()
        rx, ry = (_GRIP * math.hypot(shrink * sd, spread) * unit for sd in (mode.sd_1, mode.sd_2))
        if chosen or (hovered is not None and hovered.index == index):
            painter.drawEllipse(QRectF(-rx, -ry, 2 * rx, 2 * ry))
        painter.restore()
        painter.setPen(QPen(QColor(palette.background), 1.5))
        painter.setBrush(color)
        size = 6.0 if chosen or (hovered is not None and hovered.index == index) else 4.5
        painter.drawEllipse(center, size, size)
        if chosen:
            painter.setBrush(QColor(palette.text))
            for part in ("first", "second"):
                at = screen.map(QPointF(*positions(mode, shrink)[part]))
                painter.drawRect(QRectF(at.x() - 4, at.y() - 4, 8, 8))
