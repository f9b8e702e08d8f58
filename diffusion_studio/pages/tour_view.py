"""One card of a guided tour, with its neighbours a click away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import label

LETTERS = 40  # of the actions in one line


class Titled(Protocol):
    """One thing to try; the page knows what it does."""

    @property
    def title(self) -> str: ...


class Shown(Protocol):
    """A few sentences, their source, and what to try."""

    @property
    def title(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def actions(self) -> Sequence[Titled]: ...


class TourView(Card):
    """One card of the tour, with its neighbours a click away."""

    action_requested = Signal(object)  # one of the card's actions
    card_requested = Signal(int)

    def __init__(self, cards: Sequence[Shown], parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self._cards, self._number = cards, -1
        self._title.setWordWrap(True)
        self._title.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._text, self._source = label(), label("", "small")
        self._text.setWordWrap(True)
        self._source.setWordWrap(True)
        self._actions = QVBoxLayout()
        self._actions.setSpacing(2)
        for icon, name, by in (("step-back", "Card before", -1), ("step-forward", "Next card", 1)):
            button = QToolButton()
            button.setProperty("flat", True)
            button.setToolTip(name)
            button.setAccessibleName(name)
            set_icon(button, icon, "muted", 16)
            button.clicked.connect(lambda _=False, by=by: self.card_requested.emit(self._number + by))
            self.add_header_widget(button)
        self.body.addWidget(self._text)
        self.body.addLayout(self._actions)
        self.body.addWidget(self._source)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)

    def set_compact(self, compact: bool) -> None:
        """Smaller words where there is little room."""
        role = "small" if compact else None
        if self._text.property("role") != role:
            self._text.setProperty("role", role)
            self._text.style().unpolish(self._text)
            self._text.style().polish(self._text)

    def show_card(self, number: int) -> None:
        """Shows the card with this number."""
        if number == self._number:
            return
        self._number, card = number, self._cards[number]
        self.set_title(card.title, f"{number + 1} of {len(self._cards)}")
        self._text.setText(card.text)
        self._source.setText(card.source)
        while self._actions.count():
            row = self._actions.takeAt(0)
            if row is not None and (gone := row.widget()) is not None:
                gone.hide()
                gone.deleteLater()
        line, letters = self._add_row(), 0
        for action in card.actions:
            letters += len(action.title)
            if letters > LETTERS and line.count():
                line, letters = self._add_row(), len(action.title)
            button = QPushButton(action.title)
            button.setProperty("link", True)
            button.clicked.connect(lambda _=False, action=action: self.action_requested.emit(action))
            button.setCursor(Qt.CursorShape.PointingHandCursor)
            line.addWidget(button)

    def _add_row(self) -> QHBoxLayout:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.setAlignment(Qt.AlignmentFlag.AlignLeft)
        self._actions.addWidget(holder)
        return row
