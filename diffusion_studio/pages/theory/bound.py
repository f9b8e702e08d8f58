"""The measured bound of a run: every term over t, the three sums, and both decompositions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QStackedWidget, QVBoxLayout, QWidget

from diffusion_studio.core.words import number, plural, tr
from diffusion_studio.engine.evaluation.measured_bound import VARIANCES
from diffusion_studio.engine.evaluation.yardsticks import RAW, Yardsticks
from diffusion_studio.viewmodels.theory.exact_bound import EXACT, NAME
from diffusion_studio.viewmodels.theory.model import TheoryState
from diffusion_studio.widgets.chain.measure_row import MeasureRow
from diffusion_studio.widgets.equations.equation import EquationView
from diffusion_studio.widgets.forms.controls import QuietCombo
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.frame.empty import EmptyState
from diffusion_studio.widgets.look.theme import Role, label, tabular
from diffusion_studio.widgets.plots import Line, XYPlot

BOUND = (
    r"-\log p(x_0) \leq L_0 + \sum_{t=2}^{T} L_{t-1} + L_T",
    r"\sum \mathbb{E}\,\ln\frac{q(x_t|x_{t-1})}{p(x_t|x_{t+1})}",
)

_VARIANCES = VARIANCES | {"learned": tr("learned")}
_HEADS = ("", tr("bound"), tr("one draw scatters by"))
_NO_RUN = (
    tr("No run yet"),
    tr(
        "Train a model, and this page tells how many bits a pixel costs under it. Or begin with the exact "
        "denoiser of the built-in digits, under the schedule that is chosen under Schedules."
    ),
    tr("Measure the bound"),
)
_NOT_MEASURED = (
    tr("Not measured yet"),
    tr(
        "How many bits does a pixel cost under this model? Every image is sent through every timestep, and "
        "the terms of the bound are summed."
    ),
    tr("Measure the bound"),
)
_BEING_MEASURED = (
    tr("Being measured"),
    tr(
        "Every image is sent through every timestep. The terms of the bound appear here when all are known; "
        "how far it has come stands above, and Stop ends it."
    ),
)


_VIEWS = (
    ("terms", tr("Terms"), tr("Every term of the bound, over t")),
    ("steps", tr("Fewer steps"), tr("What fewer steps cost in bits: the bound of shorter chains")),
)
_CHAINS = (
    ("weight", Qt.PenStyle.SolidLine), ("x0", Qt.PenStyle.DashLine), ("eps", Qt.PenStyle.DotLine),
    ("score", Qt.PenStyle.DashDotLine),
)  # fmt: skip


_RULES = {
    "η = 1, σ² the best": tr("η = 1, σ² the best"), "η = ½, σ² the best": tr("η = ½, σ² the best"),
}  # fmt: skip
"""What an evaluation calls its chains, in the language of the window; the others are formulas."""


class RunChoice(QuietCombo):
    """The runs, newest first."""

    run_chosen = Signal(str)

    def __init__(self, what: str, *more: tuple[str, str]) -> None:
        super().__init__()
        self._more = more  # (key, name) of what is no run and stands below them
        self.setAccessibleName(what)
        self._runs: tuple[tuple[str, str], ...] = ()
        self._fill()
        self.activated.connect(lambda i: self.run_chosen.emit(str(self.itemData(i))))

    def show_state(self, state: TheoryState) -> None:
        if state.runs != self._runs:
            self._runs = state.runs
            self.clear()
            self._fill()
        self.setCurrentIndex(self.findData(state.run))
        self.setEnabled(state.phase == "idle" and self.count() > 0)

    def _fill(self) -> None:
        for path, name in (*self._runs, *self._more):
            self.addItem(name, path)


class LearnedView(QWidget):
    """Which run's learned schedule stands among the others."""

    run_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        self.runs = RunChoice(tr("Run whose learned schedule is drawn"))
        self.runs.run_chosen.connect(self.run_chosen)
        self.words = label("", "muted")
        self.words.setWordWrap(True)
        for widget in (label(tr("Learned by a run"), "section"), self.runs, self.words):
            column.addWidget(widget)

    def show_state(self, state: TheoryState) -> None:
        self.runs.show_state(state)
        self.runs.setVisible(bool(state.runs))
        self.words.setText(_learned_words(state))


def _learned_words(state: TheoryState) -> str:
    learned = state.learned
    if learned is None:
        return tr("Train with the schedule “learned” to see its ω(t), dashed, among the others.")
    own, asked = learned.tables.steps, state.spec.steps
    cut = "" if own == asked else tr(", cut into {steps:,} steps", steps=asked)
    return tr(
        "ω(t) at step {step:,}, T = {own:,}{cut}: the dashed line.", step=learned.step, own=own, cut=cut
    )


