"""The dialog of what is set for the whole window."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.words import tr
from diffusion_studio.engine.files import places
from diffusion_studio.pages.page import ask_for_folder
from diffusion_studio.viewmodels.settings import Settings, SettingsModel
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.look.language import LANGUAGES
from diffusion_studio.widgets.look.theme import GRID

SECTIONS = (
    (tr("Look"), ["theme", "language", "text_size", "motion"]),
    (tr("Computing"), ["device", "threads"]),
    (tr("End of work"), ["notify", "sound"]),
    (tr("Folders"), ["runs"]),
)
_HIGH = 74 * GRID  # pixels: all of it, where the window is as high


class SettingsDialog(QDialog):
    """A form of the settings, which act at once; show it with `open()`."""

    def __init__(self, model: SettingsModel, devices: Sequence[tuple[str, str]], parent: QWidget) -> None:
        super().__init__(parent)
        self.model = model
        self.setWindowTitle(tr("Settings"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.form = Form(SECTIONS)
        self.form.set_options("device", devices)
        self.form.set_options("language", [("system", tr("as the system is")), *LANGUAGES.items()])
        self.folder = QPushButton(tr("Keep them in another folder …"))
        self.folder.clicked.connect(self._choose_folder)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.reset = self.buttons.addButton(
            tr("Everything to default"), QDialogButtonBox.ButtonRole.ActionRole
        )
        self.hint = self.buttons.addButton(tr("Show hints again"), QDialogButtonBox.ButtonRole.ActionRole)
        for button in (self.folder, self.reset, self.hint):
            button.setAutoDefault(False)
        self.reset.clicked.connect(model.reset)
        self.hint.clicked.connect(model.show_hint_again)
        self.buttons.rejected.connect(self.reject)
        self.form.edited.connect(model.edit)
        model.changed.connect(self._show)
        self._lay_out()
        self.resize(56 * GRID, min(_HIGH, parent.height() - 4 * GRID))
        self._show(model.state)

    def _lay_out(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(3 * GRID, 3 * GRID, 3 * GRID, GRID)
        column.setSpacing(GRID)
        column.addWidget(self.form)
        column.addWidget(self.folder, 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        area = QScrollArea()
        area.setAccessibleName(tr("Settings"))
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 2 * GRID)
        outer.addWidget(area, 1)
        foot = QVBoxLayout()
        foot.setContentsMargins(3 * GRID, 0, 3 * GRID, 0)
        foot.addWidget(self.buttons)
        outer.addLayout(foot)

    def _show(self, settings: Settings) -> None:
        usual = ("", str(places.runs_dir()))
        chosen = [(settings.runs, settings.runs)] if settings.runs else []
        self.form.set_options("runs", [usual, *chosen])
        self.form.set_choice(settings)
        for path in ("language", "threads", "runs"):
            self.form.set_note(path, tr("From the next start."))

    def _choose_folder(self) -> None:
        ask_for_folder(self, tr("Keep runs in"), lambda path: self.model.edit("runs", path))
