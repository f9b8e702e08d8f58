"""Beside the plane: what is measured, and the guided tour."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from diffusion_studio.engine.plane.measures import Measures
from diffusion_studio.viewmodels.plane.state import Comparison
from diffusion_studio.viewmodels.plane.tour.cards import CARDS
from diffusion_studio.widgets.frame.cards import Card, RemainderCard
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import label, tabular
from diffusion_studio.widgets.plots.bars import BarSeries, OccupancyBars
from diffusion_studio.widgets.plots.series import Series, SeriesPlot

LEAST = 150  # pixels of the plot's card; below, its numbers would lie on each other
LETTERS = 40  # of the actions in one line
LOW = 620  # pixels below which the column says less
ONE_LEVEL = ("Langevin", "adjusted Langevin")


class TourView(Card):
    """One card of the tour, with its neighbours a click away."""

    action_requested = Signal(object)  # viewmodels.plane.tour.card.Action
    card_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self._cards, self._number = CARDS, -1
        self._title.setWordWrap(True)
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


class PlaneCards(QWidget):
    """Occupancy, distance and tour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bars = OccupancyBars()
        self.occupancy = Card("Mode occupancy")
        self.occupancy.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.occupancy.body.addWidget(self.bars)
        self.plot = SeriesPlot("Energy distance")
        self.facts = label("", "small")
        self.facts.setFont(tabular(self.facts.font()))
        self.facts.setWordWrap(True)
        distance = RemainderCard(LEAST)
        distance.body.addWidget(self.plot, 1)
        distance.body.addWidget(self.facts)
        self.tour = TourView()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self.occupancy)
        column.addWidget(distance, 1)
        column.addWidget(self.tour)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        room = self.parentWidget() or self  # what is seen of the column
        low = room.height() < LOW
        self.facts.setVisible(not low)
        self.tour.set_compact(low)

    def show_measures(self, found: Comparison) -> None:
        """The present run, and the last one of another method beside it."""
        now, before, last = found.now, found.before, found.now.last
        if last is None:
            return
        ink = _color(now.title)
        other = before is not None and _color(before.title) != ink
        bars = [BarSeries("true", last.truth, "xt"), BarSeries(now.title, last.occupancy, ink)]
        curves = [Series(now.title, now.positions, now.energy, ink)]
        if before is not None and before.last is not None and other:
            if before.last.names == last.names:
                bars.insert(1, BarSeries(before.title, before.last.occupancy, _color(before.title)))
            curves.insert(0, Series(before.title, before.positions, before.energy, _color(before.title)))
        self.bars.set_bars(last.names, bars)
        self.occupancy.setVisible(len(last.names) > 1)  # with one class there is nothing to compare
        self.plot.set_series(curves, found.length, last.position, log=True)
        self.facts.setText(summary(last))
        self.facts.setToolTip(facts(last))
        self.plot.setToolTip(facts(last))


def _color(title: str) -> str:
    """One level is orange, as its noise; what walks through all levels is green."""
    return "eps" if title in ONE_LEVEL else "x0"


def facts(last: Measures) -> str:
    """The other measures in words."""
    words = [
        f"Energy distance {last.energy:.4f}; between two clouds of exact samples {last.band:.4f}",
        f"Sliced Wasserstein distance {last.wasserstein:.3f}",
        f"Mean ln p_t {last.log_density:.2f}; of exact samples {last.exact_log_density:.2f}",
        f"Effective number of modes {last.modes:.2f}; of the true weights {last.exact_modes:.2f}",
    ]
    words.append(f"Spread {last.spread:.3f}; of exact samples {last.exact_spread:.3f}")
    if last.acceptance == last.acceptance:
        words.append(f"A Metropolis test would keep {100 * last.acceptance:.1f} % of the steps")
    return "\n".join(words).replace("-", "−").replace("p_t", "pₜ")


def summary(last: Measures) -> str:
    """The measures in one or two short lines."""
    words = [
        f"{last.energy:.4f} (exact {last.band:.4f})",
        f"ln p {last.log_density:.2f} ({last.exact_log_density:.2f})",
        f"{last.modes:.2f} modes ({last.exact_modes:.2f})",
    ]  # fmt: skip
    if last.acceptance == last.acceptance:
        words.append(f"kept {100 * last.acceptance:.1f} %")
    return " · ".join(words).replace("-", "−")
