"""The curves of the Train page that are drawn by hand: weight, density and schedule."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from diffusion_studio.core.describe import Choice, get_value
from diffusion_studio.core.words import tr
from diffusion_studio.widgets.editors.curve_editor import CurveEditor
from diffusion_studio.widgets.look.theme import label

# path: (title, colour, floor, whether it falls)
BY_HAND: dict[str, tuple[str, str, float | None, bool]] = {
    "objective.weight.points": (tr("Weight by hand"), "weight", 0.0, False),
    "objective.density.points": (tr("Density of t by hand"), "xt", 0.0, False),
    "diffusion.schedule.points": (tr("ln SNR by hand"), "text", None, True),
}


class CurveByHand(QWidget):
    """A titled editor for the parameter at `path`; hidden while the config has no such curve."""

    edited = Signal(str, object)  # path, heights
    settled = Signal()

    def __init__(self, path: str, title: str, color: str, floor: float | None, falling: bool) -> None:
        super().__init__()
        self._path = path
        self.editor = CurveEditor(title, color, floor, falling)
        self.editor.edited.connect(lambda points: self.edited.emit(path, points))
        self.editor.settled.connect(self.settled)
        ends = QHBoxLayout()
        ends.addWidget(label(tr("t = 1 image"), "muted"))
        ends.addStretch(1)
        ends.addWidget(label(tr("T noise"), "muted"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(label(title, "section"))
        column.addWidget(self.editor)
        column.addLayout(ends)
        self.hide()

    def show_curve(self, config: Choice, there: bool) -> None:
        """Shows the curve of `config`, if it has one."""
        if there:
            self.editor.set_points(get_value(config, self._path))
        self.setVisible(there)
