"""The equation of the step that the particles take now."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QElapsedTimer

from diffusion_studio.engine.plane.chain import PlaneChain
from diffusion_studio.pages.plane.equation import plane_equation
from diffusion_studio.viewmodels.plane.state import PlaneState
from diffusion_studio.widgets.equations.equation import EquationView

EVERY = 150  # ms while they play: numbers that change faster cannot be read


class StepEquation:
    """Keeps an equation at the step of now; while it plays, a few steps a second are drawn."""

    def __init__(self, view: EquationView) -> None:
        self._view = view
        self._step: tuple[Any, ...] = ()  # that is drawn
        self._clock = QElapsedTimer()  # since then

    def show(self, state: PlaneState, chain: PlaneChain) -> None:
        """Shows the step at which `chain` stands."""
        step = _step_of(state)
        resting = state.playing and self._clock.isValid() and self._clock.elapsed() < EVERY
        if step != self._step and not resting:
            self._step = step
            tables = chain.denoiser.tables
            self._view.set_equation(*plane_equation(chain.spec, tables, chain.times, chain.position))
            self._clock.start()


def _step_of(state: PlaneState) -> tuple[Any, ...]:
    """What the equation depends on; all steps at one level are alike."""
    position = state.position if state.follows else 0
    spec = state.spec
    return spec.process, state.times, position, spec.schedule, spec.forward, spec.guide
