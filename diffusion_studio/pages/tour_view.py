"""One card of a guided tour, with its neighbours a click away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.words import tr
from diffusion_studio.viewmodels.tours.tour import Titled, Tour, TourCard, TourState
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import GRID, label, rich_label, subscripted, tabular, unbroken

MOST = 160  # pixels that a title asks for
ENDS = {  # by whether something was tried
    False: tr("End the tour"),
    True: tr("End the tour: the page becomes what it was before"),
}


class TourView(Card):
    """One card of the tour, with its neighbours a click away; a line while the tour is folded."""

    def __init__(self, tour: Tour, parent: QWidget | None = None) -> None:
        super().__init__(tr("Tour"), parent)
        self.tour = tour
        self._number = -1
        self._title.setWordWrap(True)
        self._title.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._build_head()
        self._build_body()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        tour.changed.connect(self._show)
        tour.begun.connect(self._come_into_sight)
        self._show(tour.state)

    def _build_head(self) -> None:
        self.take = QPushButton(tr("Begin"))
        self.take.setProperty("link", True)
        self.take.setCursor(Qt.CursorShape.PointingHandCursor)
        self.take.clicked.connect(lambda: self.tour.begin())
        self.add_header_widget(self.take)
        self._place = label(role="muted")
        self._place.setFont(tabular(self._place.font()))
        self.before = self._button("step-back", tr("Card before"), lambda: self.tour.go(self._number - 1))
        self.after = self._button("step-forward", tr("Next card"), lambda: self.tour.go(self._number + 1))
        self.leave = self._button("close", ENDS[False], self.tour.end)
        self._walk = QWidget()  # which card, and the ways from it: together where the title leaves no room
        row = QHBoxLayout(self._walk)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GRID)
        for widget in (self._place, self.before, self.after, self.leave):
            row.addWidget(widget)
        self.add_header_widget(self._walk)

    def _button(self, icon: str, name: str, do: Callable[[], None]) -> QToolButton:
        button = QToolButton()
        button.setProperty("flat", True)
        button.setToolTip(name)
        button.setAccessibleName(name)
        set_icon(button, icon, "muted", 16)
        button.clicked.connect(lambda: do())
        return button

    def _build_body(self) -> None:
        self._text, self._source = rich_label(), label("", "small")
        self._text.setWordWrap(True)
        self._source.setWordWrap(True)
        self._inside = QWidget()
        column = QVBoxLayout(self._inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        self._actions = FlowRow(spacing=4)
        column.addWidget(self._text)
        column.addLayout(self._actions)
        column.addWidget(self._source)
        self.body.addWidget(self._inside)

    def set_compact(self, compact: bool) -> None:
        """Smaller words where there is little room."""
        role = "small" if compact else None
        if self._text.property("role") != role:
            self._text.setProperty("role", role)
            self._text.style().unpolish(self._text)
            self._text.style().polish(self._text)

    # --- what is shown ----------------------------------------------------------------------------------

    def _show(self, state: TourState) -> None:
        cards = self.tour.cards
        self._inside.setVisible(state.open)
        self.take.setVisible(not state.open)
        self._walk.setVisible(state.open)
        self.leave.setToolTip(ENDS[state.tried])
        if not state.open:
            self._number = -1
            self._title.setMinimumWidth(0)
            self.set_title(tr("Tour"), tr("{n} cards", n=len(cards)))
        elif state.number != self._number:
            self._number = state.number
            self._show_card(cards[state.number])

    def _show_card(self, card: TourCard[Titled]) -> None:
        self._place.setText(tr("{n} of {count}", n=self._number + 1, count=len(self.tour.cards)))
        self.set_title(card.title)
        self._title.setMinimumWidth(min(in_two_lines(card.title, self._title.fontMetrics()), MOST))
        self._text.setText(subscripted(unbroken(card.text)))
        self._source.setText(card.source)
        while self._actions.count():
            item = self._actions.takeAt(0)
            if item is not None and (gone := item.widget()) is not None:
                gone.hide()
                gone.deleteLater()
        for action in card.actions:
            button = QPushButton(action.title)
            button.setProperty("link", True)
            button.clicked.connect(partial(self._take, action))
            button.setCursor(Qt.CursorShape.PointingHandCursor)
            self._actions.addWidget(button)

    def _take(self, action: Titled, _checked: bool = False) -> None:
        self.tour.take(action)

    def _come_into_sight(self) -> None:
        """In a column that scrolls, once the card has its size."""
        QTimer.singleShot(0, self, self._scroll)

    def _scroll(self) -> None:
        around = self.parentWidget()
        while around is not None and not isinstance(around, QScrollArea):
            around = around.parentWidget()
        if around is not None:
            around.ensureWidgetVisible(self)


def in_two_lines(text: str, metrics: QFontMetrics) -> int:
    """The least width in which `text` takes two lines at most. px"""
    words = text.split()
    cuts = ((" ".join(words[:k]), " ".join(words[k:])) for k in range(len(words)))
    return min((max(map(metrics.horizontalAdvance, lines)) for lines in cuts), default=0) + 1
