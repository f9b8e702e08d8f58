"""The right-hand column of the Sample page: curves, σ and τ by hand, and what was remembered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr, trc
from diffusion_studio.pages.sample.by_hand_panel import ByHandPanel
from diffusion_studio.pages.sample.calls_panel import CallsPanel
from diffusion_studio.pages.sample.classifier_panel import ClassifierPanel
from diffusion_studio.pages.sample.columns import card_of, fill
from diffusion_studio.pages.sample.guidance_panel import GuidancePanel
from diffusion_studio.pages.sample.nearest_panel import NearestPanel
from diffusion_studio.viewmodels.sample.beside import CALLS, CLASSIFIER, NEAREST, TRADE
from diffusion_studio.viewmodels.sample.chain_views import ChainCurves
from diffusion_studio.viewmodels.sample.side_models import ErrorFound
from diffusion_studio.viewmodels.sample.state import SampleState
from diffusion_studio.widgets.forms.segmented import Segmented
from diffusion_studio.widgets.frame.focus import follow_in_focus
from diffusion_studio.widgets.frame.scrolling import FillColumn, ScrollColumn
from diffusion_studio.widgets.plots import ChainPlot, Curve
from diffusion_studio.widgets.plots.curve import Line, XYPlot

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
    """Views of the same chain, one at a time; each is made when it is looked at for the first time."""

    seek_requested = Signal(int)
    tab_made = Signal(str)  # its panel is there, and is to be tied to what it shows
    tab_changed = Signal(str)

    by_hand: ByHandPanel
    nearest: NearestPanel
    trade: GuidancePanel
    classifier: ClassifierPanel
    calls: CallsPanel

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._made: dict[str, QWidget] = {}
        self._bringing = False  # the plot of how far A and B are apart into sight
        self._state: SampleState | None = None
        self.tabs = Segmented(tr("What is looked at beside the pictures"), stretch=True)
        self.tabs.set_options(TABS)
        self.stack = QStackedWidget()
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
        if key in [tab[0] for tab in TABS]:
            self.tabs.set_value(key)
            self.stack.setCurrentWidget(self._tab(key))
            self.tab_changed.emit(key)

    def _tab(self, key: str) -> QWidget:
        """What stands on a tab."""
        if key not in self._made:
            make = {
                CURVES: self._make_curves, BY_HAND: self._make_by_hand, NEAREST: self._make_nearest,
                TRADE: self._make_trade, CLASSIFIER: self._make_classifier, CALLS: self._make_calls,
            }[key]  # fmt: skip
            self._made[key] = made = make()
            self.stack.addWidget(made)
            follow_in_focus(self.tabs, made)
            if self._state is not None:
                self._follow(None, self._state)
            self.tab_made.emit(key)
        return self._made[key]

    # --- widgets ----------------------------------------------------------------------------------------

    def _make_curves(self) -> QWidget:
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
        self._cards = {plot: card_of(plot) for plot in (*self.chain_plots, self.error_plot)}
        for plot in self.chain_plots:
            plot.seek_requested.connect(self.seek_requested)
        inside = QWidget()
        fill(inside, *self._cards.values())
        self._curves = FillColumn(inside)
        bar = self._curves.verticalScrollBar()
        bar.rangeChanged.connect(self._bring)
        bar.actionTriggered.connect(lambda: self._keep_bringing(False))
        self.set_extras(comparing=False, inverting=False)  # not before: what has no parent is a window
        return self._curves

    @property
    def chain_plots(self) -> tuple[ChainPlot, ...]:
        return self.schedule_plot, self.snr_plot, self.eps_plot, self.distance_plot, self.apart_plot

    def set_extras(self, comparing: bool, inverting: bool) -> None:
        """Which plots take part."""
        self._cards[self.apart_plot].setVisible(comparing)
        self._cards[self.error_plot].setVisible(inverting)
        self._keep_bringing(self._bringing and comparing)

    def bring_apart(self) -> None:
        """Scrolls to the plot of how far A and B are from each other, also when it finds its place later.

        A person who scrolls meanwhile is left where they are.
        """
        self._keep_bringing(True)
        self._bring()

    def _keep_bringing(self, on: bool) -> None:
        self._bringing = on

    def _bring(self) -> None:
        if self._bringing:
            self._curves.ensureWidgetVisible(self._cards[self.apart_plot])

    def _make_by_hand(self) -> QWidget:
        self.by_hand = ByHandPanel()
        return FillColumn(self.by_hand)

    def _make_nearest(self) -> QWidget:
        self.nearest = NearestPanel()
        return ScrollColumn(self.nearest)

    def _make_trade(self) -> QWidget:
        self.trade = GuidancePanel()
        return FillColumn(self.trade)

    def _make_classifier(self) -> QWidget:
        self.classifier = ClassifierPanel()
        return ScrollColumn(self.classifier)

    def _make_calls(self) -> QWidget:
        self.calls = CallsPanel()
        return ScrollColumn(self.calls)

    # --- what is shown ----------------------------------------------------------------------------------

    def show_state(self, before: SampleState | None, state: SampleState) -> None:
        """Renders what differs from the state before."""
        self._state = state
        facts, curves, position = state.chains.facts, state.pictures.curves, state.player.position
        if curves is not None and (before is None or before.pictures.curves is not curves):
            self.show_curves(curves, learned=not facts.exact)
        if before is None or before.chains.facts is not facts or before.player.position != position:
            for plot in self.chain_plots:
                plot.set_cursor(position)
        if before is None or before.parameters != state.parameters:
            comparing = state.parameters.tree.compared >= 0
            self.set_extras(comparing, inverting=state.spec.start.kind == "inverted")
        self._follow(before, state)

    def _follow(self, before: SampleState | None, state: SampleState) -> None:
        """The tabs that are there, of what does not come from their own models."""
        facts, position = state.chains.facts, state.player.position
        moved = before is None or before.chains.facts is not facts or before.player.position != position
        if BY_HAND in self._made and (before is None or before.chains.facts is not facts):
            self.by_hand.show_chain(facts)
        if CLASSIFIER in self._made and facts.times and moved:
            self.classifier.set_time(facts.times[position])
        if TRADE in self._made and (before is None or before.parameters != state.parameters):
            self.trade.set_gamma(state.spec.guidance)

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

    def show_errors(self, errors: Sequence[ErrorFound]) -> None:
        if errors:
            line = Line([e.steps for e in errors], [e.error for e in errors], "x0", dots=True)
            self.error_plot.set_lines({tr("error of the way back"): line})
        else:
            self.error_plot.set_lines({})
