"""The right-hand column of the Sample page: curves, σ and τ by hand, and what was remembered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr, trc
from diffusion_studio.pages.sample.calls_panel import CallsPanel
from diffusion_studio.pages.sample.classifier_panel import ClassifierPanel
from diffusion_studio.pages.sample.guidance_panel import GuidancePanel
from diffusion_studio.viewmodels.sample.beside import CALLS, CLASSIFIER, NEAREST, TRADE
from diffusion_studio.viewmodels.sample.chain_views import ChainCurves, ChainFacts
from diffusion_studio.viewmodels.sample.side_models import ErrorFound, NearestFound
from diffusion_studio.viewmodels.sample.state import SampleState
from diffusion_studio.widgets.editors.gamma_editor import GammaEditor
from diffusion_studio.widgets.editors.sigma_editor import SigmaEditor
from diffusion_studio.widgets.editors.tau_editor import TauEditor
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.frame.cards import Card, RemainderCard
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.frame.scrolling import FillColumn, ScrollColumn
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.look.theme import label
from diffusion_studio.widgets.plots import ChainPlot, Curve
from diffusion_studio.widgets.plots.curve import Line, XYPlot

_HIGH = 180  # pixels that a grid of small pictures takes at least
GUIDANCE = "‖ε̂(y) − ε̂(∅)‖"
CURVES, BY_HAND = "curves", "by hand"
TABS = [
    (CURVES, tr("Curves"), tr("ᾱ, σ, SNR, the size of ε̂ and the way to the image, over the chain")),
    (
        BY_HAND,
        tr("By hand"),
        tr("Draw the noise of each step, the visited times, and guidance over the chain"),
    ),
    (
        NEAREST,
        trc("what is remembered", "Memory"),
        tr("The training images nearest to each sample: learned, or remembered?"),
    ),
    (TRADE, tr("Guidance"), tr("One noise under every γ, and what guidance trades")),
    (CLASSIFIER, tr("Classifier"), tr("A classifier of noisy images: where does it stop knowing?")),
    (CALLS, tr("Calls"), tr("How few calls of the network are as good as fifty steps?")),
]


class SampleSide(QWidget):
    """Views of the same chain, one at a time."""

    seek_requested = Signal(int)
    points_edited = Signal(list)
    times_edited = Signal(list)
    gammas_edited = Signal(list)  # [(t, γ_t), …]
    sigma_wanted = Signal()  # a curve to draw
    edit_finished = Signal()
    tab_changed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tabs = Segmented(tr("What is looked at beside the pictures"), stretch=True)
        self.tabs.set_options(TABS)
        self.stack = QStackedWidget()
        self.stack.addWidget(self._build_curves())
        self.stack.addWidget(self._build_editors())
        self.stack.addWidget(self._build_nearest())
        self.trade, self.classifier, self.calls = GuidancePanel(), ClassifierPanel(), CallsPanel()
        for panel in (FillColumn(self.trade), ScrollColumn(self.classifier), ScrollColumn(self.calls)):
            self.stack.addWidget(panel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addWidget(self.tabs)
        layout.addWidget(self.stack, 1)
        self.tabs.changed.connect(self.show_tab)
        self.show_tab(CURVES)

    @property
    def tab(self) -> str:
        return self.tabs.value

    def show_tab(self, key: str) -> None:
        keys = [tab[0] for tab in TABS]
        if key in keys:
            self.tabs.set_value(key)
            self.stack.setCurrentIndex(keys.index(key))
            self.tab_changed.emit(key)

    # --- widgets ----------------------------------------------------------------------------------------

    def _build_curves(self) -> FillColumn:
        self.schedule_plot = ChainPlot(tr("Schedule"))
        self.snr_plot = ChainPlot("log SNR")
        self.eps_plot = ChainPlot(tr("Size of ε̂ per pixel"))
        self.distance_plot = ChainPlot(tr("When is the image decided?"))
        self.apart_plot = ChainPlot(tr("A and B apart"))
        self.error_plot = XYPlot(tr("Image back from its noise"))
        self.error_plot.set_axes(tr("steps S"), tr("root mean square"), x_log=True, y_log=True)
        self.error_plot.set_empty_text(tr("The image is inverted and brought back …"))
        for plot in self.chain_plots:
            plot.set_empty_text(tr("This curve appears with the chain."))
        self.distance_plot.set_empty_text(tr("Known when the chain has come to its image."))
        self.apart_plot.set_empty_text(tr("Known when both chains have come to their images."))
        self.schedule_plot.set_limits((0.0, 1.0))
        self._cards = {plot: _card(plot) for plot in (*self.chain_plots, self.error_plot)}
        for plot in self.chain_plots:
            plot.seek_requested.connect(self.seek_requested)
        self._curves = column = _column(*self._cards.values())
        self.set_extras(comparing=False, inverting=False)  # not before: what has no parent is a window
        return column

    @property
    def chain_plots(self) -> tuple[ChainPlot, ...]:
        return self.schedule_plot, self.snr_plot, self.eps_plot, self.distance_plot, self.apart_plot

    def set_extras(self, comparing: bool, inverting: bool) -> None:
        """Which plots take part."""
        self._cards[self.apart_plot].setVisible(comparing)
        self._cards[self.error_plot].setVisible(inverting)

    def bring_apart(self) -> None:
        """Scrolls to the plot of how far A and B are from each other."""
        self._curves.ensureWidgetVisible(self._cards[self.apart_plot])

    def _build_editors(self) -> QWidget:
        self.sigma_editor = SigmaEditor()
        self.tau_editor = TauEditor()
        self.sigma_editor.points_edited.connect(self.points_edited)
        self.sigma_editor.edit_requested.connect(self.sigma_wanted)
        self.gamma_editor = GammaEditor()
        self.tau_editor.times_edited.connect(self.times_edited)
        self.gamma_editor.points_edited.connect(self.gammas_edited)
        for editor in (self.sigma_editor, self.tau_editor, self.gamma_editor):
            editor.edit_finished.connect(self.edit_finished)
        hint = ElidedLabel(
            tr("Drag a dot. Double-click adds one, right-click or Delete removes it."), "muted"
        )
        self._gamma_card = _card(self.gamma_editor)
        return _column(_card(self.sigma_editor), _card(self.tau_editor), self._gamma_card, hint)

    def _build_nearest(self) -> QWidget:
        self.nearest = ImageGrid(tr("Nearest training images"), selectable=False)
        self.nearest.setMinimumHeight(_HIGH)
        self.nearest.set_empty_text(tr("Looking through the training images …"))
        self.nearest_words = label("", "muted")
        self.nearest_words.setWordWrap(True)
        card = Card()
        card.body.addWidget(self.nearest, 1)
        card.body.addWidget(self.nearest_words)
        return ScrollColumn(card)

    # --- what is shown ----------------------------------------------------------------------------------

    def show_state(self, before: SampleState | None, state: SampleState) -> None:
        """Renders what differs from the state before."""
        facts, curves, position = state.chains.facts, state.pictures.curves, state.player.position
        other_chain = before is None or before.chains.facts is not facts
        if other_chain:
            self._show_chain(facts)
        if curves is not None and (before is None or before.pictures.curves is not curves):
            self.show_curves(curves, learned=not facts.exact)
        if other_chain or (before is not None and before.player.position != position):
            self._show_position(facts, position)
        if before is None or before.parameters != state.parameters:
            comparing = state.parameters.tree.compared >= 0
            self.set_extras(comparing, inverting=state.spec.start.kind == "inverted")
            self.trade.set_gamma(state.spec.guidance)

    def _show_position(self, facts: ChainFacts, position: int) -> None:
        for plot in self.chain_plots:
            plot.set_cursor(position)
        if facts.times:
            self.classifier.set_time(facts.times[position])

    def show_curves(self, curves: ChainCurves, learned: bool) -> None:
        """Learned curves are dashed, exact ones solid."""
        schedule = {
            "ᾱ": Curve(curves.alpha_bar, "x0", label=tr("ᾱ  image left")),
            "σ": Curve(curves.sigma, "eps", curves.sigma_learned, tr("σ  noise added")),
        }
        largest = float(np.nanmax(curves.sigma)) if np.isfinite(curves.sigma).any() else 0.0
        self.schedule_plot.set_limits((0.0, max(1.0, largest)))
        self.schedule_plot.set_curves(curves.times, schedule)
        snr = np.where(np.isfinite(curves.log_snr), curves.log_snr, np.nan)
        self.snr_plot.set_curves(curves.times, {"log SNR": Curve(snr, "xt", label="ln ᾱ/(1−ᾱ)")})
        sizes = {"‖ε̂‖": Curve(curves.eps_norm, "eps", learned, "‖ε̂‖")}
        if curves.guidance_norm is not None:
            sizes[GUIDANCE] = Curve(curves.guidance_norm, "guidance", learned, GUIDANCE)
        self.eps_plot.set_curves(curves.times, sizes)
        distance = Curve(curves.distance, "x0", learned, tr("to the last x̂_0"))
        self.distance_plot.set_curves(curves.times, {"distance": distance})
        if curves.apart is not None:
            apart = Curve(curves.apart, "guidance", learned, tr("root mean square of x_t"))
            known = np.isfinite(curves.apart)
            if known.any():
                self.apart_plot.set_curves(np.asarray(curves.times), {"apart": apart})

    def _show_chain(self, facts: ChainFacts) -> None:
        """What depends on the chain alone, not on how far it has been walked."""
        noise, alpha_bar = facts.noise, facts.alpha_bar
        if noise is None or alpha_bar is None:
            return
        self.sigma_editor.set_steps(noise.times, noise.ceiling, noise.sigma, noise.named)
        self.sigma_editor.set_points(noise.points)
        self.tau_editor.set_schedule(alpha_bar)
        self.tau_editor.set_times(noise.times)
        self._gamma_card.setVisible(bool(facts.gammas))  # no class: no guidance
        if facts.gammas:
            self.gamma_editor.set_steps(noise.times, facts.gammas)
            self.gamma_editor.set_points(facts.drawn_gammas)

    def show_errors(self, errors: Sequence[ErrorFound]) -> None:
        if errors:
            line = Line([e.steps for e in errors], [e.error for e in errors], "x0", dots=True)
            self.error_plot.set_lines({tr("error of the way back"): line})
        else:
            self.error_plot.set_lines({})

    def show_nearest(self, found: NearestFound) -> None:
        self.nearest.set_columns(found.columns)
        titles = [tr("here"), tr("exact"), *("123456"[: found.columns - 2])]
        self.nearest.set_column_titles(titles)
        self.nearest.set_images(found.images)
        self.nearest.set_captions(list(found.captions))
        self.nearest_words.setText(
            tr(
                "here: the estimate of the image · exact: what a network that only remembers the training "
                "images would see in the same state · 1 2 3: the nearest training images. "
                "Numbers: root mean square difference per pixel to “here”; the smallest is {d:.3f}.",
                d=found.closest,
            )
        )

    def show_nearest_failure(self, sentence: str) -> None:
        self.nearest.set_images(None)
        self.nearest.set_empty_text(sentence)
        self.nearest_words.setText("")


def _card(widget: QWidget) -> Card:
    card = RemainderCard()
    card.body.addWidget(widget)
    return card


def _column(*widgets: QWidget) -> FillColumn:
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(12)
    for widget in widgets:
        layout.addWidget(widget, 1 if isinstance(widget, Card) else 0)
    return FillColumn(column)
