"""Curves over one reverse chain, noise on the left, image on the right, with the cursor of the transport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.plots.base import BasePlot
from diffusion_studio.widgets.plots.canvas import Reading
from diffusion_studio.widgets.plots.kept import Upright
from diffusion_studio.widgets.plots.legend import LegendEntry
from diffusion_studio.widgets.plots.math import Floats, tick_text
from diffusion_studio.widgets.plots.table import Table
from diffusion_studio.widgets.plots.timestep import finite_axis


@dataclass(frozen=True, eq=False)
class Curve:
    """One value per state of the chain; NaN where it is not known. Dashed is learned, solid is exact."""

    values: ArrayLike  # (N,)
    color_key: str
    dashed: bool = False
    label: str = ""


class ChainPlot(BasePlot):
    """Named curves over the states of a chain; a click or a drag asks to go to a state."""

    seek_requested = Signal(int)  # index of the state, 0 is pure noise

    def __init__(
        self, title: str = "", x_name: str = "t", max_hz: float = 30.0, parent: QWidget | None = None
    ) -> None:
        self._title, self._x_name = title, x_name
        self._x = np.empty(0)
        self._raw_x = np.empty(0)
        self._curves: dict[str, Curve] = {}
        self._position: float | None = None
        self._sought: int | None = None
        self._limits: tuple[float, float] | None = None
        self._marked: frozenset[str] = frozenset()
        super().__init__(title or tr("Curves over the chain"), max_hz, parent)
        self._here = Upright(self.canvas, "text")
        self.canvas.view.setMouseEnabled(x=False, y=False)

    def set_curves(self, x: ArrayLike, curves: Mapping[str, Curve], x_name: str = "t") -> None:
        """Show `curves` over `x` (N,), one place per state from noise to image, rising or falling.

        An infinite end of `x` (log SNR of the image) is drawn one step beyond the others.
        """
        self._raw_x = np.asarray(x, np.float64)
        self._x, self._x_name = finite_axis(self._raw_x), x_name
        self._curves = dict(curves)
        self._changed()

    def set_cursor(self, position: float | None) -> None:
        """Put the cursor on the state with this index; between two states for a broken one; None hides it."""
        self._position = position
        self._place_cursor()

    def mark(self, *names: str) -> None:
        """Bring these curves forward, if any of them is here; none shows all alike."""
        marked = frozenset(names) & frozenset(self._curves)
        if marked != self._marked:
            self._marked = marked
            self._changed()

    def set_title(self, title: str) -> None:
        self._title = title
        self._changed()

    def set_limits(self, limits: tuple[float, float] | None) -> None:
        """Fix the range of y; None fits it to the curves."""
        self._limits = limits
        self._changed()

    def describe(self) -> str:
        sentences = []
        for name, curve in self._curves.items():
            y = np.asarray(curve.values, np.float64)
            known = y[np.isfinite(y)]
            if len(known):
                goes = tr(
                    "{name} goes from {first:.3g} at the noise to {last:.3g} at the image.",
                    name=curve.label or name, first=known[0], last=known[-1],
                )  # fmt: skip
                sentences.append(goes)
        return " ".join(sentences) or tr("No curve yet.")

    def as_table(self) -> Table:
        columns = [self._raw_x.tolist()]
        columns += [np.asarray(c.values, np.float64).tolist() for c in self._curves.values()]
        headers = [tr("step"), self._x_name, *self._curves]
        rows = [(i, *values) for i, values in enumerate(zip(*columns, strict=True))]
        return headers, rows

    def _entries(self) -> list[LegendEntry]:
        entries = [LegendEntry(self._title)] if self._title else []
        for name, curve in self._curves.items():
            dash = Qt.PenStyle.DashLine if curve.dashed else Qt.PenStyle.SolidLine
            entries.append(LegendEntry(curve.label or name, curve.color_key, dash, True))
        return entries

    # drawing

    def _draw(self) -> None:
        x = self._x
        falling = len(x) > 1 and x[0] > x[-1]
        self.canvas.view.invertX(bool(falling))
        self.canvas.bottom.set_ends(tr("noise  {name} = {{}}", name=self._x_name), tr("{}  image"))
        known: list[Floats] = []
        for name, curve in self._curves.items():
            y = np.asarray(curve.values, np.float64)
            n = min(len(x), len(y))
            dash = Qt.PenStyle.DashLine if curve.dashed else Qt.PenStyle.SolidLine
            faded = self._marked and name not in self._marked
            self._curve(name, x[:n], y[:n], curve.color_key, dash, alpha=0.25 if faded else 1.0, z=2)
            known.append(y[np.isfinite(y)])
        span = (float(x.min()), float(x.max())) if len(x) else (0.0, 1000.0)
        self._set_range(span, self._limits or _fit(np.concatenate(known) if known else np.empty(0)))
        self._place_cursor()

    def _is_empty(self) -> bool:
        return not any(np.isfinite(np.asarray(c.values, np.float64)).any() for c in self._curves.values())

    def _place_cursor(self) -> None:
        if self._position is None or not len(self._x):
            self._here.stand_at(None)
        else:
            self._here.stand_at(float(np.interp(self._position, np.arange(len(self._x)), self._x)))

    def _reading_at(self, x: float) -> Reading | None:
        if not len(self._x):
            return None
        i = int(np.abs(self._x - x).argmin())
        words = [f"{self._x_name} = {tick_text(float(self._raw_x[i]))}"]
        dots = []
        for name, curve in self._curves.items():
            y = np.asarray(curve.values, np.float64)
            if i < len(y) and np.isfinite(y[i]):
                words.append(f"{curve.label or name}  {tick_text(float(y[i]))}")
                dots.append((float(y[i]), curve.color_key))
        return Reading(float(self._x[i]), "\n".join(words), tuple(dots))

    # seeking

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        left = Qt.MouseButton.LeftButton
        if isinstance(event, QMouseEvent):
            if kind == QEvent.Type.MouseButtonPress and event.button() == left:
                self._sought = None
                self._seek(event.position())
                return True
            if kind == QEvent.Type.MouseMove and event.buttons() & left:
                self._seek(event.position())
                return True
        return super().eventFilter(watched, event)

    def _seek(self, position: QPointF) -> None:
        if not len(self._x):
            return
        x = self.canvas.view.mapSceneToView(self.canvas.mapToScene(position.toPoint())).x()
        index = int(np.abs(self._x - x).argmin())
        if index != self._sought:
            self._sought = index
            self.seek_requested.emit(index)


def _fit(values: Floats) -> tuple[float, float]:
    """A range of y that shows `values` with a little room."""
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if low >= 0 and low < 0.5 * high:
        low = 0.0
    room = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return low - (room if low else 0.02 * (high - low)), high + room
