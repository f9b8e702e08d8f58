"""The Runs page: all trainings on disk."""

from __future__ import annotations

import datetime
import math
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSize, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QIcon, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QPushButton,
    QStackedWidget,
    QTableView,
    QWidget,
)

from diffusion_studio.engine.jobs.words import duration
from diffusion_studio.engine.runs.autoencoder_config import BY_KIND
from diffusion_studio.pages.page import Desk, Page, Workspace, show_notice
from diffusion_studio.pages.runs.trash import TrashDialog, in_words, megabytes
from diffusion_studio.viewmodels.runs.model import RunsState, RunSummary, RunsViewModel
from diffusion_studio.widgets.actions.action_set import Act
from diffusion_studio.widgets.actions.keys import hint
from diffusion_studio.widgets.frame.banner import Banner
from diffusion_studio.widgets.frame.empty import EmptyState
from diffusion_studio.widgets.frame.table_menu import offer_copy
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.images.thumbnail import thumbnail
from diffusion_studio.widgets.look.theme import label, tip

COLUMNS = ("Run", "Kind", "Data", "Step", "Loss", "Trained", "Size", "Saved")
KINDS = {"diffusion": "diffusion", "ae": "AE", "vae": "VAE", "hvae": "hierarchy"}
LEAVING = ("Size", "Kind", "Trained", "Data", "Saved")  # the order in which columns go
THUMBNAIL, NAME = 40, 180  # px
_Index = QModelIndex | QPersistentModelIndex


EXPORTS = (  # what, the ending of its name, filters
    ("Model for diffusers …", "", "Folder (*)"),
    ("Network as ONNX …", "onnx", "ONNX (*.onnx)"),
    ("Film of its training …", "gif", "GIF (*.gif);;WebP (*.webp);;APNG (*.apng);;MP4 (*.mp4)"),
)


class RunsPage(Page):
    """The page's widgets, laid out and tied to the view-model."""

    key = "runs"
    sample_requested = Signal(object)  # Path
    resume_requested = Signal(object)
    show_requested = Signal(object)
    train_requested = Signal()

    def __init__(self, model: RunsViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.model = model
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
        self.empty = EmptyState()
        self.empty.set_content(
            "pages/runs/icon", "No training yet",
            "Every training that you start is kept here, with its curves and samples.", "Train a model",
        )  # fmt: skip
        self.rows = _Rows(self)
        self.table = RunTable()
        self.table.setModel(self.rows)
        self.table.setAccessibleName("Trainings")
        offer_copy(self.table)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setIconSize(QSize(THUMBNAIL, THUMBNAIL))
        self.table.setShowGrid(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(56)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.views = QStackedWidget()
        self.views.addWidget(self.empty)
        self.views.addWidget(self.table)
        self.workspace.lay_over(self.banner)
        self.workspace.area.addWidget(self.views, 1)
        self._build_panel()

    def _build_panel(self) -> None:
        panel = self.workspace.panel
        self.name = label("", "strong")
        self.name.setWordWrap(True)
        self.facts = label("", "muted")
        self.facts.setWordWrap(True)
        self.grid = ImageGrid(selectable=False)
        self.grid.set_empty_text("No samples yet")
        self.grid.setMinimumHeight(240)
        panel.addWidget(label("Run", "section"))
        panel.addWidget(self.name)
        panel.addWidget(self.facts)
        panel.addWidget(self.grid, 1)
        self.sample = QPushButton("Walk through its chain")
        self.sample.setProperty("primary", True)
        self.resume = QPushButton("Resume training")
        self.show_curves = QPushButton("Show its curves")
        self.open_folder = QPushButton("Open its folder")
        self.export = QPushButton("Export")
        self.export.setMenu(QMenu(self.export))
        for number, (text, *_) in enumerate(EXPORTS):
            self.export.menu().addAction(text, partial(self.ask_for_export, number))
        self.trash = QPushButton("Move to trash")
        self.actions_of_run = (
            self.sample, self.resume, self.show_curves, self.export, self.open_folder, self.trash
        )  # fmt: skip
        self.show_trash = QPushButton("Trash")
        self.show_trash.setProperty("link", True)
        self.show_trash.setToolTip(hint("show-trash"))
        for button in (*self.actions_of_run, self.show_trash):
            self.workspace.foot.addWidget(button)

    def _connect(self) -> None:
        self.model.changed.connect(self._render)
        self.table.selectionModel().currentRowChanged.connect(self._choose_row)
        self.table.activated.connect(lambda _: self._emit(self.sample_requested))
        self.sample.clicked.connect(lambda: self._emit(self.sample_requested))
        self.resume.clicked.connect(lambda: self._emit(self.resume_requested))
        self.show_curves.clicked.connect(lambda: self._emit(self.show_requested))
        self.open_folder.clicked.connect(self._open_folder)
        self.trash.clicked.connect(self._trash)
        self.show_trash.clicked.connect(self.open_trash)
        self.empty.primary_requested.connect(self.train_requested)
        self.banner.closed.connect(self.model.dismiss_notice)
        self.banner.action_triggered.connect(self.model.put_back)

    # --- what the person does ---------------------------------------------------------------------------

    def acts(self) -> dict[str, Act]:
        by_button = {
            "walk-run": self.sample, "resume-run": self.resume, "show-run": self.show_curves,
            "trash-run": self.trash,
        }  # fmt: skip
        return {
            **super().acts(),
            **{name: Act(button.click, button.isEnabled) for name, button in by_button.items()},
            "show-trash": Act(self.open_trash),
        }

    def _choose_row(self, current: QModelIndex) -> None:
        if current.isValid():
            self.model.select(self.rows.runs[current.row()].path)

    def _emit(self, signal: Any) -> None:
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
        name = f"{run.name}.{suffix}" if suffix else f"{run.name}-model"
        dialog = QFileDialog(self, "Export", str(Path.home() / name), filters)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix)
        dialog.filterSelected.connect(lambda text: dialog.setDefaultSuffix(text.split("*.")[-1].rstrip(")")))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.model.export(run, Path(path)))
        dialog.open()

    def _trash(self) -> None:
        if self.model.state.selected is not None:
            self.model.trash(self.model.state.selected)

    def open_trash(self) -> None:
        """What lies in the trash."""
        TrashDialog(self.model, self).open()

    def undo(self) -> None:
        self.model.put_back()

    @property
    def can_undo(self) -> bool:
        return bool(self.model.state.trashed)

    # --- what the model tells ---------------------------------------------------------------------------

    def _render(self, state: RunsState) -> None:
        if state.runs is not self.rows.runs:
            self.rows.set_runs(state.runs)
            self.table.fit_columns()
        self.views.setCurrentWidget(self.table if state.runs or not state.listed else self.empty)
        run = next((r for r in state.runs if r.path == state.selected), None)
        self._render_run(run)
        if run is not None:
            row = state.runs.index(run)
            if self.table.currentIndex().row() != row:
                self.table.selectRow(row)
        show_notice(self.banner, state.notice)
        self.show_trash.setText(f"Trash: {in_words(state.trash)} …")
        self.show_trash.setVisible(bool(state.trash))
        self.header_changed.emit()

    def _render_run(self, run: RunSummary | None) -> None:
        for button in self.actions_of_run:
            button.setEnabled(run is not None)
        if run is None:
            self.name.setText("Nothing chosen")
            self.facts.setText("")
            self.grid.set_images(None)
            return
        self.name.setText(run.name)
        self.facts.setText(run.problem or _facts(run))
        self.grid.set_images(run.picture)
        sound = not run.problem
        code = run.kind in BY_KIND
        self.sample.setText("Look into its code" if code else "Walk through its chain")
        self.sample.setEnabled(sound and run.step > 0)
        self.resume.setEnabled(sound)
        self.export.setEnabled(sound and run.step > 0)
        self.show_curves.setEnabled(sound and not code)

    def come_into_sight(self, run: Path | None) -> None:
        self.model.refresh()

    def shutdown(self) -> None:
        self.model.shutdown()

    def chips(self) -> list[tuple[str, str]]:
        state = self.model.state
        total = sum(run.size for run in state.runs)
        return [("runs", str(len(state.runs))), ("on disk", megabytes(total))] if state.runs else []


