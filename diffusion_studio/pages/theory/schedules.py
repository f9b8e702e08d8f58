"""Every noise schedule in a plot for each of its quantities, under one legend."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from diffusion_studio.widgets.frame.cards import RemainderCard
from diffusion_studio.widgets.plots import Line, XYPlot
from diffusion_studio.widgets.plots.legend import LegendLine

_HIGH = {1: 170, 2: 150}  # pixels of a plot, by columns: three rows of two fit a screen 768 high
_TWO = 600  # pixels from which two plots stand beside each other


class SchedulesView(QWidget):
    """Plots two by two, or one below the other where there is little room.

    Args:
        plots: by what they show; none needs a legend of its own.
    """

    def __init__(self, plots: Mapping[str, XYPlot], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plots = plots
        self.names = LegendLine()
        self._cards: list[RemainderCard] = []
        self._grid = QGridLayout()
        self._grid.setSpacing(12)
        for plot in plots.values():
            plot.show_legend(False)
            card = RemainderCard()
            card.body.addWidget(plot)
            self._cards.append(card)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.names)
        column.addLayout(self._grid, 1)
        self._columns = 0
        self._lay_out(2)

    def show_lines(self, lines: Mapping[str, Mapping[str, Line]]) -> None:
        """The curves of each plot; all have the same names."""
        for key, plot in self._plots.items():
            plot.set_lines(lines[key])
        self.names.set_entries(next(iter(self._plots.values())).names())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out(2 if self.width() >= _TWO else 1)

    def _lay_out(self, columns: int) -> None:
        if columns == self._columns:
            return
        self._columns = columns
        for plot in self._plots.values():
            plot.setMinimumHeight(_HIGH[columns])
        for number, card in enumerate(self._cards):
            self._grid.addWidget(card, number // columns, number % columns)
        for row in range(len(self._cards)):
            self._grid.setRowStretch(row, int(row * columns < len(self._cards)))
