"""The Train page: data, parameters, and what the training does."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QWidget,
)

from diffusion_studio.core.theory.algorithms import Stage, training_by
from diffusion_studio.core.words import tr, trc
from diffusion_studio.engine.runs.command import training_command
from diffusion_studio.engine.training.codes import list_codes
from diffusion_studio.pages import training
from diffusion_studio.pages.page import (
    Desk,
    Page,
    Workspace,
    ask_for_folder,
    restored_sizes,
    show_algorithm,
    show_notice,
    titled,
)
from diffusion_studio.pages.train.acts import acts_of
from diffusion_studio.pages.train.curves import TrainCurves
from diffusion_studio.pages.train.expected import ExpectedRow
from diffusion_studio.pages.train.images_view import ImagesView
from diffusion_studio.pages.train.loss_equation import loss_terms
from diffusion_studio.pages.train.middle import TrainMiddle
from diffusion_studio.pages.train.more import More
from diffusion_studio.pages.train.panel import TrainPanel
from diffusion_studio.pages.train.parts import caption
from diffusion_studio.pages.train.samples import SamplesCard
from diffusion_studio.viewmodels.moved import CHOOSE, WHERE
from diffusion_studio.viewmodels.queue import QueueState
from diffusion_studio.viewmodels.tours.tour import Tour
from diffusion_studio.viewmodels.tours.train import CARDS, TouredTraining
from diffusion_studio.viewmodels.train.comparison import other_runs
from diffusion_studio.viewmodels.train.memory import recent_sources, remembered_config
from diffusion_studio.viewmodels.train.model import TrainViewModel
from diffusion_studio.viewmodels.train.own_presets import OwnPresets
from diffusion_studio.viewmodels.train.state import TrainState, may_become
from diffusion_studio.widgets.actions.action_set import Act
from diffusion_studio.widgets.equations.algorithm import AlgorithmBox
from diffusion_studio.widgets.equations.equation import EquationView
from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.frame.cards import ProgressCard
from diffusion_studio.widgets.frame.empty import EmptyState
from diffusion_studio.widgets.frame.scrolling import FillColumn
from diffusion_studio.widgets.look.theme import label


class TrainPage(Page):
    """The page's widgets, laid out and tied to the view-model."""

    key = "train"
    sample_requested = Signal()

    def __init__(self, model: TrainViewModel, parent: QWidget | None = None) -> None:
        super().__init__(model, parent)
        self.model = model
        self._shown: TrainState | None = None
        self._waiting = 0  # trainings in the queue
        self._repaints = training.Repaints()
        self._name = ""  # of the run that is shown
        self._build()
        self._connect()
        self._render(model.state)
        self.curves.show_all()
        self._show_previews()

    # --- widgets ----------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.workspace = Workspace()
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.workspace)
        self.banner, self.empty, self.images = Banner(), _empty_state(), ImagesView()
        self.views = TrainMiddle(self.images, self.empty, self._build_live())
        area = self.workspace.area
        self.workspace.lay_over(self.banner)
        area.addWidget(self.views, 1)
        self.expected = ExpectedRow()
        area.addWidget(self.expected)
        area.addWidget(self._build_progress())
        self.panel, self.equation = TrainPanel(), EquationView()
        self.algorithm = AlgorithmBox()
        self.workspace.panel.addWidget(self.panel)
        self.workspace.panel.addLayout(titled(tr("Algorithm"), self.algorithm))
        self.workspace.panel.addStretch(1)
        self.workspace.foot.addWidget(label(tr("Minimised here"), "section"))
        self.workspace.foot.addWidget(self.equation)

    def _build_live(self) -> QWidget:
        record = self.model.record
        self.curves, self.samples = TrainCurves(record, self.model.state), SamplesCard(record.previews)
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.addWidget(FillColumn(self.curves))
        self.columns.addWidget(FillColumn(self.samples))
        self.columns.setStretchFactor(0, 3)
        self.columns.setStretchFactor(1, 2)
        self.columns.setSizes([600, 400])
        self.columns.setHandleWidth(12)
        self.columns.setChildrenCollapsible(False)
        return self.columns

    def _build_progress(self) -> QWidget:
        self.progress = ProgressCard()
        self.again, self.sample_now = QPushButton(tr("Resume")), QPushButton(trc("verb", "Sample"))
        self.again.setToolTip(tr("Go on with the run that is shown"))
        self.sample_now.setToolTip(tr("Walk through the reverse chain of this model"))
        self.progress.add_action_widget(self.again)
        self.progress.add_action_widget(self.sample_now)
        self.more = More(self.model.following, self.copy_command)
        self.progress.add_action_widget(self.more)
        return self.progress

    def _connect(self) -> None:
        model, panel, progress = self.model, self.panel, self.progress
        model.changed.connect(self._render)
        model.record.previews_changed.connect(self._show_previews)
        for part in (panel, self.images):
            part.edited.connect(model.edit)
            part.settled.connect(model.settle)
        self.images.skipped_requested.connect(panel.skipped.open)
        panel.preset_chosen.connect(model.choose_preset)
        panel.open_requested.connect(self.choose_folder)
        panel.cancel_requested.connect(model.images.cancel)
        self.empty.primary_requested.connect(model.start)
        self.empty.secondary_requested.connect(self.choose_folder)
        self.expected.longer_requested.connect(model.train_longer)
        self.expected.smaller_requested.connect(model.train_smaller)
        progress.start_requested.connect(model.start)
        progress.pause_requested.connect(model.pause)
        progress.resume_requested.connect(model.resume)
        progress.stop_requested.connect(model.stop)
        self.again.clicked.connect(self._resume_shown)
        self.sample_now.clicked.connect(self.sample_requested)
        self.curves.timesteps.choices_requested.connect(self._offer_runs)
        self.banner.closed.connect(model.dismiss_notice)
        self.banner.action_triggered.connect(self._act)

    # --- what the person does ---------------------------------------------------------------------------

    def acts(self) -> dict[str, Act]:
        own = {
            "walk-run": Act(self.sample_requested.emit, lambda: self.model.state.run is not None),
            "copy-command": Act(self.copy_command),
            "queue-run": Act(self.more.queue_requested.emit),
            "save-preset": Act(self.panel.own.ask),
            "show-queue": Act(self.more.queue_wanted.emit),
        }
        return {**super().acts(), **acts_of(self.model), **own}

    def choose_folder(self) -> None:
        """Asks for a folder of images."""
        ask_for_folder(self, tr("Open a folder of images"), self.model.open_data)

    def copy_command(self) -> None:
        """Puts the command line that begins a training with these parameters on the clipboard."""
        QGuiApplication.clipboard().setText(training_command(self.model.config))

    def _act(self) -> None:
        """The button of the banner: a folder to point to, or a smaller batch."""
        notice = self.model.state.notice
        if notice is not None and notice.action == CHOOSE:
            ask_for_folder(self, WHERE, self.model.moved.point)
        else:
            self.model.accept_notice()

    def _resume_shown(self) -> None:
        if self.model.state.run is not None:
            self.model.resume_run(self.model.state.run)

    def _offer_runs(self) -> None:
        self.curves.timesteps.set_choices(other_runs(self.model.runs_dir, self.model.state.run))

    # --- what the model tells ---------------------------------------------------------------------------

    def _render(self, state: TrainState) -> None:
        before, self._shown = self._shown, state
        if before is None or before.config != state.config or before.errors != state.errors:
            self.panel.show_config(state)
            self.equation.set_equation(loss_terms(state.config.objective), caption=caption(state))
            show_algorithm(self.algorithm, training_by(state.config.objective.predict))
            self._mark_lines(state)
        if before is None or before.data is not state.data or before.reading != state.reading:
            self.panel.show_data(state)
            self._offer_codes()
            ready = state.data is not None and state.reading is None
            self.progress.set_start_enabled(ready, "" if ready else tr("There are no images yet."))
        self.images.show_state(before, state)
        self.views.show_state(before, state)
        self.curves.show_state(state)
        if before is None or before.notice != state.notice:
            show_notice(self.banner, state.notice)
        if before is None or before.phase != state.phase or before.run != state.run:
            self.panel.show_phase(state)
            self._render_phase(state)
            self._mark_lines(state)
        self._render_progress(before, state)

    def _render_phase(self, state: TrainState) -> None:
        self.progress.set_state("running" if state.phase == "preparing" else state.phase)
        self._show_name()
        is_here = state.run is not None and self.model.following.remote(state.run) is None
        self.again.setVisible(is_here and not state.busy)
        self.sample_now.setVisible(is_here)
        self.samples.show_phase(state.phase)

    def _mark_lines(self, state: TrainState) -> None:
        """The lines of the algorithm that the training is at."""
        stages: dict[str, tuple[Stage, ...]] = {
            "preparing": ("input",), "running": ("step",), "stopping": ("step",), "paused": ("loop",),
            "idle": () if state.run is None else ("end",),
        }  # fmt: skip
        self.algorithm.mark(training_by(state.config.objective.predict).at(*stages[state.phase]))

    def _show_name(self) -> None:
        self._name = training.name_of(self.model)
        begin = tr("Start a new run") if self._name else trc("verb", "Start")
        self.progress.set_title(self._name or tr("Nothing trained yet"), begin)

    def _render_progress(self, before: TrainState | None, state: TrainState) -> None:
        """The line and the bar; the head of the page where more has changed."""
        moves_on = training.only_moves_on(before, state)
        if not self._repaints.are_due(moves_on and state.phase == "running"):
            return
        self.expected.show_state(state)
        self.progress.set_detail(state.detail)
        self.progress.set_progress(round(1000 * state.fraction), 1000)
        if not moves_on:
            self.header_changed.emit()

    def _show_previews(self) -> None:
        self.samples.show_previews(self.model.state.marks)

    # --- header and memory ------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.model.outlook.watch(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.model.outlook.watch(False)

    def come_into_sight(self, run: Path | None) -> None:
        self._show_name()
        self._offer_codes()

    def _offer_codes(self) -> None:
        """The autoencoders in whose codes these images can be learned."""
        state = self.model.state
        self.panel.offer_codes(list_codes(self.model.runs_dir, state.config.data.source), state.config)

    def chips(self) -> list[tuple[str, str]]:
        return training.chips_of(self.model, self._name, self._waiting)

    def say_queue(self, queue: QueueState) -> None:
        """How many trainings wait."""
        self._waiting = len(queue.items)
        self.header_changed.emit()

    @property
    def can_undo(self) -> bool:
        return super().can_undo and may_become(self.model.state, self.model.editor.before)

    @property
    def can_redo(self) -> bool:
        return super().can_redo and may_become(self.model.state, self.model.editor.after)

    def layout_state(self) -> dict[str, Any]:
        panel = self.curves.timesteps
        return {
            "workspace": self.workspace.wanted_sizes(), "columns": self.columns.sizes(),
            "curves": self.curves.sizes(), "axis": panel.axis.value, "heights": panel.heights.value,
        }  # fmt: skip

    def restore_layout(self, state: dict[str, Any]) -> None:
        restored_sizes(self.workspace, state.get("workspace"))
        restored_sizes(self.columns, state.get("columns"))
        restored_sizes(self.curves, state.get("curves"))
        panel = self.curves.timesteps
        if state.get("axis") in ("t", "step", "log_snr"):
            panel.set_axis(state["axis"])
        if state.get("heights") in ("linear", "log"):
            panel.heights.set_value(state["heights"])
            panel.plot.set_log(state["heights"] == "log")


