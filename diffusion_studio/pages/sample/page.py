"""The Sample page: one reverse chain, walked through by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QSplitter,
    QToolButton,
    QWidget,
)

from diffusion_studio.core.guidance.guides import DrawnGuidance
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.pages.page import Page, Workspace, restored_sizes, titled
from diffusion_studio.pages.sample.actions import SampleActions
from diffusion_studio.pages.sample.pictures import SamplePictures
from diffusion_studio.pages.sample.side import CLASSIFIER, NEAREST, TRADE, SampleSide
from diffusion_studio.pages.sample.step_equation import ACTS, Acts, step_equation, with_guidance
from diffusion_studio.viewmodels.sample.chain_views import ChainCurves, StepNoise, Strip
from diffusion_studio.viewmodels.sample.classifier import ClassifierModel
from diffusion_studio.viewmodels.sample.guidance_trade import TradeModel, TradeState
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.sample.side_models import NearestModel, ReconstructionModel, ThumbnailModel
from diffusion_studio.viewmodels.sample.state import SampleState
from diffusion_studio.widgets.chain.tracks import Track
from diffusion_studio.widgets.chain.transport import Transport
from diffusion_studio.widgets.equations.equation import EquationView, Term
from diffusion_studio.widgets.forms.controls import QuietCombo
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.images.drop import ImageDrop
from diffusion_studio.widgets.images.mosaic import as_image, packed
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import label

SECTIONS = (
    ("Sampler", ["sampler", "steps", "spacing", "clip"]),
    ("Guidance", ["guidance", "guide", "curve"]),
    ("Start", ["seed", "count", "start"]),
)
VIEWS = [
    ("x0_hat", "x̂_0", "The estimate of the finished image at this step (X)"),
    ("x_t", "x_t", "The state of the chain: image and noise (T)"),
    ("eps_hat", "ε̂", "The estimate of the noise at this step (E)"),
    ("score", "s", "The estimated score, −ε̂/√(1−ᾱ): the way to where images are likely (S)"),
    ("noise", "z", "The fresh noise that this step adds (N)"),
    ("change", "Δ", "What this step changes: x_s − x_t (D)"),
    ("guidance", "γ", "What guidance adds to ε̂ for each unit of γ: ε̂(y) − ε̂(∅) (G)"),
]
LAYOUTS = [
    ("grid", "Grid", "Every sample at this step"),
    ("strip", "Strip", "The whole chain of the first samples, from noise to image"),
    ("guided", "γ | 0", "x̂_0 of this step with guidance and without it, side by side, and their difference"),
]
VIEW_KEYS = {
    Qt.Key.Key_X: "x0_hat", Qt.Key.Key_T: "x_t", Qt.Key.Key_E: "eps_hat", Qt.Key.Key_S: "score",
    Qt.Key.Key_N: "noise", Qt.Key.Key_D: "change", Qt.Key.Key_G: "guidance",
}  # fmt: skip


class SamplePage(Page):
    """The page's widgets, laid out and tied to the view-model."""

    key, title = "sample", "Sample"

    def __init__(self, model: SampleViewModel, parent: QWidget | None = None) -> None:
        super().__init__(model, parent)
        self.model = model
        self.nearest, self.reconstruction = NearestModel(self), ReconstructionModel(self)
        self.thumbnails, self.trade = ThumbnailModel(self), TradeModel(self)
        self.classifier = ClassifierModel(parent=self)
        self._build()
        self._connect()
        self._shown: SampleState | None = None
        self._thumbnails_of: tuple[str, ...] = ()
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
        self.views.set_quantities(
            {
                "x0_hat": "x0",
                "x_t": "xt",
                "eps_hat": "eps",
                "score": "score",
                "noise": "noise",
                "guidance": "guidance",
            }
        )
        self.layouts = Segmented()
        self.layouts.set_options(LAYOUTS)
        self.about = label("", "muted")
        top = QHBoxLayout()
        top.addWidget(self.views)
        top.addWidget(self.layouts)
        top.addStretch(1)
        top.addWidget(self.about)
        self.pictures = SamplePictures()
        self.side = SampleSide()
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.addWidget(self.pictures)
        self.columns.addWidget(self.side)
        self.columns.setHandleWidth(12)
        self.columns.setChildrenCollapsible(False)
        self.columns.setSizes([440, 440])
        self.transport = Transport()
        self.tools = SampleActions(self.model, self)
        for button in self.tools.buttons:
            self.transport.add_action_widget(button)
        area = self.workspace.area
        area.addWidget(self.banner)
        area.addLayout(top)
        area.addWidget(self.columns, 1)
        area.addWidget(self.transport)
        self._build_panel()

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
        self.labels.setToolTip("The class that is asked for (Luo eq. 167)")
        chosen, self.class_row = QWidget(), QWidget()
        _row(chosen, self.sources, self.browse)
        _row(self.class_row, label("class  y", "muted"), self.labels)
        self.form = Form(SECTIONS)
        self.images = ImageDrop()
        panel.addLayout(titled("Denoiser", chosen, self.class_row))
        panel.addWidget(self.form)
        panel.addWidget(self.images)
        panel.addStretch(1)
        self.equation = EquationView()
        self.workspace.foot.addWidget(label("This step", "section"))
        self.workspace.foot.addWidget(self.equation)

    def _connect(self) -> None:
        model, transport = self.model, self.transport
        model.changed.connect(self._render)
        model.frame_changed.connect(self.pictures.show_frame)
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
        transport.track_requested.connect(model.show_track)
        transport.rename_requested.connect(self.tools.ask_for_name)
        transport.delete_requested.connect(model.delete_track)
        model.strip_changed.connect(self._show_strip)
        model.noise_changed.connect(self._show_chain)
        model.chain_done.connect(self._on_chain_done)
        self.layouts.changed.connect(model.set_layout)
        self.pictures.sample_chosen.connect(model.choose_sample)
        self.pictures.state_chosen.connect(model.seek)
        self.images.files_changed.connect(self._choose_images)
        side = self.side
        side.seek_requested.connect(model.seek)
        side.points_edited.connect(lambda points: model.edit("sampler.points", tuple(map(tuple, points))))
        side.times_edited.connect(self._edit_times)
        side.sigma_wanted.connect(lambda: (model.edit("sampler.kind", "sigma"), model.settle()))
        side.edit_finished.connect(model.settle)
        side.gammas_edited.connect(self._edit_gammas)
        side.tab_changed.connect(lambda _: self._look_beside())
        side.trade.gamma_chosen.connect(lambda gamma: (model.edit("guidance", gamma), model.settle()))
        side.trade.measure_requested.connect(self._measure_trade)
        side.trade.stop_requested.connect(self.trade.stop)
        self.trade.changed.connect(self._show_trade)
        side.classifier.train_requested.connect(self.classifier.train)
        side.classifier.pause_requested.connect(self.classifier.toggle_pause)
        side.classifier.stop_requested.connect(self.classifier.stop)
        self.classifier.changed.connect(side.classifier.show_state)
        self.classifier.losses_changed.connect(side.classifier.show_losses)
        self.classifier.trained.connect(model.classifier_trained)
        self.nearest.found.connect(side.show_nearest)
        self.nearest.failed.connect(side.show_nearest_failure)
        self.reconstruction.changed.connect(side.show_errors)
        self.thumbnails.found.connect(self._show_thumbnails)
        self.form.edited.connect(lambda path, _: self._mark_terms(path))
        self.form.edit_finished.connect(lambda: self.equation.mark())
        self.equation.term_hovered.connect(self._mark)

    # --- what the person does ---------------------------------------------------------------------------

    def keyPressEvent(self, event: Any) -> None:
        view = VIEW_KEYS.get(event.key())
        if event.modifiers():
            super().keyPressEvent(event)
        elif view is not None:
            self.model.set_view(view)
        elif event.key() == Qt.Key.Key_B:
            self.model.branch()
        elif event.key() == Qt.Key.Key_C:
            self.tools.toggle_compare()
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

    def _choose_images(self, files: list[str]) -> None:
        self.model.edit("start.images", tuple(files))
        self.model.settle()

    def _edit_times(self, times: list[int]) -> None:
        if self.model.parameters.spec.spacing.kind != "explicit":
            self.model.edit("spacing", {"kind": "explicit", "values": tuple(times)})
        else:
            self.model.edit("spacing.values", tuple(times))

    def _edit_gammas(self, points: list[tuple[float, float]]) -> None:
        """Points (t, γ_t) as shares of T and of γ."""
        total, gamma = self.model.state.total, self.model.parameters.spec.guidance
        self.model.edit("curve.points", tuple((t / total, y / gamma) for t, y in points))

    def _measure_trade(self) -> None:
        record = self.model.record
        if record is not None:
            self.trade.measure(self.model.parameters.source, record.chain)

    def _mark(self, name: str) -> None:
        """Marks where a term of the equation acts: the controls that set it and the curve that draws it."""
        acts = ACTS.get(name, Acts())
        self.form.mark(*acts.controls)
        self.side.schedule_plot.mark(*acts.curves)
        self.side.eps_plot.mark(*acts.curves)
        self.transport.set_note(acts.words)

    def _mark_terms(self, path: str) -> None:
        """Marks the terms that the control in hand changes."""
        self.equation.mark(*(name for name, acts in ACTS.items() if path in acts.controls))

    def _look_beside(self) -> None:
        """Works out what the tab at hand shows beside the chain."""
        record = self.model.record
        if self.side.tab == TRADE and record is not None and self.isVisible():
            self.trade.look(record.chain)
            self.side.trade.set_gamma(self.model.parameters.spec.guidance)
        self._look_for_classifier()
        self._look_for_nearest()

    def _look_for_classifier(self) -> None:
        """Of the denoiser that is asked for: it may be what its chain still lacks."""
        if self.side.tab == CLASSIFIER and self.isVisible():
            self.classifier.show(self.model.parameters.source)

    def _look_for_nearest(self) -> None:
        record = self.model.record
        if self.side.tab == NEAREST and record is not None and self.isVisible():
            self.nearest.look(self.model.parameters.source, record, self.model.state.position)

    def _on_chain_done(self, record: Trajectory) -> None:
        self._look_beside()
        if record.chain.spec.start.kind == "inverted" and record.parent is None:
            self.reconstruction.look(record)
        else:
            self.reconstruction.stop()

    # --- what the model tells ---------------------------------------------------------------------------

    def _render(self, state: SampleState) -> None:
        before, self._shown = self._shown, state
        named = before is not None and before.class_names == state.class_names
        if not named or before.choices != state.choices or before.parameters != state.parameters:
            self._render_parameters(state)
        if before is None or before.errors != state.errors:
            for path in self.form.paths:
                self.form.set_error(path, dict(state.errors).get(path))
        if before is None or before.class_names != state.class_names:
            self._render_classes(state)
        elif before.parameters != state.parameters:
            self._render_reasons(state)
        if before is None or before.notice != state.notice:
            self._render_notice(state)
        if before is not None and before.parameters.source != state.parameters.source:
            self._look_for_classifier()
        self._render_transport(before, state)
        guide = state.parameters.spec.guide
        if before is None or (before.step, before.parameters.spec.guide) != (state.step, guide):
            self._render_equation(state)
        self.views.set_value(state.view)
        self.layouts.set_value(state.layout)
        self.pictures.set_strip(state.layout == "strip")
        if state.layout == "guided":
            self.pictures.set_titles("with guidance", "without, γ = 0", "what it changes")
        self.about.setText(_about(state))
        self.header_changed.emit()

    def _render_parameters(self, state: SampleState) -> None:
        spec = state.parameters.spec
        classes = list(enumerate(state.class_names))
        for path, none in (("guide.negative", "no class (∅)"), ("guide.second", "none")):
            self.form.set_options(path, [(-1, none), *classes] if classes else [])
        self.form.set_choice(spec)
        self.form.set_note("guidance", f"w = γ − 1 = {spec.guidance - 1:g} for Ho & Salimans")
        self.images.setVisible(spec.start.kind != "noise")
        self.images.set_files(spec.start.files)
        if spec.start.files != self._thumbnails_of:  # also of those that were added on the page itself
            self._thumbnails_of = spec.start.files
            self.thumbnails.read(spec.start.files)
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
        self.labels.addItem("none (∅)", -2)
        self.labels.setCurrentIndex(max(self.labels.findData(state.parameters.spec.label), 0))
        has_classes = bool(state.class_names)
        self.class_row.setVisible(has_classes)
        self._render_reasons(state)

    def _render_reasons(self, state: SampleState) -> None:
        """Greys what cannot be changed now, and says why."""
        reasons = {}
        if not state.class_names and state.parameters.spec.guide.needs == "labels":
            words = "This model was trained without labels; this kind of guidance needs them."
            reasons |= dict.fromkeys(
                ("guidance", "curve", "guide.negative", "guide.second", "guide.share"), words
            )
        if state.parameters.tree.active:
            reasons |= dict.fromkeys(("start", "count"), "A branch begins where it leaves its parent.")
        if state.parameters.spec.spacing.kind == "explicit":
            reasons["steps"] = "The list of times says how many steps there are."
        self.form.set_disabled_reasons(reasons)

    def _render_notice(self, state: SampleState) -> None:
        if state.notice is None:
            self.banner.dismiss()
        else:
            self.banner.show_message(
                state.notice.kind, state.notice.text, state.notice.action, state.notice.details
            )

    def _render_transport(self, before: SampleState | None, state: SampleState) -> None:
        transport = self.transport
        tree = state.parameters.tree
        if before is None or before.tracks != state.tracks or before.parameters != state.parameters:
            self._render_tracks(state)
        transport.set_position(state.position)
        transport.set_playing(state.playing)
        transport.set_loop(state.loop)
        if before is None or before.position != state.position:
            self.side.set_cursor(state.position)
            if state.times:
                self.side.classifier.set_time(state.times[state.position])
            self.pictures.set_position(state.position)
            if self.side.tab == NEAREST:
                self._look_for_nearest()
        self.pictures.set_sample(state.sample)
        inverting = state.parameters.spec.start.kind == "inverted"
        self.side.set_extras(comparing=tree.compared >= 0, inverting=inverting)

    def _render_tracks(self, state: SampleState) -> None:
        tree = state.parameters.tree
        tracks = [Track(t.times, t.parent, t.ready - 1, t.label, t.start) for t in state.tracks]
        if tracks:
            self.transport.set_tracks(tracks, min(tree.active, len(tracks) - 1))
            self.transport.set_compared(tree.compared if 0 <= tree.compared < len(tracks) else None)
        names = [track.label for track in state.tracks]
        if state.layout != "guided" and 0 <= tree.compared < len(names) and tree.active < len(names):
            self.pictures.set_names(names[tree.active], names[tree.compared])

    def _render_equation(self, state: SampleState) -> None:
        step = state.step
        source = type(state.parameters.spec.sampler).source
        if step is None:
            self.equation.set_equation((Term("x_0", "x0"),), (), "the finished image")
            return
        formula, numbers = step_equation(step.update, step.s)
        if step.gamma is not None:
            formula, numbers = with_guidance(formula, numbers, state.parameters.spec.guide, step.gamma)
        self.equation.set_equation(formula, numbers, f"t = {step.t} → s = {step.s} · {source}")

    def _show_curves(self, curves: ChainCurves) -> None:
        self.side.show_curves(curves, learned=not self.model.state.exact)

    def _show_chain(self, noise: StepNoise) -> None:
        """What depends on the chain alone, not on how far it has been walked."""
        self.side.show_noise(noise)
        record = self.model.record
        if record is not None:
            self.side.show_times(record.chain.source.tables.alpha_bar.numpy(), record.chain.times)
            self._show_gammas(record.chain)

    def _show_gammas(self, chain: Chain) -> None:
        spec, total = chain.spec, chain.source.tables.steps
        gammas = [spec.gamma(t, total) for t in chain.times[:-1]] if chain.class_names else []
        drawn = None
        if isinstance(spec.curve, DrawnGuidance) and spec.guidance > 0:
            drawn = tuple((place * total, share * spec.guidance) for place, share in spec.curve.points)
        self.side.show_gammas(chain.times, gammas, drawn)

    def _show_trade(self, state: TradeState) -> None:
        self.side.trade.show_state(state)
        self.side.trade.set_gamma(self.model.parameters.spec.guidance)

    def _show_thumbnails(self, pixels: dict[str, Any], errors: dict[str, str]) -> None:
        images = {file: as_image(packed(values[None])[0]) for file, values in pixels.items()}
        self.images.set_thumbnails(images, errors)

    def _show_strip(self, strip: Strip) -> None:
        self.pictures.show_strip(strip)
        self.pictures.set_position(self.model.state.position)

    # --- header and memory ------------------------------------------------------------------------------

    def chips(self) -> list[tuple[str, str]]:
        state = self.model.state
        chips = [("model", state.model)] if state.model else []
        if state.model_step:
            chips.append(("step", f"{state.model_step:,}"))
        if state.learns_variance:
            chips.append(("variance", "learned"))
        if state.device:
            chips.append(("device", state.device))
        return chips

    def open_path(self, path: str) -> None:
        self.model.open_folder(Path(path))

    def layout_state(self) -> dict[str, Any]:
        sizes = {"workspace": self.workspace.sizes(), "columns": self.columns.sizes()}
        return {**sizes, "tab": self.side.tab}

    def restore_layout(self, state: dict[str, Any]) -> None:
        restored_sizes(self.workspace, state.get("workspace"))
        restored_sizes(self.columns, state.get("columns"))
        self.side.show_tab(str(state.get("tab")))

    def shutdown(self) -> None:
        """Stops what is worked out beside the chain."""
        for model in (self.nearest, self.reconstruction, self.thumbnails, self.trade, self.classifier):
            model.shutdown()


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
    spec = state.parameters.spec
    calls = spec.sampler.calls(steps)
    cost = f" · {calls} calls" if calls != steps else ""
    kept = " on disk" if state.on_disk else ""
    what = state.doing or f"{state.parameters.tree.spec.count} chains · {steps} steps{cost}"
    return f"{what} · {state.megabytes:.1f} MB{kept}"
