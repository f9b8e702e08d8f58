"""The 2-D page: a plane in which everything is known, to be touched."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QWidget

from diffusion_studio.core.words import number, tr
from diffusion_studio.engine.plane.measures import Measures
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.pages.page import Desk, Page, Workspace, restored_sizes, show_notice
from diffusion_studio.pages.plane import timeline
from diffusion_studio.pages.plane.bar import FIELDS, IN_WORDS, PlaneBar
from diffusion_studio.pages.plane.cards import PlaneCards, facts
from diffusion_studio.pages.plane.exporter import PlaneExporter
from diffusion_studio.pages.plane.guidance import end_words
from diffusion_studio.pages.plane.panel import PlanePanel
from diffusion_studio.pages.plane.picture import PlanePicture
from diffusion_studio.pages.plane.step import StepEquation
from diffusion_studio.pages.plane.tools import FileButton
from diffusion_studio.viewmodels.plane.memory import restored
from diffusion_studio.viewmodels.plane.model import PlaneViewModel
from diffusion_studio.viewmodels.plane.state import Comparison, PlaneState
from diffusion_studio.viewmodels.plane.tour.cards import CARDS
from diffusion_studio.viewmodels.plane.tour.toured import TouredPlane
from diffusion_studio.viewmodels.tours.tour import Tour
from diffusion_studio.widgets.actions.action_set import Act
from diffusion_studio.widgets.chain.step_transport import StepTransport
from diffusion_studio.widgets.equations.equation import EquationView
from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.frame.scrolling import ScrollColumn
from diffusion_studio.widgets.look.theme import label, theme
from diffusion_studio.widgets.plane.handles import Handles

CLOSER = 0.9  # of what is seen of the plane, with each press of the key


class PlanePage(Page):
    """The page's widgets, laid out and tied to the view-model."""

    key = "plane"

    def __init__(self, model: PlaneViewModel, parent: QWidget | None = None) -> None:
        super().__init__(model.editor, parent)
        self.model = model
        self._shown: PlaneState | None = None
        self._measured: Measures | None = None
        self._build()
        self.exporter = PlaneExporter(model, self.picture, self)
        self._connect()
        self._render(model.state)

    # --- widgets ----------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.workspace = Workspace()
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.workspace)
        self.banner, self.bar = Banner(), PlaneBar()
        self.picture, self.cards = PlanePicture(), PlaneCards()
        self.plane = self.picture.plane
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.addWidget(self.picture)
        self.columns.addWidget(ScrollColumn(self.cards))
        self.columns.setHandleWidth(12)
        self.columns.setChildrenCollapsible(False)
        self.columns.setStretchFactor(0, 1)
        self.columns.setSizes([560, 300])
        self.transport, self.file_button = StepTransport(), FileButton()
        self.transport.add_action(self.file_button)
        area = self.workspace.area
        self.workspace.lay_over(self.banner)
        area.addWidget(self.bar)
        area.addWidget(self.columns, 1)
        area.addWidget(self.transport)
        self.panel = PlanePanel()
        self.workspace.panel.addWidget(self.panel)
        self.workspace.panel.addStretch(1)
        equation = EquationView()
        self.step = StepEquation(equation)
        self.workspace.foot.addWidget(label(tr("This step"), "section"))
        self.workspace.foot.addWidget(equation)

    def _connect(self) -> None:
        model = self.model
        model.changed.connect(self._render)
        model.scene.field_changed.connect(self.picture.show_field)
        model.scene.particles_changed.connect(self.picture.show_particles)
        model.meter.measured.connect(self._show_measures)
        model.pointer.changed.connect(self.picture.show_reading)
        theme().motion_changed.connect(self._rest)
        self._connect_plane()
        self._connect_panel()
        timeline.tie(self.transport, model.player)
        self.bar.field_chosen.connect(self.choose_field)
        self.bar.look_chosen.connect(self.choose_look)
        self.bar.method_chosen.connect(model.choose_method)
        self.file_button.export_requested.connect(self.exporter.export)
        self.file_button.state_requested.connect(model.open_state)
        self.banner.closed.connect(model.dismiss_notice)

    def _connect_plane(self) -> None:
        model, plane = self.model, self.plane
        plane.window_changed.connect(model.set_window)
        plane.hand.mode_changed.connect(model.modes.set_mode)
        plane.hand.mode_settled.connect(model.editor.settle)
        plane.hand.mode_selected.connect(model.modes.select)
        plane.hand.mode_added.connect(model.modes.add)
        plane.hand.mode_removed.connect(model.modes.remove)
        plane.hand.stroke_drawn.connect(model.modes.draw)
        plane.hand.start_picked.connect(model.pick_start)
        plane.pointed.connect(model.point_at)
        plane.pointer_left.connect(model.pointer.leave)

    def _connect_panel(self) -> None:
        model, panel = self.model, self.panel
        for form in (panel.form, panel.learning_form):
            form.edited.connect(model.edit)
            form.edit_finished.connect(model.editor.settle)
        panel.mode_edited.connect(model.modes.set_selected)
        panel.mode_form.edit_finished.connect(model.editor.settle)
        panel.shape_chosen.connect(model.modes.choose_shape)
        panel.picture_chosen.connect(model.modes.set_picture)
        panel.brush_toggled.connect(model.modes.set_brush)
        panel.complained.connect(model.complain)
        panel.learn_requested.connect(model.start_learning)
        panel.pause_requested.connect(model.learner.toggle_pause)
        panel.stop_requested.connect(model.learner.stop)

    # --- what the person does ---------------------------------------------------------------------------

    def choose_look(self, name: str, value: Any) -> None:
        """One field of the look."""
        self.model.set_look(replace(self.model.state.look, **{name: value}))

    def choose_field(self, key: str) -> None:
        """Exact, learned or error; what is learned begins to be learned when it is first asked for."""
        self.choose_look("field", key)
        learning = self.model.state.learning
        if key != "exact" and not learning.trained and not learning.running:
            self.model.start_learning()

    def acts(self) -> dict[str, Act]:
        model, plane = self.model, self.plane
        fields = {f"field-{key}": Act(partial(self.choose_field, key)) for key, _ in FIELDS}
        return {
            **super().acts(), **self.transport.acts(), **fields,
            "zoom-in": Act(lambda: plane.set_zoom(plane.zoom * CLOSER)),
            "zoom-out": Act(lambda: plane.set_zoom(plane.zoom / CLOSER)),
            "next-mode": Act(self.choose_next_mode, plane.hand.has_modes),
            "defaults": Act(lambda: model.editor.set(PlaneSpec())),
            "start": Act(model.start_learning, lambda: not model.state.learning.running),
            "pause": Act(model.learner.toggle_pause, lambda: model.state.learning.running),
            "stop": Act(model.learner.stop, lambda: model.state.learning.running),
        }  # fmt: skip

    def choose_next_mode(self) -> None:
        """The arrow keys move it then."""
        self.plane.hand.choose_next()
        self.plane.setFocus()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._rest(theme().reduced_motion)
        self.model.set_window(self.plane.window_shown)
        self.model.set_visible(True)

    def _rest(self, reduced: bool) -> None:
        """Nothing moves by itself where less motion is asked for."""
        if reduced and self.model.state.playing:
            self.model.player.stop()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.exporter.stop()
        self.model.set_visible(False)

    # --- what the model tells ---------------------------------------------------------------------------

    def _render(self, state: PlaneState) -> None:
        before, self._shown = self._shown, state
        if before is None or before.look != state.look:
            self.bar.show_look(state.look)
            self.picture.show_look(state.look)
        if before is None or (before.learning, before.spec.law) != (state.learning, state.spec.law):
            self.panel.show_learning(state.learning, state.spec)
            self.picture.show_learning(self.panel.progress.text())
        if before is None or before.notice != state.notice:
            show_notice(self.banner, state.notice)
        self._render_choices(before, state)
        self._render_plane(before, state)
        timeline.show(self.transport, before, state)
        self.step.show(state, self.model.chain)
        if before is None or _header_of(before) != _header_of(state):
            self.header_changed.emit()

    def _render_choices(self, before: PlaneState | None, state: PlaneState) -> None:
        form = self.panel.form
        if before is None or _choices_of(before) != _choices_of(state):
            self.panel.show_state(state)
            self.bar.show_process(state.spec.process)
        if before is None or before.errors != state.errors:
            for path in form.paths:
                form.set_error(path, dict(state.errors).get(path))
        if before is None or before.t != state.t or before.spec != state.spec:
            form.field("t").show_value(state.t)

    def _render_plane(self, before: PlaneState | None, state: PlaneState) -> None:
        spec = state.spec
        many = len(spec.modes) > 30 or state.brush
        self.plane.hand.brush = state.brush
        self.plane.set_handles(Handles(() if many else spec.modes, state.selected, state.signal, state.noise))
        if before is None or before.spec != spec:
            self.plane.set_start((spec.start_x, spec.start_y) if spec.start == "point" else None)
        if before is None or _guide_of(before) != _guide_of(state):
            self._show_guidance(state)

    def _show_guidance(self, state: PlaneState) -> None:
        self.picture.show_guidance(end_words(state, self._measured))

    def _show_measures(self, found: Comparison) -> None:
        self.cards.show_measures(found)
        self._measured = found.now.last
        self._show_guidance(self.model.state)
        if found.now.last is not None:
            state = self.model.state
            where = tr("{spec.title}, t = {t}, {spec.count} particles.", spec=state.spec, t=state.t)
            self.plane.setAccessibleDescription(f"{where} {facts(found.now.last)}")

    # --- header and memory ------------------------------------------------------------------------------

    def chips(self) -> list[tuple[str, str]]:
        state = self.model.state
        count = number(state.spec.count, ",")
        return [(tr("score"), IN_WORDS[state.look.field]), (tr("particles"), count)]

    def layout_state(self) -> dict[str, Any]:
        return {
            "workspace": self.workspace.wanted_sizes(),
            "columns": self.columns.sizes(),
            "zoom": self.plane.zoom,
        }

    def restore_layout(self, state: dict[str, Any]) -> None:
        restored_sizes(self.workspace, state.get("workspace"))
        restored_sizes(self.columns, state.get("columns"))
        zoom = state.get("zoom")
        if isinstance(zoom, float) and np.isfinite(zoom):
            self.plane.set_zoom(zoom)


def _choices_of(state: PlaneState) -> tuple[Any, ...]:
    return state.spec, state.selected, state.brush


def _guide_of(state: PlaneState) -> tuple[Any, ...]:
    return state.spec.guide, state.spec.modes, state.look.field, state.learning.labelled


def _header_of(state: PlaneState) -> tuple[Any, ...]:
    return state.can_undo, state.can_redo, state.look.field, state.spec.count


def model(desk: Desk) -> PlaneViewModel:
    """What is behind the page."""
    return PlaneViewModel(*restored(desk.memory.get("plane")), parent=desk.owner)


def build(desk: Desk, model: PlaneViewModel) -> PlanePage:
    """The page of its view-model."""
    page = PlanePage(model)
    page.add_tour(Tour(CARDS, TouredPlane(model), open=True), desk.memory, page.cards.column, -1)
    return page
