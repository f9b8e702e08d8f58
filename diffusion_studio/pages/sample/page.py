"""The Sample page: one reverse chain, walked through by hand."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QWidget

from diffusion_studio.core.words import number, tr
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.pages.page import (
    Desk,
    Page,
    Workspace,
    ask_for_folder,
    restored_sizes,
    show_notice,
    titled,
)
from diffusion_studio.pages.sample.actions import SampleActions
from diffusion_studio.pages.sample.followed import FollowedAlgorithm
from diffusion_studio.pages.sample.head import VIEWS, SampleHead
from diffusion_studio.pages.sample.panel import SamplePanel
from diffusion_studio.pages.sample.pictures import SamplePictures
from diffusion_studio.pages.sample.side import SampleSide
from diffusion_studio.pages.sample.side_ties import SideTies
from diffusion_studio.pages.sample.step_equation import ACTS, Acts, equation_of
from diffusion_studio.pages.sample.toured import TouredSample
from diffusion_studio.viewmodels.moved import WHERE
from diffusion_studio.viewmodels.sample import saved
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.sample.state import SampleState
from diffusion_studio.viewmodels.tours.sample import CARDS
from diffusion_studio.viewmodels.tours.tour import Tour
from diffusion_studio.widgets.actions.action_set import Act
from diffusion_studio.widgets.chain.tracks import Track
from diffusion_studio.widgets.chain.transport import Transport
from diffusion_studio.widgets.equations.equation import EquationView
from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.look.theme import label

LOOK = 40  # ms between looks at chains that are being computed


class SamplePage(Page):
    """The page's widgets, laid out and tied to the view-model.

    While chains are computed and the page is seen, it looks how far they have come; nobody tells it.
    """

    key = "sample"

    def __init__(self, model: SampleViewModel, parent: QWidget | None = None) -> None:
        super().__init__(model.tree, parent)
        self.model = model
        self._shown: SampleState | None = None
        self._watch = QTimer(self, interval=LOOK)
        self._watch.timeout.connect(self._look)
        self._build()
        self._connect()
        self._connect_transport()
        self._connect_side()
        self._render(model.state)

    # --- widgets ----------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.workspace, self.banner, self.head = Workspace(), Banner(), SampleHead()
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.workspace)
        self.pictures, self.side = SamplePictures(), SampleSide()
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.addWidget(self.pictures)
        self.columns.addWidget(self.side)
        self.columns.setHandleWidth(12)
        self.columns.setChildrenCollapsible(False)
        self.columns.setSizes([440, 440])
        self.transport = Transport()
        self.tools = SampleActions(self.model, self)
        for button in self.tools.buttons:
            self.transport.add_action(button)
        area = self.workspace.area
        self.workspace.lay_over(self.banner)
        area.addWidget(self.head)
        area.addWidget(self.columns, 1)
        area.addWidget(self.transport)
        self.panel, self.equation, self.algorithm = SamplePanel(), EquationView(), FollowedAlgorithm()
        self.workspace.panel.addWidget(self.panel)
        self.workspace.panel.addLayout(titled(tr("Algorithm"), self.algorithm))
        self.workspace.panel.addStretch(1)
        self.workspace.foot.addWidget(label(tr("This step"), "section"))
        self.workspace.foot.addWidget(self.equation)

    def _connect(self) -> None:
        model, panel = self.model, self.panel
        model.changed.connect(self._render)
        self.banner.closed.connect(model.notices.dismiss)
        self.banner.action_triggered.connect(self._choose_images)
        self.head.view_chosen.connect(model.pictures.set_view)
        self.head.layout_chosen.connect(model.pictures.set_layout)
        self.head.stop_requested.connect(model.stop)
        self.head.resume_requested.connect(model.compute)
        self.pictures.veil.stop_requested.connect(model.stop)
        self.pictures.sample_chosen.connect(model.pictures.choose_sample)
        self.pictures.state_chosen.connect(model.player.seek)
        panel.edited.connect(model.tree.edit)
        panel.edit_finished.connect(model.tree.settle)
        panel.source_chosen.connect(model.choices.choose)
        panel.folder_requested.connect(self.choose_folder)
        panel.form.edited.connect(self._mark_terms)
        panel.form.edit_finished.connect(self._mark_no_term)
        model.beside.thumbnails.found.connect(panel.show_thumbnails)
        self.equation.term_hovered.connect(self._mark)

    def _connect_transport(self) -> None:
        transport, tree, player = self.transport, self.model.tree, self.model.player
        transport.seek_requested.connect(player.seek)
        transport.step_requested.connect(player.step)
        transport.home.connect(player.go_to_start)
        transport.end.connect(player.go_to_end)
        transport.play_toggled.connect(player.toggle)
        transport.play_requested.connect(player.play)
        transport.pause_requested.connect(player.stop)
        transport.loop_toggled.connect(player.set_loop)
        transport.speed_changed.connect(player.set_speed)
        transport.track_requested.connect(tree.show)
        transport.rename_requested.connect(self.tools.ask_for_name)
        transport.delete_requested.connect(tree.delete)

    def _connect_side(self) -> None:
        side = self.side
        side.seek_requested.connect(self.model.player.seek)
        side.tab_made.connect(SideTies(self.model, side).tie)
        side.tab_changed.connect(self._look_beside)
        self.model.beside.reconstruction.changed.connect(side.show_errors)

    # --- what the person does ---------------------------------------------------------------------------

    def acts(self) -> dict[str, Act]:
        pictures = self.model.pictures
        views = {f"view-{key}": Act(partial(pictures.set_view, key)) for key, _ in VIEWS}
        own = {
            "branch": Act(self.model.branch),
            "compare": Act(self.tools.toggle_compare),
            "copy-command": Act(self.tools.copy_command),
            "defaults": Act(lambda: self.model.tree.put(tree=ChainTree())),
        }
        return {**super().acts(), **self.transport.acts(), **views, **own}

    def choose_folder(self) -> None:
        """Asks for a run or a model folder."""
        ask_for_folder(self, tr("Open a run or a model folder"), self._open_folder)

    def _choose_images(self) -> None:
        """Asks where the images of the run on show are now."""
        ask_for_folder(self, WHERE, self.model.beside.moved.point)

    def _open_folder(self, path: str) -> None:
        self.model.choices.open_folder(Path(path))

    def _mark(self, name: str) -> None:
        """Marks where a term of the equation acts: the controls that set it and the curve that draws it."""
        acts = ACTS.get(name, Acts())
        self.panel.form.mark(*acts.controls)
        self.side.schedule_plot.mark(*acts.curves)
        self.side.eps_plot.mark(*acts.curves)
        self.transport.set_note(acts.words)

    def _mark_terms(self, path: str) -> None:
        """Marks the terms that the control in hand changes."""
        self.equation.mark(*(name for name, acts in ACTS.items() if path in acts.controls))

    def _mark_no_term(self) -> None:
        self.equation.mark()

    # --- what the model tells ---------------------------------------------------------------------------

    def _render(self, state: SampleState) -> None:
        """Renders what differs from the state before."""
        before, self._shown = self._shown, state
        self.panel.show_state(before, state)
        self.head.show_state(state)
        self.side.show_state(before, state)
        self.pictures.show_state(before, state)
        self._render_transport(before, state)
        if before is None or (before.pictures.step, before.spec) != (state.pictures.step, state.spec):
            equation = equation_of(state.pictures.step, state.spec)
            self.equation.set_equation(*equation, subject=(state.spec.sampler.kind, state.spec.guide.kind))
        self.algorithm.show_state(before, state)
        if before is None or before.notice != state.notice:
            show_notice(self.banner, state.notice)
        if before is None or (before.tree, before.chains.facts) != (state.tree, state.chains.facts):
            self.header_changed.emit()
        self._look_beside()
        self._keep_watch()

    def _render_transport(self, before: SampleState | None, state: SampleState) -> None:
        transport, tree, tracks = self.transport, state.parameters.tree, state.chains.tracks
        told = None if before is None else (before.chains.tracks, before.parameters)
        if tracks and told != (tracks, state.parameters):
            lines = [Track(t.times, t.parent, t.ready - 1, t.label, t.start) for t in tracks]
            transport.set_tracks(lines, min(tree.active, len(lines) - 1))
            transport.set_compared(tree.compared if 0 <= tree.compared < len(lines) else None)
        transport.set_position(state.player.position)
        transport.set_playing(state.player.playing)
        transport.set_loop(state.player.loop)

    # --- what it looks at by itself ---------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._render(self.model.look())

    def _look(self) -> None:
        self._render(self.model.look())

    def _keep_watch(self) -> None:
        """Looks at chains that are being computed, as long as the page is seen."""
        if not (self.isVisible() and self.model.state.chains.busy):
            self._watch.stop()
        elif not self._watch.isActive():
            self._watch.start()

    def _look_beside(self) -> None:
        """What is on the tab at hand is worked out while it is seen."""
        self.model.beside.follow(self.model.state, self.side.tab if self.isVisible() else "")

    # --- header and memory ------------------------------------------------------------------------------

    def chips(self) -> list[tuple[str, str]]:
        return _chips(self.model.state)

    def layout_state(self) -> dict[str, Any]:
        sizes = {"workspace": self.workspace.wanted_sizes(), "columns": self.columns.sizes()}
        return {**sizes, "tab": self.side.tab}

    def restore_layout(self, state: dict[str, Any]) -> None:
        restored_sizes(self.workspace, state.get("workspace"))
        restored_sizes(self.columns, state.get("columns"))
        self.side.show_tab(str(state.get("tab")))


def _chips(state: SampleState) -> list[tuple[str, str]]:
    facts = state.chains.facts
    chips = [
        (tr("model"), facts.model), (tr("step"), number(facts.model_step, ",") if facts.model_step else ""),
        (tr("variance"), tr("learned") if facts.learns_variance else ""), (tr("code"), facts.code),
        (tr("device"), state.device),
    ]  # fmt: skip
    return [(name, value) for name, value in chips if value]


def model(desk: Desk) -> SampleViewModel:
    """What is behind the page."""
    parameters = saved.restored(desk.memory.get("sample"))
    return SampleViewModel(desk.runs, parameters, desk.device, desk.owner)


def build(desk: Desk, model: SampleViewModel) -> SamplePage:
    """The page of its view-model."""
    page = SamplePage(model)
    page.add_tour(Tour(CARDS, TouredSample(model, page.side)), desk.memory, page.workspace.panel)
    return page
