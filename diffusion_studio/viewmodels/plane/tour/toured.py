"""The 2-D page, as its tour sets it."""

from __future__ import annotations

from diffusion_studio.viewmodels.plane.model import PlaneViewModel
from diffusion_studio.viewmodels.plane.tour.card import Action, Setting


class TouredPlane:
    """Does what the cards propose."""

    def __init__(self, model: PlaneViewModel) -> None:
        self._model = model

    def apply(self, action: Action) -> None:
        """From its beginning, and playing."""
        model = self._model
        model.set_spec(*action.change(model.spec, model.state.look))
        model.restart()
        model.player.play()
        if action.learns:
            model.start_learning()

    def kept(self) -> Setting:
        return self._model.spec, self._model.state.look

    def put_back(self, kept: Setting) -> None:
        self._model.learner.stop()
        self._model.set_spec(*kept)
        self._model.restart()
