"""The field and the particles as pixels, drawn anew only where they differ from the frame before."""

from __future__ import annotations

import numpy as np
from PySide6.QtGui import QColor, QImage, QPainter

from diffusion_studio.engine.plane.field import FieldView
from diffusion_studio.widgets.look.theme import Palette, theme
from diffusion_studio.widgets.plane.camera import Camera
from diffusion_studio.widgets.plane.drawing import Drawing
from diffusion_studio.widgets.plane.paint import Layers, paint_field
from diffusion_studio.widgets.plane.raster import Pixels, image_of, packed, radius_for, splat


class Canvas:
    """Keeps the field in pixels of its own, so that a frame copies it and adds the particles."""

    def __init__(self) -> None:
        self._layer: Pixels = np.empty((0, 0), np.uint32)  # the field alone
        self._frame: Pixels = np.empty((0, 0), np.uint32)
        self._image = QImage()
        self._drawn: tuple[FieldView | None, Layers, Palette] | None = None  # into the layer

    def compose(self, drawing: Drawing, camera: Camera, ratio: float) -> QImage:
        """The frame, `ratio` pixels for a logical one; it is changed by the next call."""
        width, height = max(1, round(camera.width * ratio)), max(1, round(camera.height * ratio))
        if self._frame.shape != (height, width):
            self._frame, self._layer = (np.zeros((height, width), np.uint32) for _ in range(2))
            self._image = image_of(self._frame, ratio)
            self._drawn = None
        self._draw_field(drawing, camera, ratio)
        np.copyto(self._frame, self._layer)
        if len(drawing.dots):
            self._splat(drawing, camera, ratio)
        return self._image

    def _draw_field(self, drawing: Drawing, camera: Camera, ratio: float) -> None:
        """Draws the field into its own pixels: a new picture for every frame would tear memory to pieces."""
        wanted = drawing.field, drawing.layers, theme().palette
        if self._drawn is not None and self._drawn[0] is wanted[0] and self._drawn[1:] == wanted[1:]:
            return
        self._drawn = wanted
        image = image_of(self._layer, ratio)  # must outlive its painter
        painter = QPainter(image)
        if drawing.field is None:
            painter.fillRect(0, 0, camera.width, camera.height, QColor(theme().palette.background))
        else:
            paint_field(painter, drawing.field, drawing.layers, camera.width, camera.height)
        painter.end()

    def _splat(self, drawing: Drawing, camera: Camera, ratio: float) -> None:
        places = camera.pixels(drawing.dots, ratio)
        names, index = drawing.inks
        table = np.array([packed(name) for name in names], np.uint32)
        colors = int(table[0]) if index is None else table[index]
        splat(self._frame, places[:, 0], places[:, 1], colors, radius_for(len(places)) * ratio)
