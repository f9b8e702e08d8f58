"""What multistep solvers integrate: polynomials through the estimates of several steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_PLACES, _SHARES = (each.tolist() for each in np.polynomial.legendre.leggauss(8))  # Gauss' rule on [−1, 1]


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


def exponential_integrals(
    nodes: Sequence[float], low: float, high: float, rate: float = 1.0
) -> tuple[float, ...]:
    """∫ from `low` to `high` of e^{rate·v} ℓ_i(v) dv, ℓ_i the Lagrange polynomials through up to three nodes.

    By parts, ∫ e^{rv} p = e^{rv}(p − p′/r + p″/r²)/r; over short ways, where that cancels, by Gauss' rule.
    """
    half = (high - low) / 2
    if abs(rate * half) < 1:
        places = [(low + high) / 2 + half * place for place in _PLACES]
        return tuple(
            half
            * sum(
                share * math.exp(rate * v) * _lagrange(nodes, i, v)
                for share, v in zip(_SHARES, places, strict=True)
            )
            for i in range(len(nodes))
        )

    def below(i: int, v: float) -> float:
        value, slope, bend = _parabola(nodes, i, v)
        return math.exp(rate * v) * (value - slope / rate + bend / rate**2) / rate

    return tuple(below(i, high) - below(i, low) for i in range(len(nodes)))


def _parabola(nodes: Sequence[float], i: int, v: float) -> tuple[float, float, float]:
    """ℓ_i with its first and second derivative at v, for at most three nodes."""
    others = [node for j, node in enumerate(nodes) if j != i]
    scale = math.prod(nodes[i] - node for node in others)
    if len(others) < 2:
        return math.prod(v - node for node in others) / scale, len(others) / scale, 0.0
    first, second = others
    return (v - first) * (v - second) / scale, (2 * v - first - second) / scale, 2 / scale
