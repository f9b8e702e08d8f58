"""The 2-D page: a plane in which everything is known, to be touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QActionGroup, QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSplitter, QToolButton, QVBoxLayout, QWidget

from diffusion_studio.engine.toy_shapes import CUSTOM, SHAPES
from diffusion_studio.pages.page import Page, Workspace, restored_sizes, titled
from diffusion_studio.pages.toy_equation import toy_equation
from diffusion_studio.viewmodels.toy import ToyViewModel
from diffusion_studio.viewmodels.toy_state import Comparison, Particles, ToyState, method_of, methods
from diffusion_studio.widgets.banner import Banner
from diffusion_studio.widgets.bars import BarSeries, OccupancyBars
from diffusion_studio.widgets.cards import Card
from diffusion_studio.widgets.equation import EquationView
from diffusion_studio.widgets.form import Form
from diffusion_studio.widgets.form_controls import QuietCombo
from diffusion_studio.widgets.plane import PlaneView
from diffusion_studio.widgets.plane_paint import Layers
from diffusion_studio.widgets.plot_series import Series, SeriesPlot
from diffusion_studio.widgets.segmented import Segmented
from diffusion_studio.widgets.step_transport import StepTransport
from diffusion_studio.widgets.theme import label, tabular

SECTIONS = (
    ("Noise level", ["t", "schedule"]),
    ("Movement", ["process.step", "process.heat", "process.adjusted", "process.sampler", "process.steps",
                  "process.spacing"]),
    ("Particles", ["count", "start", "start_x", "start_y", "seed"]),
)  # fmt: skip
FIELDS = [
    ("exact", "Exact", "The score in closed form"),
    ("learned", "Learned", "The score that the small network has learned; particles follow it too"),
    ("error", "Error", "Where the learned score differs from the exact one: the Fisher divergence (L 157)"),
]
LAYERS = (
    ("density", "Density"),
    ("contours", "Contour lines"),
    ("arrows", "Score arrows"),
    ("particles", "Particles"),
)
COLORS = (("class", "Colour by class"), ("start", "Colour by starting point"), ("none", "One colour"))
TRAILS = (("off", "No trails"), ("short", "Short trails"), ("whole", "Whole paths"))


class ToyPage(Page):
    """The page's widgets, laid out and tied to the view-model."""

    key, title = "toy", "2-D"

    def __init__(self, model: ToyViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._shown: ToyState | None = None
        self._build()
        self._connect()
        self._render(model.state)

    # --- widgets ----------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.workspace = Workspace()
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.workspace)
        self.banner = Banner()
        self.fields, self.methods = Segmented(), Segmented()
        self.fields.set_options(FIELDS)
        self.methods.set_options([(m.key, m.title, m.help) for m in methods()])
        self.plane = PlaneView()
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.addWidget(self.plane)
        self.columns.addWidget(self._build_cards())
        self.columns.setHandleWidth(12)
        self.columns.setChildrenCollapsible(False)
        self.columns.setStretchFactor(0, 1)
        self.columns.setSizes([600, 300])
        self.transport = StepTransport()
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.fields)
        top.addWidget(self._build_show())
        top.addStretch(1)
        top.addWidget(self.methods)
        area = self.workspace.area
        area.addWidget(self.banner)
        area.addLayout(top)
        area.addWidget(self.columns, 1)
        area.addWidget(self.transport)
        self._build_panel()

    def _build_cards(self) -> QWidget:
        self.bars = OccupancyBars()
        self.occupancy = Card("Mode occupancy")
        self.occupancy.body.addWidget(self.bars)
        self.distance_plot = SeriesPlot("Energy distance")
        self.distance_plot.setMinimumHeight(120)
        self.facts = label("", "muted")
        self.facts.setFont(tabular(self.facts.font()))
        self.facts.setWordWrap(True)
        distance = Card()
        distance.body.addWidget(self.distance_plot, 1)
        distance.body.addWidget(self.facts)
        column = QWidget()
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addWidget(self.occupancy)
        layout.addWidget(distance, 1)
        self.cards = layout
        return column

    def _build_show(self) -> QWidget:
        self.show_button = QToolButton()
        self.show_button.setText("Show")
        self.show_button.setToolTip("What is drawn, and in which colours")
        self.show_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.show_button)
        self.look_actions: dict[tuple[str, str], QAction] = {}
        for name, text in LAYERS:
            action = self._look_action(menu, name, "", text)
            action.toggled.connect(lambda on, name=name: self._look(**{name: on}))
        for name, choices in (("color", COLORS), ("trails", TRAILS)):
            menu.addSeparator()
            group = QActionGroup(menu)
            for key, text in choices:
                action = group.addAction(self._look_action(menu, name, key, text))
                action.triggered.connect(lambda _, name=name, key=key: self._look(**{name: key}))
        self.show_button.setMenu(menu)
        return self.show_button

    def _look_action(self, menu: QMenu, name: str, key: str, text: str) -> QAction:
        action = menu.addAction(text)
        action.setCheckable(True)
        self.look_actions[name, key] = action
        return action

    def _build_panel(self) -> None:
        self.shapes = QuietCombo()
        self.shapes.setAccessibleName("Distribution")
        self.shapes.setToolTip("What the data are: always a mixture of Gaussians, so that all is exact")
        for shape in SHAPES:
            self.shapes.addItem(shape.title, shape.key)
            self.shapes.setItemData(self.shapes.count() - 1, shape.help, Qt.ItemDataRole.ToolTipRole)
        self.shapes.addItem("drawn by hand", CUSTOM)
        self.shape_note = label("", "small")
        self.shape_note.setWordWrap(True)
        self.form = Form(SECTIONS)
        self.mode_form = Form([("Mode", ["x", "y", "sd_1", "sd_2", "angle", "weight", "label"])])
        panel = self.workspace.panel
        panel.addLayout(titled("Distribution", self.shapes, self.shape_note))
        panel.addWidget(self.mode_form)
        panel.addWidget(self.form)
        panel.addStretch(1)
        self.equation = EquationView()
        self.workspace.foot.addWidget(label("This step", "section"))
        self.workspace.foot.addWidget(self.equation)

    def _connect(self) -> None:
        model, plane, transport = self.model, self.plane, self.transport
        player = model.player
        model.changed.connect(self._render)
        model.field_changed.connect(plane.set_field)
        model.particles_changed.connect(self._show_particles)
        model.measured.connect(self._show_measures)
        plane.window_changed.connect(model.set_window)
        plane.mode_changed.connect(model.set_mode)
        plane.mode_settled.connect(model.settle)
        plane.mode_selected.connect(model.select)
        plane.mode_added.connect(model.add_mode)
        plane.mode_removed.connect(model.remove_mode)
        plane.start_picked.connect(model.pick_start)
        plane.stroke_drawn.connect(model.draw)
        self.form.edited.connect(model.edit)
        self.form.edit_finished.connect(model.settle)
        self.mode_form.edited.connect(self._edit_mode)
        self.mode_form.edit_finished.connect(model.settle)
        self.shapes.activated.connect(self._choose_shape)
        self.fields.changed.connect(lambda key: self._look(field=key))
        self.methods.changed.connect(model.choose_method)
        self.banner.closed.connect(model.dismiss_notice)
        transport.seek_requested.connect(player.seek)
        transport.step_requested.connect(player.step)
        transport.home.connect(lambda: player.seek(0))
        transport.end.connect(lambda: player.seek(model.state.last))
        transport.play_toggled.connect(player.toggle)
        transport.play_requested.connect(player.play)
        transport.pause_requested.connect(player.stop)
        transport.loop_toggled.connect(player.set_loop)
        transport.speed_changed.connect(player.set_speed)
        transport.install_on(self)

    # --- what the person does ---------------------------------------------------------------------------

    def _look(self, **values: Any) -> None:
        self.model.set_look(replace(self.model.state.look, **values))

    def _choose_shape(self, index: int) -> None:
        key = self.shapes.itemData(index)
        if key != CUSTOM:
            self.model.choose_shape(key)

    def _edit_mode(self, name: str, value: Any) -> None:
        state = self.model.state
        if 0 <= state.selected < len(state.spec.modes):
            mode = state.spec.modes[state.selected]
            self.model.set_mode(state.selected, mode.model_copy(update={name: value}))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.model.set_window(self.plane.window_shown)
        self.model.set_visible(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.model.set_visible(False)

    # --- what the model tells ---------------------------------------------------------------------------

    def _render(self, state: ToyState) -> None:
        before, self._shown = self._shown, state
        if before is None or before.spec != state.spec or before.selected != state.selected:
            self._render_spec(state)
        if before is None or before.errors != state.errors:
            for path in self.form.paths:
                self.form.set_error(path, dict(state.errors).get(path))
        if before is None or before.look != state.look:
            self._render_look(state)
        if before is None or before.notice != state.notice:
            self._render_notice(state)
        if before is None or before.t != state.t or before.spec != state.spec:
            self.form.field("t").show_value(state.t)
        shrink = state.alpha_bar**0.5
        many = len(state.spec.modes) > 30 or state.brush
        self.plane.set_modes(() if many else state.spec.modes, state.selected, shrink)
        self._render_transport(before, state)
        if before is None or _step_of(before) != _step_of(state):
            self._render_equation()
        if before is None or _header_of(before) != _header_of(state):
            self.header_changed.emit()

    def _render_spec(self, state: ToyState) -> None:
        spec = state.spec
        self.form.set_choice(spec)
        self.shapes.setCurrentIndex(self.shapes.findData(spec.shape))
        self.methods.set_value(method_of(spec.process))
        self.shape_note.setText(_about_shape(state))
        chosen = 0 <= state.selected < len(spec.modes)
        self.mode_form.setVisible(chosen)
        if chosen:
            self.mode_form.set_choice(spec.modes[state.selected])
        self.plane.set_start((spec.start_x, spec.start_y) if spec.start == "point" else None)

    def _render_look(self, state: ToyState) -> None:
        look = state.look
        self.fields.set_value(look.field)
        for (name, key), action in self.look_actions.items():
            wanted = getattr(look, name) == key if key else getattr(look, name)
            if action.isChecked() != wanted:
                action.setChecked(wanted)
        self.plane.set_layers(
            Layers(look.density, look.contours, look.arrows, look.particles, look.trails != "off")
        )

    def _render_notice(self, state: ToyState) -> None:
        if state.notice is None:
            self.banner.dismiss()
        else:
            notice = state.notice
            self.banner.show_message(notice.kind, notice.text, notice.action, notice.details)

    def _render_transport(self, before: ToyState | None, state: ToyState) -> None:
        transport = self.transport
        if before is None or before.times != state.times:
            transport.set_levels(state.times, _ends(state))
            transport.set_ready(state.last)
        transport.set_position(state.position)
        if before is None or before.playing != state.playing:
            transport.set_playing(state.playing)
        transport.set_loop(state.loop)

    def _render_equation(self) -> None:
        chain = self.model.chain
        self.equation.set_equation(
            *toy_equation(chain.spec, chain.denoiser.tables, chain.times, chain.position)
        )

    def _show_particles(self, particles: Particles) -> None:
        self.plane.set_particles(particles.x, particles.labels)
        self.plane.set_trails(particles.paths, particles.path_labels)

    def _show_measures(self, found: Comparison) -> None:
        now, before, last = found.now, found.before, found.now.last
        if last is None:
            return
        colors = _color(now.title), _color(before.title) if before else ""
        series = [BarSeries("true", last.truth, "xt"), BarSeries(now.title, last.occupancy, colors[0])]
        if before and before.last and before.last.names == last.names and colors[1] != colors[0]:
            series.insert(1, BarSeries(before.title, before.last.occupancy, colors[1]))
        self.bars.set_bars(last.names, series)
        curves = [Series(now.title, now.positions, now.energy, colors[0])]
        if before and colors[1] != colors[0]:
            curves.insert(0, Series(before.title, before.positions, before.energy, colors[1]))
        self.distance_plot.set_series(curves, found.length, last.position, log=True)
        self.facts.setText(_facts(last))

    # --- header and memory ------------------------------------------------------------------------------

    def chips(self) -> list[tuple[str, str]]:
        state = self.model.state
        return [("score", state.look.field), ("particles", f"{state.spec.count:,}".replace(",", "\u2009"))]

    def undo(self) -> None:
        self.model.undo()

    def redo(self) -> None:
        self.model.redo()

    @property
    def can_undo(self) -> bool:
        return self.model.state.can_undo

    @property
    def can_redo(self) -> bool:
        return self.model.state.can_redo

    def layout_state(self) -> dict[str, Any]:
        return {"workspace": self.workspace.sizes(), "columns": self.columns.sizes()}

    def restore_layout(self, state: dict[str, Any]) -> None:
        restored_sizes(self.workspace, state.get("workspace"))
        restored_sizes(self.columns, state.get("columns"))


def _color(title: str) -> str:
    """One level is orange, as its noise; what walks through all levels is green."""
    return "eps" if title in ("Langevin", "adjusted Langevin") else "x0"


def _facts(last: Any) -> str:
    words = [
        f"energy {last.energy:.4f} (exact samples {last.band:.4f})",
        f"sliced Wasserstein {last.wasserstein:.3f}",
        f"mean ln p {last.log_density:.2f} (exact {last.exact_log_density:.2f})",
        f"effective modes {last.modes:.2f} of {last.exact_modes:.2f}",
    ]  # fmt: skip
    if last.acceptance == last.acceptance:
        words.append(f"a Metropolis test would keep {100 * last.acceptance:.1f} %")
    return " · ".join(words)


def _about_shape(state: ToyState) -> str:
    modes = len(state.spec.modes)
    if modes > 30:
        return f"A fine mixture of {modes} Gaussians stands for this shape; for it everything is exact."
    return "Drag means and ellipses; turn the wheel over a mean for its weight; double-click for a new mode."


def _ends(state: ToyState) -> tuple[str, str]:
    kind = state.spec.process.kind
    if kind == "langevin":
        return "start", f"{state.last} steps at t = {state.spec.t}"
    if kind == "forward":
        return "data", "noise"
    return ("data", "noise, and back to the data") if state.spec.start == "data" else ("noise", "data")


def _step_of(state: ToyState) -> tuple[Any, ...]:
    position = 0 if not state.follows else state.position
    return state.spec.process, state.times, position, state.spec.schedule


def _header_of(state: ToyState) -> tuple[Any, ...]:
    return state.can_undo, state.can_redo, state.look.field, state.spec.count
