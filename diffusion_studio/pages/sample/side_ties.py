"""What each tab beside the pictures asks for, and what it is told."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject

from diffusion_studio.pages.sample.side import BY_HAND, SampleSide
from diffusion_studio.viewmodels.sample.beside import CALLS, CLASSIFIER, NEAREST, TRADE
from diffusion_studio.viewmodels.sample.guidance_trade import TradeState
from diffusion_studio.viewmodels.sample.model import SampleViewModel


class SideTies(QObject):
    """Ties a tab to its model once it is made; lives as long as `side`."""

    def __init__(self, model: SampleViewModel, side: SampleSide) -> None:
        super().__init__(side)
        self._model, self._side = model, side

    def tie(self, key: str) -> None:
        """The panel of the tab `key` is there now."""
        tie = {
            BY_HAND: self._tie_by_hand, NEAREST: self._tie_nearest, TRADE: self._tie_trade,
            CLASSIFIER: self._tie_classifier, CALLS: self._tie_calls,
        }[key]  # fmt: skip
        tie()

    def _tie_by_hand(self) -> None:
        editors = self._side.by_hand
        editors.points_edited.connect(self._edit_points)
        editors.times_edited.connect(self._edit_times)
        editors.gammas_edited.connect(self._edit_gammas)
        editors.sigma_wanted.connect(self._draw_sigma)
        editors.edit_finished.connect(self._model.tree.settle)

    def _tie_nearest(self) -> None:
        panel, nearest = self._side.nearest, self._model.beside.nearest
        nearest.found.connect(panel.show_found)
        nearest.failed.connect(panel.show_failure)

    def _tie_trade(self) -> None:
        panel, beside = self._side.trade, self._model.beside
        panel.gamma_chosen.connect(self._take_gamma)
        panel.measure_requested.connect(beside.measure_trade)
        panel.stop_requested.connect(beside.trade.stop)
        beside.trade.changed.connect(self._show_trade)
        self._show_trade(beside.trade.state)

    def _tie_classifier(self) -> None:
        panel, classifier = self._side.classifier, self._model.beside.classifier
        panel.train_requested.connect(classifier.train)
        panel.pause_requested.connect(classifier.toggle_pause)
        panel.stop_requested.connect(classifier.stop)
        classifier.changed.connect(panel.show_state)
        panel.show_state(classifier.state)
        classifier.losses_changed.connect(panel.show_losses)

    def _tie_calls(self) -> None:
        panel, beside = self._side.calls, self._model.beside
        panel.measure_requested.connect(beside.measure_calls)
        panel.stop_requested.connect(beside.calls.stop)
        panel.taken.connect(self._model.tree.take_rule)
        beside.calls.changed.connect(panel.show_state)
        panel.show_state(beside.calls.state)

    def _edit_points(self, points: list[Any]) -> None:
        self._model.tree.edit("sampler.points", tuple(map(tuple, points)))

    def _edit_times(self, times: list[int]) -> None:
        if self._model.state.spec.spacing.kind != "explicit":
            self._model.tree.edit("spacing", {"kind": "explicit", "values": tuple(times)})
        else:
            self._model.tree.edit("spacing.values", tuple(times))

    def _edit_gammas(self, points: list[tuple[float, float]]) -> None:
        """Points (t, γ_t) as shares of T and of γ."""
        total, gamma = self._model.state.chains.facts.total, self._model.state.spec.guidance
        self._model.tree.edit("curve.points", tuple((t / total, y / gamma) for t, y in points))

    def _draw_sigma(self) -> None:
        self._model.tree.edit("sampler.kind", "sigma")
        self._model.tree.settle()

    def _take_gamma(self, gamma: float) -> None:
        self._model.tree.edit("guidance", gamma)
        self._model.tree.settle()

    def _show_trade(self, state: TradeState) -> None:
        self._side.trade.show_state(state)
        self._side.trade.set_gamma(self._model.state.spec.guidance)
