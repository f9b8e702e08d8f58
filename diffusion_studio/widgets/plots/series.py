"""A few curves over the steps of a chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.plots.base import BasePlot
from diffusion_studio.widgets.plots.canvas import Reading
from diffusion_studio.widgets.plots.kept import Upright
from diffusion_studio.widgets.plots.legend import LegendEntry
from diffusion_studio.widgets.plots.math import tick_text
from diffusion_studio.widgets.plots.table import Table


@dataclass(frozen=True, eq=False)
class Series:
    """One value per step that was looked at."""

    title: str
    x: ArrayLike  # (N,) increasing
    y: ArrayLike  # (N,)
    color_key: str
    dashed: bool = False


class SeriesPlot(BasePlot):
    """Curves over the number of steps, and a cursor at the present one."""

    def __init__(self, title: str, max_hz: float = 4.0, parent: QWidget | None = None) -> None:
        self._title = title
        self._series: Sequence[Series] = ()
        self._length = 1.0
        self._log = False
        super().__init__(title, max_hz, parent)
        self._here = Upright(self.canvas, "muted")
        self.canvas.view.setMouseEnabled(x=False, y=False)

    def set_series(self, series: Sequence[Series], length: float, cursor: float, log: bool = False) -> None:
        """Show curves over 0 … `length` and stand at `cursor`; `log` gives the heights a logarithmic axis."""
        self._series, self._length, self._log = series, max(length, 1.0), log
        self._here.stand_at(None if self._is_empty() else cursor)
        self._changed()

    def describe(self) -> str:
        parts = []
        for series in self._series:
            y = np.asarray(series.y, np.float64)
            if len(y):
                goes = tr(
                    "{name} goes from {first:.3g} to {last:.3g}.", name=series.title, first=y[0], last=y[-1]
                )
                parts.append(goes)
        return " ".join(parts) or tr("No measurement yet.")

    def as_table(self) -> Table:
        headers, rows = [tr("curve"), tr("step"), self._title], []
        for s in self._series:
            rows += [
                (s.title, float(x), float(y)) for x, y in zip(np.asarray(s.x), np.asarray(s.y), strict=True)
            ]
        return headers, rows

    def _entries(self) -> list[LegendEntry]:
        entries = [LegendEntry(self._title)]
        for s in self._series:
            dash = Qt.PenStyle.DashLine if s.dashed else Qt.PenStyle.SolidLine
            entries.append(LegendEntry(s.title, s.color_key, dash, True))
        return entries

    def _is_empty(self) -> bool:
        return not any(np.isfinite(np.asarray(s.y, np.float64)).any() for s in self._series)

    def _heights(self, series: Series) -> np.ndarray:
        y = np.asarray(series.y, np.float64)
        return np.log10(np.maximum(y, 1e-6)) if self._log else y

    def _draw(self) -> None:
        self.canvas.left.set_log(self._log)
        self.canvas.bottom.set_ends(tr("step {}"), "{}")
        self.canvas.bottom.whole = True
        found = []
        for number, series in enumerate(self._series):
            y = self._heights(series)
            dash = Qt.PenStyle.DashLine if series.dashed else Qt.PenStyle.SolidLine
            if len(y):
                self._curve(f"{number}", np.asarray(series.x, np.float64), y, series.color_key, dash, z=2)
                found.append(y[np.isfinite(y)])
        all_of_them = np.concatenate(found) if found else np.empty(0)
        low, high = (float(all_of_them.min()), float(all_of_them.max())) if len(all_of_them) else (0.0, 1.0)
        pad = 0.08 * (high - low) or 0.5
        self._set_range((0.0, self._length), (low - pad if self._log else min(0.0, low), high + pad))

    def _reading_at(self, x: float) -> Reading | None:
        words, dots = [], []
        for series in self._series:
            places = np.asarray(series.x, np.float64)
            if len(places):
                i = int(np.abs(places - x).argmin())
                words.append(f"{series.title}  {tick_text(float(np.asarray(series.y)[i]))}")
                dots.append((float(self._heights(series)[i]), series.color_key))
        return Reading(x, "\n".join([tr("step {x:.0f}", x=x), *words]), tuple(dots)) if words else None