def _empty_state() -> EmptyState:
    view = EmptyState()
    view.set_content(
        "pages/train/icon", tr("Train a model from scratch"),
        tr(
            "Drop a folder of images anywhere on the window, or begin with the built-in handwritten digits. "
            "You will see the loss, which timesteps it comes from, and samples as they sharpen."
        ),
        tr("Train on these images"), tr("Open folder…"),
    )  # fmt: skip
    return view


def _tie_presets(page: TrainPage, own: OwnPresets) -> None:
    button = page.panel.own
    own.changed.connect(button.show_names)
    button.chosen.connect(own.apply)
    button.saved.connect(own.save)
    button.removed.connect(own.remove)
    button.defaults_requested.connect(page.acts()["defaults"].do)
    button.show_names(own.names)


def model(desk: Desk) -> TrainViewModel:
    """What is behind the page."""
    config = remembered_config(desk.memory.get("config"))
    return TrainViewModel(desk.runs, config, desk.device, desk.owner)


def build(desk: Desk, model: TrainViewModel) -> TrainPage:
    """The page of its view-model."""
    page = TrainPage(model)
    _tie_presets(page, OwnPresets(model, desk.memory, page))
    page.panel.data_card.offer(partial(recent_sources, desk.memory))
    page.panel.data_card.source_requested.connect(model.open_data)
    page.add_tour(Tour(CARDS, TouredTraining(model)), desk.memory, page.workspace.panel)
    return page
