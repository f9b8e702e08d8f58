"""Which part of the plane a widget shows, and where its places lie in pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF
from PySide6.QtGui import QTransform

from diffusion_studio.engine.plane.field import Window

Floats = NDArray[np.floating]
NARROW, WIDE = 0.4, 12.0  # half heights of the window that can be reached
_FARTHEST = 50.0


@dataclass(frozen=True)
class Camera:
    """The view from above: its height is chosen, its width follows the widget's."""

    half: float = 3.0  # of the plane, above and below the middle, where the widget is not high
    width: int = 1  # of the widget, logical pixels
    height: int = 1

    def zoomed(self, half: float) -> Camera:
        """The same with another height, as far as one can go."""
        return replace(self, half=min(max(half, NARROW), WIDE))

    @property
    def window(self) -> Window:
        """The part of the plane that is seen."""
        width, height = max(self.width, 1), max(self.height, 1)
        wide, high = max(self.half, self.half * width / height), max(self.half, self.half * height / width)
        return Window(-wide, -high, wide, high)

    @property
    def to_pixels(self) -> QTransform:
        """From the plane to the widget's pixels; y points up in the plane."""
        window = self.window
        sx, sy = self.width / (window.right - window.left), self.height / (window.top - window.bottom)
        return QTransform(sx, 0, 0, -sy, -window.left * sx, window.top * sy)

    def at(self, place: tuple[float, float]) -> QPointF:
        """Where a place of the plane lies."""
        return self.to_pixels.map(QPointF(*place))

    def place(self, position: QPointF) -> tuple[float, float]:
        """The place of the plane at a pixel."""
        found = self.to_pixels.inverted()[0].map(position)
        return found.x(), found.y()

    def pixels(self, places: Floats, ratio: float = 1.0) -> Floats:
        """Places (…, 2) in pixels, `ratio` of them for a logical one."""
        window = self.window
        scale = ratio * self.width / (window.right - window.left)
        near = np.clip(places, -_FARTHEST, _FARTHEST)  # a chain that ran away is not drawn to its end
        corner, scales = np.array([window.left, window.top]), np.array([scale, -scale])
        pixels: Floats = ((near - corner) * scales).astype(np.float32)
        return pixels
