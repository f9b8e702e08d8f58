"""The Train page: data, parameters, and what the training does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QSlider,
    QSplitter,
    QStackedWidget,
    QWidget,
)

from diffusion_studio.engine.training.events import TimestepErrors
from diffusion_studio.engine.training.presets import PRESETS
from diffusion_studio.engine.training.timestep_errors import standard_error
from diffusion_studio.pages.page import Page, Workspace, restored_sizes, titled
from diffusion_studio.pages.train.curve_by_hand import BY_HAND, CurveByHand
from diffusion_studio.pages.train.loss_equation import loss_terms
from diffusion_studio.pages.train.parts import caption, framed, measures, overlays
from diffusion_studio.viewmodels.train.comparison import Floats, fixed_schedules
from diffusion_studio.viewmodels.train.model import TrainViewModel
from diffusion_studio.viewmodels.train.preview_history import PreviewHistory
from diffusion_studio.viewmodels.train.series import LossSeries
from diffusion_studio.viewmodels.train.state import TrainState
from diffusion_studio.viewmodels.train.timestep_history import TimestepHistory
from diffusion_studio.widgets.equations.equation import EquationView
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.frame.cards import Card, DataCard, ProgressCard, SkippedDialog
from diffusion_studio.widgets.frame.empty import EmptyState
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.look.theme import label
from diffusion_studio.widgets.plots import Compared, Line, LossPlot, Mark, RunCurve, XYPlot
from diffusion_studio.widgets.plots.quality_view import QualityView
from diffusion_studio.widgets.plots.timestep_panel import FROZEN, TimestepPanel

SECTIONS = (
    ("Length", ["training.seconds", "training.steps"]),
    ("Objective", ["objective"]),
    ("Noise schedule", ["diffusion"]),
    ("Network", ["model"]),
    ("Optimizer", ["training", "seed"]),
    (
        "Images",
        ["data.resolution", "data.channels", "data.fit", "data.background", "data.flip", "data.held_out"],
    ),
)
PROGRESS_HZ = 8.0
PLOT_HZ = 4.0  # painting costs the training time on a small processor


class TrainPage(Page):
    """The page's widgets, laid out and tied to the view-model."""

    key, title = "train", "Train"
    sample_requested = Signal()

    def __init__(self, model: TrainViewModel, parent: QWidget | None = None) -> None:
        super().__init__(model, parent)
        self.model = model
        self._build()
        self._connect()
        self._shown: TrainState | None = None
        self._progress_shown = -1e9
        self._render(model.state)

    # --- widgets ----------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.workspace = Workspace()
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.workspace)
        self.banner = Banner()
        self.workspace.area.addWidget(self.banner)
        self.views = QStackedWidget()
        self.empty = EmptyState()
        self.empty.set_content(
            "train", "Train a model from scratch",
            "Drop a folder of images anywhere on the window, or begin with the built-in handwritten digits. "
            "You will see the loss, which timesteps it comes from, and samples as they sharpen.",
            "Train on these images", "Open a folder …",
        )  # fmt: skip
        self.views.addWidget(self.empty)
        self.views.addWidget(self._build_live())
        self.workspace.area.addWidget(self.views, 1)
        self.progress = ProgressCard()
        self.again = QPushButton("Resume")
        self.again.setToolTip("Go on with the run that is shown")
        self.sample_now = QPushButton("Sample")
        self.sample_now.setToolTip("Walk through the reverse chain of this model")
        self.progress.add_action_widget(self.again)
        self.progress.add_action_widget(self.sample_now)
        self.workspace.area.addWidget(self.progress)
        self._build_panel()

    def _build_live(self) -> QWidget:
        self.loss, self.panel = LossPlot("Loss, as minimised", max_hz=PLOT_HZ), TimestepPanel(max_hz=PLOT_HZ)
        self.curves = QSplitter(Qt.Orientation.Vertical)
        for plot in (self.loss, self.panel):
            self.curves.addWidget(framed(plot))
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.addWidget(self.curves)
        self.columns.addWidget(self._build_samples())
        self.columns.setStretchFactor(0, 3)
        self.columns.setStretchFactor(1, 2)
        self.columns.setSizes([600, 400])
        self.schedule = XYPlot("Learned noise schedule", max_hz=PLOT_HZ)
        self.schedule.set_axes("t", "ln SNR, −ω(t)")
        self.schedule_card = framed(self.schedule)
        self.curves.addWidget(self.schedule_card)
        self.schedule_card.hide()
        for splitter in (self.curves, self.columns):
            splitter.setHandleWidth(12)
            splitter.setChildrenCollapsible(False)
        return self.columns

    def _build_samples(self) -> QWidget:
        self.samples = Card("Samples")
        self.grid = ImageGrid()
        self.grid.set_empty_text("The first samples appear after a few seconds.")
        self.history = QSlider(Qt.Orientation.Horizontal)
        self.history.setRange(0, 0)
        self.history.setAccessibleName("Step of training whose samples are shown")
        self.history.setToolTip("Look back at earlier samples; the noise is always the same")
        ends = QHBoxLayout()
        ends.addWidget(label("first", "muted"))
        ends.addWidget(self.history, 1)
        ends.addWidget(label("now", "muted"))
        self.samples.body.addWidget(self.grid, 1)
        self.samples.body.addLayout(ends)
        self.quality = QualityView()
        self.quality.show_measures(None)
        self.samples.body.addWidget(self.quality)
        return self.samples

    def _build_panel(self) -> None:
        panel = self.workspace.panel
        self.data_card = DataCard()
        self.skipped = SkippedDialog(self)
        self.presets = Segmented(stretch=True)
        self.presets.set_options([(p.key, p.title, p.help) for p in PRESETS])
        self.form = Form(SECTIONS)
        panel.addLayout(titled("Data", self.data_card))
        panel.addLayout(titled("Preset", self.presets))
        self.curves_by_hand = {path: CurveByHand(path, *look) for path, look in BY_HAND.items()}
        for curve in self.curves_by_hand.values():
            panel.addWidget(curve)
        panel.addWidget(self.form)
        panel.addStretch(1)
        self.equation = EquationView()
        self.workspace.foot.addWidget(label("Minimised here", "section"))
        self.workspace.foot.addWidget(self.equation)

    def _connect(self) -> None:
        model = self.model
        model.changed.connect(self._render)
        model.losses_changed.connect(self._show_losses)
        model.timesteps_changed.connect(self._show_timesteps)
        model.previews_changed.connect(self._show_previews)
        self.form.edited.connect(model.edit)
        self.form.edit_finished.connect(model.settle)
        for curve in self.curves_by_hand.values():
            curve.edited.connect(model.edit)
            curve.settled.connect(model.settle)
        self.presets.changed.connect(model.choose_preset)
        self.data_card.open_requested.connect(self.choose_folder)
        self.data_card.cancel_requested.connect(model.cancel_loading)
        self.data_card.skipped_requested.connect(self.skipped.open)
        self.empty.primary_requested.connect(model.start)
        self.empty.secondary_requested.connect(self.choose_folder)
        self.progress.start_requested.connect(model.start)
        self.progress.pause_requested.connect(model.pause)
        self.progress.resume_requested.connect(model.resume)
        self.progress.stop_requested.connect(model.stop)
        self.again.clicked.connect(self._resume_shown)
        self.sample_now.clicked.connect(self.sample_requested)
        self.history.valueChanged.connect(self._show_preview)
        self.panel.moment_changed.connect(self._show_moment)
        self.panel.compare_requested.connect(self._compare)
        self.panel.choices_requested.connect(lambda: self.panel.set_choices(model.other_runs()))
        self.banner.closed.connect(model.dismiss_notice)
        self.banner.action_triggered.connect(model.accept_notice)

    # --- what the person does ---------------------------------------------------------------------------

    def choose_folder(self) -> None:
        """Asks for a folder of images."""
        dialog = QFileDialog(self, "Open a folder of images")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.model.open_data)
        dialog.open()

    def open_path(self, path: str) -> None:
        self.model.open_data(path)

    def _resume_shown(self) -> None:
        if self.model.state.run is not None:
            self.model.resume_run(self.model.state.run)

    def _compare(self, key: str) -> None:
        """Lays the shown moment or another run over the panel; "" takes it away."""
        found = None
        if key == FROZEN:
            found = self.model.held(self.panel.history.value())
        elif key:
            found = self.model.comparison(key)
        if found is None:
            self.panel.plot.set_compared(None)
            return
        errors = found.errors
        self.panel.plot.set_compared(
            Compared(found.name, errors.t, found.total, errors.error, errors.share, found.log_snr)
        )

    # --- what the model tells ---------------------------------------------------------------------------

    def _render(self, state: TrainState) -> None:
        before, self._shown = self._shown, state
        if before is None or before.config != state.config or before.errors != state.errors:
            self._render_form(state)
        if before is None or before.data is not state.data or before.reading != state.reading:
            self._render_data(state)
        if before is not None and before.marks != state.marks:
            self._show_losses(self.model.losses)
            self.panel.set_history(self.model.timesteps.steps, state.marks)
        if before is None or before.notice != state.notice:
            self._render_notice(state)
        if before is None or before.phase != state.phase or before.run != state.run:
            self._render_phase(state)
        self._render_progress(before, state)

    def _render_progress(self, before: TrainState | None, state: TrainState) -> None:
        """The line and the bar, now and then while only they move; painting takes time from the training."""
        now = time.monotonic()
        moves_on = before is not None and before.phase == state.phase == "running"
        if moves_on and now - self._progress_shown < 1 / PROGRESS_HZ:
            return
        self._progress_shown = now
        self.progress.set_detail(state.detail)
        self.progress.set_progress(round(1000 * state.fraction), 1000)
        self.header_changed.emit()

    def _render_form(self, state: TrainState) -> None:
        self.form.set_choice(state.config)
        for path, curve in self.curves_by_hand.items():
            curve.show_curve(state.config, path in self.form.paths)
        for path in self.form.paths:
            self.form.set_error(path, dict(state.errors).get(path))
        self.presets.set_value(state.preset)
        self.equation.set_equation(loss_terms(state.config.objective), caption=caption(state))

    def _render_data(self, state: TrainState) -> None:
        if state.reading is not None:
            done, total = state.reading
            self.data_card.set_progress(done, total, "Reading images …")
        else:
            self.data_card.set_idle()
        data = state.data
        if data is not None:
            self.data_card.set_data(data.name, data.count, len(data.class_names), data.size, data.thumbnails)
            self.data_card.set_skipped(len(data.skipped))
            self.skipped.set_rows(list(data.skipped))
        elif state.reading is None:
            self.data_card.set_data(Path(state.config.data.source).name, 0, 0, "", None)
            self.data_card.set_skipped(0)
        ready = data is not None and state.reading is None
        self.progress.set_start_enabled(ready, "" if ready else "There are no images yet.")

    def _render_notice(self, state: TrainState) -> None:
        if state.notice is None:
            self.banner.dismiss()
        else:
            notice = state.notice
            self.banner.show_message(notice.kind, notice.text, notice.action, notice.details)

    def _render_phase(self, state: TrainState) -> None:
        work = {"preparing": "running"}.get(state.phase, state.phase)
        self.progress.set_state(work)  # type: ignore[arg-type]
        name = state.run.name if state.run is not None else "Nothing trained yet"
        self.progress.set_title(name, "Start" if state.run is None else "Start a new run")
        self.again.setVisible(state.run is not None and not state.busy)
        self.sample_now.setVisible(state.run is not None)
        self.views.setCurrentWidget(self.empty if state.run is None else self.columns)
        reasons = self.model.fixed_reasons()
        self.form.set_disabled_reasons(reasons)
        for path, curve in self.curves_by_hand.items():
            curve.setEnabled(path not in reasons)
        self.presets.setEnabled(not state.busy)

    def _show_losses(self, losses: LossSeries) -> None:
        name = self.model.state.run.name if self.model.state.run else ""
        starts = [Mark(float(losses.steps[i]), "resumed") for i in losses.segments[1:]]
        self.loss.set_marks([*starts, *(Mark(float(step), text) for step, text in self.model.state.marks)])
        restarts = tuple(float(step) for step, _ in self.model.state.marks)
        self.loss.set_runs([RunCurve(name, losses.steps, losses.values, losses.segments, restarts)])

    def _show_timesteps(self, history: TimestepHistory) -> None:
        self.panel.set_history(history.steps, self.model.state.marks)
        if self.panel.follows:
            self._show_moment(len(history) - 1)

    def _show_moment(self, index: int) -> None:
        event = self.model.timesteps.at(max(index, 0))
        plot = self.panel.plot
        if event is None:
            plot.set_data([], [], [])
            plot.set_overlays({})
            return
        log_snr = self.model.log_snr(event.t) if event.log_snr is None else event.log_snr
        plot.set_axis(self.panel.axis.value or "t", log_snr)  # type: ignore[arg-type]
        band = 2 * standard_error(event.spread, event.count)
        plot.set_data(event.t, event.error, event.count, event.error - band, event.error + band)
        plot.set_overlays(overlays(event))
        self._show_schedule(event, log_snr)

    def _show_schedule(self, event: TimestepErrors, log_snr: Floats) -> None:
        """A schedule that is learned, as it moves, beside two that are fixed."""
        self.schedule_card.setVisible(event.log_snr is not None)
        if event.log_snr is None:
            return
        others = fixed_schedules(self.model.state.run_steps, event.t)
        solid, dots = Qt.PenStyle.SolidLine, Qt.PenStyle.DotLine
        lines = {"learned": Line(event.t, log_snr, "score", Qt.PenStyle.DashLine)}
        for (name, values), dash in zip(others.items(), (solid, dots), strict=True):
            lines[name] = Line(event.t, values, "muted", dash)
        self.schedule.set_lines(lines)

    def _show_previews(self, previews: PreviewHistory) -> None:
        last = max(len(previews) - 1, 0)
        history = [measures(step, q) for step, q in sorted(previews.quality.items())]
        self.quality.set_history(history, self.model.state.marks)
        follows = self.history.value() >= self.history.maximum()
        self.history.setRange(0, last)
        self.history.setEnabled(last > 0)
        if follows:
            self.history.setValue(last)
        self._show_preview(self.history.value())

    def _show_preview(self, index: int) -> None:
        previews = self.model.previews
        if not 0 <= index < len(previews):
            self.grid.set_images(None)
            self.samples.set_title("Samples")
            self.quality.show_measures(None)
            return
        measured = previews.quality.get(previews.step(index))
        self.quality.show_measures(measured and measures(previews.step(index), measured))
        self.grid.set_images(previews.images(index))
        self.samples.set_title("Samples", f"EMA · DDIM 20 · step {previews.step(index):,}")

    # --- header and memory ------------------------------------------------------------------------------

    def chips(self) -> list[tuple[str, str]]:
        state = self.model.state
        chips = [("run", state.run.name)] if state.run is not None else []
        if state.device:
            chips.append(("device", state.device))
        if state.saved_step:
            chips.append(("saved", f"step {state.saved_step:,}"))
        return chips

    @property
    def can_undo(self) -> bool:
        return super().can_undo and not self.model.state.busy

    @property
    def can_redo(self) -> bool:
        return super().can_redo and not self.model.state.busy

    def layout_state(self) -> dict[str, Any]:
        return {
            "workspace": self.workspace.sizes(), "columns": self.columns.sizes(),
            "curves": self.curves.sizes(), "axis": self.panel.axis.value, "heights": self.panel.heights.value,
        }  # fmt: skip

    def restore_layout(self, state: dict[str, Any]) -> None:
        restored_sizes(self.workspace, state.get("workspace"))
        restored_sizes(self.columns, state.get("columns"))
        restored_sizes(self.curves, state.get("curves"))
        if state.get("axis") in ("t", "step", "log_snr"):
            self.panel.set_axis(state["axis"])
        if state.get("heights") in ("linear", "log"):
            self.panel.heights.set_value(state["heights"])
            self.panel.plot.set_log(state["heights"] == "log")