class BoundView(QWidget):
    """What `evaluate` found about a run, and the button that asks for it."""

    run_chosen = Signal(str)
    measure_requested = Signal()
    stop_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        self.runs = RunChoice(tr("Run whose bound is shown"), (EXACT, NAME))
        self.runs.setMinimumWidth(220)
        self.runs.run_chosen.connect(self.run_chosen)
        self.head = MeasureRow(tr("Send held-out images through every timestep and sum the terms"), self.runs)
        self.head.measure_requested.connect(self.measure_requested)
        self.head.stop_requested.connect(self.stop_requested)
        column.addWidget(self.head)
        self.plot = XYPlot(tr("Terms of the bound over t"))
        self.plot.set_axes("t", tr("bits per dimension and step"), x_log=True, y_log=True)
        self.empty = EmptyState()
        self.empty.primary_requested.connect(self.measure_requested)
        self.costs = XYPlot(tr("The bound by the number of steps"))
        self.costs.set_axes("S", tr("bits per dimension"), x_log=True)
        self.views = Segmented(tr("What is drawn of the bound"))
        self.views.set_options(_VIEWS)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.plot)
        self.stack.addWidget(self.costs)
        self.views.changed.connect(self.show_view)
        self.show_view("terms")
        self.card = Card()
        self.card.body.addWidget(self.views, 0, Qt.AlignmentFlag.AlignLeft)
        self.card.body.addWidget(self.stack)
        column.addWidget(self.empty, 1)
        column.addWidget(self.card, 1)
        self.sums = Card(tr("In bits per dimension"))
        self._grid, self._rows = QGridLayout(), 0
        self._grid.setHorizontalSpacing(24)
        self._grid.setColumnStretch(2, 1)
        self._grid.setVerticalSpacing(4)
        self.sums.body.addLayout(self._grid)
        column.addWidget(self.sums)

    def minimumSizeHint(self) -> QSize:
        """The numbers below the plot need as many lines as the width makes of them."""
        hint = super().minimumSizeHint()
        if self.sums.isHidden():
            return hint
        return hint.expandedTo(QSize(0, self.heightForWidth(self.width())))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.updateGeometry()

    def show_view(self, view: str) -> None:
        """Draws the terms over t, or what fewer steps cost."""
        self.views.set_value(view)
        self.stack.setCurrentWidget(self.costs if view == "steps" else self.plot)

    def show_state(self, state: TheoryState) -> None:
        """Shows the state; the curves only where they changed."""
        self.runs.show_state(state)
        busy = state.phase != "idle"
        words = _BEING_MEASURED if busy else _NOT_MEASURED if state.runs else _NO_RUN
        self.empty.set_content("pages/theory/icon", *words)
        self.head.show_progress(
            busy, state.fraction, state.detail, can_measure=bool(state.run), can_stop=state.phase == "running"
        )
        measured = (state.evaluation or {}).get("elbo") is not None
        self.head.button.setVisible(measured and not busy)  # else the button below is enough

    def show_evaluation(self, evaluation: Mapping[str, Any] | None) -> None:
        """Draws the terms, and the sums below them."""
        elbo = (evaluation or {}).get("elbo")
        self.sums.setVisible(elbo is not None)
        self.card.setVisible(elbo is not None)
        self.empty.setVisible(elbo is None)
        if elbo is None or evaluation is None:
            self.plot.set_lines({})
            self.costs.set_lines({})
            return
        terms = np.asarray(elbo["terms"], np.float64)
        error = np.asarray(elbo["term_errors"], np.float64)
        t = np.arange(1, len(terms) + 1, dtype=np.float64)
        learned = evaluation.get("run") != NAME
        dash = Qt.PenStyle.DashLine if learned else Qt.PenStyle.SolidLine
        lines = {tr("term of the step t → t−1"): Line(t, terms, "weight", dash)}
        if np.isfinite(error).all():
            dots = Qt.PenStyle.DotLine
            lines[tr("+ 2 standard errors")] = Line(t, terms + 2 * error, "muted", dots)
            lines[tr("− 2 standard errors")] = Line(t, np.maximum(terms - 2 * error, 1e-9), "muted", dots)
        self.plot.set_lines(lines)
        self.costs.set_lines(_cost_lines(elbo.get("chains") or ()))
        self._show_sums(evaluation, elbo)

    def _show_sums(self, evaluation: Mapping[str, Any], elbo: Mapping[str, Any]) -> None:
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.deleteLater()
        self.sums.set_title(tr("In bits per dimension"), _measured_on(evaluation, elbo))
        one = _with(elbo["total"], elbo["total_error"]), _number(elbo["draw_spread"])
        two = _with(elbo["chain_total"], elbo["chain_error"]), _number(elbo["chain_draw_spread"])
        self._rows = 0
        self._add_row(_HEADS, "muted")
        self._add_row((tr("Luo eq. 58: three terms"), *one), latex=BOUND[0])
        self._add_row((tr("Luo eq. 44: triples"), *two), latex=BOUND[1])
        beside, flow = evaluation.get("yardsticks"), evaluation.get("flow")
        self._add_line(_parts(elbo))
        self._add_line([] if flow is None else _flow(flow))
        self._add_line([] if beside is None else _yardsticks(beside))

    def _add_row(self, cells: tuple[str, ...], role: Role | None = None, latex: str = "") -> None:
        """Numbers beside what they are, and below them the formula that says how."""
        for column, text in enumerate(cells):
            cell = label(text, role)
            cell.setFont(tabular(cell.font()))
            self._grid.addWidget(cell, self._rows, column)
        self._rows += 1
        if latex:
            view = EquationView()
            view.set_equation(latex)
            self._add_over_all(view)

    def _add_line(self, parts: list[str]) -> None:
        """Words over the whole width, in as many lines as they take; nothing where there are none."""
        if not parts:
            return
        cell = label("\u00a0\u00a0·  ".join(part.replace(" ", "\u00a0") for part in parts))
        cell.setFont(tabular(cell.font()))
        cell.setWordWrap(True)
        self._add_over_all(cell)

    def _add_over_all(self, widget: QWidget) -> None:
        self._grid.addWidget(widget, self._rows, 0, 1, len(_HEADS))
        self._rows += 1


