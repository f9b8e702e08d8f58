"""The Runs page: the lab book of all trainings on disk."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QResizeEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QSplitter,
    QStackedWidget,
    QWidget,
)

from diffusion_studio.core.words import tr
from diffusion_studio.engine.labbook.entries import file_name
from diffusion_studio.pages.page import (
    LOW,
    Desk,
    Page,
    Workspace,
    ask_for_folder,
    restored_sizes,
    show_notice,
)
from diffusion_studio.pages.runs.card import RunCard
from diffusion_studio.pages.runs.compare import AXES, VIEWS, CompareCard
from diffusion_studio.pages.runs.finder import Finder
from diffusion_studio.pages.runs.foot import EXPORTS, RunFoot
from diffusion_studio.pages.runs.table import RunTable
from diffusion_studio.pages.runs.trash import TrashDialog, megabytes
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.runs.comparison import RunRead
from diffusion_studio.viewmodels.runs.model import RunsViewModel
from diffusion_studio.viewmodels.runs.state import RunsState
from diffusion_studio.widgets.actions.action_set import Act
from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.frame.empty import EmptyState

OPEN = tr("Open a run, or a folder of runs")


class RunsPage(Page):
    """The page's widgets, laid out and tied to the view-model."""

    key = "runs"
    sample_requested = Signal(object)  # Path
    resume_requested = Signal(object)
    again_requested = Signal(object)
    queue_requested = Signal(object, bool)  # Path, whether a new run like it is meant
    queue_wanted = Signal()  # to be seen
    show_requested = Signal(object)
    train_requested = Signal()

    def __init__(self, model: RunsViewModel, parent: QWidget | None = None) -> None:
        super().__init__(model, parent)
        self.model = model
        self._notice: Notice | None = None  # that is shown
        self._build()
        self._connect()
        self._render(model.state)
        self._render_runs(model.comparing.runs)

    # --- widgets ----------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.workspace = Workspace()
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.workspace)
        self.banner, self.empty, self.nothing_fits = Banner(), EmptyState(), EmptyState()
        self.empty.set_content(
            "pages/runs/icon", tr("No training yet"),
            tr(
                "Every training that you start is kept here, with its curves and samples, in the folder "
                "{folder}.",
                folder=self.model.runs_dir,
            ),
            tr("Train a model"), tr("Open runs elsewhere …"),
        )  # fmt: skip
        self.nothing_fits.set_content(
            "pages/runs/icon", tr("No run fits"),
            tr("Of no run all these words stand in its name, tags, note, kind or data."), tr("Show all runs"),
        )  # fmt: skip
        self.finder, self.table, self.views = Finder(), RunTable(), QStackedWidget()
        for view in (self.empty, self.table, self.nothing_fits):
            self.views.addWidget(view)
        self.workspace.lay_over(self.banner)
        self.workspace.area.addWidget(self.finder)
        self.compare = CompareCard()
        self.halves = QSplitter(Qt.Orientation.Vertical)
        self.halves.addWidget(self.views)
        self.halves.addWidget(self.compare)
        self.halves.setStretchFactor(0, 2)
        self.halves.setStretchFactor(1, 3)  # of a large window the curves have more use than the list
        self.halves.setSizes([420, 300])
        self.halves.setHandleWidth(12)
        self.halves.setChildrenCollapsible(False)
        self.workspace.area.addWidget(self.halves, 1)
        self.card = RunCard()
        self.workspace.panel.addWidget(self.card, 1)
        self.foot = RunFoot()
        self.workspace.foot.addWidget(self.foot)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.card.set_low(self.height() < LOW)

    def _connect(self) -> None:
        model, table, card = self.model, self.table, self.card
        model.changed.connect(self._render)
        table.chosen.connect(self._choose)
        table.opened.connect(lambda: self._emit(self.sample_requested))
        table.star_pressed.connect(model.star)
        table.sort_requested.connect(model.sort)
        model.comparing.changed.connect(self._render_runs)
        self.finder.typed.connect(model.filter)
        self.finder.starred_wanted.connect(model.show_starred)
        self.finder.sort_requested.connect(model.sort)
        card.renamed.connect(model.rename)
        card.tagged.connect(model.tag)
        card.noted.connect(model.write_note)
        card.star_pressed.connect(model.star)
        foot = self.foot
        for button, wanted in (
            (foot.sample, self.sample_requested), (foot.resume, self.resume_requested),
            (foot.show_curves, self.show_requested), (foot.again, self.again_requested),
        ):  # fmt: skip
            button.clicked.connect(partial(self._emit, wanted))
        foot.export_requested.connect(self.ask_for_export)
        foot.queue_requested.connect(lambda anew: self.queue_requested.emit(model.state.selected, anew))
        foot.show_queue.clicked.connect(self.queue_wanted)
        foot.open_folder.clicked.connect(self._open_folder)
        self.compare.disk.drop_requested.connect(model.bin.drop_older)
        foot.trash.clicked.connect(self._trash)
        foot.leave.clicked.connect(self._leave)
        foot.show_trash.clicked.connect(self.open_trash)
        self.finder.open_requested.connect(self.ask_for_place)
        self.empty.primary_requested.connect(self.train_requested)
        self.empty.secondary_requested.connect(self.ask_for_place)
        self.nothing_fits.primary_requested.connect(self._show_all)
        self.banner.closed.connect(model.dismiss_notice)
        self.banner.action_triggered.connect(model.put_back)

    # --- what the person does ---------------------------------------------------------------------------

    def acts(self) -> dict[str, Act]:
        by_button = {
            "walk-run": self.foot.sample, "resume-run": self.foot.resume,
            "show-run": self.foot.show_curves, "run-again": self.foot.again,
            "trash-run": self.foot.trash, "star-run": self.card.star,
        }  # fmt: skip
        by_field = {"rename-run": self.card.name, "tag-run": self.card.tags, "note-run": self.card.note}
        return {
            **super().acts(),
            **{name: Act(button.click, button.isEnabled) for name, button in by_button.items()},
            **{name: Act(partial(_write_in, field), field.isEnabled) for name, field in by_field.items()},
            "filter-runs": Act(self.finder.begin),
            "open-runs": Act(self.ask_for_place),
            "show-queue": Act(self.queue_wanted.emit),
            "leave-run": Act(self._leave, lambda: not self.foot.leave.isHidden()),
            "show-trash": Act(self.open_trash),
        }

    def _choose(self, paths: list[Path]) -> None:
        self.card.settle()
        self.model.choose(paths)

    def _show_all(self) -> None:
        self.model.filter("")
        self.model.show_starred(False)

    def ask_for_place(self) -> None:
        """Asks for a run, or a folder of runs, that lies elsewhere."""
        ask_for_folder(self, OPEN, lambda path: self.model.open_place(Path(path)))

    def _leave(self) -> None:
        if self.model.state.selected is not None:
            self.model.leave(self.model.state.selected)

    def _emit(self, signal: Any, _checked: bool = False) -> None:
        if self.model.state.selected is not None:
            signal.emit(self.model.state.selected)

    def _open_folder(self) -> None:
        if self.model.state.selected is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.model.state.selected)))

    def ask_for_export(self, number: int) -> None:
        """Asks where one of `EXPORTS` is to be written."""
        run, (_, suffix, filters) = self.model.state.selected, EXPORTS[number]
        if run is None:
            return
        name = f"{file_name(run)}.{suffix}" if suffix else f"{file_name(run)}-model"
        dialog = QFileDialog(self, tr("Export"), str(Path.home() / name), filters)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix)
        dialog.filterSelected.connect(lambda text: dialog.setDefaultSuffix(text.split("*.")[-1].rstrip(")")))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.model.exports.export(run, Path(path)))
        dialog.open()

    def _trash(self) -> None:
        if self.model.state.selected is not None:
            self.model.trash(self.model.state.selected)

    def open_trash(self) -> None:
        """What lies in the trash."""
        TrashDialog(self.model, self).open()

    def undo(self) -> None:
        self.card.settle()
        super().undo()

    # --- what the model tells ---------------------------------------------------------------------------

    def _render(self, state: RunsState) -> None:
        self.finder.show_order(state.arrangement)
        self.table.show_runs(state.shown, state.chosen, state.arrangement)
        self.finder.setVisible(bool(state.runs))
        self.views.setCurrentWidget(self._view(state))
        self.card.show_state(state)
        run = state.summary(state.selected)
        self.foot.show_run(run, state.place_of(state.selected) is not None)
        if state.notice != self._notice:
            self._notice = state.notice
            show_notice(self.banner, state.notice)
        self.foot.say_trash(state.trash)
        self.header_changed.emit()

    def _render_runs(self, runs: tuple[RunRead, ...]) -> None:
        state = self.model.state
        self.compare.show_runs(runs, len(state.chosen))
        self.compare.setVisible(bool(state.runs))
        self.card.show_previews(next((run for run in runs if run.path == state.selected), None))

    def _view(self, state: RunsState) -> QWidget:
        if state.shown or not state.listed:
            return self.table
        return self.nothing_fits if state.runs else self.empty

    def come_into_sight(self, run: Path | None) -> None:
        self.model.refresh()

    def settle(self) -> None:
        self.card.settle()

    def layout_state(self) -> dict[str, Any]:
        compare = self.compare
        return {
            "workspace": self.workspace.wanted_sizes(), "halves": self.halves.sizes(),
            "view": compare.view.value, "axis": compare.axis.value,
        }  # fmt: skip

    def restore_layout(self, state: dict[str, Any]) -> None:
        restored_sizes(self.workspace, state.get("workspace"))
        restored_sizes(self.halves, state.get("halves"))
        if state.get("view") in [key for key, *_ in VIEWS]:
            self.compare.show_view(state["view"])
        if state.get("axis") in [key for key, *_ in AXES]:
            self.compare.axis.set_value(state["axis"])

    def chips(self) -> list[tuple[str, str]]:
        state = self.model.state
        if not state.runs:
            return []
        shown, there = len(state.shown), len(state.runs)
        some = tr("{shown} of {there}", shown=shown, there=there)
        count = some if state.arrangement.leaves_out else str(there)
        total = sum(run.size for run in state.runs)
        return [(tr("runs"), count), (tr("on disk"), megabytes(total))]


def _write_in(field: QWidget) -> None:
    field.setFocus(Qt.FocusReason.ShortcutFocusReason)  # which scrolls it into sight
    if isinstance(field, QLineEdit):
        field.selectAll()


def model(desk: Desk) -> RunsViewModel:
    """What is behind the page."""
    return RunsViewModel(desk.runs, desk.memory, desk.owner)


def build(desk: Desk, model: RunsViewModel) -> RunsPage:
    """The page of its view-model."""
    return RunsPage(model)
