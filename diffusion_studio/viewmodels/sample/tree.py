"""The chains that a person asks for: a tree of parameters with its past."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from PySide6.QtCore import QObject

from diffusion_studio.core.describe import with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import SigmaCurve
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.evaluation.few_calls import Fare, rule_of
from diffusion_studio.viewmodels.editor import spoken
from diffusion_studio.viewmodels.history import History
from diffusion_studio.viewmodels.sample.state import SampleParameters, TreeState


class Limits(Protocol):
    """What the denoiser on show has to say about a tree."""

    def check(self, asked: SampleParameters, tree: ChainTree) -> None:
        """Raises Refused when it cannot follow the tree in the place of `asked`."""

    def sigma_points(self, spec: SampleSpec) -> tuple[tuple[float, float], ...] | None:
        """Points (t, σ) of a curve close to the σ that its steps have now."""


class TreeModel(QObject):
    """Changes the tree, one step of the history for each thing that a person does.

    Args:
        start: what is asked for at first.
        limits: judges a change before it is made.
        told: called with the parameters before, when something of the state has changed.
    """

    def __init__(
        self, start: SampleParameters, limits: Limits, told: Callable[[SampleParameters], None],
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._history = History(start)
        self._limits, self._told = limits, told
        self.state = TreeState(start)

    @property
    def parameters(self) -> SampleParameters:
        return self._history.value

    @property
    def value(self) -> ChainTree:
        return self._history.value.tree

    # --- the shown track --------------------------------------------------------------------------------

    def edit(self, path: str, value: Any) -> None:
        """Changes one parameter of the shown track; one that cannot be gets its sentence."""
        try:
            spec = with_value(self.parameters.spec, path, value)
            if isinstance(spec.sampler, SigmaCurve) and path == "sampler.kind":
                spec = self._with_present_sigma(spec)
            tree = self.value.with_spec(spec)
            self._limits.check(self.parameters, tree)
        except Refused as error:
            self._show(self.parameters, ((path, spoken(error, path)),))
            return
        self.change(tree=tree)

    def take_rule(self, fare: Fare) -> None:
        """The sampler, the times and the number of steps that fared so, as a step of its own."""
        if (rule := rule_of(fare)) is None:
            return
        for path, value in (("sampler", rule.sampler), ("spacing", rule.spacing)):
            self.edit(path, value.model_dump())
        self.edit("steps", fare.steps)
        self.settle()

    def _with_present_sigma(self, spec: SampleSpec) -> SampleSpec:
        """A curve to draw begins as the σ of the sampler before."""
        points = self._limits.sigma_points(self.parameters.spec)
        return spec if points is None else with_value(spec, "sampler.points", points)

    def settle(self) -> None:
        """Ends one edit: the next undo takes back all of it."""
        self._history.settle()
        self._show(self.parameters, self.state.errors)

    # --- tracks -----------------------------------------------------------------------------------------

    def branch(self, time: int) -> None:
        """A branch that leaves the shown track at `time`; what is changed now acts from there on.

        Raises:
            Refused: there are as many as can be.
        """
        self.put(tree=self.value.branched(time))

    def compare_new(self, time: int) -> None:
        """A/B: a second chain from `time` on with the same noise, compared with the one on show.

        Raises:
            Refused: there are as many as can be.
        """
        self.put(tree=self.value.branched(time).comparing(self.value.active))

    def compare(self, track: int) -> None:
        """Compares the shown track with another; −1 ends it."""
        if track < len(self.value.tracks):
            self.put(tree=self.value.comparing(track))

    def show(self, track: int) -> None:
        if track in self.value.tracks:
            self.put(tree=self.value.showing(track))

    def rename(self, track: int, name: str) -> None:
        if track in self.value.tracks:
            self.put(tree=self.value.renamed(track, name))

    def delete(self, track: int) -> None:
        self.put(tree=self.value.without(track))

    # --- the history ------------------------------------------------------------------------------------

    def change(self, **values: Any) -> None:
        """Another source or tree, as a part of the step of the history that is going on."""
        self._move(lambda: self._history.change(replace(self.parameters, **values)))

    def put(self, **values: Any) -> None:
        """Another source or tree, as a step of its own."""
        self.change(**values)
        self.settle()

    def undo(self) -> None:
        self._move(self._history.undo)

    def redo(self) -> None:
        self._move(self._history.redo)

    def withdraw(self, wrong: Callable[[SampleParameters], bool], otherwise: SampleParameters) -> None:
        """Forgets what turned out wrong: back to the last that is not. Told as no change of parameters."""
        self._history.withdraw(wrong, otherwise)
        self._show(self.parameters)

    def begin_again(self, start: SampleParameters) -> None:
        """Takes the place of parameters that never led to a chain. Told as no change of parameters."""
        self._history = History(start)
        self._show(start)

    def _move(self, change: Callable[[], Any]) -> None:
        before = self.parameters
        change()
        self._show(before)

    def _show(self, before: SampleParameters, errors: tuple[tuple[str, str], ...] = ()) -> None:
        history = self._history
        state = TreeState(history.value, errors, history.can_undo, history.can_redo)
        if state != self.state:
            self.state = state
            self._told(before)