def _cost_lines(chains: Sequence[Mapping[str, Any]]) -> dict[str, Line]:
    """The bound by S, one line for each kind of chain."""
    looks = itertools.cycle(_CHAINS)
    lines = {}
    for cost, look in zip(chains, looks, strict=False):
        name = _RULES.get(cost["rule"], cost["rule"])
        lines[name] = Line(np.asarray(cost["steps"], np.float64), np.asarray(cost["bits"]), *look)
    return lines


def _measured_on(evaluation: Mapping[str, Any], elbo: Mapping[str, Any]) -> str:
    """The images, and how often each was drawn from."""
    n, held_out = elbo["images"], evaluation.get("held_out")
    held = plural("{n} held-out image", "{n} held-out images", n)
    images = held if held_out else plural("{n} training image", "{n} training images", n)
    step = (
        "" if evaluation.get("run") == NAME else tr("step {step:,}", step=evaluation.get("step", 0)) + " · "
    )
    draws = plural("{n} draw", "{n} draws", elbo["draws"])
    told = tr(", class told") if elbo.get("conditional") else ""
    return f"{step}{images}, {draws}{told} · σ² = {_VARIANCES[elbo['variance']]}"


def _parts(elbo: Mapping[str, Any]) -> list[str]:
    """What the bound is the sum of, and the other one."""
    return [
        tr("reconstruction L₀ {bits}", bits=_number(elbo["reconstruction"])),
        tr("matching Σ L {bits}", bits=_number(elbo["matching"])),
        tr("prior {bits}", bits=_number(elbo["prior"])),
        tr(
            "the bound with σ² = {variance} instead {bits}",
            variance=_VARIANCES[elbo["other_variance"]],
            bits=_number(elbo["other_total"]),
        ),
    ]


def _flow(found: Mapping[str, Any]) -> list[str]:
    """−log p along the probability flow of the same network."""
    bits, count = _with(found["bits"], found["error"]), found["images"]
    size = plural("{n} image", "{n} images", count)
    if found.get("within") is not None:
        size = tr("{images}, within {within:g}", images=size, within=found["within"])
    return [tr("along the flow {bits}", bits=bits), size]


def _yardsticks(found: Mapping[str, Any]) -> list[str]:
    """What the same images cost without a network."""
    y = Yardsticks(**found)
    fit = tr("normal distribution") if y.together else tr("normal distribution of each pixel")
    return [
        tr("Yardsticks: raw bytes {bits:g}", bits=RAW),
        tr("the {n} levels that occur {bits}", n=y.levels, bits=_number(y.raw)),
        tr("histogram of each pixel {bits}", bits=_number(y.histogram)),
        f"{fit} {_number(y.gaussian)}",
    ]


def _number(value: float) -> str:
    return "–" if value is None or not np.isfinite(value) else number(value, ".4f")


def _with(value: float, error: float) -> str:
    return f"{_number(value)} ± {_number(error)}"
