"""The dots of a curve that is edited, one of them chosen."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor

from diffusion_studio.widgets.editors.sigma_points import Points
from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plots.canvas import Canvas
from diffusion_studio.widgets.plots.legend import color_of
from diffusion_studio.widgets.plots.math import Floats

_REACH = 9.0  # pixels from which a dot is grabbed
_MOST = 200  # more are drawn as a rug


class Dots:
    """Draws points (t, value) on a canvas, and finds the one at a place."""

    def __init__(self, canvas: Canvas, color_key: str) -> None:
        self._canvas, self._color_key = canvas, color_key
        self._all, self._chosen = pg.ScatterPlotItem(pxMode=True), pg.ScatterPlotItem(size=12, pxMode=True)
        for z, item in ((15, self._all), (16, self._chosen)):
            item.setZValue(z)
            canvas.addItem(item)
        canvas.show_whole_dots()

    def show(self, points: Points, selected: int | None) -> None:
        """Puts them where the points are."""
        palette, rug = theme().palette, len(points) > _MOST
        color, full = (QColor(color_of(palette, self._color_key)) for _ in range(2))
        color.setAlphaF(0.7 if rug else 1.0)
        chosen = points[selected : selected + 1] if selected is not None else ()
        self._all.setSymbol("|" if rug else "o")
        self._all.setSize(7 if rug else 9)
        self._all.setPen(pg.mkPen(color, width=1 if rug else 2))
        self._all.setBrush(pg.mkBrush(palette.card))
        self._all.setData(x=[t for t, _ in points], y=[y for _, y in points])
        self._chosen.setPen(pg.mkPen(QColor(color_of(palette, "text")), width=2))
        self._chosen.setBrush(pg.mkBrush(full))
        self._chosen.setData(x=[t for t, _ in chosen], y=[y for _, y in chosen])

    def near(self, points: Points, scene: QPointF) -> int | None:
        """The point within reach of a place in the scene."""
        if not points:
            return None
        places = scene_places(self._canvas, *np.array(points).T)
        distance = np.hypot(places[:, 0] - scene.x(), places[:, 1] - scene.y())
        nearest = int(distance.argmin())
        return nearest if distance[nearest] <= _REACH else None


def scene_places(canvas: Canvas, x: Floats, y: Floats) -> Floats:
    """Places of a canvas's plot in its scene, which counts pixels: (N, 2)."""
    view = canvas.view
    (x0, x1), (y0, y1) = view.viewRange()
    a, b = view.mapViewToScene(QPointF(x0, y0)), view.mapViewToScene(QPointF(x1, y1))
    across = a.x() + (x - x0) / (x1 - x0) * (b.x() - a.x())
    down = a.y() + (y - y0) / (y1 - y0) * (b.y() - a.y())
    return np.stack([across, down], axis=1)
