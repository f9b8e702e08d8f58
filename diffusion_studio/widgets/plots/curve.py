"""A few named curves over any x, on linear or logarithmic axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.plots.base import BasePlot
from diffusion_studio.widgets.plots.canvas import Reading
from diffusion_studio.widgets.plots.kept import Upright
from diffusion_studio.widgets.plots.legend import LegendEntry
from diffusion_studio.widgets.plots.math import Floats, tick_text
from diffusion_studio.widgets.plots.table import Table

_SAME, _FEW = 2e-3, 8  # curves nearer than this share of the height are one; so few points say nothing
_NARROW = 1e-3  # a range narrower than this share of its values is widened


@dataclass(frozen=True, eq=False)
class Line:
    """y over x; NaN is a gap. Dashed is learned, solid is exact; `dots` marks each value."""

    x: ArrayLike  # (N,), rising
    y: ArrayLike  # (N,)
    color_key: str
    dash: Qt.PenStyle = Qt.PenStyle.SolidLine
    dots: bool = False
    width: float = 1.5  # px


class XYPlot(BasePlot):
    """Curves by name; the titles of both axes stand with them. On a log axis only what is positive shows."""

    def __init__(self, name: str, max_hz: float = 10.0, parent: QWidget | None = None) -> None:
        """`name` is what it is called as a whole: "Reconstruction error"."""
        self._lines: dict[str, Line] = {}
        self._x_title, self._y_title = "x", "y"
        self._log = (False, False)
        self._mark: float | None = None
        self._named = True
        super().__init__(name, max_hz, parent)
        self.canvas.show_whole_dots()
        self._here = Upright(self.canvas, "text")

    def set_axes(self, x_title: str, y_title: str, *, x_log: bool = False, y_log: bool = False) -> None:
        self._x_title, self._y_title, self._log = x_title, y_title, (x_log, y_log)
        self._changed()

    def set_lines(self, lines: Mapping[str, Line]) -> None:
        """Show `lines` by name. Raises ValueError where x and y differ in length."""
        for name, line in lines.items():
            if np.shape(line.x) != np.shape(line.y) or np.ndim(line.x) != 1:
                raise ValueError(f"{name}: x {np.shape(line.x)} and y {np.shape(line.y)}")
        self._lines = dict(lines)
        self._changed()

    def set_mark(self, x: float | None) -> None:
        """A line where a value stands on the x axis; None takes it away."""
        self._mark = x
        self._changed()

    # words

    def describe(self) -> str:
        sentences = []
        for name, line in self._lines.items():
            x, y = _numbers(line)
            known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
            if len(known):
                (a, b), low = known[[0, -1]], known[np.argmin(y[known])]
                goes = tr(
                    "{name} goes from {first:.3g} at {x} = {start:g} to {last:.3g} at {end:g}, "
                    "lowest {least:.3g} at {place:g}.",
                    name=name, first=y[a], x=self._x_title, start=x[a], last=y[b], end=x[b],
                    least=y[low], place=x[low],
                )  # fmt: skip
                sentences.append(goes)
        if not sentences:
            return tr("No curve.")
        return " ".join([tr("{y} over {x}.", y=self._y_title, x=self._x_title), *sentences])

    def as_table(self) -> Table:
        """One row for each x of any line; what a line does not know there is NaN."""
        known = [_numbers(line) for line in self._lines.values()]
        xs = np.unique(np.concatenate([x for x, _ in known])) if known else np.empty(0)
        columns = [xs, *(_at(xs, x, y) for x, y in known)]
        rows = list(zip(*(column.tolist() for column in columns), strict=True))
        return [self._x_title, *self._lines], rows

    def show_legend(self, shown: bool) -> None:
        """Whether the names of the curves stand over the plot; without them only the title of y does."""
        self._named = shown
        self._changed()

    def names(self) -> list[LegendEntry]:
        """The names of the curves, as a legend says them; one that lies on another says so."""
        twins = self._twins()
        return [
            LegendEntry(_named(name, twins), line.color_key, line.dash, True, width=line.width)
            for name, line in self._lines.items()
        ]

    def _twins(self) -> dict[str, str]:
        """Curves that cannot be told from one drawn before, and from which."""
        drawn = {name: self._drawn(line) for name, line in self._lines.items()}
        ys = np.concatenate([y[np.isfinite(y)] for _, y in drawn.values()] or [np.empty(0)])
        near = _SAME * float(np.ptp(ys)) if len(ys) else 0.0
        found: dict[str, str] = {}
        for name, (x, y) in drawn.items():
            for other, (at, height) in drawn.items():
                if other == name:
                    break
                if other not in found and _coincide(x, y, at, height, near):
                    found[name] = other
                    break
        return found

    def _entries(self) -> list[LegendEntry]:
        return [LegendEntry(self._y_title), *(self.names() if self._named else [])]

    def _reading_at(self, x: float) -> Reading | None:
        drawn = {name: self._drawn(line) for name, line in self._lines.items()}
        known = [xs[np.isfinite(xs) & np.isfinite(ys)] for xs, ys in drawn.values()]
        places = np.concatenate(known) if known else np.empty(0)
        if not len(places):
            return None
        here = float(places[np.abs(places - x).argmin()])
        words, dots = [f"{self._x_title} = {tick_text(_undone(here, self._log[0]))}"], []
        for name, (xs, ys) in drawn.items():
            y = float(_at(np.array([here]), xs, ys)[0])
            if np.isfinite(y):
                words.append(f"{name}  {tick_text(_undone(y, self._log[1]))}")
                dots.append((y, self._lines[name].color_key))
        return Reading(here, "\n".join(words), tuple(dots))

    # drawing

    def _is_empty(self) -> bool:
        return not any(np.isfinite(y).any() for _, y in map(self._drawn, self._lines.values()))

    def _drawn(self, line: Line) -> tuple[Floats, Floats]:
        """A line in the plane of the plot: exponents of ten on a log axis."""
        x, y = _numbers(line)
        return _done(x, self._log[0]), _done(y, self._log[1])

    def _draw(self) -> None:
        self.canvas.bottom.set_log(self._log[0])
        self.canvas.left.set_log(self._log[1])
        self.canvas.bottom.set_ends(f"{self._x_title} = {{}}", "{}")
        xs, ys = [np.empty(0)], [np.empty(0)]
        for name, line in self._lines.items():
            x, y = self._drawn(line)
            known = np.isfinite(x)
            z = 1 if line.color_key == "muted" else 2  # what accompanies a curve does not cover it
            self._curve(name, x[known], y[known], line.color_key, line.dash, z=z, width=line.width)
            if line.dots:
                item = self._item(f"dots {name}", pg.ScatterPlotItem)
                shown = known & np.isfinite(y)
                brush = pg.mkBrush(self._color(line.color_key))
                item.setData(x=x[shown], y=y[shown], size=6, pen=pg.mkPen(None), brush=brush, pxMode=True)
            xs.append(x[known & np.isfinite(y)])
            ys.append(y[np.isfinite(y)])
        low, high = _span(np.concatenate(xs), 0.0)
        self._set_range((low, high), _span(np.concatenate(ys), 0.06))
        place = float("nan") if self._mark is None else float(_done(np.array([self._mark]), self._log[0])[0])
        self._here.stand_at(place if self._lines and np.isfinite(place) else None)


def _named(name: str, twins: Mapping[str, str]) -> str:
    return f"{name} = {twins[name]}" if name in twins else name


def _coincide(x: Floats, y: Floats, at: Floats, height: Floats, near: float) -> bool:
    """Whether two curves over the same places lie on each other as far as one can see."""
    if len(x) < _FEW or np.shape(x) != np.shape(at) or not np.array_equal(x, at, equal_nan=True):
        return False
    both = np.isfinite(y) & np.isfinite(height)
    alike = np.array_equal(np.isfinite(y), np.isfinite(height))
    return bool(alike and both.any() and np.abs(y[both] - height[both]).max() <= near)


def _numbers(line: Line) -> tuple[Floats, Floats]:
    return np.asarray(line.x, np.float64), np.asarray(line.y, np.float64)


def _done(values: Floats, log: bool) -> Floats:
    if not log:
        return values
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(values > 0, np.log10(np.where(values > 0, values, 1.0)), np.nan)


def _undone(value: float, log: bool) -> float:
    return 10.0**value if log else value


def _at(places: Floats, x: Floats, y: Floats) -> Floats:
    """`y` at exactly these places, NaN elsewhere."""
    found = np.full(len(places), np.nan)
    for place, value in zip(x, y, strict=True):
        found[places == place] = value
    return found


def _span(values: Floats, room: float) -> tuple[float, float]:
    """From the least to the greatest, with some room on both sides."""
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if high - low < _NARROW * max(abs(low), abs(high)):
        room, spread = 1.0, 0.05 * max(abs(low), abs(high)) or 0.5
    else:
        spread = high - low
    return low - room * spread, high + room * spread
