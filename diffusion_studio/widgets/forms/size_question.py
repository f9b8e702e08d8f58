"""Whether pictures that are learned smaller than they are shall keep their size."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from diffusion_studio.core.words import number, tr
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.theme import GRID, label


class SizeQuestion(QWidget):
    """One sentence and both answers, an edit as of a form; hidden while there is nothing to ask."""

    edited = Signal(str, object)  # path, value
    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(tr("Size of the pictures"))
        self._sides = (0, 0)
        self._text = label(role="muted")
        self._text.setWordWrap(True)
        self.smaller, self.own = QPushButton(), QPushButton()
        self.smaller.clicked.connect(lambda: self._choose(self._sides[0]))
        self.own.clicked.connect(lambda: self._choose(self._sides[1]))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID // 2)
        column.addWidget(self._text)
        answers = FlowRow()
        answers.addWidget(self.smaller)
        answers.addWidget(self.own)
        column.addLayout(answers)
        self.hide()

    @property
    def text(self) -> str:
        return self._text.text()

    def _choose(self, side: int) -> None:
        self.edited.emit("data.resolution", side)
        self.settled.emit()

    def ask(self, sides: tuple[int, int] | None) -> None:
        """Asks about two sides, that which was chosen and the own one; None: there is nothing to ask."""
        self.setVisible(sides is not None)
        if sides is None:
            return
        self._sides = smaller, own = sides
        times = number((own / smaller) ** 2, ".2g")
        self._text.setText(
            tr(
                "At which size shall they be learned? At {own} px each takes about {times} times as long.",
                times=times,
                own=own,
            )
        )
        for button, side in ((self.smaller, smaller), (self.own, own)):
            button.setText(tr("At {side} px", side=side))
