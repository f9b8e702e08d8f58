"""The loss over training: raw band, debiased mean, runs and their branches, marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QFontMetricsF
from PySide6.QtWidgets import QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.plots.base import BasePlot
from diffusion_studio.widgets.plots.canvas import Reading
from diffusion_studio.widgets.plots.legend import LINE, LegendEntry, Mark, Words, head_room, placed, rows_in
from diffusion_studio.widgets.plots.math import Floats, band, debiased_average, thin, tick_text
from diffusion_studio.widgets.plots.table import Table

MOST_RUNS = 4
LOSS = tr("Loss ‖ε − ε̂‖²")
_NEAR = 6  # pixels between the pointer and a mark that it reads
PART = 12  # the running average looks back over one part in so many of the steps before
RUN_LOOKS = (
    ("eps", Qt.PenStyle.SolidLine),
    ("sky", Qt.PenStyle.DashLine),
    ("guidance", Qt.PenStyle.DotLine),
    ("x0", Qt.PenStyle.DashDotLine),
)


@dataclass(frozen=True, eq=False)
class RunCurve:
    """The losses of one run: `steps` and `raw`, both (N,).

    `segments` holds the index at which each branch begins; without it, a branch begins wherever the
    steps go back, as they do after resuming from an older checkpoint.
    """

    name: str
    steps: ArrayLike
    raw: ArrayLike
    segments: tuple[int, ...] = ()
    restarts: tuple[float, ...] = ()  # steps after which another loss is measured: the average begins anew


@dataclass(frozen=True, eq=False)
class Branch:
    """A stretch of a run with its average; `left` at the step where a later branch began."""

    steps: Floats
    raw: Floats
    mean: Floats
    abandoned_from: float = np.inf


def branches(run: RunCurve, decay: float) -> list[Branch]:
    """The stretches of `run`; the average of each goes on from those steps that led to it."""
    steps, raw = np.asarray(run.steps, np.float64), np.asarray(run.raw, np.float64)
    starts = sorted({0, *(run.segments or (np.flatnonzero(np.diff(steps) < 0) + 1).tolist())})
    found: list[Branch] = []
    past = np.empty(0, dtype=np.int64)
    ends = [*starts[1:], len(steps)]
    for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if start >= end:
            continue
        past = past[steps[past] < steps[start]]
        line = np.concatenate([past, np.arange(start, end)])
        mean = _averages(steps[line], raw[line], decay, run.restarts)[len(past) :]
        left = steps[ends[k]] if ends[k] < len(steps) else np.inf
        found.append(Branch(steps[start:end], raw[start:end], mean, float(left)))
        past = line
    return found


def _averages(steps: Floats, raw: Floats, decay: float, restarts: Sequence[float]) -> Floats:
    """The running average of each stretch between restarts. (N,)

    It looks back over 1 / (1 − decay) steps, but over a twelfth of those before at most: in the first steps,
    where a loss falls fastest, a longer memory would draw the line above the band.
    """
    cuts = np.searchsorted(steps, sorted(restarts), side="right")
    parts = [part for part in np.split(raw, cuts) if len(part)]
    return np.concatenate([debiased_average(part, decay, PART) for part in parts])


class LossPlot(BasePlot):
    """Up to four runs over each other, on a logarithmic axis where all losses are positive."""

    def __init__(
        self,
        title: str = LOSS,
        decay: float = 0.98,
        max_hz: float = 10.0,
        parent: QWidget | None = None,
    ) -> None:
        self._title, self._decay = title, decay
        self._runs: tuple[RunCurve, ...] = ()
        self._known: dict[RunCurve, list[Branch]] = {}
        self._marks: tuple[Mark, ...] = ()
        super().__init__(tr("Loss over the steps of training"), max_hz, parent)
        self.canvas.bottom.set_ends(tr("step {}"), "{}")
        self.canvas.bottom.whole = True
        self.canvas.view.sigResized.connect(self._fit_marks)

    def set_runs(self, runs: Sequence[RunCurve]) -> None:
        """Show these runs, at most four of them."""
        if len(runs) > MOST_RUNS:
            raise ValueError(f"At most {MOST_RUNS} runs fit over each other.")
        self._runs = tuple(runs)
        self._changed()

    def set_marks(self, marks: Sequence[Mark]) -> None:
        """Draw these vertical lines."""
        self._marks = tuple(marks)
        self._changed()

    def _fit_marks(self) -> None:
        """Their words have another room."""
        if self._marks:
            self._changed()

    def set_title(self, title: str) -> None:
        self._title = title
        self._changed()

    @property
    def _branches(self) -> list[list[Branch]]:
        """The branches of each run, computed once per run and only when asked for."""
        self._known = {run: self._known.get(run) or branches(run, self._decay) for run in self._runs}
        return list(self._known.values())

    @property
    def log(self) -> bool:
        """Whether all finite losses are positive, so that the axis can be logarithmic."""
        return all(not (b.raw <= 0).any() for b in self._all())

    def describe(self) -> str:
        sentences = [
            self._describe(run, found) for run, found in zip(self._runs, self._branches, strict=True)
        ]
        return " ".join(s for s in sentences if s) or tr("No losses yet.")

    def _describe(self, run: RunCurve, found: list[Branch]) -> str:
        known = [b for b in found if np.isfinite(b.mean).any()]
        if not known:
            return ""
        first, last = (b.mean[np.isfinite(b.mean)][i] for b, i in ((known[0], 0), (known[-1], -1)))
        who = tr("Loss of {run}", run=run.name) if len(self._runs) > 1 else tr("Loss")
        start, end = (tick_text(float(v)) for v in (known[0].steps[0], known[-1].steps[-1]))
        return _course(loss=who, first=first, start=start, last=last, end=end)

    def as_table(self) -> Table:
        rows: list[tuple[object, ...]] = []
        for run, found in zip(self._runs, self._branches, strict=True):
            for branch in found:
                columns = (branch.steps.tolist(), branch.raw.tolist(), branch.mean.tolist())
                rows += [(run.name, int(s), r, m) for s, r, m in zip(*columns, strict=True)]
        return [tr("run"), tr("step"), tr("loss"), tr("debiased mean")], rows

    def _entries(self) -> list[LegendEntry]:
        entries = [LegendEntry(self._title), LegendEntry(tr("band = raw, line = debiased mean"), "muted")]
        if len(self._runs) > 1:
            looks = zip(self._runs, RUN_LOOKS, strict=False)
            entries += [LegendEntry(run.name, key, dash, True) for run, (key, dash) in looks]
        return entries

    def _is_empty(self) -> bool:
        return not any(np.isfinite(branch.raw).any() for branch in self._all())

    def _all(self) -> list[Branch]:
        return [branch for found in self._branches for branch in found]

    # drawing

    def _draw(self) -> None:
        self.canvas.left.set_log(self.log)
        ends = [(b.steps[0], b.steps[-1]) for b in self._all()]
        span = (min(e[0] for e in ends), max(e[1] for e in ends)) if ends else (0.0, 1.0)
        shown = self._shown(span)
        reach: list[Floats] = []
        for i, found in enumerate(self._branches):
            for k, branch in enumerate(found):
                reach += self._draw_branch(f"{i}.{k}", branch, RUN_LOOKS[i], shown)
        values = np.concatenate(reach) if reach else np.empty(0)
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if len(values) else (-1.0, 0.0)
        room = 0.06 * (high - low) or 0.3
        words = self._words_of_marks(shown)
        free = head_room(words, self.canvas.view.height())
        low, high = low - room, high + room
        self._set_range(span, (low, high + (high - low) * free / (1 - free)))
        self._draw_marks(words)

    def _shown(self, span: tuple[float, float]) -> tuple[float, float]:
        if not self._zoomed:
            return span
        low, high = self.canvas.view.viewRange()[0]
        return low, high

    def _draw_branch(
        self, key: str, branch: Branch, look: tuple[str, Qt.PenStyle], shown: tuple[float, float]
    ) -> list[Floats]:
        first, last = np.searchsorted(branch.steps, shown, side="left")
        cut = slice(max(int(first) - 1, 0), int(last) + 1)
        steps, raw, mean = branch.steps[cut], self._y(branch.raw[cut]), self._y(branch.mean[cut])
        faded = 0.45 if np.isfinite(branch.abandoned_from) else 1.0
        edges, low, high = band(steps, raw, min(self._pixels() // 3, max(len(steps) // 6, 1)))
        known = np.isfinite(low)
        if len(steps) > 1:
            outline_x = np.repeat(edges, 2)[1:-1]
            top, bottom = (np.repeat(np.where(known, v, self._fill(mean)), 2) for v in (high, low))
            outline = np.concatenate([outline_x, outline_x[::-1]]), np.concatenate([top, bottom[::-1]])
            self._area(f"band {key}", *outline, look[0], (0.20 if len(self._runs) == 1 else 0.13) * faded)
        few = thin(len(steps), 2 * self._pixels())
        self._curve(f"mean {key}", steps[few], mean[few], look[0], look[1], faded, z=5)
        return [low[known], high[known]]

    def _y(self, values: Floats) -> Floats:
        if not self.log:
            return values
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log10(values)

    def _fill(self, mean: Floats) -> float:
        finite = mean[np.isfinite(mean)]
        return float(finite[-1]) if len(finite) else 0.0

    def _words_of_marks(self, shown: tuple[float, float]) -> list[Words]:
        """What is written beside the marks, in the room there is."""
        view, (left, right) = self.canvas.view, shown
        scale = view.width() / max(right - left, 1e-9)
        marks = [((mark.step - left) * scale, mark.text) for mark in self._marks]
        return placed(marks, view.width(), rows_in(view.height()), QFontMetricsF(self._mark_font()))

    def _mark_font(self) -> QFont:
        font: QFont = self.canvas.bottom.style["tickFont"]
        return font

    def _draw_marks(self, words: Sequence[Words]) -> None:
        low, high = self.canvas.view.viewRange()[1]
        line_height = LINE * (high - low) / max(self.canvas.view.height(), 1.0)
        for i, (mark, beside) in enumerate(zip(self._marks, words, strict=True)):
            line = self._item(f"mark {i}", pg.InfiniteLine)
            line.setPos(mark.step)
            line.setPen(pg.mkPen(self._color("muted", 0.7), width=1, style=Qt.PenStyle.DotLine))
            text = self._item(f"mark text {i}", pg.TextItem)
            text.setFont(self._mark_font())
            text.fill = pg.mkBrush(self._color("card", 0.85))  # over the line of another mark
            text.setZValue(9)
            text.setText(beside.text, color=self._color("muted"))
            text.setAnchor((1 if beside.before else 0, 0))
            text.setPos(mark.step, high - (beside.row or 0) * line_height)
            text.setVisible(beside.row is not None)

    def _reading_at(self, x: float) -> Reading | None:
        words: list[str] = []
        dots: list[tuple[float, str]] = []
        step = x
        for run, found, (key, _) in zip(self._runs, self._branches, RUN_LOOKS, strict=False):
            live = [b for b in found if len(b.steps) and b.steps[0] <= x < b.abandoned_from] or found[-1:]
            if not live or (len(self._runs) > 1 and x > live[-1].steps[-1]):
                continue
            branch = live[-1]
            i = int(np.abs(branch.steps - x).argmin())
            step = float(branch.steps[i])
            name = f"{run.name}  " if len(self._runs) > 1 else ""
            told = tr("{mean:.3g}  (raw {raw:.3g})", mean=branch.mean[i], raw=branch.raw[i])
            words.append(f"{name}{told}")
            if np.isfinite(y := float(self._y(branch.mean[i : i + 1])[0])):
                dots.append((y, key))
        place = tr("step {step}", step=tick_text(step))
        return Reading(step, "\n".join([place, *words, *self._marked_at(x)]), tuple(dots)) if words else None

    def _marked_at(self, x: float) -> list[str]:
        """The words of the marks under the pointer: those that had no room are read there."""
        left, right = self.canvas.view.viewRange()[0]
        near = _NEAR * (right - left) / max(self.canvas.view.width(), 1.0)
        return [mark.text for mark in self._marks if mark.text and abs(mark.step - x) <= near]


def _course(first: float, last: float, **said: str) -> str:
    """How a loss went, in a sentence."""
    values = {"first": first, "last": last, **said}
    if last < first:
        return tr("{loss} falls from {first:.3g} at step {start} to {last:.3g} at step {end}.", **values)
    if last > first:
        return tr("{loss} rises from {first:.3g} at step {start} to {last:.3g} at step {end}.", **values)
    return tr("{loss} stays from {first:.3g} at step {start} to {last:.3g} at step {end}.", **values)
