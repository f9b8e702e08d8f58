"""What is worked out beside the chains: each a small model of its own, at work only while it is looked at."""

from __future__ import annotations

from PySide6.QtCore import QObject

from diffusion_studio.viewmodels.sample.chain_views import ChainFacts
from diffusion_studio.viewmodels.sample.chains import Chains
from diffusion_studio.viewmodels.sample.classifier import ClassifierModel
from diffusion_studio.viewmodels.sample.guidance_trade import TradeModel
from diffusion_studio.viewmodels.sample.side_models import NearestModel, ReconstructionModel, ThumbnailModel
from diffusion_studio.viewmodels.sample.state import SampleState

NEAREST, TRADE, CLASSIFIER = "nearest", "guidance", "classifier"  # what can be looked at


class Beside(QObject):
    """Says to each when it has something to do.

    Args:
        chains: whose records are looked at.
    """

    def __init__(self, chains: Chains, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.nearest, self.reconstruction = NearestModel(self), ReconstructionModel(self)
        self.thumbnails, self.trade = ThumbnailModel(self), TradeModel(self)
        self.classifier = ClassifierModel(parent=self)
        self._chains = chains
        self._files: tuple[str, ...] = ()
        self._complete: ChainFacts | None = None  # the last chain that was
        self._seen: object = None

    def follow(self, state: SampleState, watched: str) -> None:
        """Begins what the state asks for.

        Args:
            watched: which of them a person looks at; empty while it is none.
        """
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
        elif watched == NEAREST and record is not None and shown is not None:
            self.nearest.look(shown.source, record, state.player.position)

    def measure_trade(self) -> None:
        """Begins the sweep over γ for the chain on show."""
        record, shown = self._chains.record, self._chains.shown
        if record is not None and shown is not None:
            self.trade.measure(shown.source, record.chain)

    def _reconstruct(self) -> None:
        """An image that was inverted: does it come back?"""
        record = self._chains.record
        if record is not None and record.chain.spec.start.kind == "inverted" and record.parent is None:
            self.reconstruction.look(record)
        else:
            self.reconstruction.stop()

    def shutdown(self) -> None:
        for model in (self.nearest, self.reconstruction, self.thumbnails, self.trade, self.classifier):
            model.shutdown()
