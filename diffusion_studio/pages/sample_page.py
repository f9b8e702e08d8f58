"""The Sample page: one reverse chain, walked through by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.pages.page import Page, Workspace, restored_sizes, titled
from diffusion_studio.pages.step_equation import step_equation
from diffusion_studio.viewmodels.sample import ChainCurves, Frame, SampleState, SampleViewModel
from diffusion_studio.widgets.banner import Banner
from diffusion_studio.widgets.cards import Card
from diffusion_studio.widgets.equation import EquationView, Term
from diffusion_studio.widgets.form import Form
from diffusion_studio.widgets.form_controls import QuietCombo
from diffusion_studio.widgets.icons import set_icon
from diffusion_studio.widgets.image_grid import ImageGrid
from diffusion_studio.widgets.plots import ChainPlot, Curve
from diffusion_studio.widgets.segmented import Segmented
from diffusion_studio.widgets.theme import label
from diffusion_studio.widgets.transport import Transport

SECTIONS = (
    ("Sampler", ["sampler", "steps", "spacing", "clip"]),
    ("Start", ["seed", "count"]),
    ("Guidance", ["guidance"]),
)
VIEWS = [
    ("x0_hat", "x̂_0", "The estimate of the finished image at this step (X)"),
    ("x_t", "x_t", "The state of the chain: image and noise (T)"),
    ("eps_hat", "ε̂", "The estimate of the noise at this step (E)"),
]
VIEW_KEYS = {Qt.Key.Key_X: "x0_hat", Qt.Key.Key_T: "x_t", Qt.Key.Key_E: "eps_hat"}
EXPORTS = [
    ("Picture of this step …", "png", "PNG (*.png)"),
    ("Animation of the chain …", "gif", "GIF (*.gif)"),
    ("Every number …", "npz", "NumPy (*.npz)"),
]


class SamplePage(Page):
    """The page's widgets, laid out and tied to the view-model."""

    key, title = "sample", "Sample"

    def __init__(self, model: SampleViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._build()
        self._connect()
        self._shown: SampleState | None = None
        self._render(model.state)

    # --- widgets ----------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.workspace = Workspace()
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.workspace)
        self.banner = Banner()
        self.views = Segmented()
        self.views.set_options(VIEWS)
        self.views.set_quantities({"x0_hat": "x0", "x_t": "xt", "eps_hat": "eps"})
        self.about = label("", "muted")
        top = QHBoxLayout()
        top.addWidget(self.views)
        top.addStretch(1)
        top.addWidget(self.about)
        self.grid = ImageGrid()
        self.grid.set_empty_text("The chain is being computed …")
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.addWidget(self.grid)
        self.columns.addWidget(self._build_curves())
        self.columns.setHandleWidth(12)
        self.columns.setChildrenCollapsible(False)
        self.columns.setSizes([440, 440])
        self.transport = Transport()
        self.transport.add_action_widget(self._build_export())
        area = self.workspace.area
        area.addWidget(self.banner)
        area.addLayout(top)
        area.addWidget(self.columns, 1)
        area.addWidget(self.transport)
        self._build_panel()

    def _build_curves(self) -> QWidget:
        self.schedule_plot = ChainPlot("Schedule")
        self.eps_plot = ChainPlot("Size of ε̂ per pixel")
        self.distance_plot = ChainPlot("When is the image decided?")
        self.schedule_plot.set_limits((0.0, 1.0))
        column = QWidget()
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        for plot in self._plots:
            card = Card()
            card.body.addWidget(plot)
            layout.addWidget(card, 1)
        return column

    @property
    def _plots(self) -> tuple[ChainPlot, ChainPlot, ChainPlot]:
        return self.schedule_plot, self.eps_plot, self.distance_plot

    def _build_export(self) -> QWidget:
        self.export_button = QToolButton()
        self.export_button.setText("Export")
        self.export_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        set_icon(self.export_button, "export")
        self.export_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.export_button)
        for text, suffix, kind in EXPORTS:
            menu.addAction(text, lambda suffix=suffix, kind=kind: self.ask_for_export(suffix, kind))
        self.export_button.setMenu(menu)
        return self.export_button

    def _build_panel(self) -> None:
        panel = self.workspace.panel
        self.sources = QuietCombo()
        self.sources.setAccessibleName("Denoiser")
        self.sources.setToolTip(
            "The model whose chain is shown: a trained run, or the exact denoiser of a data set"
        )
        self.browse = QToolButton()
        set_icon(self.browse, "folder")
        self.browse.setToolTip("Open a run or a model folder from elsewhere")
        self.browse.setAccessibleName("Open a run or a model folder")
        self.labels = QuietCombo()
        self.labels.setAccessibleName("Class")
        self.labels.setToolTip("The class that is asked for (L 167)")
        chosen, self.class_row = QWidget(), QWidget()
        _row(chosen, self.sources, self.browse)
        _row(self.class_row, label("class  y", "muted"), self.labels)
        self.form = Form(SECTIONS)
        panel.addLayout(titled("Denoiser", chosen, self.class_row))
        panel.addWidget(self.form)
        panel.addStretch(1)
        self.equation = EquationView()
        self.workspace.foot.addWidget(label("This step", "section"))
        self.workspace.foot.addWidget(self.equation)

    def _connect(self) -> None:
        model, transport = self.model, self.transport
        model.changed.connect(self._render)
        model.frame_changed.connect(self._show_frame)
        model.curves_changed.connect(self._show_curves)
        self.form.edited.connect(model.edit)
        self.form.edit_finished.connect(model.settle)
        self.views.changed.connect(model.set_view)
        self.sources.activated.connect(lambda i: model.choose_source(self.sources.itemData(i)))
        self.labels.activated.connect(self._choose_label)
        self.browse.clicked.connect(self.choose_folder)
        self.banner.closed.connect(model.dismiss_notice)
        transport.seek_requested.connect(model.seek)
        transport.step_requested.connect(model.step)
        transport.home.connect(lambda: model.seek(0))
        transport.end.connect(lambda: model.seek(len(model.state.times) - 1))
        transport.play_toggled.connect(model.toggle_playing)
        transport.play_requested.connect(model.play)
        transport.pause_requested.connect(model.stop_playing)
        transport.loop_toggled.connect(model.set_loop)
        transport.speed_changed.connect(model.set_speed)
        transport.install_on(self)
        for plot in self._plots:
            plot.seek_requested.connect(model.seek)

    # --- what the person does ---------------------------------------------------------------------------

    def keyPressEvent(self, event: Any) -> None:
        view = VIEW_KEYS.get(event.key())
        if view is not None and not event.modifiers():
            self.model.set_view(view)
        else:
            super().keyPressEvent(event)

    def _choose_label(self, index: int) -> None:
        self.model.edit("label", self.labels.itemData(index))
        self.model.settle()

    def choose_folder(self) -> None:
        """Asks for a run or a model folder."""
        dialog = QFileDialog(self, "Open a run or a model folder")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.model.open_folder(Path(path)))
        dialog.open()

    def ask_for_export(self, suffix: str, kind: str) -> None:
        """Asks where to write."""
        name = f"{self.model.state.model or 'chain'}.{suffix}"
        dialog = QFileDialog(self, "Export", str(Path.home() / name), kind)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.model.export(Path(path)))
        dialog.open()

    # --- what the model tells ---------------------------------------------------------------------------

    def _render(self, state: SampleState) -> None:
        before, self._shown = self._shown, state
        if before is None or before.choices != state.choices or before.parameters != state.parameters:
            self._render_parameters(state)
        if before is None or before.errors != state.errors:
            for path in self.form.paths:
                self.form.set_error(path, dict(state.errors).get(path))
        if before is None or before.class_names != state.class_names:
            self._render_classes(state)
        if before is None or before.notice != state.notice:
            self._render_notice(state)
        self._render_transport(before, state)
        if before is None or before.step != state.step:
            self._render_equation(state)
        self.views.set_value(state.view)
        self.about.setText(_about(state))
        self.header_changed.emit()

    def _render_parameters(self, state: SampleState) -> None:
        self.form.set_choice(state.parameters.spec)
        keys = [choice.key for choice in state.choices]
        if keys != [self.sources.itemData(i) for i in range(self.sources.count())]:
            self.sources.clear()
            for choice in state.choices:
                self.sources.addItem(choice.title, choice.key)
                self.sources.setItemData(self.sources.count() - 1, choice.key, Qt.ItemDataRole.ToolTipRole)
        self.sources.setCurrentIndex(self.sources.findData(state.parameters.source))
        self.labels.setCurrentIndex(max(self.labels.findData(state.parameters.spec.label), 0))

    def _render_classes(self, state: SampleState) -> None:
        self.labels.clear()
        self.labels.addItem("all in turn", -1)
        for number, name in enumerate(state.class_names):
            self.labels.addItem(name, number)
        self.labels.setCurrentIndex(max(self.labels.findData(state.parameters.spec.label), 0))
        has_classes = bool(state.class_names)
        self.class_row.setVisible(has_classes)
        reason = "This model was trained without labels; guidance needs them."
        self.form.set_disabled_reasons({} if has_classes else {"guidance": reason})

    def _render_notice(self, state: SampleState) -> None:
        if state.notice is None:
            self.banner.dismiss()
        else:
            self.banner.show_message(
                state.notice.kind, state.notice.text, state.notice.action, state.notice.details
            )

    def _render_transport(self, before: SampleState | None, state: SampleState) -> None:
        transport = self.transport
        if before is None or before.times != state.times:
            transport.set_times(state.times)
        if before is None or before.ready != state.ready:
            transport.set_ready(state.ready - 1)
        transport.set_position(state.position)
        transport.set_playing(state.playing)
        transport.set_loop(state.loop)
        for plot in self._plots:
            plot.set_cursor(state.position)

    def _render_equation(self, state: SampleState) -> None:
        step = state.step
        source = type(state.parameters.spec.sampler).source
        if step is None:
            self.equation.set_equation((Term("x_0", "x0"),), (), "the finished image")
            return
        formula, numbers = step_equation(step.update, step.s)
        self.equation.set_equation(formula, numbers, f"t = {step.t} → s = {step.s} · {source}")

    def _show_frame(self, frame: Frame) -> None:
        self.grid.set_images(frame.images)
        self.grid.set_captions(list(frame.captions))

    def _show_curves(self, curves: ChainCurves) -> None:
        learned = not self.model.state.exact  # learned is dashed, exact is solid
        schedule = {
            "ᾱ": Curve(curves.alpha_bar, "x0", label="ᾱ  image left"),
            "σ": Curve(curves.sigma, "eps", label="σ  noise added"),
        }
        self.schedule_plot.set_curves(curves.times, schedule)
        self.eps_plot.set_curves(curves.times, {"‖ε̂‖": Curve(curves.eps_norm, "eps", learned, "‖ε̂‖")})
        distance = Curve(curves.distance, "x0", learned, "‖x̂₀(t) − x̂₀(end)‖")
        self.distance_plot.set_curves(curves.times, {"distance": distance})

    # --- header and memory ------------------------------------------------------------------------------

    def chips(self) -> list[tuple[str, str]]:
        state = self.model.state
        chips = [("model", state.model)] if state.model else []
        if state.model_step:
            chips.append(("step", f"{state.model_step:,}"))
        if state.device:
            chips.append(("device", state.device))
        return chips

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

    def open_path(self, path: str) -> None:
        self.model.open_folder(Path(path))

    def layout_state(self) -> dict[str, Any]:
        return {"workspace": self.workspace.sizes(), "columns": self.columns.sizes()}

    def restore_layout(self, state: dict[str, Any]) -> None:
        restored_sizes(self.workspace, state.get("workspace"))
        restored_sizes(self.columns, state.get("columns"))


def _row(holder: QWidget, *widgets: QWidget) -> None:
    """Lays widgets side by side; combo boxes take what room there is."""
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(8)
    for widget in widgets:
        row.addWidget(widget, int(isinstance(widget, QuietCombo)))


def _about(state: SampleState) -> str:
    """ "16 chains · 50 steps · 3.1 MB"."""
    steps = max(len(state.times) - 1, 0)
    if not steps:
        return ""
    count = state.parameters.spec.count
    return f"{count} chains · {steps} steps · {state.megabytes:.1f} MB"
