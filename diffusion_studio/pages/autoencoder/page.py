"""The Autoencoder page: codes of images, learned live, and the bridge from them to diffusion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from diffusion_studio.core.words import tr, trc
from diffusion_studio.pages import training
from diffusion_studio.pages.autoencoder.bridge import BridgeView
from diffusion_studio.pages.autoencoder.code import CodeView
from diffusion_studio.pages.autoencoder.equation import caption, loss_terms
from diffusion_studio.pages.autoencoder.exact import ExactView
from diffusion_studio.pages.autoencoder.learn import LearnView
from diffusion_studio.pages.autoencoder.panel import CodePanel
from diffusion_studio.pages.page import (
    Desk,
    Page,
    Workspace,
    ask_for_folder,
    restored_sizes,
    show_notice,
)
from diffusion_studio.viewmodels.autoencoder.measuring import MeasuredState
from diffusion_studio.viewmodels.autoencoder.memory import remembered, to_remember
from diffusion_studio.viewmodels.autoencoder.model import AutoencoderViewModel
from diffusion_studio.viewmodels.autoencoder.state import CodeState, first_config, may_become
from diffusion_studio.viewmodels.autoencoder.tour import CARDS, TouredCodes
from diffusion_studio.viewmodels.moved import WHERE
from diffusion_studio.viewmodels.tours.tour import Tour
from diffusion_studio.widgets.actions.action_set import Act
from diffusion_studio.widgets.equations.equation import EquationView
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.frame.cards import ProgressCard
from diffusion_studio.widgets.frame.scrolling import FillColumn, Views
from diffusion_studio.widgets.look.theme import label

VIEWS = (
    ("learn", tr("Learning"), tr("Both terms, latents, reconstructions, samples")),
    ("code", tr("Code"), tr("The plane of codes, and what each place decodes to")),
    ("exact", tr("Exact case"), tr("Principal components and probabilistic PCA")),
    ("bridge", tr("Bridge"), tr("From a hierarchy to a diffusion model")),
)


class AutoencoderPage(Page):
    """The page's widgets, laid out and tied to the view-model."""

    key = "autoencoder"

    def __init__(self, model: AutoencoderViewModel, parent: QWidget | None = None) -> None:
        super().__init__(model, parent)
        self.model = model
        self._shown: CodeState | None = None
        self._repaints = training.Repaints()
        self._name = ""  # of the run that is shown
        self._build()
        self._connect()
        self._render(model.state)
        self.learn.show_terms()
        self._show_looked()
        self.exact.show_state(model.exact.state)
        self._show_measured(model.measuring.state)

    # --- widgets ----------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.workspace = Workspace()
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.workspace)
        self.banner, self.views = Banner(), Views()
        self.choice = Segmented(tr("What is shown of the autoencoder"))
        self.choice.set_options(list(VIEWS))
        self.learn, self.code = LearnView(self.model.record), CodeView(self.model.latent)
        self.exact, self.bridge = ExactView(), BridgeView()
        self._by_key = {"learn": self.learn, "code": self.code, "exact": self.exact, "bridge": self.bridge}
        for view in self._by_key.values():
            self.views.addWidget(view)
        self.progress, self.again = ProgressCard(), QPushButton(tr("Resume"))
        self.again.setToolTip(tr("Go on with the run that is shown"))
        self.progress.add_action_widget(self.again)
        area = self.workspace.area
        self.workspace.lay_over(self.banner)
        area.addWidget(self.choice, 0, Qt.AlignmentFlag.AlignLeft)
        area.addWidget(FillColumn(self.views), 1)
        area.addWidget(self.progress)
        self.panel, self.equation = CodePanel(), EquationView()
        self.workspace.panel.addWidget(self.panel)
        self.workspace.panel.addStretch(1)
        self.workspace.foot.addWidget(label(tr("Minimised here"), "section"))
        self.workspace.foot.addWidget(self.equation)

    def _connect(self) -> None:
        model, panel, progress = self.model, self.panel, self.progress
        model.changed.connect(self._render)
        model.record.looked.connect(lambda _: self._show_looked())
        model.exact.changed.connect(self.exact.show_state)
        model.measuring.changed.connect(self._show_measured)
        self.choice.changed.connect(model.show)
        panel.kind_chosen.connect(model.choose_kind)
        panel.edited.connect(model.edit)
        panel.settled.connect(model.settle)
        panel.data_card.open_requested.connect(self.choose_folder)
        panel.data_card.cancel_requested.connect(model.images.cancel)
        progress.start_requested.connect(model.start)
        progress.pause_requested.connect(model.pause)
        progress.resume_requested.connect(model.resume)
        progress.stop_requested.connect(model.stop)
        self.again.clicked.connect(self._resume_shown)
        self.banner.closed.connect(model.dismiss_notice)
        self.banner.action_triggered.connect(self._choose_images)
        self._connect_views()

    def _connect_views(self) -> None:
        model = self.model
        self.learn.measure.clicked.connect(model.measure)
        self.exact.variance_chosen.connect(model.exact.set_variance)
        self.exact.turn_requested.connect(model.exact.turn)
        self.bridge.restricted.connect(self._restrict)
        self.bridge.measure_requested.connect(model.measure)
        self.bridge.diffusion_requested.connect(model.measure_diffusion)

    # --- what the person does ---------------------------------------------------------------------------

    def acts(self) -> dict[str, Act]:
        defaults = Act(self._take_defaults, lambda: not self.model.state.busy)
        return {**super().acts(), **training.acts_of(self.model), "defaults": defaults}

    def _take_defaults(self) -> None:
        """All but the images."""
        self.model.editor.set(first_config().model_copy(update={"data": self.model.config.data}))

    def choose_folder(self) -> None:
        """Asks for a folder of images."""
        ask_for_folder(self, tr("Open a folder of images"), self.model.open_data)

    def _choose_images(self) -> None:
        """Asks where the images of a run are now."""
        ask_for_folder(self, WHERE, self.model.moved.point)

    def _restrict(self, count: int) -> None:
        self.model.restrict(count)
        self.bridge.show_state(self.model.state)  # a switch that was refused goes back

    def _resume_shown(self) -> None:
        if self.model.state.run is not None:
            self.model.resume_run(self.model.state.run)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.model.set_awake(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.model.set_awake(False)

    # --- what the model tells ---------------------------------------------------------------------------

    def _render(self, state: CodeState) -> None:
        before, self._shown = self._shown, state
        if before is None or before.view != state.view:
            self.choice.set_value(state.view)
            self.views.setCurrentWidget(self._by_key[state.view])
            self._show_looked()
        if before is None or before.config != state.config or before.errors != state.errors:
            self.panel.show_config(state)
            self.equation.set_equation(loss_terms(state.config), caption=caption(state.config))
        if before is None or before.data is not state.data or before.reading != state.reading:
            self._render_data(state)
        if before is None or before.notice != state.notice:
            show_notice(self.banner, state.notice)
        if before is None or _bridge_of(before) != _bridge_of(state):
            self.bridge.show_state(state)
        if before is None or before.phase != state.phase or before.run != state.run:
            self.panel.show_phase(state)
            self._render_phase(state)
        self._render_progress(before, state)

    def _show_looked(self) -> None:
        """What the network does, where it is seen."""
        seen, view = self.model.record.newest, self.model.state.view
        if seen is not None and view == "learn":
            self.learn.show_looked(seen)
        elif seen is not None and view == "code":
            self.code.show_looked(seen)

    def _show_measured(self, found: MeasuredState) -> None:
        self.learn.show_measured(found)
        self.bridge.show_measured(found)

    def _render_data(self, state: CodeState) -> None:
        self.panel.show_data(state)
        ready = state.data is not None and state.reading is None
        self.progress.set_start_enabled(ready, "" if ready else tr("There are no images yet."))
        self.code.set_class_names(state.data.class_names if state.data is not None else ())

    def _render_phase(self, state: CodeState) -> None:
        self.progress.set_state("running" if state.phase == "preparing" else state.phase)
        self._show_name()
        self.again.setVisible(state.run is not None and not state.busy)

    def _show_name(self) -> None:
        self._name = training.name_of(self.model)
        begin = tr("Train anew") if self._name else trc("verb", "Train")
        self.progress.set_title(self._name or tr("Nothing trained yet"), begin)

    def _render_progress(self, before: CodeState | None, state: CodeState) -> None:
        """The line and the bar; the head of the page where more has changed."""
        moves_on = training.only_moves_on(before, state)
        if not self._repaints.are_due(moves_on and state.phase == "running"):
            return
        self.progress.set_detail(state.detail)
        self.progress.set_progress(round(1000 * state.fraction), 1000)
        if not moves_on:
            self.header_changed.emit()

    # --- header and memory ------------------------------------------------------------------------------

    def chips(self) -> list[tuple[str, str]]:
        return training.chips_of(self.model, self._name)

    def come_into_sight(self, run: Path | None) -> None:
        self._show_name()

    @property
    def can_undo(self) -> bool:
        return super().can_undo and may_become(self.model.state, self.model.editor.before)

    @property
    def can_redo(self) -> bool:
        return super().can_redo and may_become(self.model.state, self.model.editor.after)

    def reveal(self, path: str) -> None:
        """Brings a parameter into sight; a kind that lacks it makes way for one that has it."""
        if path not in self.panel.form.paths:
            self.model.choose_kind("hvae" if path.startswith("hierarchy") else "vae")
        super().reveal(path)

    def layout_state(self) -> dict[str, Any]:
        return {"workspace": self.workspace.wanted_sizes(), "view": self.model.state.view}

    def restore_layout(self, state: dict[str, Any]) -> None:
        restored_sizes(self.workspace, state.get("workspace"))
        if state.get("view") in self._by_key:
            self.model.show(state["view"])


def _bridge_of(state: CodeState) -> tuple[Any, ...]:
    return state.config, state.busy, state.data


def model(desk: Desk) -> AutoencoderViewModel:
    """What is behind the page."""
    model = AutoencoderViewModel(
        desk.runs, remembered(desk.memory.get("autoencoder")), desk.device, desk.owner
    )

    def kept() -> dict[str, Any]:
        data = model.images.kept(model.config.data)
        return to_remember(model.config.model_copy(update={"data": data}))

    model.changed.connect(lambda _: desk.memory.set_later("autoencoder", kept))
    return model


def build(desk: Desk, model: AutoencoderViewModel) -> AutoencoderPage:
    """The page of its view-model."""
    page = AutoencoderPage(model)
    page.add_tour(Tour(CARDS, TouredCodes(model), open=True), desk.memory, page.workspace.panel)
    return page
