"""The linear case, exactly: eigenvalues, σ² across them, and what was learned beside it."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from diffusion_studio.core.words import number, tr
from diffusion_studio.engine.autoencoder.exact import ExactCase, LearnedLinear, bits
from diffusion_studio.viewmodels.autoencoder.exact import ExactState
from diffusion_studio.widgets.forms.slider import ThinSlider
from diffusion_studio.widgets.frame.cards import Card, RemainderCard
from diffusion_studio.widgets.frame.scrolling import Paragraph
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.look.theme import label, tabular
from diffusion_studio.widgets.plots import Line, XYPlot

_FINE, _LOW, _HIGH = 100, -4.0, 1.0  # positions per factor of ten; exponents that σ² reaches
_LEAST = 1e-6  # eigenvalues below it are not drawn
SHOWN = 8
_PICTURES = 72  # pixels of height at least, for those that are known and those that were learned


class ExactView(QSplitter):
    """The eigenvalues on the left, the components on the right."""

    variance_chosen = Signal(float)
    turn_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.plot = XYPlot(tr("Eigenvalues"), max_hz=30.0)
        self.plot.set_axes(tr("principal component"), tr("variance"), y_log=True)
        self.plot.set_empty_text(tr("The eigenvalues of the images appear here."))
        self.slider, self.value = ThinSlider(), label(f"σ² = {number(0.05)}", "muted")
        self.slider.setRange(round(_LOW * _FINE), round(_HIGH * _FINE))
        self.slider.setAccessibleName(tr("Decoder variance"))
        self.slider.setToolTip(
            tr("Drag σ² across the eigenvalues: a latent whose eigenvalue lies below it collapses")
        )
        self.slider.setValue(round(math.log10(0.05) * _FINE))
        self.value.setFont(tabular(self.value.font()))
        self.facts, self.learned = Paragraph(), Paragraph("muted")
        self.exact = ImageGrid(tr("Principal components"), selectable=False)
        self.spanned = ImageGrid(tr("What was learned"), selectable=False)
        self.spanned.set_empty_text(tr("Train a linear network to see what its decoder spans."))
        for pictures in (self.exact, self.spanned):
            pictures.setMinimumHeight(_PICTURES)
        self.turn = QPushButton(tr("Turn the code"))
        self.turn.setToolTip(tr("z → A z and D → D ∘ A⁻¹ with a random matrix A"))
        self._build()
        self.slider.valueChanged.connect(lambda at: self.variance_chosen.emit(10 ** (at / _FINE)))
        self.slider.reset_requested.connect(lambda: self.variance_chosen.emit(0.05))
        self.turn.clicked.connect(self.turn_requested)

    def _build(self) -> None:
        curves = Card(tr("Probabilistic PCA"))
        curves.body.addWidget(self.plot, 1)
        row = QHBoxLayout()
        row.addWidget(label("σ²"))
        row.addWidget(self.slider, 1)
        row.addWidget(self.value)
        curves.body.addLayout(row)
        curves.body.addWidget(self.facts)
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        self.exact_card, self.learned_card = RemainderCard(), RemainderCard()
        self.exact_card.set_title(tr("Principal components"))
        self.learned_card.set_title(tr("What was learned"))
        self.exact_card.body.addWidget(self.exact)
        self.learned_card.add_header_widget(self.turn)
        self.learned_card.body.addWidget(self.spanned, 1)
        self.learned_card.body.addWidget(self.learned)
        column.addWidget(self.exact_card, 1)
        column.addWidget(self.learned_card, 1)
        self.addWidget(curves)
        self.addWidget(side)
        self.setHandleWidth(12)
        self.setChildrenCollapsible(False)
        self.setStretchFactor(0, 3)
        self.setStretchFactor(1, 2)
        self.setSizes([480, 320])

    def show_state(self, state: ExactState) -> None:
        """What is known, and what was learned beside it."""
        self._place_slider(state.variance)
        if not state.possible:
            self.plot.set_lines({})
            self.plot.set_empty_text(tr("These images are too large for it: at most 1,024 numbers each."))
            self.facts.setText("")
            return
        case = state.case
        found = state.learned
        if case is not None:
            self._show_case(case, found)
        self.turn.setVisible(found is not None)
        self.spanned.set_images(None if found is None else found.pictures)
        self.learned.setVisible(found is not None)
        if found is not None:
            self.learned.setText(_what_was_learned(found, case, turned=state.turns > 0))

    def _place_slider(self, variance: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(round(math.log10(variance) * _FINE))
        self.slider.blockSignals(False)
        self.value.setText(number(variance, ".4g"))

    def _show_case(self, case: ExactCase, learned: LearnedLinear | None) -> None:
        values = np.where(case.values > _LEAST, case.values, np.nan)
        numbers = np.arange(1, case.dims + 1, dtype=np.float64)
        kept = numbers <= case.size
        active = kept & (numbers <= case.active)
        level = np.full(case.dims, case.variance)
        lines = {
            tr("active"): Line(numbers[active], values[active], "x0", dots=True),
            tr("collapsed"): Line(numbers[kept & ~active], values[kept & ~active], "weight", dots=True),
            tr("left out"): Line(numbers[~kept], values[~kept], "xt", dots=True),
            "σ²": Line(numbers, level, "eps"),
        }  # fmt: skip
        if learned is not None and len(learned.values):
            dashed = Qt.PenStyle.DashLine
            places = np.arange(1, len(learned.values) + 1, dtype=np.float64)
            lines[tr("learned")] = Line(places, learned.values, "guidance", dashed)
            lines[tr("learned σ²")] = Line(numbers, np.full(case.dims, learned.variance), "noise", dashed)
        self.plot.set_lines(lines)
        self.exact.set_images(case.pictures)
        share = tr("{share:.1f} % of the variance", share=100 * case.share)
        self.exact_card.set_title(tr("Principal components"), share)
        self.facts.setText(
            tr(
                "k = {case.size}: {case.active} active. ELBO = log p(x): {now:.3f} bits/dim; "
                "best with σ² = {case.best:.4g}: {best:.3f}. "
                "An autoencoder leaves out {case.discarded:.4f}.",
                case=case,
                now=bits(-case.log_p, case.dims),
                best=bits(-case.best_log_p, case.dims),
            )
        )


def _what_was_learned(found: LearnedLinear, case: ExactCase | None, *, turned: bool) -> str:
    """How near it comes to what is known."""
    said = [
        tr("At most {found.angle:.2f}° from the principal components.", found=found),
        tr("Squared error {found.error:.4f}.", found=found)
        if case is None
        else tr("Squared error {found.error:.4f}, the best is {best:.4f}.", found=found, best=case.discarded),
    ]
    if case is not None and not math.isnan(found.log_p):
        own = bits(-found.log_p, case.dims)
        said.append(
            tr("Its own log p(x): {own:.3f} bits/dim, σ² = {found.variance:.4g}.", own=own, found=found)
        )
    if turned:
        said.append(tr("After turning the code by a random matrix: {found.turned_error:.4f}.", found=found))
    return " ".join(said)
