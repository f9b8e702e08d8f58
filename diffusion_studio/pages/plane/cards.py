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
from diffusion_studio.widgets.plots.math import plain_text
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


def figures(last: Measures) -> dict[str, str]:
    """The measures as they are written, by their names."""
    specs = {
        "energy": ".4f",
        "band": ".4f",
        "wasserstein": ".3f",
        "log_density": ".2f",
        "exact_log_density": ".2f",
    }
    specs |= {"modes": ".2f", "exact_modes": ".2f", "spread": ".3f", "exact_spread": ".3f", "off": ".3f"}
    return {name: plain_text(getattr(last, name), spec) for name, spec in specs.items()}


def facts(last: Measures) -> str:
    """The other measures in words."""
    said = figures(last)
    words = [
        tr("Energy distance {energy}; between two clouds of exact samples {band}", **said),
        tr("Sliced Wasserstein distance {wasserstein}", **said),
        tr("Mean ln p_t {log_density}; of exact samples {exact_log_density}", **said),
        tr("Effective number of modes {modes}; of the true weights {exact_modes}", **said),
        tr("Spread {spread}; of exact samples {exact_spread}", **said),
    ]
    if last.acceptance == last.acceptance:
        share = 100 * last.acceptance
        words.append(tr("A Metropolis test would keep {share:.1f} % of the steps", share=share))
    return "\n".join(words).replace("p_t", "pₜ")


def summary(last: Measures) -> str:
    """The measures in one or two short lines."""
    said = figures(last)
    words = [
        tr("{energy} (exact {band})", **said),
        tr("ln p {log_density} ({exact_log_density})", **said),
        tr("{modes} modes ({exact_modes})", **said),
    ]
    if last.acceptance == last.acceptance:
        words.append(tr("kept {share:.1f} %", share=100 * last.acceptance))
    return unbroken(" · ".join(part.replace(" ", "\u00a0") for part in words))
