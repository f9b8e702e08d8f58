"""The 2-D page: a plane in which everything is known, to be touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QElapsedTimer, QRect, Qt
from PySide6.QtGui import QAction, QActionGroup, QHideEvent, QPainter, QShowEvent
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QSplitter, QStackedWidget, QToolButton, QWidget

from diffusion_studio.engine.toy_field import FieldView
from diffusion_studio.pages.page import Page, Workspace, restored_sizes
from diffusion_studio.pages.toy_cards import ToyCards, facts
from diffusion_studio.pages.toy_equation import toy_equation
from diffusion_studio.pages.toy_panel import ToyPanel
from diffusion_studio.pages.toy_recorder import Recorder
from diffusion_studio.viewmodels.toy import ToyViewModel
from diffusion_studio.viewmodels.toy_state import (
    Comparison,
    Particles,
    PointReading,
    ToyState,
    method_of,
    methods,
)
from diffusion_studio.widgets.banner import Banner
from diffusion_studio.widgets.equation import EquationView
from diffusion_studio.widgets.icons import set_icon
from diffusion_studio.widgets.plane import PlaneView
from diffusion_studio.widgets.plane_paint import Layers
from diffusion_studio.widgets.segmented import Segmented
from diffusion_studio.widgets.step_transport import StepTransport
from diffusion_studio.widgets.surface import SurfaceView
from diffusion_studio.widgets.theme import label, theme

FIELDS = [
    ("exact", "Exact", "The score in closed form (1)"),
    ("learned", "Learned", "The score that the small network has learned; particles follow it too (2)"),
    (
        "error",
        "Error",
        "Where the learned score errs: the Fisher divergence, cell by cell, L 157 (3)",
    ),
]
EQUATION_EVERY = 150  # ms
FIELD_KEYS = {Qt.Key.Key_1: "exact", Qt.Key.Key_2: "learned", Qt.Key.Key_3: "error"}
LAYERS = (
    ("density", "Density"),
    ("contours", "Contour lines"),
    ("arrows", "Score arrows"),
    ("particles", "Particles"),
    ("weighed", "Error weighted by the density"),
)
COLORS = (("class", "Colour by class"), ("start", "Colour by starting point"), ("none", "One colour"))
TRAILS = (("off", "No trails"), ("short", "Short trails"), ("whole", "Whole paths"))
EXPORTS = [
    ("Picture …", "png", "PNG (*.png)"),
    ("Drawing …", "svg", "SVG (*.svg)"),
    ("Animation …", "gif", "GIF (*.gif)"),
    ("Animation, small …", "webp", "WebP (*.webp)"),
    ("Particles …", "npz", "NumPy (*.npz)"),
    ("State …", "json", "State (*.json)"),
]


class ToyPage(Page):
    """The page's widgets, laid out and tied to the view-model."""

    key, title = "toy", "2-D"

    def __init__(self, model: ToyViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._shown: ToyState | None = None
        self._field: FieldView | None = None
        self._animation = Path()
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
        self.plane, self.surface = PlaneView(), SurfaceView()
        self.picture = QStackedWidget()
        self.picture.addWidget(self.plane)
        self.picture.addWidget(self.surface)
        self.cards = ToyCards()
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.addWidget(self.picture)
        self.columns.addWidget(self.cards)
        self.columns.setHandleWidth(12)
        self.columns.setChildrenCollapsible(False)
        self.columns.setStretchFactor(0, 1)
        self.columns.setSizes([560, 300])
        self.transport = StepTransport()
        self.transport.add_action_widget(self._build_export())
        self.recorder = Recorder(self.model.player, self._frame, self)
        top = QHBoxLayout()
        top.setSpacing(8)
        for widget in (self.fields, self._build_show(), self._build_relief()):
            top.addWidget(widget)
        top.addStretch(1)
        top.addWidget(self.methods)
        area = self.workspace.area
        area.addWidget(self.banner)
        area.addLayout(top)
        area.addWidget(self.columns, 1)
        area.addWidget(self.transport)
        self.panel = ToyPanel()
        self.workspace.panel.addWidget(self.panel)
        self.workspace.panel.addStretch(1)
        self.equation = EquationView()
        self.workspace.foot.addWidget(label("This step", "section"))
        self.workspace.foot.addWidget(self.equation)

    @property
    def form(self) -> Any:
        """The form of all parameters but the modes'."""
        return self.panel.form

    def _build_show(self) -> QWidget:
        button = QToolButton()
        button.setText("Show")
        button.setToolTip("What is drawn, and in which colours")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
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
        button.setMenu(menu)
        return button

    def _look_action(self, menu: QMenu, name: str, key: str, text: str) -> QAction:
        action = menu.addAction(text)
        action.setCheckable(True)
        self.look_actions[name, key] = action
        return action

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

    def _build_export(self) -> QWidget:
        self.export_button = QToolButton()
        self.export_button.setText("Export")
        self.export_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        set_icon(self.export_button, "export")
        self.export_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.export_button)
        for text, suffix, kind in EXPORTS:
            menu.addAction(text, lambda suffix=suffix, kind=kind: self.ask_for_export(suffix, kind))
        menu.addSeparator()
        menu.addAction("Open a state …", self.ask_for_state)
        self.export_button.setMenu(menu)
        return self.export_button

    def _connect(self) -> None:
        model, plane, panel = self.model, self.plane, self.panel
        model.changed.connect(self._render)
        model.field_changed.connect(self._show_field)
        model.particles_changed.connect(self._show_particles)
        model.measured.connect(self._show_measures)
        model.pointer.changed.connect(self._show_reading)
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

    def ask_for_export(self, suffix: str, kind: str) -> None:
        """Asks where to write."""
        dialog = QFileDialog(self, "Export", str(Path.home() / f"plane.{suffix}"), kind)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.export(Path(path)))
        dialog.open()

    def export(self, path: Path) -> None:
        """Writes what the ending of `path` says: png, svg, gif, webp, npz or json."""
        match path.suffix.lower():
            case ".svg":
                self._export_drawing(path)
            case ".gif" | ".webp":
                self._animation = path
                self.recorder.start()
            case ".png":
                self.model.export(path, [self._frame()])
            case _:
                self.model.export(path)

    def _frame(self) -> np.ndarray:
        """The picture as one sees it, (H, W, 3)."""
        if self.picture.currentWidget() is self.plane:
            return self.plane.picture()
        image = self.surface.grab().toImage().convertToFormat(self.plane._image.format())
        pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
        return pixels[:, :, 2::-1].copy()

    def _export_drawing(self, path: Path) -> None:
        view = self.plane if self.picture.currentWidget() is self.plane else self.surface
        try:
            path.touch()
        except OSError as error:
            self.model.complain(f"{path} could not be written: {error.strerror or error}.")
            return
        generator = QSvgGenerator()
        generator.setFileName(str(path))
        generator.setSize(view.size())
        generator.setViewBox(QRect(0, 0, view.width(), view.height()))
        generator.setTitle(f"{self.model.spec.title}, t = {self.model.state.t}")
        painter = QPainter(generator)
        view.draw_scene(painter)
        painter.end()

    def ask_for_state(self) -> None:
        """Asks for a saved state, or a picture with one inside."""
        dialog = QFileDialog(self, "Open a state", str(Path.home()), "States and pictures (*.json *.png)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.model.open_state(Path(path)))
        dialog.open()

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

    def _render(self, state: ToyState) -> None:
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
            self._say_learning()
        if before is None or before.notice != state.notice:
            self._render_notice(state)
        if before is None or before.t != state.t or before.spec != state.spec:
            self.form.field("t").show_value(state.t)
        self._render_plane(state)
        self._render_transport(before, state)
        self._render_equation(before, state)
        if before is None or before.tour != state.tour:
            self.cards.tour.show_card(state.tour)
        if before is None or _header_of(before) != _header_of(state):
            self.header_changed.emit()

    def _render_plane(self, state: ToyState) -> None:
        many = len(state.spec.modes) > 30 or state.brush
        self.plane.brush = state.brush
        self.plane.set_modes(() if many else state.spec.modes, state.selected, state.alpha_bar**0.5)

    def _render_look(self, state: ToyState) -> None:
        look = state.look
        self.fields.set_value(look.field)
        self.relief.setChecked(look.surface)
        self.picture.setCurrentWidget(self.surface if look.surface else self.plane)
        if look.surface and self._field is not None:
            self.surface.set_field(self._field)
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

    def _render_equation(self, before: ToyState | None, state: ToyState) -> None:
        """The numbers of the step; a few times a second are enough while they run."""
        self._stale |= before is None or _step_of(before) != _step_of(state)
        resting = state.playing and self._clock.isValid() and self._clock.elapsed() < EQUATION_EVERY
        if self._stale and not resting:
            chain = self.model.chain
            tables = chain.denoiser.tables
            self.equation.set_equation(*toy_equation(chain.spec, tables, chain.times, chain.position))
            self._stale = False
            self._clock.start()

    def _render_transport(self, before: ToyState | None, state: ToyState) -> None:
        transport = self.transport
        if before is None or (before.times, before.spec) != (state.times, state.spec):
            transport.set_levels(state.times, _ends(state))
            transport.set_ready(state.last)
        transport.set_position(state.position)
        if before is None or before.playing != state.playing:
            transport.set_playing(state.playing)
        if before is None or before.loop != state.loop:
            transport.set_loop(state.loop)

    def _show_field(self, field: FieldView) -> None:
        self.plane.set_field(field)
        self._field = field
        self._say_learning()
        if self.model.state.look.surface:
            self.surface.set_field(field)

    def _say_learning(self) -> None:
        """Over a learned field: how far the network is, and how wrong."""
        field, words = self._field, []
        if field is not None and field.error is not None:
            words.append(_about_error(field))
        if self.model.state.look.field != "exact":
            words.append(self.panel.progress.text())
        self.plane.set_words("top", "\n".join(word for word in words if word))

    def _show_particles(self, particles: Particles) -> None:
        self.plane.set_particles(particles.x, particles.labels)
        whole = self.model.state.look.trails == "whole"
        self.plane.set_trails(particles.paths, particles.path_labels, fade=not whole)
        if self.model.state.look.surface:
            self.surface.set_trails(particles.paths[:, :12], particles.path_labels)

    def _show_measures(self, found: Comparison) -> None:
        self.cards.show_measures(found)
        if found.now.last is not None:
            state = self.model.state
            where = f"{state.spec.title}, t = {state.t}, {state.spec.count} particles. "
            self.plane.setAccessibleDescription(where + facts(found.now.last))

    def _show_reading(self, reading: PointReading | None) -> None:
        self.plane.set_words("bottom", "" if reading is None else _reading(reading))

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
        return {"workspace": self.workspace.sizes(), "columns": self.columns.sizes(), "zoom": self.plane.zoom}

    def restore_layout(self, state: dict[str, Any]) -> None:
        restored_sizes(self.workspace, state.get("workspace"))
        restored_sizes(self.columns, state.get("columns"))
        zoom = state.get("zoom")
        if isinstance(zoom, float) and np.isfinite(zoom):
            self.plane.set_zoom(zoom)


def _about_error(field: FieldView) -> str:
    """The number that belongs to the error map."""
    if field.error is None:
        return ""
    return (
        f"Fisher divergence {field.fisher:.3g}, {100 * field.relative:.2g} % of E‖s‖²\n"
        "colours: ‖ŝ − s‖² from 0.1 % to 1000 % of E‖s‖²"
    )


def _reading(reading: PointReading) -> str:
    """What is known about a place, in two or three lines."""
    sx, sy = reading.score
    lines = [
        f"({reading.x:.2f}, {reading.y:.2f})   t = {reading.t}   ln p_t = {reading.log_density:.3f}",
        f"score ({sx:.2f}, {sy:.2f})",
    ]
    if reading.learned is not None:
        lines[1] += f"   learned ({reading.learned[0]:.2f}, {reading.learned[1]:.2f})"
    if reading.flow is not None and reading.exact is not None:
        lines.append(f"ln p_0 = {reading.exact:.4f} in closed form, {reading.flow:.4f} along the flow")
    return "\n".join(lines).replace("-", "−").replace("p_t", "pₜ").replace("p_0", "p₀")


def _ends(state: ToyState) -> tuple[str, str]:
    kind = state.spec.process.kind
    if kind == "langevin":
        return "start", f"{state.last} steps at t = {state.spec.t}"
    if kind == "forward":
        return "data", "noise"
    return ("data", "noise, and back to the data") if state.spec.start == "data" else ("noise", "data")


def _choices_of(state: ToyState) -> tuple[Any, ...]:
    return state.spec, state.selected, state.brush


def _step_of(state: ToyState) -> tuple[Any, ...]:
    position = 0 if not state.follows else state.position
    return state.spec.process, state.times, position, state.spec.schedule


def _header_of(state: ToyState) -> tuple[Any, ...]:
    return state.can_undo, state.can_redo, state.look.field, state.spec.count
