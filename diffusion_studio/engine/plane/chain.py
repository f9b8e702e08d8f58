"""Particles as a record that can be asked for any state, in bounded memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.engine.plane.process import Forward, Reverse, State
from diffusion_studio.engine.plane.shelf import Shelf
from diffusion_studio.engine.plane.spec import PlaneSpec

BUDGET = 16_000_000  # bytes of kept states
FOLLOWED = 240  # particles whose whole path is kept
WINDOW = 3.0  # half the side of the square in which "anywhere" lies

Make = Callable[[int, State], object]  # from the number of a state and that state


@dataclass(frozen=True)
class Ahead:
    """States that were computed before they were asked for."""

    states: deque[State]
    made: object  # of the last of them


def first_state(spec: PlaneSpec) -> Tensor:
    """Where the particles begin. float32 (n, 2)"""
    shape = (spec.count, 2)
    match "data" if isinstance(spec.process, Forward) else spec.start:
        case "data":
            generator = torch.Generator().manual_seed(spec.seed)
            level = spec.mixture().at(1.0 if _climbs(spec) else _alpha_bar(spec), torch.float32)
            return level.sample(spec.count, generator)
        case "point":
            place = torch.tensor([spec.start_x, spec.start_y]) / _scale(spec)
            return place.expand(shape).contiguous()
        case "window":
            if isinstance(spec.process, Reverse):
                return CounterNoise(spec.seed).start(shape)
            philox = np.random.Generator(np.random.Philox(key=spec.seed))
            places = philox.uniform(-WINDOW, WINDOW, shape).astype(np.float32)
            return torch.from_numpy(places) / _scale(spec)
        case _:
            return CounterNoise(spec.seed).start(shape)


def _climbs(spec: PlaneSpec) -> bool:
    """Whether the particles go up to the noise first."""
    return isinstance(spec.process, Forward | Reverse)


def _scale(spec: PlaneSpec) -> float:
    """How much larger the plane of the process is where the particles begin."""
    tables = spec.tables()
    return tables.scale_at(tables.steps if isinstance(spec.process, Reverse) else spec.t)


def _alpha_bar(spec: PlaneSpec) -> float:
    return spec.tables().alpha_bar_at(spec.t)


class PlaneChain:
    """The states of all particles, computed when asked for.

    Every state is a function of the first one and of counted noise. Some are kept, the others are computed
    again from the kept one before them.

    Args:
        spec: distribution and process.
        denoiser: what gives the score, exact or learned.
        first: number of the first state, when this goes on from another record.
        x: that state (n, 2); None begins anew.
    """

    def __init__(self, spec: PlaneSpec, denoiser: Denoiser, first: int = 0, x: Tensor | None = None) -> None:
        self.spec, self.denoiser = spec, denoiser
        up = spec.start == "data" or isinstance(spec.process, Forward)
        self.times = spec.process.times(denoiser.tables, spec.t, up)
        self.first = min(first, len(self.times) - 1)
        self.position = self.first
        self._state = State(first_state(spec) if x is None else x)
        self._kept = Shelf(self.first, self._state, len(self.times) - self.first, BUDGET)
        self._recent: dict[int, State] = {}
        self._walk: Iterator[State] | None = None
        self._coming: Future[Ahead] | None = None  # the states after this one
        self.made: object = None  # of the state here, if it was prepared with somebody who makes something
        self.reached = self.first
        followed = min(FOLLOWED, spec.count)
        self._paths = np.full((len(self.times), followed, 2), np.nan, np.float32)
        self._paths[self.first] = self._state.x[:followed].numpy()

    @property
    def last(self) -> int:
        """Number of the last state."""
        return len(self.times) - 1

    @property
    def x(self) -> Tensor:
        """The particles at `position`. float32 (n, 2)"""
        return self._state.x

    def go(self, target: int, seconds: float = float("inf")) -> bool:
        """Moves towards a state, a step at least and for at most so long; True when it stands there."""
        target = min(max(target, self.first), self.last)
        if target != self.position:
            self._jump(target)
        end = time.perf_counter() + seconds
        with torch.inference_mode():
            while self.position < target:
                self._advance()
                if time.perf_counter() > end and self._coming is None:  # what was prepared takes no time
                    break
        return self.position == target

    def prepare(self, beside: Executor, target: int, seconds: float, make: Make | None = None) -> None:
        """Begins to compute the states from here to `target`, for so long, on a thread of `beside`.

        What `make` says of the last of them, beside as well, is `made` when the chain stands there.
        """
        count = min(target, self.last) - self.position
        if self._coming is None and count > 0:
            self._coming = beside.submit(_ahead, self._walking(), self.position, count, seconds, make)

    @property
    def ready(self) -> bool:
        """Whether nothing is being computed that the next step would have to wait for."""
        return self._coming is None or self._coming.done()

    def again(self) -> PlaneChain:
        """The same chain from its first state, for another thread."""
        return PlaneChain(self.spec, self.denoiser, self.first, self._kept[self.first].x)

    def replace_denoiser(self, denoiser: Denoiser) -> None:
        """Goes on from here with another score; states that are computed from now on follow it."""
        self.denoiser, self._walk = denoiser, None  # what is being computed now is still used

    def _jump(self, target: int) -> None:
        """Stands at the best known state at or before `target`, unless the present one is that."""
        known = max((k for k in (*self._kept.numbers, *self._recent) if k <= target), default=self.first)
        if self.position <= target and known <= self.position:
            return
        self._state = self._recent.get(known) or self._kept[known]
        self.position, self._walk, self._coming, self.made = known, None, None, None

    def _walking(self) -> Iterator[State]:
        """Gives the states after this one."""
        if self._walk is None:
            walk = self.spec.process.walk
            self._walk = walk(self.denoiser, self.times, self.position, self._state, self.spec.seed)
        return self._walk

    def _advance(self) -> None:
        self.made = None
        if self._coming is None:
            self._state = next(self._walking())
        else:
            ahead = self._coming.result()
            self._state = ahead.states.popleft()
            if not ahead.states:
                self._coming, self.made = None, ahead.made
        self.position += 1
        self._keep()

    def _keep(self) -> None:
        k = self.position
        if k <= self.reached:  # computed again: its neighbours will be asked for next
            if len(self._recent) > 2 * self._kept.stride:
                self._recent.clear()
            self._recent[k] = self._state
            return
        self.reached = k
        self._paths[k] = self._state.x[: self._paths.shape[1]].numpy()
        self._kept.offer(k, self._state)

    def paths(self, since: int, until: int) -> NDArray[np.float32]:
        """The positions of the first particles from state `since` to state `until`. (states, m, 2)"""
        return self._paths[max(since, self.first) : min(until, self.reached) + 1]


def _ahead(walk: Iterator[State], here: int, count: int, seconds: float, make: Make | None) -> Ahead:
    """The next states, at least one."""
    end = time.perf_counter() + seconds
    with torch.inference_mode():
        states = deque([next(walk)])
        while len(states) < count and time.perf_counter() < end:
            states.append(next(walk))
    return Ahead(states, make(here + len(states), states[-1]) if make is not None else None)
