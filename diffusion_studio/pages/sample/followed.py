"""The algorithm that the chain on show follows, with the lines of the step at hand marked."""

from __future__ import annotations

from diffusion_studio.core.theory.algorithms import sampling_by
from diffusion_studio.pages.page import show_algorithm
from diffusion_studio.viewmodels.sample.state import SampleState
from diffusion_studio.widgets.equations.algorithm import AlgorithmBox


class FollowedAlgorithm(AlgorithmBox):
    """The box of the sampler that is chosen."""

    def show_state(self, before: SampleState | None, state: SampleState) -> None:
        """Shows the algorithm where it differs, and marks what runs."""
        algorithm = sampling_by(state.spec.sampler)
        if before is None or before.spec.sampler != state.spec.sampler:
            show_algorithm(self, algorithm)
        if state.pictures.step is None:
            self.mark(algorithm.at("end") if state.chains.facts.times else ())
        else:
            first = state.player.position == 0
            self.mark(algorithm.at(*(("begin",) if first else ()), "step"))
