"""What can be done with a chain: branch, compare, name, export."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QInputDialog, QMenu, QToolButton, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.chains.export import ExportKind
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.widgets.actions.keys import hint
from diffusion_studio.widgets.look.icons import set_icon

_ANIMATED = "GIF (*.gif);;WebP (*.webp);;APNG (*.apng);;MP4 (*.mp4)"
EXPORTS: list[tuple[str, str, str, ExportKind]] = [
    (tr("Picture of this step …"), "png", "PNG (*.png)", "state"),
    (tr("Strip of the chain …"), "png", "PNG (*.png)", "strip"),
    (tr("Animation of the chain …"), "gif", _ANIMATED, "state"),
    (tr("Every number …"), "npz", "NumPy (*.npz)", "state"),
]


class SampleActions(QObject):
    """The buttons beside the transport, with their menus and dialogs."""

    def __init__(self, model: SampleViewModel, page: QWidget) -> None:
        super().__init__(page)
        self.model, self._page = model, page
        self._last: Path | None = None  # where was exported to
        self._build_branching()
        self._build_export()

    @property
    def buttons(self) -> tuple[QToolButton, ...]:
        return self.branch_button, self.compare_button, self.export_button

    def _build_branching(self) -> None:
        self.branch_button, self.compare_button = QToolButton(), QToolButton()
        self.branch_button.setText(tr("Branch"))
        self.branch_button.setToolTip(hint("branch"))
        set_icon(self.branch_button, "branch")
        self.compare_button.setText("A/B")
        self.compare_button.setToolTip(hint("compare"))
        set_icon(self.compare_button, "duplicate")
        self.compare_menu = QMenu(self.compare_button)
        self.compare_menu.aboutToShow.connect(self._fill_compare_menu)
        self.compare_button.setMenu(self.compare_menu)
        self.compare_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        for button in (self.branch_button, self.compare_button):
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.branch_button.clicked.connect(self.model.branch)

    def _build_export(self) -> None:
        self.export_button = QToolButton()
        self.export_button.setText(tr("Export"))
        self.export_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        set_icon(self.export_button, "export")
        self.export_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.export_button)
        for number, (text, *_) in enumerate(EXPORTS):
            menu.addAction(text).setData(number)
        menu.triggered.connect(self._choose_export)
        menu.addSeparator()
        menu.addAction(tr("Copy the command line"), self.copy_command)
        self.export_button.setMenu(menu)

    # --- what the person does ---------------------------------------------------------------------------

    def _choose_export(self, action: QAction) -> None:
        if action.data() is not None:
            _, suffix, filters, kind = EXPORTS[action.data()]
            self.ask_for_export(suffix, filters, kind)

    def ask_for_export(self, suffix: str, filters: str, kind: ExportKind) -> None:
        """Asks where to write."""
        place = self._last or Path.home()
        proposed = str(place / f"{self._proposed(kind)}.{suffix}")
        dialog = QFileDialog(self._page, tr("Export"), proposed, filters)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix)
        dialog.filterSelected.connect(lambda text: dialog.setDefaultSuffix(text.split("*.")[1].rstrip(")")))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self._export(Path(path), kind))
        dialog.open()

    def _proposed(self, kind: ExportKind) -> str:
        """A name that says what it is, so that the next export does not lie over this one."""
        state = self.model.state
        words = [state.chains.facts.model or "chain", state.spec.sampler.kind, f"seed {state.spec.seed}"]
        words += [f"step {state.player.position}" if kind == "state" else kind]
        return " ".join(words)

    def _export(self, path: Path, kind: ExportKind) -> None:
        self._last = path.parent
        self.model.files.export(path, kind)

    def copy_command(self) -> None:
        """Puts the command line that makes these samples again on the clipboard."""
        QGuiApplication.clipboard().setText(self.model.files.command())

    def ask_for_name(self, track: int) -> None:
        """Asks for the name of a branch; an empty one says what it changes. The main chain keeps its own."""
        if track == 0:
            return
        dialog = QInputDialog(self._page)
        dialog.setWindowTitle(tr("Name of the branch"))
        dialog.setLabelText(tr("Name (empty: what it changes)"))
        dialog.setTextValue(self.model.tree.value.branches[track - 1].name)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.textValueSelected.connect(lambda name: self.model.tree.rename(track, name))
        dialog.open()

    def toggle_compare(self) -> None:
        tree = self.model.tree.value
        if tree.compared >= 0:
            self.model.tree.compare(-1)
        else:
            self.model.compare_new()

    def _fill_compare_menu(self) -> None:
        menu, tree = self.compare_menu, self.model.tree.value
        labels = tree.labels
        menu.clear()
        menu.addAction(tr("New chain B with the same start and noise"), self.model.compare_new)
        others = [track for track in tree.tracks if track != tree.active]
        if others:
            menu.addSeparator()
        for track in others:
            action = menu.addAction(tr("Compare with: {chain}", chain=labels[track]))
            action.setCheckable(True)
            action.setChecked(track == tree.compared)
            action.triggered.connect(lambda _=False, track=track: self.model.tree.compare(track))
        if tree.compared >= 0:
            menu.addSeparator()
            menu.addAction(tr("End the comparison"), lambda: self.model.tree.compare(-1))
