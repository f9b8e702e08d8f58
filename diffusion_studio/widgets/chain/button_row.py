"""The row of buttons under a timeline: comfortable where there is room, close together where there is not."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QToolButton, QWidget

from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.look.theme import GRID

_BROAD, _NARROW = 40, 32  # pixels of a button that shows a drawing
_CLOSE = 3  # pixels between buttons that stand close
_HIGH = 32  # pixels
_WORDS, _SENTENCE = 104, 220  # pixels for the words in the middle: at least, and where there is room


class ButtonRow(QWidget):
    """Buttons that move, words, and at the right end choices and actions.

    In a close row the words end in an ellipsis, and actions show their drawing only.
    """

    def __init__(
        self, moves: Sequence[QToolButton], words: ElidedLabel, choices: Sequence[QToolButton],
        parent: QWidget | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._moves, self._words = tuple(moves), words
        self._choices, self._actions = tuple(choices), list[QToolButton]()
        self._close = False
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        for button in self._moves:
            self._row.addWidget(button)
        words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # they take what is left
        self._row.addWidget(words, 1)
        for button in self._choices:
            self._row.addWidget(button)
        self._spread()

    def add_action(self, button: QToolButton) -> None:
        """Put `button` at the right end; it has a drawing and a name."""
        button.setAccessibleName(button.accessibleName() or button.text())
        button.setFixedHeight(_HIGH)  # as those beside it, with its word and without
        self._actions.append(button)
        self._row.addWidget(button)
        self._spread()
        self._fit()

    @property
    def close_together(self) -> bool:
        return self._close

    def sizeHint(self) -> QSize:
        return QSize(self._comfortable(), max(b.sizeHint().height() for b in (*self._moves, *self._actions)))

    def minimumSizeHint(self) -> QSize:
        small = _NARROW * (len(self._moves) + len(self._actions))
        choices = sum(button.sizeHint().width() for button in self._choices)
        gaps = _CLOSE * (len(self._moves) + len(self._choices) + len(self._actions))
        return QSize(small + choices + gaps + _WORDS, self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _comfortable(self) -> int:
        """The width of the row with every word."""
        metrics = self.fontMetrics()
        named = sum(metrics.horizontalAdvance(b.text()) + b.iconSize().width() + 20 for b in self._actions)
        choices = sum(button.sizeHint().width() for button in self._choices)
        parts = len(self._moves) + len(self._choices) + len(self._actions) + 1
        moves = _BROAD * len(self._moves)
        return moves + _SENTENCE + choices + named + GRID * parts  # whatever the words are just now

    def _fit(self) -> None:
        close = self.width() < self._comfortable()
        if close != self._close:
            self._close = close
            self._spread()

    def _spread(self) -> None:
        style = Qt.ToolButtonStyle
        for button in self._actions:
            button.setToolButtonStyle(
                style.ToolButtonIconOnly if self._close else style.ToolButtonTextBesideIcon
            )
        for button in self._moves:
            button.setFixedWidth(_NARROW if self._close else _BROAD)
        self._row.setSpacing(_CLOSE if self._close else GRID)
        self._words.setContentsMargins(GRID - self._row.spacing(), 0, 0, 0)
