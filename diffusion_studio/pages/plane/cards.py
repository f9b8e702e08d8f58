"""Beside the plane: what is measured, and the guided tour."""

from __future__ import annotations

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.plane.measures import Measures
from diffusion_studio.pages.tour_view import TourView
from diffusion_studio.viewmodels.plane.state import Comparison
from diffusion_studio.widgets.frame.cards import Card, RemainderCard
from diffusion_studio.widgets.look.theme import label, tabular, unbroken
from diffusion_studio.widgets.plots.bars import BarSeries, OccupancyBars
from diffusion_studio.widgets.plots.series import Series, SeriesPlot

LEAST = 150  # pixels of the plot's card; below, its numbers would lie on each other
LOW = 620  # pixels below which the column says less
ONE_LEVEL = ("Langevin", tr("adjusted Langevin"))


class PlaneCards(QWidget):
    """Occupancy and distance."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bars = OccupancyBars()
        self.occupancy = Card(tr("Mode occupancy"))
        self.occupancy.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.occupancy.body.addWidget(self.bars)
        self.plot = SeriesPlot(tr("Energy distance"))
        self.plot.set_empty_text(tr("How far the particles are from the target, as they move."))
        self.facts = label("", "small")
        self.facts.setFont(tabular(self.facts.font()))
        self.facts.setWordWrap(True)
        distance = RemainderCard(LEAST)
        distance.body.addWidget(self.plot, 1)
        distance.body.addWidget(self.facts)
        self.column = column = QVBoxLayout(self)  # a tour stands below
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addWidget(self.occupancy)
        column.addWidget(distance, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        room = self.parentWidget() or self  # what is seen of the column
        low = room.height() < LOW
        self.facts.setVisible(not low)
        for tour in self.findChildren(TourView):
            tour.set_compact(low)

    def show_measures(self, found: Comparison) -> None:
        """The present run, and the last one of another method beside it."""
        now, before, last = found.now, found.before, found.now.last
        if last is None:
            return
        ink = _color(now.title)
        other = before is not None and _color(before.title) != ink
        bars = [BarSeries(tr("true"), last.truth, "xt"), BarSeries(now.title, last.occupancy, ink)]
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
        tr("Energy distance {m.energy:.4f}; between two clouds of exact samples {m.band:.4f}", m=last),
        tr("Sliced Wasserstein distance {m.wasserstein:.3f}", m=last),
        tr("Mean ln p_t {m.log_density:.2f}; of exact samples {m.exact_log_density:.2f}", m=last),
        tr("Effective number of modes {m.modes:.2f}; of the true weights {m.exact_modes:.2f}", m=last),
        tr("Spread {m.spread:.3f}; of exact samples {m.exact_spread:.3f}", m=last),
    ]
    if last.acceptance == last.acceptance:
        share = 100 * last.acceptance
        words.append(tr("A Metropolis test would keep {share:.1f} % of the steps", share=share))
    return "\n".join(words).replace("-", "−").replace("p_t", "pₜ")


def summary(last: Measures) -> str:
    """The measures in one or two short lines."""
    words = [
        tr("{m.energy:.4f} (exact {m.band:.4f})", m=last),
        tr("ln p {m.log_density:.2f} ({m.exact_log_density:.2f})", m=last),
        tr("{m.modes:.2f} modes ({m.exact_modes:.2f})", m=last),
    ]
    if last.acceptance == last.acceptance:
        words.append(tr("kept {share:.1f} %", share=100 * last.acceptance))
    return unbroken(" · ".join(words).replace("-", "−"))
