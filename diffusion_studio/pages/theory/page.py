"""The Theory page: schedules and weights side by side, the measured bound, errata, and every equation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QWidget

from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.describe import members
from diffusion_studio.core.objective.weights import Weight
from diffusion_studio.core.process.forward import missed_end
from diffusion_studio.core.process.schedules import Schedule
from diffusion_studio.core.theory.algorithms import ALGORITHMS
from diffusion_studio.core.theory.errata import ERRATA
from diffusion_studio.core.theory.figures import FIGURES
from diffusion_studio.core.theory.identities import IDENTITIES
from diffusion_studio.core.words import number, tr
from diffusion_studio.pages.page import Desk, Page, Workspace, restored_sizes, show_notice
from diffusion_studio.pages.theory.bound import BoundView, LearnedView
from diffusion_studio.pages.theory.figures import FiguresView
from diffusion_studio.pages.theory.identities import IdentitiesView
from diffusion_studio.pages.theory.parts import AlgorithmsView, EquationsView, ErrataView, Scrolled
from diffusion_studio.pages.theory.schedules import SchedulesView
from diffusion_studio.pages.theory.toured import TouredTheory
from diffusion_studio.viewmodels.theory.equations import all_equations
from diffusion_studio.viewmodels.theory.model import (
    NamedCurve,
    TheoryState,
    TheoryViewModel,
    learned_curves,
    schedule_curves,
    weight_curves,
)
from diffusion_studio.viewmodels.tours.theory import CARDS
from diffusion_studio.viewmodels.tours.tour import Tour
from diffusion_studio.widgets.equations.equation import EquationView
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.frame.scrolling import FillColumn
from diffusion_studio.widgets.look.theme import label
from diffusion_studio.widgets.plots import Line, XYPlot

PARTS = (
    ("schedules", tr("Schedules"), tr("Every noise schedule under any process")),
    ("weights", tr("Weights"), tr("Every λ_t on one axis")),
    ("elbo", tr("Bound"), tr("The ELBO of a run, term by term")),
    ("algorithms", tr("Algorithms"), tr("The boxes of the texts")),
    ("figures", tr("Figures"), tr("What the texts draw")),
    ("identities", tr("Identities"), tr("What goes by two names, with the numbers of both")),
    ("errata", tr("Errata"), tr("Where the references err")),
    ("equations", tr("Equations"), tr("All of them, with source and place")),
)
_COLOURS = (
    "sky",
    "guidance",
    "x0",
    "eps",
    "score",
    "text",
    "muted",
    "warning",
    "accent_ink",
    "weight",
    "danger",
)
_WIDE, _THIN = 2.4, 1.2  # of a line, px
_DASHES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)
"""With the colours in turn: no two of the three blues are drawn alike. Dashed is what was learned."""
_PLOTS = (
    ("beta", tr("β_t, added in each step"), True),
    ("alpha_bar", tr("ᾱ_t, signal that is left"), False),
    ("log_snr", "ln SNR(t)", False),
    ("beta_tilde", tr("β̃_t, posterior variance"), True),
    ("signal", tr("a_t, image in x_t = a x₀ + b ε"), False),
    ("noise", tr("b_t, noise in x_t"), True),
)
_SCHEDULE = ["steps", "schedule", "forward", "zero_terminal"]
_SECTIONS = {
    "schedules": ((tr("Schedule"), _SCHEDULE),),
    "weights": ((tr("Weights"), ["error", "axis"]), (tr("Schedule"), _SCHEDULE)),
}


class TheoryPage(Page):
    """The page's widgets, laid out and tied to the view-model."""

    key = "theory"

    def __init__(self, model: TheoryViewModel, parent: QWidget | None = None) -> None:
        super().__init__(model, parent)
        self.model = model
        self._shown: TheoryState | None = None
        self._lists: dict[str, QWidget] = {}
        self._build()
        self._connect()
        self.show_part("schedules")
        self._render(model.state)

    # --- widgets ----------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.workspace = Workspace()
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.workspace)
        self.banner = Banner()
        self.parts = Segmented(tr("Part of the theory"), wraps=True)
        self.parts.set_options(PARTS)
        head = QHBoxLayout()
        head.addWidget(self.parts)
        head.addStretch(1)
        area = self.workspace.area
        self.workspace.lay_over(self.banner)
        area.addLayout(head)
        self.stack = QStackedWidget()
        self._views = {"schedules": self._build_schedules(), "weights": self._build_weights()}
        self.bound = BoundView()
        self._views["elbo"] = FillColumn(self.bound)
        for view in self._views.values():
            self.stack.addWidget(view)
        area.addWidget(self.stack, 1)
        self._build_panel()

    def _build_schedules(self) -> QWidget:
        self.schedules: dict[str, XYPlot] = {}
        for key, name, log in _PLOTS:
            plot = self.schedules[key] = XYPlot(name)
            plot.set_axes("t", name, y_log=log)
        self.schedules_view = SchedulesView(self.schedules)
        return FillColumn(self.schedules_view)

    def _build_weights(self) -> QWidget:
        self.weights = XYPlot(tr("Weights over t"))
        card = Card()
        card.body.addWidget(self.weights)
        return card

    def _build_panel(self) -> None:
        self.forms: dict[str, Form] = {}
        for part, sections in _SECTIONS.items():
            form = self.forms[part] = Form(sections)
            form.edited.connect(self.model.edit)
            form.edit_finished.connect(self.model.settle)
            self.workspace.panel.addWidget(form)
        self.learned = LearnedView()
        self.workspace.panel.addWidget(self.learned)
        self.words = label("")
        self.words.setWordWrap(True)
        self.workspace.panel.addWidget(self.words)
        self.workspace.panel.addStretch(1)
        self.equation = EquationView()
        self.workspace.foot.addWidget(label(tr("Chosen schedule and process"), "section"))
        self.workspace.foot.addWidget(self.equation)
        self.process = EquationView()
        self.workspace.foot.addWidget(self.process)

    def _connect(self) -> None:
        self.model.changed.connect(self._render)
        self.parts.changed.connect(self.show_part)
        self.bound.run_chosen.connect(self.model.choose_run)
        self.learned.run_chosen.connect(self.model.choose_run)
        self.bound.measure_requested.connect(self.model.measure)
        self.bound.stop_requested.connect(self.model.stop)
        self.banner.closed.connect(self.model.dismiss_notice)

    # --- parts ------------------------------------------------------------------------------------------

    @property
    def part(self) -> str:
        return self.parts.value or "schedules"

    def show_part(self, part: str) -> None:
        """Shows one of the parts; the long lists are built when they are first asked for."""
        if part not in {key for key, _, _ in PARTS}:
            return
        self.parts.set_value(part)
        if part not in self._views:
            self._views[part] = self._build_list(part)
            self.stack.addWidget(self._views[part])
        self.stack.setCurrentWidget(self._views[part])
        for key, form in self.forms.items():
            form.setVisible(key == part)
        self.learned.setVisible(part == "schedules")
        self.words.setText(_WORDS.get(part, ""))
        foot = self.equation.parentWidget()
        assert foot is not None
        foot.setVisible(part in self.forms)
        if part == "elbo":
            self.model.refresh()

    @property
    def is_full(self) -> bool:
        """Whether nothing is missing in what is shown: long lists come a piece a turn."""
        view = self.stack.currentWidget()
        return not isinstance(view, Scrolled) or view.is_full

    def _build_list(self, part: str) -> Scrolled:
        if part == "errata":
            return ErrataView(ERRATA)
        if part == "identities":
            return IdentitiesView(IDENTITIES)
        if part == "algorithms":
            return AlgorithmsView(ALGORITHMS)
        figures = part == "figures"
        tables = self.model.state.spec.tables
        view = FiguresView(FIGURES, tables()) if figures else EquationsView(all_equations())
        view.go_requested.connect(self._go)
        return view

    def _go(self, page: str, path: str) -> None:
        if page == self.key:
            self.show_part(path)
        else:
            self.go_requested.emit(page, path)

    # --- what the model tells ---------------------------------------------------------------------------

    def _render(self, state: TheoryState) -> None:
        before, self._shown = self._shown, state
        if before is None or _drawn(before) != _drawn(state):
            self._render_spec(state)
        if before is None or before.evaluation is not state.evaluation:
            self.bound.show_evaluation(state.evaluation)
        if before is None or before.notice != state.notice:
            show_notice(self.banner, state.notice)
        self.bound.show_state(state)
        self.learned.show_state(state)
        self.header_changed.emit()

    def _render_spec(self, state: TheoryState) -> None:
        spec = state.spec
        for form in self.forms.values():
            form.set_choice(spec)
            for path in form.paths:
                form.set_error(path, state.error[1] if state.error and state.error[0] == path else None)
            form.set_note("schedule.kind", spec.schedule.remark(spec.steps))
            form.set_note("forward.kind", missed_end(spec.tables()))
        curves = schedule_curves(spec)
        learned = learned_curves(spec, state.learned) if state.learned is not None else {}
        self.schedules_view.show_lines(
            {key: _schedule_lines(curves[key], learned.get(key)) for key in self.schedules}
        )
        x = "log SNR" if spec.axis == "log_snr" else "t"
        self.weights.set_axes(
            x, tr("λ on the {symbol} error", symbol=READINGS[spec.error].symbol), y_log=True
        )
        self.weights.set_lines(_weight_lines(weight_curves(spec)))
        schedule, process = type(spec.schedule), type(spec.forward)
        figures = self._views.get("figures")
        if isinstance(figures, FiguresView):
            figures.show_schedule(spec.tables())
        self.equation.set_equation(schedule.formula, caption=f"{schedule.title} · {schedule.source}")
        self.process.set_equation(process.formula, caption=f"{process.title} · {process.source}")

    # --- header and memory ------------------------------------------------------------------------------

    def chips(self) -> list[tuple[str, str]]:
        return [("T", number(self.model.state.spec.steps, ","))] if self.part in self.forms else []

    def come_into_sight(self, run: Path | None) -> None:
        self.model.refresh(run)

    def layout_state(self) -> dict[str, Any]:
        return {"workspace": self.workspace.wanted_sizes(), "part": self.part}

    def restore_layout(self, state: dict[str, Any]) -> None:
        restored_sizes(self.workspace, state.get("workspace"))
        if isinstance(state.get("part"), str):
            self.show_part(state["part"])


