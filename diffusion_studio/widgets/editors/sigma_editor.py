"""The noise σ_t of each step, drawn by hand below the ceiling that keeps the marginals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QBrush, QKeyEvent
from PySide6.QtWidgets import QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.editors.ceiling import CeilingPlot
from diffusion_studio.widgets.editors.dots import scene_places
from diffusion_studio.widgets.editors.names import CurveName, place_of
from diffusion_studio.widgets.editors.sigma_points import Ceiling, curve
from diffusion_studio.widgets.plots.chain import Curve
from diffusion_studio.widgets.plots.legend import LegendEntry
from diffusion_studio.widgets.plots.math import Floats, tick_text

SIGMA, CEILING = "σ_t", "√(1−ᾱ_s)"
_NEAR = 12.0  # pixels from the curve
_DOTS_UP_TO = 120


class SigmaEditor(CeilingPlot):
    """σ_t over t with its ceiling, what is above it hatched; named curves for comparison; points to drag."""

    edit_requested = Signal()  # a click on the curve while there are no points yet

    def __init__(self, parent: QWidget | None = None) -> None:
        self._named: dict[str, Floats] = {}
        super().__init__(tr("Noise of each step"), "σ", "eps", 0.005, parent)
        self._zone = _zone_item()
        self._line = pg.PlotCurveItem()
        self._steps = pg.ScatterPlotItem(size=4, pen=None, pxMode=True)
        self._names: list[CurveName] = []
        for z, item in ((-4, self._zone), (3, self._line), (4, self._steps)):
            item.setZValue(z)
            self.canvas.addItem(item)
        self.canvas.view.sigResized.connect(self._draw_names)
        self._restyle()

    def set_steps(
        self, times: Sequence[int], ceiling: ArrayLike, sigma: ArrayLike, named: Mapping[str, ArrayLike]
    ) -> None:
        """The steps between the decreasing `times` (S+1,): the greatest σ of each (S,), its σ (S,), and
        the σ that other rules would give (S,).

        Raises ValueError when the numbers do not fit.
        """
        arrays = {CEILING: ceiling, SIGMA: sigma, **named}
        steps = {name: np.asarray(values, np.float64) for name, values in arrays.items()}
        if any(values.shape != (max(0, len(times) - 1),) for values in steps.values()):
            raise ValueError(f"expected {max(0, len(times) - 1)} values for {len(times)} times")
        starts = np.asarray(times[:-1], np.float64)
        self._set_ceiling(Ceiling(starts, steps[CEILING]))
        self._named = {name: steps[name] for name in named}
        colors = {CEILING: "weight", SIGMA: "eps"}
        ended = {name: np.append(values, np.nan)[: len(times)] for name, values in steps.items()}
        curves = {name: Curve(v, colors.get(name, "muted"), name in named) for name, v in ended.items()}
        self.set_curves(np.asarray(times, np.float64), curves)

    def _on_plain_click(self, scene: QPointF) -> bool:
        near = self._points is None and self._is_near_curve(scene)
        if near:
            self.edit_requested.emit()
        return near

    def _is_near_curve(self, scene: QPointF) -> bool:
        t, y = self._ceiling.times, np.asarray(self._curves[SIGMA].values)[:-1] if self._curves else ()
        if not len(t):
            return False
        places = scene_places(self.canvas, t, np.asarray(y, np.float64))  # (S, 2), x rising
        there = float(np.interp(scene.x(), places[:, 0], places[:, 1]))
        inside = places[0, 0] - _NEAR <= scene.x() <= places[-1, 0] + _NEAR
        return bool(inside and abs(there - scene.y()) <= _NEAR)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and self._points is None:
            self._await_points()
            self.edit_requested.emit()
        else:
            super().keyPressEvent(event)

    # words

    def describe(self) -> str:
        if not len(self._ceiling.times):
            return tr("No steps yet.")
        sigma = np.asarray(self._curves[SIGMA].values, np.float64)[:-1]
        share = float(np.nanmax(sigma)) if np.isfinite(sigma).any() else 0.0
        if self._points is None:
            whence = tr("It follows a rule; Enter draws it by hand.")
        else:
            whence = tr("It is drawn by hand with {count} points.", count=len(self._points))
        most = tr("σ is at most {share}.", share=tick_text(share))
        return f"{super().describe()} {most} {whence}"

    def _entries(self) -> list[LegendEntry]:
        return [
            LegendEntry("σ_t", "eps", sample=True),
            LegendEntry("σ² > 1−ᾱ_s:", "weight", sample=True, block=True),
            LegendEntry(tr("no kernel keeps the marginals"), "weight"),
        ]

    # drawing

    def _draw(self) -> None:
        shown = np.concatenate([[1.0], self._ceiling.values, *self._named.values()])
        self._limits = (0.0, 1.06 * float(shown.max()))
        super()._draw()
        self._draw_zone(self._limits[1])
        self._draw_steps()
        self._draw_names()

    def _draw_zone(self, top: float) -> None:
        t, ceiling = self._ceiling.times, self._ceiling.values
        self._zone.setVisible(len(t) > 0)
        if len(t):
            x = np.concatenate([t, [0, 0, t[0], t[0]]])
            y = np.concatenate([ceiling, [ceiling[-1], top, top, ceiling[0]]])
            brush = QBrush(self._color("weight", 0.55), Qt.BrushStyle.BDiagPattern)
            self._zone.setData(x, y, brush=brush)

    def _draw_steps(self) -> None:
        t = self._ceiling.times if len(self._ceiling.times) <= _DOTS_UP_TO else np.empty(0)
        sigma = np.asarray(self._curves[SIGMA].values, np.float64)[: len(t)] if self._curves else t
        self._steps.setData(x=t, y=sigma, brush=pg.mkBrush(self._color("eps")))

    def _draw_names(self) -> None:
        """A word on each named curve, each at another place, and off the other curves."""
        while len(self._names) > len(self._named):
            self.canvas.removeItem(self._names.pop())
        while len(self._names) < len(self._named):
            self._names.append(CurveName())
            self.canvas.addItem(self._names[-1])
        t, sigma = self._ceiling.times, self._curves[SIGMA].values if self._curves else ()
        room, taken = self.canvas.view.sceneBoundingRect(), list[QRectF]()
        every = [] if not len(t) else [self._ceiling.values, np.asarray(sigma)[:-1], *self._named.values()]
        lines = [scene_places(self.canvas, t, np.asarray(values, np.float64)) for values in every]
        for k, (item, name) in enumerate(zip(self._names, self._named, strict=True)):
            item.setVisible(len(t) > 0)
            item.show_text(name, self.canvas.font())
            if len(t):
                first = 0.04 + 0.3 * (k % 3)
                taken.append(place_of(item.boundingRect(), lines[2 + k], lines, taken, room, first))
                item.setPos(self.canvas.view.mapSceneToView(taken[-1].bottomLeft()))

    def _place_points(self) -> None:
        super()._place_points()
        if not hasattr(self, "_line"):
            return
        self._line.setVisible(self._points is not None)
        if self._points is not None:
            t = np.array([0.0, *(t for t, _ in self._points), self._x.max() if len(self._x) else 1000.0])
            pen = pg.mkPen(self._color("eps", 0.6), width=1)
            self._line.setData(t, curve(self._points, t), pen=pen, antialias=True)


def _zone_item() -> pg.PlotCurveItem:
    return pg.PlotCurveItem(pen=pg.mkPen(None), fillLevel="enclosed", antialias=False)
