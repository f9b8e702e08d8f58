"""Where the loss comes from: the error of each time t, and whatever else depends on t."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from diffusion_studio.core.words import number, tr
from diffusion_studio.widgets.plots.base import BasePlot
from diffusion_studio.widgets.plots.canvas import Reading
from diffusion_studio.widgets.plots.legend import LegendEntry
from diffusion_studio.widgets.plots.math import Floats, power_text, tick_text
from diffusion_studio.widgets.plots.table import Table

Axis = Literal["t", "step", "log_snr"]
_APART = 4  # pixels of a bar from which a gap can be seen beside it
_DECADES = 4.0  # a logarithmic axis shows at most so much below the greatest value
_ENDS = {
    "t": (tr("t = {} image"), tr("{} noise")),
    "log_snr": (tr("image  log SNR {}"), tr("{} noise")),
    "step": (tr("step {} noise"), tr("{} image")),
}
BY_TIMESTEP, ERROR = tr("By timestep"), tr("error")


@dataclass(frozen=True, eq=False)
class Overlay:
    """Another quantity over t, scaled to the height of the plot: a weight, a density, a share."""

    values: ArrayLike  # (N,), at the times of the data
    color_key: str
    bars: bool = False
    dashed: bool = False
    height: float = 1.0  # of the plot, that the greatest value reaches

    @property
    def peak(self) -> str:
        """Its greatest value in words: the axis of the plot is that of the error."""
        values = np.asarray(self.values, np.float64)
        finite = values[np.isfinite(values)]
        return tr(" (largest {peak})", peak=power_text(float(finite.max()))) if len(finite) else ""


@dataclass(frozen=True, eq=False)
class Compared:
    """Another run, or an earlier moment, laid over the plot: its error, and its share of the loss."""

    name: str
    t: ArrayLike  # (M,)
    total: int  # its T
    error: ArrayLike  # (M,)
    share: ArrayLike | None = None  # (M,), sums to 1
    log_snr: ArrayLike | None = None  # (M,)


def finite_axis(x: Floats) -> Floats:
    """`x` with its infinite ends one mean step beyond the last finite value (log SNR at t = 0)."""
    finite = np.isfinite(x)
    if finite.all() or finite.sum() < 2:
        return np.where(finite, x, 0.0)
    known = x[finite]
    step = (known.max() - known.min()) / (len(known) - 1)
    return np.where(finite, x, np.where(x > 0, known.max() + step, known.min() - step))


class TimestepPlot(BasePlot):
    """The measured error per t, dashed as all that is learned; times that were not drawn are gaps."""

    def __init__(
        self,
        title: str = BY_TIMESTEP,
        name: str = ERROR,
        parent: QWidget | None = None,
    ) -> None:
        self._title, self._name = title, name
        self._t = self._error = self._count = np.empty(0)
        self._low: Floats | None = None
        self._high: Floats | None = None
        self._overlays: dict[str, Overlay] = {}
        self._compared: Compared | None = None
        self._log = False
        self._axis: Axis = "t"
        self._log_snr: Floats | None = None
        super().__init__(tr("Error by timestep"), parent=parent)

    def set_data(
        self, t: ArrayLike, error: ArrayLike, count: ArrayLike,
        low: ArrayLike | None = None, high: ArrayLike | None = None,
    ) -> None:  # fmt: skip
        """Show `error` (N,) at times `t` (N,), increasing; `count` 0 is a gap; `low`, `high` its spread."""
        self._t, self._error, self._count = (np.asarray(v, np.float64) for v in (t, error, count))
        self._low, self._high = (None if v is None else np.asarray(v, np.float64) for v in (low, high))
        self._changed()

    def set_overlays(self, overlays: Mapping[str, Overlay]) -> None:
        """Show these over the same times, each scaled so that its greatest value reaches the top."""
        self._overlays = dict(overlays)
        self._changed()

    def set_compared(self, compared: Compared | None) -> None:
        """Lay another run or moment over the plot, dotted; None takes it away."""
        self._compared = compared
        self._changed()

    def set_log(self, log: bool) -> None:
        """Whether heights are logarithmic."""
        self._log = log
        self._changed()

    def set_name(self, name: str) -> None:
        """What the error is called: ‖ε − ε̂‖² or another loss of it."""
        if name != self._name:
            self._name = name
            self._changed()

    def set_axis(self, axis: Axis, log_snr: ArrayLike | None = None) -> None:
        """Use t, the reverse step or log SNR as the axis; `log_snr` (N,) belongs to the times of the data."""
        self._axis = axis
        if log_snr is not None:
            self._log_snr = np.asarray(log_snr, np.float64)
        self._changed()

    def describe(self) -> str:
        error = self._measured()
        known = np.flatnonzero(np.isfinite(error))
        if not len(known):
            return tr("No error measured yet.")
        first, last = known[0], known[-1]
        worst = known[int(np.argmax(error[known]))]
        return tr(
            "The {error} is {first:.3g} at t = {begin:g} and {last:.3g} at t = {end:g}; "
            "it is greatest, {most:.3g}, at t = {worst:g}.",
            error=self._name, first=error[first], begin=self._t[first], last=error[last], end=self._t[last],
            most=error[worst], worst=self._t[worst],
        )  # fmt: skip

    def as_table(self) -> Table:
        headers, columns = ["t", self._name, tr("count")], [self._t, self._measured(), self._count]
        if self._log_snr is not None and len(self._log_snr) == len(self._t):
            headers, columns = [*headers, "log SNR"], [*columns, self._log_snr]
        if self._low is not None and self._high is not None:
            headers, columns = [*headers, tr("low"), tr("high")], [*columns, self._low, self._high]
        for name, overlay in self._overlays.items():
            headers, columns = [*headers, name], [*columns, np.asarray(overlay.values, np.float64)]
        return headers, list(zip(*(column.tolist() for column in columns), strict=True))

    def _entries(self) -> list[LegendEntry]:
        dash = Qt.PenStyle.DashLine
        entries = [LegendEntry(self._title), LegendEntry(self._name, "eps", dash, True)]
        for name, overlay in self._overlays.items():
            style = dash if overlay.dashed else Qt.PenStyle.SolidLine
            entries.append(LegendEntry(name + overlay.peak, overlay.color_key, style, True, overlay.bars))
        if self._compared is not None:
            entries.append(LegendEntry(self._compared.name, "muted", Qt.PenStyle.DotLine, True))
        return entries

    def _is_empty(self) -> bool:
        return not np.isfinite(self._measured()).any()

    def _measured(self) -> Floats:
        return np.where(self._count > 0, self._error, np.nan)

    def _x(self) -> Floats:
        if self._axis == "log_snr" and self._log_snr is not None and len(self._log_snr) == len(self._t):
            return finite_axis(self._log_snr)
        return self._total() - self._t + 1 if self._axis == "step" else self._t

    def _total(self) -> float:
        """T, from bins of equal width around the times."""
        return _span(self._t, whole=True)[1]

    def _compared_x(self, compared: Compared) -> Floats | None:
        """Where the other run's values stand; its times are stretched to this T."""
        t = np.asarray(compared.t, np.float64)
        if self._axis == "log_snr":
            return None if compared.log_snr is None else finite_axis(np.asarray(compared.log_snr, np.float64))
        here = t * self._total() / compared.total
        return self._total() - here + 1 if self._axis == "step" else here

    # drawing

    def _draw(self) -> None:
        x, error = self._x(), self._measured()
        by_snr = self._axis == "log_snr" and self._log_snr is not None
        self.canvas.view.invertX(by_snr)  # the image stays on the left
        self.canvas.left.set_log(self._log)
        ends = "step" if self._axis == "step" else "log_snr" if by_snr else "t"
        self.canvas.bottom.set_ends(*_ENDS[ends])
        top = self._top(error)
        low = self._low_end(error, top)
        for name, overlay in self._overlays.items():
            self._draw_overlay(name, overlay, x, top, low)
        if self._compared is not None:
            self._draw_compared(self._compared, top, low)
        if self._low is not None and self._high is not None and len(x) > 1:
            known = np.isfinite(error) & np.isfinite(self._low) & np.isfinite(self._high)
            outline = np.concatenate([x[known], x[known][::-1]])
            edge = np.concatenate([self._high[known], self._low[known][::-1]])
            self._area("spread", outline, self._y(edge, low), "eps", 0.25)
        self._curve("error", x, self._y(error, low), "eps", Qt.PenStyle.DashLine, z=5)
        heights = (math.log10(low), math.log10(top) + 0.05) if self._log else (0.0, top * 1.05)
        self._set_range(_span(x, whole=not by_snr), heights)

    def _y(self, values: Floats, low: float) -> Floats:
        """Heights on the canvas; on a logarithmic one nothing lies below `low`."""
        if not self._log:
            return values
        with np.errstate(invalid="ignore"):
            return np.log10(np.maximum(values, low))

    def _low_end(self, error: Floats, top: float) -> float:
        """The lower end of a logarithmic axis: below every error, two decades at least, four at most."""
        known = error[np.isfinite(error) & (error > 0)]
        lowest = float(known.min()) / 1.5 if len(known) else top / 10
        return max(min(lowest, top / 100), top / 10**_DECADES)

    def _top(self, error: Floats) -> float:
        values = error if self._high is None else np.concatenate([error, self._high])
        values = values[np.isfinite(values)]
        return float(values.max()) if len(values) and values.max() > 0 else 1.0

    def _draw_compared(self, other: Compared, top: float, low: float) -> None:
        x, dots = self._compared_x(other), Qt.PenStyle.DotLine
        if x is None:
            return
        error = np.asarray(other.error, np.float64)
        self._curve("compared error", x, self._y(np.minimum(error, 1.05 * top), low), "eps", dots, z=3)
        shares = [np.asarray(o.values, np.float64) for o in self._overlays.values() if o.bars]
        if other.share is None or not shares:
            return
        share, here = np.asarray(other.share, np.float64), np.nanmax(shares[0], initial=0.0)
        bins = len(share) / max(len(self._t), 1)  # bins of another width hold another share
        if here > 0:
            self._curve("compared share", x, self._y(share * bins / here * top, low), "sky", dots, z=3)

    def _draw_overlay(self, name: str, overlay: Overlay, x: Floats, top: float, low: float) -> None:
        values = np.asarray(overlay.values, np.float64)
        finite = values[np.isfinite(values)]
        if len(values) != len(x) or not len(finite) or finite.max() <= 0:
            return
        y = values / finite.max() * top * overlay.height
        if overlay.bars and len(x) > 1:
            heights = self._y(np.nan_to_num(y, posinf=0.0, neginf=0.0), low)
            floor = math.log10(low) if self._log else 0.0
            gaps = self._pixels() / len(x) >= _APART
            self._area(f"bars {name}", *_bars(x, heights, floor, gaps), overlay.color_key, 0.30, -8)
        else:
            dash = Qt.PenStyle.DashLine if overlay.dashed else Qt.PenStyle.SolidLine
            self._curve(f"line {name}", x, self._y(y, low), overlay.color_key, dash, z=2)

    def _reading_at(self, x: float) -> Reading | None:
        if not len(self._t):
            return None
        places, error = self._x(), self._measured()
        i = int(np.abs(places - x).argmin())
        value = tick_text(float(error[i])) if np.isfinite(error[i]) else tr("not drawn yet")
        band = "" if self._high is None else f" ± {tick_text(float(self._high[i] - error[i]))}"
        words = [self._where(i), f"{self._name} {value}{band if np.isfinite(error[i]) else ''}"]
        words.append(tr("count {count}", count=tick_text(float(self._count[i]))))
        for name, overlay in self._overlays.items():
            values = np.asarray(overlay.values, np.float64)
            if i < len(values):
                words.append(f"{name} {tick_text(float(values[i]))}")
        words += self._compared_words(float(places[i]))
        height = float(self._y(error[i : i + 1], self._low_end(error, self._top(error)))[0])
        dots = ((height, "eps"),) if np.isfinite(height) else ()
        return Reading(float(places[i]), "\n".join(words), dots)

    def _where(self, i: int) -> str:
        words = f"t = {number(self._t[i], 'g')}"
        if self._log_snr is not None and len(self._log_snr) == len(self._t):
            words += f"   log SNR {tick_text(float(self._log_snr[i]))}"
        return words

    def _compared_words(self, x: float) -> list[str]:
        """What the other run measured at this place."""
        other = self._compared
        places = None if other is None else self._compared_x(other)
        if other is None or places is None or not len(places):
            return []
        i = int(np.abs(places - x).argmin())
        return [f"{other.name}: {self._name} {tick_text(float(np.asarray(other.error, np.float64)[i]))}"]


def _span(x: Floats, whole: bool) -> tuple[float, float]:
    """The range of the axis; of whole times, with the halves of the first and last bin."""
    if not len(x):
        return 1.0, 1000.0
    low, high = float(x.min()), float(x.max())
    half = (high - low) / max(len(x) - 1, 1) / 2
    return (math.ceil(low - half), math.floor(high + half)) if whole else (low, high)


def _bars(x: Floats, y: Floats, floor: float = 0.0, gaps: bool = True) -> tuple[Floats, Floats]:
    """The outline of bars around each x; with `gaps` of a fifth between them, or as one outline of steps."""
    middle = (x[1:] + x[:-1]) / 2
    edges = np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])
    widths = np.diff(edges)
    even = np.abs(widths).max() < 2 * np.abs(widths).min()  # or the gaps between the narrow ones flicker
    gap = 0.1 * widths if gaps and even else np.zeros(len(x))
    left, right = edges[:-1] + gap, edges[1:] - gap
    outline_x = np.stack([left, left, right, right], axis=1).ravel()
    ground = np.full_like(y, floor)
    outline_y = np.stack([ground, y, y, ground], axis=1).ravel()
    return outline_x, outline_y
