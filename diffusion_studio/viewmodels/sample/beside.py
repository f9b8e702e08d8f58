"""What is worked out beside the chains: each a small model of its own, at work only while it is looked at."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject

from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.viewmodels.moved import MovedImages
from diffusion_studio.viewmodels.sample.chain_views import ChainFacts
from diffusion_studio.viewmodels.sample.chains import Chains
from diffusion_studio.viewmodels.sample.classifier import ClassifierModel, owner
from diffusion_studio.viewmodels.sample.guidance_trade import TradeModel
from diffusion_studio.viewmodels.sample.side_models import (
    CallsModel,
    NearestModel,
    ReconstructionModel,
    ThumbnailModel,
)
from diffusion_studio.viewmodels.sample.state import SampleState

NEAREST, TRADE, CLASSIFIER, CALLS = "nearest", "guidance", "classifier", "calls"  # what can be looked at


class Beside(QObject):
    """Says to each when it has something to do.

    Args:
        chains: whose records are looked at.
    """

    def __init__(self, chains: Chains, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.nearest, self.reconstruction = NearestModel(self), ReconstructionModel(self)
        self.thumbnails, self.trade = ThumbnailModel(self), TradeModel(self)
        self.calls = CallsModel(self)
        self.classifier = ClassifierModel(parent=self)
        self.moved = MovedImages(self)  # asks for images that are gone
        self.nearest.failed.connect(self._on_nearest_failed)
        self.trade.failed.connect(self._on_trade_failed)
        self.calls.failed.connect(self._on_calls_failed)
        self.classifier.failed.connect(self._on_classifier_failed)
        self._chains = chains
        self._followed: tuple[SampleState, str] | None = None
        self._files: tuple[str, ...] = ()
        self._complete: ChainFacts | None = None  # the last chain that was
        self._seen: object = None

    def follow(self, state: SampleState, watched: str) -> None:
        """Begins what the state asks for.

        Args:
            watched: which of them a person looks at; empty while it is none.
        """
        self._followed = state, watched
        files = state.spec.start.files
        if files != self._files:  # also those that were chosen on the page itself
            self._files = files
            self.thumbnails.read(files)
        if state.chains.complete and state.chains.facts is not self._complete:
            self._complete = state.chains.facts
            self._reconstruct()
        seen = watched, self._complete, self._asked_of(state, watched)
        if seen != self._seen:
            self._seen = seen
            self._look(state, watched)

    def _asked_of(self, state: SampleState, watched: str) -> object:
        """What else a change of which makes work for the one that is looked at."""
        if watched == CLASSIFIER:
            return state.parameters.source
        return state.player.position if watched == NEAREST else None

    def _look(self, state: SampleState, watched: str) -> None:
        record, shown = self._chains.record, self._chains.shown
        if watched == CLASSIFIER:  # of what is asked for: it may be what its chain still lacks
            self.classifier.show(state.parameters.source)
        elif watched == TRADE and record is not None:
            self.trade.look(record.chain)
        elif watched == CALLS and record is not None:
            self.calls.look(record.chain)
        elif watched == NEAREST and record is not None and shown is not None:
            self.nearest.look(shown.source, record, state.player.position)

    def measure_trade(self) -> None:
        """Begins the sweep over γ for the chain on show."""
        record, shown = self._chains.record, self._chains.shown
        if record is not None and shown is not None:
            self.trade.measure(shown.source, record.chain)

    def measure_calls(self) -> None:
        """Begins to look for the fewest calls that are as good as fifty, for the chain on show."""
        record, shown = self._chains.record, self._chains.shown
        if record is not None and shown is not None:
            self.calls.measure(shown.source, record.chain)

    # --- when images are gone ---------------------------------------------------------------------------

    def _on_nearest_failed(self, sentence: str) -> None:
        self._ask_for_images(self._shown_run, self._look_again)

    def _on_trade_failed(self, sentence: str) -> None:
        self._ask_for_images(self._shown_run, self.measure_trade)

    def _on_calls_failed(self, sentence: str) -> None:
        self._ask_for_images(self._shown_run, self.measure_calls)

    def _on_classifier_failed(self, sentence: str) -> None:
        self._ask_for_images(self.classifier.state.run, self.classifier.train_again)

    def _ask_for_images(self, run: Path | None, then: Callable[[], object]) -> None:
        """Something failed: where the images of the run are gone, the person can say where they are now."""
        if run is not None:
            with contextlib.suppress(RunError):
                self.moved.asks_for(Run.open(run), then)

    @property
    def _shown_run(self) -> Path | None:
        return owner(self._chains.shown.source) if self._chains.shown is not None else None

    def _look_again(self) -> None:
        if self._followed is not None:
            self._look(*self._followed)

    # --- images that come back --------------------------------------------------------------------------

    def _reconstruct(self) -> None:
        """An image that was inverted: does it come back?"""
        record = self._chains.record
        if record is not None and record.chain.spec.start.kind == "inverted" and record.parent is None:
            self.reconstruction.look(record)
        else:
            self.reconstruction.stop()

    def shutdown(self) -> None:
        for model in (
            self.nearest, self.reconstruction, self.thumbnails, self.trade, self.calls, self.classifier,
            self.moved,
        ):  # fmt: skip
            model.shutdown()
