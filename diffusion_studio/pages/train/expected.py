"""What to expect of a training on this machine, and what can be done where there would be nothing to see."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.jobs.words import length
from diffusion_studio.viewmodels.train.state import TrainState
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.theme import GRID, label, unbroken

NARROWEST = 320  # pixels of the sentence: where it had less beside the buttons, they stand below it


class ExpectedRow(QFrame):
    """One sentence, and two ways out of a training that is too short; hidden where nothing is to be said."""

    longer_requested = Signal()
    smaller_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(tr("What to expect"))
        self._text = label(role="muted")
        self._text.setWordWrap(True)
        self._text.setMinimumWidth(NARROWEST)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.longer, self.smaller = QPushButton(), QPushButton()
        self.longer.clicked.connect(self.longer_requested)
        self.smaller.clicked.connect(self.smaller_requested)
        self.smaller.setToolTip(tr("Pictures of a quarter of the area take about a quarter of the time"))
        self.setContentsMargins(14, 0, 14, 0)
        self._ways = QWidget()  # both beside the sentence, or both below it
        row, ways = FlowRow(self), QHBoxLayout(self._ways)
        ways.setContentsMargins(0, 0, 0, 0)
        ways.setSpacing(GRID)
        row.addWidget(self._text)
        row.addWidget(self._ways)
        ways.addWidget(self.longer)
        ways.addWidget(self.smaller)
        self.hide()

    @property
    def text(self) -> str:
        return self._text.text()

    def show_state(self, state: TrainState) -> None:
        """Of the training that goes on, or of the one that would begin."""
        sentence, expected, side = unbroken(state.outlook), state.expected, state.smaller_resolution
        self.setVisible(bool(sentence))
        short = expected is not None and expected.too_short
        if sentence and sentence != self._text.text():
            self._text.setText(sentence)
            self._text.setProperty("role", "strong" if short else "muted")
            self._text.style().polish(self._text)
        longer = 0.0 if expected is None else expected.long_enough
        self.longer.setVisible(short and longer > 0)
        self.longer.setText(tr("Train {length}", length=length(longer)))
        self.smaller.setVisible(side > 0)
        self.smaller.setText(tr("Use {side} px", side=side))
        self._ways.setHidden(self.longer.isHidden() and self.smaller.isHidden())
