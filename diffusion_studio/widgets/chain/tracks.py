"""The tracks of a reverse chain, their lanes, and the one axis of time that they share."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

Axis = Literal["t", "step", "log_snr"]

_COLORS = ("eps", "sky", "guidance", "weight")


@dataclass(frozen=True)
class Track:
    """One chain, from noise to image.

    `times` is its whole path T … 0, with what it shares with its parent, the track number `parent`
    (-1: it is the main chain). It leaves the parent at state `start` and is computed up to state
    `ready` (-1: not at all); both count its own times. Raises ValueError for times that do not decrease.
    """

    times: tuple[int, ...]
    parent: int = -1
    ready: int = -1
    label: str = ""
    start: int = 0

    def __post_init__(self) -> None:
        if any(a <= b for a, b in pairwise(self.times)):
            raise ValueError("the times of a reverse chain must decrease")

    @property
    def last(self) -> int:
        """The index of the last state, the image."""
        return max(0, len(self.times) - 1)

    @property
    def leaves(self) -> int:
        """The time at which it leaves its parent."""
        return self.times[min(self.start, self.last)]


def checked(tracks: Sequence[Track]) -> tuple[Track, ...]:
    """`tracks`, if each has its parent before it. Raises ValueError."""
    for lane, track in enumerate(tracks):
        if not (-1 if lane == 0 else 0) <= track.parent < max(lane, 0) or (lane and not track.times):
            raise ValueError(f"track {lane} has no parent before it, or no times")
    return tuple(tracks)


def quantity_of(lane: int) -> str:
    """The colour key of a lane: the main chain's is that of the image."""
    return "x0" if lane == 0 else _COLORS[(lane - 1) % len(_COLORS)]


def walked(tracks: Sequence[Track], lane: int) -> dict[int, int]:
    """The lanes along which track `lane` runs, each with the time at which it leaves that lane."""
    found = {lane: tracks[lane].times[-1]} if tracks[lane].times else {}
    while tracks[lane].parent >= 0:
        lane, leaves = tracks[lane].parent, tracks[lane].leaves
        found[lane] = leaves
    return found


def root_lane(tracks: Sequence[Track], lane: int) -> int:
    """The lane on which the curve to `lane` begins: its parent's, or the one that still held that time."""
    leaves, at = tracks[lane].leaves, tracks[lane].parent
    while tracks[at].parent >= 0 and leaves > tracks[at].leaves:
        at = tracks[at].parent
    return at


class TimeAxis:
    """Places times from 0 (noise) to 1 (image); between known times it interpolates."""

    def __init__(self, times: Sequence[int] = (), values: Sequence[float] = ()) -> None:
        """`values` (N,) rise with the decreasing `times` (N,)."""
        low, high = (min(values), max(values)) if len(values) else (0.0, 0.0)
        self._known = -np.asarray(times, np.float64)
        self._places = (np.asarray(values, np.float64) - low) / (high - low or 1.0)

    def place(self, t: float) -> float:
        return float(np.interp(-t, self._known, self._places)) if len(self._known) else 0.0

    def places(self, times: Sequence[int]) -> list[float]:
        if not len(self._known):
            return [0.0] * len(times)
        found: list[float] = np.interp(-np.asarray(times, np.float64), self._known, self._places).tolist()
        return found


def nearest(places: Sequence[float], place: float) -> int:
    """The index of the rising `places` that is nearest to `place`."""
    right = min(bisect_left(places, place), len(places) - 1)
    left = max(0, right - 1)
    return left if place - places[left] <= places[right] - place else right
