"""How far the states of recorded chains are from each other, as root mean squares over each sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.chains.views import Values


def distance_to_end(record: Trajectory) -> NDArray[np.float64]:
    """x̂_0(t) − x̂_0(last), as far as the chain is computed. (≤ S, n)"""
    steps = record.estimates
    if not steps:
        return np.zeros((0, record.states.shape[0]))
    end = record.x0_hat(steps - 1)
    return np.array([_distance(record.x0_hat(k), end) for k in range(steps)])


def distance_between(record: Trajectory, other: Trajectory) -> NDArray[np.float64]:
    """The difference of both x_t at the times of `record`. (S+1, n)

    NaN where not both are known, and at times that the other chain does not visit.
    """
    found = np.full((record.steps + 1, record.states.shape[0]), np.nan)
    where = {t: k for k, t in enumerate(other.times[: other.ready])}
    for k, t in enumerate(record.times[: record.ready]):
        if t in where:
            found[k] = _distance(record.x_t(k), other.x_t(where[t]))
    return found


def _distance(a: Values, b: Values) -> NDArray[np.float64]:
    """(n, C, H, W) twice → (n,)"""
    distance: NDArray[np.float64] = np.sqrt(((a - b) ** 2).reshape(len(a), -1).mean(1, dtype=np.float64))
    return distance