def _drawn(state: TheoryState) -> tuple[Any, ...]:
    """What the curves and the forms follow from."""
    return state.spec, state.error, state.learned


_WORDS = {
    "elbo": tr(
        "The bound says how many bits a pixel costs when the model is used to send images: the lower, "
        "the better. Most of it comes from the first steps, where the last details are decided. "
        "“Fewer steps” shows what a shorter chain costs, with three reverse variances and with less noise. "
        "Keep images apart (Train, Images, Advanced) to measure it on ones that were never trained on."
    ),
    "errata": tr(
        "A slip of a sign or a root is easily copied from text to code. Each card computes both "
        "versions, and beside them what both must equal."
    ),
    "identities": tr("The same thing by two names: each card computes both, from one start and one noise."),
    "algorithms": tr(
        "The boxes of the texts. The one that is at work stands under the parameters of the Train "
        "and the Sample page, with its running lines marked."
    ),
    "figures": tr(
        "What the texts draw of their chains: orange the encoder q, green and dashed the decoder p, "
        "which is learned. Thick arrows are the two that a term of the bound compares. The noised "
        "digit follows the schedule that is chosen under Schedules."
    ),
    "equations": tr("Every formula at work in this program. The button goes to the parameter it belongs to."),
}


def _schedule_lines(curves: tuple[NamedCurve, ...], learned: NamedCurve | None) -> dict[str, Line]:
    """The chosen one is wider; what a run has learned is dashed."""
    order = list(members(Schedule))
    lines = {}
    for curve in curves:
        width = _WIDE if curve.chosen else _THIN
        lines[curve.name] = Line(curve.x, curve.y, *_look(order.index(curve.key)), width=width)
    if learned is not None:
        dash = Qt.PenStyle.DashLine
        lines[learned.name] = Line(learned.x, learned.y, "weight", dash, width=_WIDE)
    return lines


def _weight_lines(curves: tuple[NamedCurve, ...]) -> dict[str, Line]:
    order = list(members(Weight))
    lines = {}
    for curve in curves:
        lines[curve.name] = Line(curve.x, curve.y, *_look(order.index(curve.key)))
    return lines


def _look(place: int) -> tuple[str, Qt.PenStyle]:
    """Colour and dash of a kind, by its place among all of them."""
    return _COLOURS[place % len(_COLOURS)], _DASHES[place % len(_DASHES)]


def model(desk: Desk) -> TheoryViewModel:
    """What is behind the page."""
    return TheoryViewModel(desk.runs, desk.device, desk.owner)


def build(desk: Desk, model: TheoryViewModel) -> TheoryPage:
    """The page of its view-model."""
    page = TheoryPage(model)
    page.add_tour(Tour(CARDS, TouredTheory(page)), desk.memory, page.workspace.panel)
    return page
