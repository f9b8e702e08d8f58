"""States of a chain in one block of memory, of which every other is given up when it is full."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_studio.core.chain import Past
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
        self._x0: Tensor | None = None  # of states that remember a step before them
        self._past: dict[int, int] = {}  # where that step began
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
        if number not in self._past or self._x0 is None:
            return State(x)
        return State(x, Past(self._past[number], self._x0[slot].clone()))

    def _put(self, number: int, state: State) -> None:
        slot = min(set(range(len(self._slots) + 1)) - set(self._slots.values()))
        self._slots[number] = slot
        self._x[slot] = state.x
        if state.past is not None:
            if self._x0 is None:
                self._x0 = torch.empty_like(self._x)
            self._x0[slot] = state.past.x0_hat
            self._past[number] = state.past.t
