"""What multistep solvers integrate: polynomials through the estimates of several steps."""

from __future__ import annotations

import math
from collections.abc import Sequence


def lagrange_integrals(nodes: Sequence[float], low: float, high: float) -> tuple[float, ...]:
    """∫ from `low` to `high` of each Lagrange polynomial through the nodes.

    By Gauss' rule with two points, which is exact for up to four nodes.
    """
    middle, half = (low + high) / 2, (high - low) / 2
    places = (middle - half / math.sqrt(3), middle + half / math.sqrt(3))
    return tuple(half * sum(_lagrange(nodes, i, place) for place in places) for i in range(len(nodes)))


def _lagrange(nodes: Sequence[float], i: int, place: float) -> float:
    """The polynomial that is 1 at node i and 0 at all others."""
    found = 1.0
    for j, node in enumerate(nodes):
        if j != i:
            found *= (place - node) / (nodes[i] - node)
    return found
