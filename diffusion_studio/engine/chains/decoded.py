"""Pictures of a chain in a code: decoded when they are asked for, kept, and never on the window's thread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.engine.chains.views import View

MOST = 256  # states whose pictures are kept
MOST_WISHES = 16  # at once: a strip, and what is compared

Pictures = NDArray[np.uint8]
Place = tuple[View, int]


class DecodedStates:
    """The pictures of some states, and which of the others are wished for, the newest wish last.

    One thread decodes, another reads and wishes.
    """

    def __init__(self) -> None:
        self._kept: dict[Place, Pictures] = {}
        self._wishes: dict[Place, None] = {}
        self.count = 0  # so far

    def get(self, place: Place) -> Pictures | None:
        return self._kept.get(place)

    def put(self, place: Place, pictures: Pictures) -> None:
        self._kept[place] = pictures
        self.count += 1
        self._wishes.pop(place, None)
        if len(self._kept) > MOST:
            self._kept.pop(next(iter(self._kept)), None)

    def nearest(self, place: Place) -> Pictures | None:
        """The pictures of the state nearest to one that is not decoded; None where there is none."""
        view, k = place
        known = [number for kind, number in list(self._kept) if kind == view]
        return self._kept.get((view, min(known, key=lambda number: abs(number - k)))) if known else None

    def wish(self, place: Place) -> None:
        """Asks for the pictures of a state; the oldest of too many wishes is forgotten."""
        self._wishes.pop(place, None)
        self._wishes[place] = None
        if len(self._wishes) > MOST_WISHES:
            self._wishes.pop(next(iter(self._wishes)), None)

    def take_back(self, place: Place) -> None:
        """Wishes for these pictures no more."""
        self._wishes.pop(place, None)

    @property
    def wished(self) -> Place | None:
        """What was asked for last."""
        wishes = list(self._wishes)
        return wishes[-1] if wishes else None
