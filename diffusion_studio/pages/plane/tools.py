"""The tools over and under the plane: what is drawn, and files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QFileDialog, QMenu, QToolButton, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.viewmodels.plane.state import Look
from diffusion_studio.widgets.look.icons import set_icon

LAYERS = (
    ("density", tr("Density")),
    ("contours", tr("Contour lines")),
    ("arrows", tr("Score arrows")),
    ("particles", tr("Particles")),
    ("tilted", tr("With guidance: lines of p₀(x) p₀(y|x)^γ")),
    ("weighed", tr("Error weighted by the density")),
)
COLORS = (
    ("class", tr("Colour by class")), ("start", tr("Colour by starting point")),
    ("age", tr("Colour by age: from the start of the chain to its end")), ("none", tr("One colour")),
)  # fmt: skip
TRAILS = (("off", tr("No trails")), ("short", tr("Short trails")), ("whole", tr("Whole paths")))
EXPORTS = [
    (tr("Picture …"), "png", "PNG (*.png)"),
    (tr("Drawing …"), "svg", "SVG (*.svg)"),
    (tr("Animation …"), "gif", "GIF (*.gif)"),
    (tr("Animation, small …"), "webp", "WebP (*.webp)"),
    (tr("Video …"), "mp4", "MP4 (*.mp4)"),
    (tr("Particles …"), "npz", "NumPy (*.npz)"),
    (tr("State …"), "json", tr("State (*.json)")),
]


class LookButton(QToolButton):
    """A menu of what is drawn and in which colours."""

    chosen = Signal(str, object)  # field of Look, its value

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(tr("Show"))
        self.setToolTip(tr("What is drawn, and in which colours"))
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(self)
        self.actions_by_choice: dict[tuple[str, str], QAction] = {}
        for name, text in LAYERS:
            action = self._action(name, "", text)
            action.triggered.connect(lambda on, name=name: self.chosen.emit(name, on))
        for name, choices in (("color", COLORS), ("trails", TRAILS)):
            self._menu.addSeparator()
            group = QActionGroup(self._menu)
            for key, text in choices:
                action = group.addAction(self._action(name, key, text))
                action.triggered.connect(lambda _, name=name, key=key: self.chosen.emit(name, key))
        self.setMenu(self._menu)

    def show_look(self, look: Look) -> None:
        """Tick what is drawn, without a signal."""
        for (name, key), action in self.actions_by_choice.items():
            value = getattr(look, name)
            action.setChecked(value == key if key else bool(value))

    def _action(self, name: str, key: str, text: str) -> QAction:
        action = self._menu.addAction(text)
        action.setCheckable(True)
        self.actions_by_choice[name, key] = action
        return action


class FileButton(QToolButton):
    """A menu of the kinds of files; asks where to write or what to open."""

    export_requested = Signal(object)  # Path
    state_requested = Signal(object)  # Path

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(tr("Export"))
        self.setToolTip(tr("Files of what one sees, and states that open again"))
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        set_icon(self, "export")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        for text, suffix, kind in EXPORTS:
            menu.addAction(text, partial(self.ask_where, suffix, kind))
        menu.addSeparator()
        menu.addAction(tr("Open a state …"), self.ask_for_state)
        self.setMenu(menu)

    def ask_where(self, suffix: str, kind: str) -> None:
        """Asks where to write."""
        dialog = QFileDialog(self, tr("Export"), str(Path.home() / f"plane.{suffix}"), kind)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.export_requested.emit(Path(path)))
        dialog.open()

    def ask_for_state(self) -> None:
        """Asks for a saved state, or a picture with one inside."""
        dialog = QFileDialog(
            self, tr("Open a state"), str(Path.home()), tr("States and pictures (*.json *.png)")
        )
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.state_requested.emit(Path(path)))
        dialog.open()
