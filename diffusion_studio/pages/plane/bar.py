"""Over the plane: which field, what is drawn, and how the particles move."""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from diffusion_studio.engine.plane.process import Process
from diffusion_studio.pages.plane.tools import LookButton
from diffusion_studio.viewmodels.plane.methods import method_of, methods
from diffusion_studio.viewmodels.plane.state import Look
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.look.icons import set_icon

FIELDS = [
    ("exact", "Exact", "The score in closed form (1)"),
    ("learned", "Learned", "The score that the small network has learned; particles follow it too (2)"),
    ("error", "Error", "Where the learned score errs: the Fisher divergence, cell by cell, Luo eq. 157 (3)"),
]
ROOM = 24  # pixels between the two groups of a row


class PlaneBar(QWidget):
    """One row of choices, or two where there is little room."""

    field_chosen = Signal(str)
    look_chosen = Signal(str, object)  # field of Look, its value
    method_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fields, self.methods, self.look_button = Segmented(), Segmented(), LookButton()
        self.fields.set_options(FIELDS)
        self.methods.set_options([(m.key, m.title, m.help) for m in methods()])
        self.relief = _relief_button()
        self.fields.changed.connect(self.field_chosen)
        self.look_button.chosen.connect(self.look_chosen)
        self.relief.toggled.connect(self._choose_relief)
        self.methods.changed.connect(self.method_chosen)
        self._first, self._second = QHBoxLayout(), QHBoxLayout()
        self._first.setSpacing(8)
        for widget in self._looks:
            self._first.addWidget(widget)
        self._first.addStretch(1)
        self._first.addWidget(self.methods)
        self._second.addStretch(1)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(12)
        rows.addLayout(self._first)
        rows.addLayout(self._second)

    @property
    def _looks(self) -> tuple[QWidget, ...]:
        return self.fields, self.look_button, self.relief

    def _width(self, *widgets: QWidget) -> int:
        return sum(widget.sizeHint().width() for widget in widgets) + ROOM

    def minimumSizeHint(self) -> QSize:
        """Room for two rows: with less than one needs, there will be two."""
        wide = max(self._width(*self._looks), self.methods.sizeHint().width())
        return QSize(wide, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        fits = self.width() >= self._width(*self._looks, self.methods)
        wanted = self._first if fits else self._second
        if wanted.indexOf(self.methods) < 0:
            wanted.addWidget(self.methods)  # leaves the other row

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
    button.setToolTip("The density as a landscape with the paths on it; drag to turn it (Luo figure 6)")
    button.setAccessibleName("Landscape")
    set_icon(button, "surface")
    return button
