"""A measurement that a person starts: its button, and while it runs its progress and a way to stop it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QProgressBar, QPushButton, QSizePolicy, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.frame.flow import FlowRow


class MeasureRow(QWidget):
    """“Measure” or, while it measures, “Stop” with a bar; words at the end.

    Args:
        what: the button's tooltip.
        first: stands before the button.
    """

    measure_requested = Signal()
    stop_requested = Signal()

    def __init__(self, what: str, first: QWidget | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button, self.halt = QPushButton(tr("Measure")), QPushButton(tr("Stop"))
        self.button.setToolTip(what)
        for button in (self.button, self.halt):
            button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.button.clicked.connect(self.measure_requested)
        self.halt.clicked.connect(self.stop_requested)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.bar.setMinimumWidth(64)
        self.words = ElidedLabel("", "muted")
        self.words.hide()
        row = FlowRow(self, spacing=8)
        for widget in (first, self.button, self.halt, self.bar, self.words):
            if widget is not None:
                row.addWidget(widget)

    def show_progress(
        self, measuring: bool, share: float, words: str, can_measure: bool = True, can_stop: bool = True
    ) -> None:
        """`share` of the work is done, 0 … 1."""
        self.button.setVisible(not measuring)
        self.button.setEnabled(can_measure)
        self.halt.setVisible(measuring)
        self.halt.setEnabled(can_stop)
        self.bar.setVisible(measuring)
        self.bar.setValue(round(1000 * share))
        self.words.setText(words)
        self.words.setVisible(bool(words))  # else the row would end with a gap
