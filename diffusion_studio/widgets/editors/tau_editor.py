"""The times τ of a chain on the curve of the schedule, to be moved, added and taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from diffusion_studio.core.words import plural, tr
from diffusion_studio.widgets.editors.points import PointPlot
from diffusion_studio.widgets.editors.sigma_points import Points
from diffusion_studio.widgets.plots.canvas import Reading
from diffusion_studio.widgets.plots.legend import LegendEntry
from diffusion_studio.widgets.plots.math import Floats, tick_text
from diffusion_studio.widgets.plots.table import Table


@dataclass(frozen=True, eq=False)
class OnSchedule:
    """Points at whole times 1 … T, on the curve √ᾱ (T+1,)."""

    image_left: Floats

    @property
    def last(self) -> int:
        """T."""
        return len(self.image_left) - 1

    def at(self, times: Sequence[int]) -> Points:
        """The points at these times, as far as there are such."""
        return tuple((float(t), float(self.image_left[t])) for t in times if t <= self.last)

    def moved(self, points: Points, i: int, t: float, y: float) -> Points:
        """Point `i` brought as near to t as its neighbours allow."""
        times = times_of(points)
        low = times[i - 1] + 1 if i > 0 else 1
        high = times[i + 1] - 1 if i + 1 < len(times) else self.last
        times[i] = min(max(round(t), low), high)
        return self.at(times)

    def added(self, points: Points, t: float, y: float) -> tuple[Points, int] | None:
        """With one point more at t, and its number; None where there is one."""
        new, times = min(max(round(t), 1), self.last), times_of(points)
        if new in times:
            return None
        times = sorted([*times, new])
        return self.at(times), times.index(new)

    def removed(self, points: Points, i: int) -> Points:
        """Without point `i`; the last stays."""
        times = times_of(points)
        return self.at([*times[:i], *times[i + 1 :]] if len(times) > 1 else times)


def times_of(points: Points) -> list[int]:
    """The times of points, rising."""
    return [round(t) for t, _ in points]


class TauEditor(PointPlot):
    """√ᾱ over t, with a dot for each time of the chain; 0, the image, is always one of them."""

    times_edited = Signal(list)  # rising, without 0

    def __init__(self, parent: QWidget | None = None) -> None:
        self._schedule = OnSchedule(np.array([1.0, 0.0]))
        super().__init__(tr("Times of the chain"), "x0", 0.0, self._schedule, parent)
        self.points_edited.connect(self._say_times)
        self._end = pg.ScatterPlotItem(size=7, pen=None, pxMode=True)
        self.canvas.addItem(self._end)
        self._restyle()

    def set_schedule(self, alpha_bar: ArrayLike) -> None:
        """The schedule's ᾱ at t = 0 … T: (T+1,)."""
        self._rule = self._schedule = OnSchedule(np.sqrt(np.asarray(alpha_bar, np.float64)))
        self._show_points(self._schedule.at(self._times()))
        self._changed()

    def set_times(self, times: Sequence[int]) -> None:
        """The decreasing times of the states (S+1,), the last is 0. Raises ValueError for others."""
        rising = sorted(times)
        if (
            list(times) != sorted(set(times), reverse=True)
            or rising[:1] != [0]
            or rising[-1] > self._schedule.last
        ):
            raise ValueError(f"times must decrease from at most {self._schedule.last} to 0")
        self._raw_x = self._x = np.asarray(times, np.float64)
        self._show_points(self._schedule.at(rising[1:]))
        self._changed()

    def _times(self) -> list[int]:
        return times_of(self._points or ())

    def _say_times(self) -> None:
        self.times_edited.emit(self._times())

    # words

    def describe(self) -> str:
        times = self._times()
        if not times:
            return tr("No times yet.")
        text = tr("{count} steps from t = {first} to 0.", count=len(times), first=times[-1])
        gaps = np.diff([0, *times])
        if len(gaps) > 1:
            least, most = gaps.min(), gaps.max()
            text += " " + tr("They are between {least} and {most} long.", least=least, most=most)
        return text

    def as_table(self) -> Table:
        rows = [(i, int(t), float(self._schedule.image_left[int(t)])) for i, t in enumerate(self._raw_x)]
        return [tr("step"), "t", "√ᾱ"], rows

    def _words(self, i: int) -> str:
        t = self._times()[i]
        return f"t = {t}, √ᾱ = {tick_text(float(self._schedule.image_left[t]))}"

    def _reading_at(self, x: float) -> Reading | None:
        t = min(max(round(x), 0), self._schedule.last)
        y = float(self._schedule.image_left[t])
        return Reading(float(t), f"t = {t}\n√ᾱ  {tick_text(y)}", ((y, "x0"),))

    def _entries(self) -> list[LegendEntry]:
        steps = plural("τ  {n} step", "τ  {n} steps", len(self._points or ()))
        return [LegendEntry("√ᾱ_t", "x0", Qt.PenStyle.SolidLine, True), LegendEntry(steps)]

    # drawing

    def _draw(self) -> None:
        self.canvas.view.invertX(True)
        self.canvas.bottom.set_ends(tr("noise  t = {}"), tr("{}  image"))
        t = np.arange(self._schedule.last + 1, dtype=np.float64)
        self._curve("schedule", t, self._schedule.image_left, "x0", z=2)
        self._set_range((0.0, max(t[-1], 1.0)), (-0.04, 1.06))
        self._end.setData(x=[0.0], y=self._schedule.image_left[:1], brush=pg.mkBrush(self._color("muted")))
        self._place_points()
        self._place_cursor()
