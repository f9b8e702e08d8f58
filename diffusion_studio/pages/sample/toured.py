"""The Sample page, as its tour sets it."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import QTimer

from diffusion_studio.data.spec import DIGITS
from diffusion_studio.engine.chains.records import place_of
from diffusion_studio.pages.sample.side import SampleSide
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.sample.sources import memorising_choice
from diffusion_studio.viewmodels.sample.state import Layout, SampleParameters
from diffusion_studio.viewmodels.tours.sample import Scene


class Kept(NamedTuple):
    """The page before its tour."""

    asked: SampleParameters
    view: str
    layout: Layout
    tab: str
    place: float


class TouredSample:
    """Does what the cards propose, with the exact denoiser of the digits."""

    def __init__(self, model: SampleViewModel, side: SampleSide) -> None:
        self._model, self._side = model, side

    def apply(self, scene: Scene) -> None:
        asked = SampleParameters(memorising_choice(DIGITS).key, scene.tree)
        self._show(Kept(asked, scene.view, "grid", scene.tab, scene.place))
        if scene.apart:
            QTimer.singleShot(0, self._side, self._side.bring_apart)  # once it has its place

    def kept(self) -> Kept:
        state = self._model.state
        pictures, place = state.pictures, state.player.place
        return Kept(state.parameters, pictures.view, pictures.layout, self._side.tab, place)

    def put_back(self, kept: Kept) -> None:
        self._show(kept)

    def _show(self, wanted: Kept) -> None:
        model = self._model
        same = model.tree.parameters == wanted.asked
        model.player.stop()
        model.player.stand_at(wanted.place)  # in the chains to come
        model.pictures.set_view(wanted.view)
        model.pictures.set_layout(wanted.layout)
        model.tree.put(source=wanted.asked.source, tree=wanted.asked.tree)
        self._side.show_tab(wanted.tab)
        facts = model.state.chains.facts
        if same and facts.times:
            model.player.seek(place_of(facts.times, wanted.place * facts.total))
