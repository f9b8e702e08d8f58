"""The record of one reverse chain: computed step by step, cached, read at random."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.chain import ChainStep
from diffusion_studio.core.samplers.base import Past
from diffusion_studio.core.words import tr
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.decoded import DecodedStates
from diffusion_studio.engine.chains.states import MEMORY_CAP, States
from diffusion_studio.engine.chains.views import (
    ESTIMATES,
    VIEWS,
    StateRecord,
    Values,
    View,
    picture,
    shown,
)
from diffusion_studio.engine.jobs.events import SamplingProgress

GREY = 128  # of pixels of which nothing is known


@dataclass(frozen=True, eq=False)
class ExactState:
    """A state in full precision, from which a chain can go on."""

    k: int  # its number in the chain that goes on
    x: Tensor  # (n, C, H, W)
    past: Past | None  # what is known of the steps before it


class Trajectory:
    """All states x_t and estimates x̂_0 of one chain, as float16.

    State k is x at times[k], k = 0 … S; estimate k is x̂_0 as seen from state k, k = 0 … S−1. What is not
    computed yet is not there: the first `ready` states can be read. Values for display are rounded to
    float16; the chain itself goes on in full precision, and a branch leaves it in full precision too: every
    √S steps the exact state is kept. Memory and disk are given back with the last reference, so that a file
    can still be written from a record that is no longer shown.

    A branch shows its parent's states before the one at which it leaves, and its own from there on. One
    thread computes, and any may read meanwhile: how far it has come is one frozen value, replaced last.

    Args:
        chain: what to compute; a branch's without its origin, which comes from the parent.
        parent: the record that this one branches off.
        leaves: the parent's state at which it does.
        memory_cap: bytes up to which the record stays in memory.

    Raises:
        Refused: a chain that cannot be run, or neither memory nor disk has room for it; the message is a
            sentence for a person.
    """

    def __init__(
        self, chain: Chain, memory_cap: int = MEMORY_CAP, parent: Trajectory | None = None, leaves: int = 0
    ) -> None:
        before: tuple[int, ...] = ()
        if parent is not None:
            leaves = min(max(leaves, 0), parent.steps - 1)
            before = parent.times[:leaves]
            spec = chain.spec.model_copy(update={"count": parent.chain.spec.count})
            left = parent._owner(leaves)
            chain = replace(chain, spec=spec, origin=left.chain.origin_at(leaves - left.leaves))
        chain.check()
        self.chain: Chain = chain
        self.parent: Trajectory | None = parent
        self.leaves: int = leaves
        self.times: tuple[int, ...] = (*before, *chain.times)
        self.steps: int = len(self.times) - 1
        self.states = States(chain, memory_cap)  # own ones, from the one at which the parent is left
        self.decoded = DecodedStates()
        self._frontier: ExactState | None = None  # the own state where the next step begins
        self._kept: dict[int, ExactState] = {}  # own states, one in so many
        self._every = max(1, round(self.states.steps**0.5))

    # --- how far it is ----------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Bytes of the own states."""
        return self.states.size

    @property
    def on_disk(self) -> bool:
        return self.states.on_disk

    @property
    def is_guided(self) -> bool:
        """Whether any of its own steps tells a guided estimate from one without guidance."""
        return self.chain.is_guided

    @property
    def _done(self) -> int:
        """Own steps that were taken."""
        frontier = self._frontier
        return 0 if frontier is None else frontier.k

    @property
    def ready(self) -> int:
        """How many states are known, from the noise on; one of which the estimate is not known is not."""
        done = self._done
        if done or self.parent is None:
            return self.leaves + done + (done == self.states.steps)
        return min(self.parent.ready, self.leaves)

    @property
    def estimates(self) -> int:
        """How many estimates x̂_0 are known; one for each state but the last."""
        return min(self.ready, self.steps)

    @property
    def is_complete(self) -> bool:
        return self.ready == self.steps + 1

    # --- computing --------------------------------------------------------------------------------------

    def compute(self, until: int | None = None) -> Iterator[SamplingProgress]:
        """Computes what is missing, one step at a time; may be left and taken up again.

        Args:
            until: no further than this state; the whole chain when None.
        """
        frontier = self._frontier
        if frontier is None:
            frontier = yield from self._begin()
        if frontier.k == self.states.steps or (until is not None and self.ready > until):
            return
        for step in self.chain.steps(frontier.k, frontier.x, frontier.past):
            self._record(step)
            yield SamplingProgress(self.leaves + step.index + 1, self.steps)
            if until is not None and self.ready > until:
                return

    def _begin(self) -> Generator[SamplingProgress, None, ExactState]:
        """Finds the first own state: the parent's, or noise, or the noise of an image."""
        if self.parent is not None:
            yield from self.parent.compute(self.leaves)
            first = replace(self.parent.exact(self.leaves), k=0)
        else:
            x = yield from self._inverting()
            first = ExactState(0, x, None)
        self.states.begin(first.x)
        self._come_to(first)
        return first

    def _inverting(self) -> Generator[SamplingProgress, None, Tensor]:
        """The first state of a chain of its own, with a word for each step of an inversion on the way."""
        starting = self.chain.starting()
        while True:
            try:
                step = next(starting)
            except StopIteration as end:
                x: Tensor = end.value
                return x
            yield SamplingProgress(0, self.steps, tr("inverting: t = {t}", t=step.t))

    def _record(self, step: ChainStep) -> None:
        self.states.record(step)
        self._come_to(ExactState(step.index + 1, step.x_s, step.past))

    def _come_to(self, state: ExactState) -> None:
        if state.k % self._every == 0:
            self._kept[state.k] = state
        self._frontier = state  # last: whoever reads in another thread finds all that it speaks of

    # --- reading ----------------------------------------------------------------------------------------

    def exact(self, k: int) -> ExactState:
        """State k in full precision; computed again from one near by."""
        own = self._index(k) - self.leaves
        if self.parent is not None and own <= 0:
            return self.parent.exact(k)
        frontier = self._frontier
        assert frontier is not None
        if own == frontier.k:
            return frontier
        near = self._kept[own - own % self._every]
        if near.k == own:
            return near
        for step in self.chain.steps(near.k, near.x, near.past):
            if step.index == own - 1:
                break
        return ExactState(own, step.x_s, step.past)

    def x_t(self, k: int) -> Values:
        """State k. (n, C, H, W)"""
        return self.values("x_t", k)

    def x0_hat(self, k: int) -> Values:
        """The estimate of the image seen from state k; the last state is the image itself. (n, C, H, W)"""
        return self.values("x0_hat", k)

    def values(self, view: View, k: int) -> Values:
        """One quantity at state k, in its own units. (n, C, H, W)"""
        return VIEWS[view](self._state(k))

    def knows_unguided(self, k: int) -> bool:
        """Whether state k tells the estimate at γ = 0 from the one that the chain uses."""
        return self._state(k).knows_unguided

    def shown(self, view: View, k: int) -> Values:
        """The same in the range [−1, 1] of a picture. (n, C, H, W)"""
        return shown(view, self._state(k))

    def picture(self, view: View, k: int) -> NDArray[np.uint8]:
        """What the eye sees of state k; in a code, an estimate is decoded for it. (n, H, W, C)"""
        if not self.is_decoded(view):
            return picture(view, self._state(k))
        found = self.decoded.get((view, k))
        if found is None:
            found = picture(view, self._state(k))
            self.decoded.put((view, k), found)
        return found

    def knows(self, view: View, k: int) -> bool:
        """Whether nothing has to be decoded for that picture."""
        return not self.is_decoded(view) or self.decoded.get((view, k)) is not None

    def seen(self, view: View, k: int) -> NDArray[np.uint8]:
        """The same at once: where it is not decoded yet, what comes nearest, or grey, and a wish for it."""
        if self.knows(view, k):
            return self.picture(view, k)
        self.decoded.wish((view, k))
        near, source = self.decoded.nearest((view, k)), self.chain.source
        blank = np.full((self.chain.spec.count, *source.sides, source.channels), GREY, np.uint8)
        return blank if near is None else near

    def is_decoded(self, view: View) -> bool:
        """Whether a view is of pictures that come out of a code."""
        return view in ESTIMATES and self.chain.source.code is not None

    def _state(self, k: int) -> StateRecord:
        owner = self._owner(self._index(k))
        own = k - owner.leaves
        trunk = self
        while trunk.parent is not None:
            trunk = trunk.parent
        end = trunk.states if trunk.is_complete else None
        return StateRecord(owner.chain, owner.states, own, own < owner._done, trunk.chain, end)

    def _owner(self, k: int) -> Trajectory:
        """The record whose own state k is: this one, or the one that it branches off there."""
        record = self
        while record.parent is not None and k < record.leaves:
            record = record.parent
        return record

    def _index(self, k: int) -> int:
        if not 0 <= k < self.ready and not (k == self.leaves and self._frontier is not None):
            raise IndexError(f"State {k} is not computed yet; there are {self.ready}.")
        return k

    # --- over the chain ---------------------------------------------------------------------------------

    @property
    def sigma(self) -> NDArray[np.float64]:
        """Standard deviation of the noise of each step; NaN while one that is learned is unknown. (S,)"""
        return self._along(lambda states: states.sigma)

    @property
    def eps_norm(self) -> NDArray[np.float64]:
        """Root mean square of ε̂ in each estimate, for each sample. (S, n)"""
        return self._along(lambda states: states.eps_norm)

    @property
    def guidance_norm(self) -> NDArray[np.float64]:
        """Root mean square of ε̂(y) − ε̂(∅) in each step, for each sample; 0 where not computed. (S, n)"""
        return self._along(lambda states: states.guidance_norm)

    def _along(self, of: Callable[[States], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Numbers of each step: the parent's up to where it is left, then its own."""
        if self.parent is None:
            return of(self.states)
        return np.concatenate([self.parent._along(of)[: self.leaves], of(self.states)])
