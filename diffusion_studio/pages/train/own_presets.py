"""The button of presets that a person made."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QInputDialog, QMenu, QPushButton, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.actions.keys import hint


class OwnPresetsButton(QPushButton):
    """Passive: its menu shows the names that it is given."""

    chosen = Signal(str)
    saved = Signal(str)  # the name that was given
    removed = Signal(str)
    defaults_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Own presets"), parent)
        self.setToolTip(tr("Parameters that you saved under a name"))
        self.setMenu(QMenu(self))
        self.show_names([])

    def show_names(self, names: Sequence[str]) -> None:
        menu = self.menu()
        menu.clear()
        for name in names:
            menu.addAction(name.replace("&", "&&"), partial(self.chosen.emit, name))
        menu.addSeparator()
        menu.addAction(tr("Save these parameters …"), self.ask).setToolTip(hint("save-preset"))
        delete = menu.addMenu(tr("Delete"))
        delete.setEnabled(bool(names))
        for name in names:
            delete.addAction(name.replace("&", "&&"), partial(self.removed.emit, name))
        menu.addAction(tr("Everything to default"), self.defaults_requested.emit)

    def ask(self) -> None:
        """Asks for the name under which the parameters of now are to be kept."""
        dialog = QInputDialog(self)
        dialog.setWindowTitle(tr("Save a preset"))
        dialog.setLabelText(tr("All parameters but the images are kept under this name:"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.textValueSelected.connect(self.saved)
        dialog.open()
