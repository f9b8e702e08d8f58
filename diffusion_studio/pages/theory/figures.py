"""The figures of the texts: their chains drawn, one digit under the chosen schedule in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton

from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.tables import Tables, diffuse
from diffusion_studio.core.theory.figures import Figure
from diffusion_studio.core.words import tr
from diffusion_studio.data.digits import digits
from diffusion_studio.data.imageset import to_model_range, to_uint8
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.pages.theory.parts import PAGES, Scrolled
from diffusion_studio.widgets.equations.chain_figure import ChainFigure, Way
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.look.theme import rich_label, subscripted, unbroken

WHICH = 3  # of the digits
ACTS_AT = {"plane": "process.steps", "theory": "elbo", "autoencoder": "decoder.kind"}


class FiguresView(Scrolled):
    """One card for each figure."""

    go_requested = Signal(str, str)  # page, path

    def __init__(self, figures: Sequence[Figure], tables: Tables) -> None:
        super().__init__(tr("Figures"))
        self._drawn: list[tuple[Figure, ChainFigure]] = []
        self._tables = tables
        self.fill(self.add(self._card(figure)) for figure in figures)

    def _card(self, figure: Figure) -> Card:
        card = Card()
        card.set_title(figure.title, figure.source)
        if figure.nodes:
            view = ChainFigure()
            self._draw(figure, view)
            self._drawn.append((figure, view))
            card.body.addWidget(view)
        words = rich_label(subscripted(unbroken(figure.words)))
        words.setWordWrap(True)
        card.body.addWidget(words)
        if figure.page:
            button = QPushButton(tr("Show on {page}", page=PAGES[figure.page]))
            path = ACTS_AT[figure.page]
            button.clicked.connect(lambda: self.go_requested.emit(figure.page, path))
            card.body.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        return card

    def show_schedule(self, tables: Tables) -> None:
        """Draws the pictures anew, noised as this schedule does."""
        self._tables = tables
        for figure, view in self._drawn:
            self._draw(figure, view)

    def _draw(self, figure: Figure, view: ChainFigure) -> None:
        ways = [Way(a.begin, a.end, a.law == "q", a.words, a.compared) for a in figure.arrows]
        view.set_figure(figure.nodes, ways, noised(self._tables, figure.places))


def noised(tables: Tables, places: Sequence[float]) -> list[NDArray[np.uint8]]:
    """One digit at these shares of T, with one noise. Each (H, W)"""
    x_0 = torch.from_numpy(to_model_range(digits(DataSpec()).images[WHICH : WHICH + 1]))
    noise = CounterNoise(0).start(tuple(x_0.shape))
    levels = [tables.alpha_bar_at(round(place * tables.steps)) for place in places]
    return [to_uint8(diffuse(x_0, noise, level).numpy())[0, 0] for level in levels]
