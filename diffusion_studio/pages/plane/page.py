"""The 2-D page: a plane in which everything is known, to be touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QElapsedTimer, Qt
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QSplitter, QToolButton, QWidget

from diffusion_studio.engine.plane.measures import Measures
from diffusion_studio.pages.page import Page, Workspace, restored_sizes
from diffusion_studio.pages.plane.cards import PlaneCards, facts
from diffusion_studio.pages.plane.equation import plane_equation
from diffusion_studio.pages.plane.guidance import end_words
from diffusion_studio.pages.plane.panel import PlanePanel
from diffusion_studio.pages.plane.picture import PlanePicture
from diffusion_studio.pages.plane.recorder import Recorder
from diffusion_studio.pages.plane.tools import FileButton, LookButton
from diffusion_studio.viewmodels.plane.model import PlaneViewModel
from diffusion_studio.viewmodels.plane.state import (
    Comparison,
    PlaneState,
    method_of,
    methods,
)
from diffusion_studio.widgets.chain.step_transport import StepTransport
from diffusion_studio.widgets.equations.equation import EquationView
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import label, theme

FIELDS = [
    ("exact", "Exact", "The score in closed form (1)"),
    ("learned", "Learned", "The score that the small network has learned; particles follow it too (2)"),
    (
        "error",
        "Error",
        "Where the learned score errs: the Fisher divergence, cell by cell, Luo eq. 157 (3)",
    ),
]
EQUATION_EVERY = 150  # ms
FIELD_KEYS = {Qt.Key.Key_1: "exact", Qt.Key.Key_2: "learned", Qt.Key.Key_3: "error"}


class PlanePage(Page):
    """The page's widgets, laid out and tied to the view-model."""

    key, title = "plane", "2-D"

    def __init__(self, model: PlaneViewModel, parent: QWidget | None = None) -> None:
        super().__init__(model, parent)
        self.model = model
        self._shown: PlaneState | None = None
        self._animation = Path()
        self._measured: Measures | None = None
        self._stale = True  # whether the equation shows another step
        self._clock = QElapsedTimer()  # since it was drawn
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
        self.picture = PlanePicture()
        self.plane, self.surface = self.picture.plane, self.picture.surface
        self.look_button, self.file_button = LookButton(), FileButton()
        self.cards = PlaneCards()
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.addWidget(self.picture)
        self.columns.addWidget(_scrolling(self.cards))
        self.columns.setHandleWidth(12)
        self.columns.setChildrenCollapsible(False)
        self.columns.setStretchFactor(0, 1)
        self.columns.setSizes([560, 300])
        self.transport = StepTransport()
        self.transport.add_action_widget(self.file_button)
        self.recorder = Recorder(self.model.player, self.picture.frame, self)
        top, self._second = QHBoxLayout(), QHBoxLayout()
        top.setSpacing(8)
        for widget in (self.fields, self.look_button, self._build_relief()):
            top.addWidget(widget)
        top.addStretch(1)
        top.addWidget(self.methods)
        self._top = top
        self._second.addStretch(1)
        area = self.workspace.area
        area.addWidget(self.banner)
        area.addLayout(top)
        area.addLayout(self._second)
        area.addWidget(self.columns, 1)
        area.addWidget(self.transport)
        self.panel = PlanePanel()
        self.workspace.panel.addWidget(self.panel)
        self.workspace.panel.addStretch(1)
        self.equation = EquationView()
        self.workspace.foot.addWidget(label("This step", "section"))
        self.workspace.foot.addWidget(self.equation)

    @property
    def form(self) -> Any:
        """The form of all parameters but the modes'."""
        return self.panel.form

    def _build_relief(self) -> QWidget:
        self.relief = QToolButton()
        self.relief.setCheckable(True)
        self.relief.setToolTip(
            "The density as a landscape with the paths on it; drag to turn it (Luo, figure 6)"
        )
        self.relief.setAccessibleName("Landscape")
        set_icon(self.relief, "surface")
        self.relief.toggled.connect(lambda on: self._look(surface=on))
        return self.relief

    def _connect(self) -> None:
        model, plane, panel = self.model, self.plane, self.panel
        model.changed.connect(self._render)
        model.field_changed.connect(self.picture.show_field)
        model.particles_changed.connect(self.picture.show_particles)
        model.meter.measured.connect(self._show_measures)
        model.pointer.changed.connect(self.picture.show_reading)
        plane.window_changed.connect(model.set_window)
        plane.mode_changed.connect(model.set_mode)
        plane.mode_settled.connect(model.settle)
        plane.mode_selected.connect(model.select)
        plane.mode_added.connect(model.add_mode)
        plane.mode_removed.connect(model.remove_mode)
        plane.start_picked.connect(model.pick_start)
        plane.stroke_drawn.connect(model.draw)
        plane.pointed.connect(model.point_at)
        plane.pointer_left.connect(model.pointer.leave)
        for form in (panel.form, panel.learning_form):
            form.edited.connect(model.edit)
            form.edit_finished.connect(model.settle)
        panel.mode_edited.connect(self._edit_mode)
        panel.mode_form.edit_finished.connect(model.settle)
        panel.shape_chosen.connect(model.choose_shape)
        panel.picture_chosen.connect(model.set_picture)
        panel.complained.connect(model.complain)
        panel.brush_toggled.connect(model.set_brush)
        panel.learn_requested.connect(model.start_learning)
        panel.pause_requested.connect(model.learner.toggle_pause)
        panel.stop_requested.connect(model.learner.stop)
        self.fields.changed.connect(self.choose_field)
        self.look_button.chosen.connect(lambda name, value: self._look(**{name: value}))
        self.file_button.export_requested.connect(self.export)
        self.file_button.state_requested.connect(model.open_state)
        self.methods.changed.connect(model.choose_method)
        self.banner.closed.connect(model.dismiss_notice)
        self.cards.tour.action_requested.connect(model.apply)
        self.cards.tour.card_requested.connect(model.set_tour)
        self.recorder.done.connect(lambda frames: model.export(self._animation, frames))
        self._connect_transport()

    def _connect_transport(self) -> None:
        player, transport = self.model.player, self.transport
        transport.seek_requested.connect(player.seek)
        transport.step_requested.connect(player.step)
        transport.home.connect(lambda: player.seek(0))
        transport.end.connect(lambda: player.seek(player.chain.last))
        transport.play_toggled.connect(player.toggle)
        transport.play_requested.connect(player.play)
        transport.pause_requested.connect(player.stop)
        transport.loop_toggled.connect(player.set_loop)
        transport.speed_changed.connect(player.set_speed)
        transport.install_on(self)

    # --- what the person does ---------------------------------------------------------------------------

    def _look(self, **values: Any) -> None:
        self.model.set_look(replace(self.model.state.look, **values))

    def choose_field(self, key: str) -> None:
        """Exact, learned or error; what is learned begins to be learned when it is first asked for."""
        self._look(field=key)
        learning = self.model.state.learning
        if key != "exact" and not learning.trained and not learning.running:
            self.model.start_learning()

    def keyPressEvent(self, event: Any) -> None:
        field = FIELD_KEYS.get(event.key())
        if field is not None and not event.modifiers():
            self.choose_field(field)
        else:
            super().keyPressEvent(event)

    def _edit_mode(self, name: str, value: Any) -> None:
        state = self.model.state
        if 0 <= state.selected < len(state.spec.modes):
            mode = state.spec.modes[state.selected]
            self.model.set_mode(state.selected, mode.model_copy(update={name: value}))

    def export(self, path: Path) -> None:
        """Writes what the ending of `path` says: png, svg, gif, webp, npz or json."""
        match path.suffix.lower():
            case ".svg":
                try:
                    self.picture.save_drawing(path, f"{self.model.spec.title}, t = {self.model.state.t}")
                except OSError as error:
                    self.model.complain(f"{path} could not be written: {error.strerror or error}.")
            case ".gif" | ".webp":
                self._animation = path
                self.recorder.start()
            case ".png":
                self.model.export(path, [self.picture.frame()])
            case _:
                self.model.export(path)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        room = self.width() - self.workspace.sizes()[1] - 32
        needed = (
            sum(w.sizeHint().width() for w in (self.fields, self.look_button, self.relief, self.methods)) + 24
        )
        wanted = self._top if room >= needed else self._second
        if wanted.indexOf(self.methods) < 0:
            wanted.addWidget(self.methods)  # leaves the other row

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if theme().reduced_motion and self.model.state.playing:
            self.model.player.stop()
        self.model.set_window(self.plane.window_shown)
        self.model.set_visible(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.recorder.stop()
        self.model.set_visible(False)

    # --- what the model tells ---------------------------------------------------------------------------

    def _render(self, state: PlaneState) -> None:
        before, self._shown = self._shown, state
        if before is None or _choices_of(before) != _choices_of(state):
            self.panel.show_state(state)
            self.methods.set_value(method_of(state.spec.process))
            spec = state.spec
            self.plane.set_start((spec.start_x, spec.start_y) if spec.start == "point" else None)
        if before is None or before.errors != state.errors:
            for path in self.form.paths:
                self.form.set_error(path, dict(state.errors).get(path))
        if before is None or before.look != state.look:
            self._render_look(state)
        if before is None or before.learning != state.learning:
            self.panel.show_learning(state.learning)
            self.picture.show_learning(self.panel.progress.text())
        if before is None or before.notice != state.notice:
            self._render_notice(state)
        if before is None or before.t != state.t or before.spec != state.spec:
            self.form.field("t").show_value(state.t)
        if before is None or _guide_of(before) != _guide_of(state):
            self._show_guidance(state)
        self._render_plane(state)
        self._render_transport(before, state)
        self._render_equation(before, state)
        if before is None or before.tour != state.tour:
            self.cards.tour.show_card(state.tour)
        if before is None or _header_of(before) != _header_of(state):
            self.header_changed.emit()

    def _show_guidance(self, state: PlaneState) -> None:
        self.picture.show_guidance(end_words(state, self._measured))

    def _render_plane(self, state: PlaneState) -> None:
        many = len(state.spec.modes) > 30 or state.brush
        self.plane.brush = state.brush
        self.plane.set_modes(() if many else state.spec.modes, state.selected, state.alpha_bar**0.5)

    def _render_look(self, state: PlaneState) -> None:
        look = state.look
        self.fields.set_value(look.field)
        self.relief.setChecked(look.surface)
        self.look_button.show_look(look)
        self.picture.show_look(look)

    def _render_notice(self, state: PlaneState) -> None:
        if state.notice is None:
            self.banner.dismiss()
        else:
            notice = state.notice
            self.banner.show_message(notice.kind, notice.text, notice.action, notice.details)

    def _render_equation(self, before: PlaneState | None, state: PlaneState) -> None:
        """The numbers of the step; a few times a second are enough while they run."""
        self._stale |= before is None or _step_of(before) != _step_of(state)
        resting = state.playing and self._clock.isValid() and self._clock.elapsed() < EQUATION_EVERY
        if self._stale and not resting:
            chain = self.model.chain
            tables = chain.denoiser.tables
            self.equation.set_equation(*plane_equation(chain.spec, tables, chain.times, chain.position))
            self._stale = False
            self._clock.start()

    def _render_transport(self, before: PlaneState | None, state: PlaneState) -> None:
        transport = self.transport
        if before is None or (before.times, before.spec) != (state.times, state.spec):
            transport.set_levels(state.times, _ends(state))
            transport.set_ready(state.last)
        transport.set_position(state.position)
        if before is None or before.playing != state.playing:
            transport.set_playing(state.playing)
        if before is None or before.loop != state.loop:
            transport.set_loop(state.loop)

    def _show_measures(self, found: Comparison) -> None:
        self.cards.show_measures(found)
        self._measured = found.now.last
        self._show_guidance(self.model.state)
        if found.now.last is not None:
            state = self.model.state
            where = f"{state.spec.title}, t = {state.t}, {state.spec.count} particles. "
            self.plane.setAccessibleDescription(where + facts(found.now.last))

    # --- header and memory ------------------------------------------------------------------------------

    def chips(self) -> list[tuple[str, str]]:
        state = self.model.state
        return [("score", state.look.field), ("particles", f"{state.spec.count:,}".replace(",", "\u2009"))]

    def layout_state(self) -> dict[str, Any]:
        return {"workspace": self.workspace.sizes(), "columns": self.columns.sizes(), "zoom": self.plane.zoom}

    def restore_layout(self, state: dict[str, Any]) -> None:
        restored_sizes(self.workspace, state.get("workspace"))
        restored_sizes(self.columns, state.get("columns"))
        zoom = state.get("zoom")
        if isinstance(zoom, float) and np.isfinite(zoom):
            self.plane.set_zoom(zoom)


def _scrolling(inner: QWidget) -> QScrollArea:
    """Room for `inner`, that scrolls where the window is low."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(inner)
    area.setMinimumWidth(inner.minimumSizeHint().width())
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return area


def _ends(state: PlaneState) -> tuple[str, str]:
    kind = state.spec.process.kind
    if kind == "langevin":
        return "start", f"{state.last} steps at t = {state.spec.t}"
    if kind == "forward":
        return "data", "noise"
    return ("data", "noise, and back to the data") if state.spec.start == "data" else ("noise", "data")


def _choices_of(state: PlaneState) -> tuple[Any, ...]:
    return state.spec, state.selected, state.brush


def _step_of(state: PlaneState) -> tuple[Any, ...]:
    position = 0 if not state.follows else state.position
    return state.spec.process, state.times, position, state.spec.schedule, state.spec.guide


def _guide_of(state: PlaneState) -> tuple[Any, ...]:
    return state.spec.guide, state.spec.modes, state.look.field, state.learning.labelled


def _header_of(state: PlaneState) -> tuple[Any, ...]:
    return state.can_undo, state.can_redo, state.look.field, state.spec.count
