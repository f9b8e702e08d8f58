"""States of a chain in one block of memory, of which every other is given up when it is full."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_studio.core.samplers.base import Past
from diffusion_studio.engine.plane.process import State


class Shelf:
    """Keeps the first state and as many later ones as fit, evenly spread.

    States that lie here and there in memory, each among larger things that come and go, would hold the room
    around them open; a block of its own does not.

    Args:
        first: number of the first state.
        state: the first state.
        count: how many states there will be at most.
        budget: bytes; two states fit in any case.
    """

    def __init__(self, first: int, state: State, count: int, budget: int) -> None:
        self._first, self._stride = first, 1
        slots = max(2, min(count, budget // max(state.x.nbytes, 1)))
        self._x = torch.empty((slots, *state.x.shape), dtype=state.x.dtype)
        self._recalled: dict[int, tuple[Tensor, Tensor]] = {}  # x̂_0 and ε̂ of steps before, by how far back
        self._past: dict[int, tuple[int, ...]] = {}  # where those began that a state remembers
        self._slots: dict[int, int] = {}
        self._put(first, state)

    @property
    def stride(self) -> int:
        """One of so many states is kept."""
        return self._stride

    @property
    def numbers(self) -> tuple[int, ...]:
        """The states that are kept."""
        return tuple(self._slots)

    def offer(self, number: int, state: State) -> None:
        """Keeps a copy of the next state, if it is its turn."""
        if (number - self._first) % self._stride == 0 and len(self._slots) == len(self._x):
            self._stride *= 2
            kept = {k: s for k, s in self._slots.items() if (k - self._first) % self._stride == 0}
            self._past = {k: t for k, t in self._past.items() if k in kept}
            self._slots = kept
        if (number - self._first) % self._stride == 0:
            self._put(number, state)

    def __getitem__(self, number: int) -> State:
        slot = self._slots[number]
        x = self._x[slot].clone()
        past: Past | None = None
        times = self._past.get(number, ())
        for back in reversed(range(len(times))):
            x0_hat, eps_hat = self._recalled[back]
            past = Past(times[back], x0_hat[slot].clone(), eps_hat[slot].clone(), past)
        return State(x, past)

    def _put(self, number: int, state: State) -> None:
        slot = min(set(range(len(self._slots) + 1)) - set(self._slots.values()))
        self._slots[number] = slot
        self._x[slot] = state.x
        if state.past is None:
            return
        for back, step in enumerate(state.past.steps):
            if back not in self._recalled:
                self._recalled[back] = torch.empty_like(self._x), torch.empty_like(self._x)
            x0_hat, eps_hat = self._recalled[back]
            x0_hat[slot], eps_hat[slot] = step.x0_hat, step.eps_hat
        self._past[number] = state.past.times
