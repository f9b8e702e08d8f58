"""Over the plane: which field, what is drawn, and how the particles move."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QToolButton, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.plane.process import Process
from diffusion_studio.pages.plane.tools import LookButton
from diffusion_studio.viewmodels.plane.methods import method_of, methods
from diffusion_studio.viewmodels.plane.state import Look
from diffusion_studio.widgets.actions.keys import hint
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.icons import set_icon

FIELDS = (("exact", tr("Exact")), ("learned", tr("Learned")), ("error", tr("Error")))
IN_WORDS = {"exact": tr("exact"), "learned": tr("learned"), "error": tr("error")}


class PlaneBar(QWidget):
    """A row of choices, or two where there is little room."""

    field_chosen = Signal(str)
    look_chosen = Signal(str, object)  # field of Look, its value
    method_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fields = Segmented(tr("Score that is drawn"))
        self.methods = Segmented(tr("How the particles move"), wraps=True)
        self.look_button = LookButton()
        self.fields.set_options([(key, title, hint(f"field-{key}")) for key, title in FIELDS])
        self.methods.set_options([(m.key, m.title, m.help) for m in methods()])
        self.relief = _relief_button()
        self.fields.changed.connect(self.field_chosen)
        self.look_button.chosen.connect(self.look_chosen)
        self.relief.toggled.connect(self._choose_relief)
        self.methods.changed.connect(self.method_chosen)
        row = FlowRow(self, spacing=8)
        for widget in (self.fields, self.look_button, self.relief):
            row.addWidget(widget)
        row.add_stretch()
        row.addWidget(self.methods)

    def show_look(self, look: Look) -> None:
        """What is drawn."""
        self.fields.set_value(look.field)
        self.relief.setChecked(look.surface)
        self.look_button.show_look(look)

    def show_process(self, process: Process) -> None:
        """How the particles move."""
        self.methods.set_value(method_of(process))

    def _choose_relief(self, on: bool) -> None:
        self.look_chosen.emit("surface", on)


def _relief_button() -> QToolButton:
    button = QToolButton()
    button.setCheckable(True)
    button.setToolTip(tr("The density as a landscape with the paths on it; drag to turn it (Luo figure 6)"))
    button.setAccessibleName(tr("Landscape"))
    set_icon(button, "surface")
    return button
