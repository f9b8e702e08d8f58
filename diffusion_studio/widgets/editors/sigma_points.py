"""A drawn σ_t as points with straight lines between them, level beyond the ends, and its ceiling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffusion_studio.widgets.plots.math import Floats

Points = tuple[tuple[float, float], ...]  # (t, σ), t rising

_GRAIN = 1e-4  # σ is rounded to it
_MARGIN = 1e-9  # below the ceiling, for what rounding does later


def curve(points: Points, t: Floats) -> Floats:
    """The value of the drawn curve at each `t`."""
    times, values = zip(*points, strict=True)
    found: Floats = np.interp(t, times, values)
    return found


@dataclass(frozen=True, eq=False)
class Ceiling:
    """The greatest σ at the times (S,) of the steps.

    A step whose ceiling is 0 is the last one: it adds no noise whatever is drawn, and binds nothing.
    """

    times: Floats
    values: Floats

    def moved(self, points: Points, i: int, t: float, sigma: float) -> Points:
        """Point `i` brought as near to (t, σ) as its neighbours and the ceiling allow."""
        low = points[i - 1][0] + 1 if i > 0 else 0.0
        high = points[i + 1][0] - 1 if i + 1 < len(points) else max(points[i][0], self._end)
        t = float(min(max(round(t), low), high)) if low <= high else points[i][0]
        bound = self._bound(points, i, t)
        if bound < 0:  # no line from there stays below
            t = points[i][0]
            bound = self._bound(points, i, t)
        return (*points[:i], (t, _below(sigma, bound)), *points[i + 1 :])

    def added(self, points: Points, t: float, sigma: float) -> tuple[Points, int] | None:
        """With one point more at (t, σ) or below it, and its number; None where there is no room."""
        t = float(min(max(round(t), 0), self._end))
        if any(t == other for other, _ in points):
            return None
        i = sum(other < t for other, _ in points)
        level = float(curve(points, np.array([t]))[0])
        grown = (*points[:i], (t, level), *points[i:])
        if self._bound(grown, i, t) < 0:
            return None
        return self.moved(grown, i, t, sigma), i

    def removed(self, points: Points, i: int) -> Points:
        """Without point `i`; its neighbours sink as far as the line between them needs. The last stays."""
        if len(points) < 2:
            return points
        rest = (*points[:i], *points[i + 1 :])
        for k in (i - 1, i):
            if 0 <= k < len(rest):
                rest = self.moved(rest, k, *rest[k])
        return rest

    @property
    def _end(self) -> float:
        return float(self.times.max()) if len(self.times) else 1000.0

    def _bound(self, points: Points, i: int, t: float) -> float:
        """The greatest σ of point `i` at `t` that keeps what hangs on it below; negative if there is none."""
        bounds = [math.inf]
        for j, beyond in ((i - 1, self.times < t), (i + 1, self.times > t)):
            at = beyond & (self.values > 0)
            share, level = np.ones(len(self.times)), 0.0
            if 0 <= j < len(points):
                other, level = points[j]
                share = (self.times - other) / (t - other)
                at &= share > 0
            bounds += (level + (self.values[at] - level) / share[at]).tolist()
        bounds += self.values[(self.times == t) & (self.values > 0)].tolist()
        return min(bounds)


def _below(sigma: float, bound: float) -> float:
    """`sigma` in whole grains, between 0 and `bound`."""
    grains = round(sigma / _GRAIN)
    if grains * _GRAIN > bound - _MARGIN:
        grains = math.floor((bound - _MARGIN) / _GRAIN)
    return max(0.0, round(grains * _GRAIN, 4))