class RunTable(QTableView):
    """Leaves columns out where there is no room for all of them; the panel says what they say."""

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit_columns()

    def fit_columns(self) -> None:
        """Shows as many columns as there is room for."""
        header = self.horizontalHeader()
        needed = {
            column: max(self.sizeHintForColumn(column), header.sectionSizeHint(column), NAME * (column == 0))
            for column in range(len(COLUMNS))
        }
        for name in ("", *LEAVING):
            needed.pop(COLUMNS.index(name) if name else -1, None)
            if sum(needed.values()) <= self.viewport().width():
                break
        for column in range(len(COLUMNS)):
            self.setColumnHidden(column, column not in needed)


class _Rows(QAbstractTableModel):
    """The runs as rows."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.runs: tuple[RunSummary, ...] = ()

    def set_runs(self, runs: tuple[RunSummary, ...]) -> None:
        self.beginResetModel()
        self.runs = runs
        self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.runs)

    def columnCount(self, parent: _Index | None = None) -> int:
        return len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return COLUMNS[section]
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        run = self.runs[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return _cells(run)[index.column()]
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 0 and run.picture is not None:
            picture = thumbnail(run.picture, THUMBNAIL)
            icon = QIcon(picture)
            icon.addPixmap(picture, QIcon.Mode.Selected)  # not tinted in the chosen row
            return icon
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(run.problem or str(run.path))
        return None


def _cells(run: RunSummary) -> tuple[str, ...]:
    loss = "" if math.isnan(run.loss) else f"{run.loss:.4f}"
    when = datetime.datetime.fromtimestamp(run.changed).strftime("%Y-%m-%d %H:%M")
    return (
        run.name, _kind(run), run.data, f"{run.step:,}", loss,
        duration(run.seconds) if run.seconds else "", megabytes(run.size), when,
    )  # fmt: skip


def _facts(run: RunSummary) -> str:
    """What the columns say, and where it is."""
    told = [f"{name} {text}" for name, text in zip(COLUMNS[1:], _cells(run)[1:], strict=True) if text]
    return " · ".join(told) + f"\n{run.path}"


def _kind(run: RunSummary) -> str:
    kind = KINDS.get(run.kind, run.kind)
    return f"{kind} in a code" if run.in_a_code else kind


def build(desk: Desk) -> RunsPage:
    """The page with its view-model."""
    return RunsPage(RunsViewModel(desk.runs, desk.owner))
