"""What guidance trades: one noise under every γ, and how adherence, variety and likeness go with it."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from diffusion_studio.core.words import number, tr
from diffusion_studio.viewmodels.sample.guidance_trade import SAMPLES, TradeState
from diffusion_studio.widgets.chain.measure_row import MeasureRow
from diffusion_studio.widgets.frame.cards import RemainderCard
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.plots.curve import Line, XYPlot

ROOM, LEAST, PLOT = 280, 200, 228  # pixels: for the strip, for a strip in a low window, for the plot
NOT_MEASURED = tr("How do {samples} samples for each γ fare? Not measured yet.", samples=SAMPLES)
BEING_MEASURED = tr("{samples} samples for each γ are being made and measured …", samples=SAMPLES)
ADHERENCE, RECALL, DIVERSITY, LIKENESS = tr("obeys"), tr("recall"), tr("variety"), tr("likeness")


class _Close(ImageGrid):
    """Ten rows of pictures are larger close to each other."""

    apart = 2


class GuidancePanel(QWidget):
    """The γ-strip above, the sweep below."""

    gamma_chosen = Signal(float)
    measure_requested = Signal()
    stop_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        self.strip = _Close(tr("Each class with each γ"), centre=True)
        self.strip.selected.connect(self._choose)
        self.strip.setToolTip(
            tr("One noise, led to each class (rows) with each γ (columns). A click takes that γ.")
        )
        self.plot = XYPlot(tr("What guidance trades"))
        self.plot.set_axes("γ", tr("share"))
        self.plot.set_empty_text(NOT_MEASURED)
        self.plot.setToolTip(
            tr(
                "obeys: share in which a classifier of clean images sees the class asked for\n"
                "recall: share of the real images that have a sample near by\n"
                "variety: mean distance of two samples of one class, 1 for real images\n"
                "likeness: Fréchet distance between real images ÷ that of the samples; 1 is as good as real"
            )
        )
        below = RemainderCard()
        below.body.addWidget(self.plot, 1)
        self.foot = MeasureRow(
            tr("Makes {samples} samples for each γ in the background and measures them", samples=SAMPLES)
        )
        self.foot.measure_requested.connect(self.measure_requested)
        self.foot.stop_requested.connect(self.stop_requested)
        below.body.addWidget(self.foot)
        column.addWidget(self.strip, 5)
        column.addWidget(below, 4)
        self._gammas: tuple[float, ...] = ()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The strip gets what it needs for pictures of twice their size, where the plot can spare it."""
        super().resizeEvent(event)
        self.strip.setMinimumHeight(max(LEAST, min(ROOM, self.height() - PLOT)))

    def show_state(self, state: TradeState) -> None:
        strip = state.strip
        self._gammas = () if strip is None else strip.gammas
        if strip is None:
            self.strip.set_images(None)
            self.strip.set_empty_text(state.message or tr("One noise is led to every class …"))
        else:
            self.strip.set_columns(len(strip.gammas))
            titles = [number(gamma, "g") for gamma in strip.gammas]
            self.strip.set_column_titles([f"γ={titles[0]}", *titles[1:]])
            self.strip.set_images(np.ascontiguousarray(strip.images))
            self.strip.set_tooltips([f"{name}, γ = {title}" for name in strip.classes for title in titles])
        self._show_trades(state)
        words = ""
        if state.message and strip is not None:
            words = state.message
        elif state.trades:
            words = tr("the judge is right about {judge:.1f} % of real images", judge=100 * state.judge)
        self.foot.show_progress(state.measuring, state.share, words, can_measure=strip is not None)

    def _show_trades(self, state: TradeState) -> None:
        trades = state.trades
        gammas = [trade.gamma for trade in trades]
        kinds = {
            ADHERENCE: ("guidance", [trade.adherence for trade in trades]),
            LIKENESS: ("x0", [min(trade.real_frechet / max(trade.frechet, 1e-9), 1.0) for trade in trades]),
            DIVERSITY: ("score", [trade.diversity for trade in trades]),
            RECALL: ("eps", [trade.recall for trade in trades]),
        }
        lines = {name: Line(gammas, values, color, dots=True) for name, (color, values) in kinds.items()}
        self.plot.set_empty_text(BEING_MEASURED if state.measuring else NOT_MEASURED)
        self.plot.set_lines(lines if trades else {})

    def set_gamma(self, gamma: float) -> None:
        """Marks the present γ."""
        self.plot.set_mark(gamma)
        if self._gammas:
            near = min(range(len(self._gammas)), key=lambda k: abs(self._gammas[k] - gamma))
            self.strip.highlight_column(near if abs(self._gammas[near] - gamma) < 0.25 else None)

    def _choose(self, index: int) -> None:
        if self._gammas:
            self.gamma_chosen.emit(self._gammas[index % len(self._gammas)])
