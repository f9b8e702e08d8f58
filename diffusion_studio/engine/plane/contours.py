"""Contour lines of a grid of heights, as segments: marching squares for all cells at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

# the edges that are crossed, by the high corners: 1 lower left, 2 lower right, 4 upper right, 8 upper left
_EDGES = {
    1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 5: ((3, 2), (0, 1)), 6: ((0, 2),), 7: ((3, 2),),
    8: ((2, 3),), 9: ((2, 0),), 10: ((3, 0), (1, 2)), 11: ((2, 1),), 12: ((1, 3),), 13: ((1, 0),),
    14: ((0, 3),),
}  # fmt: skip
_PAIRS = np.full((16, 2, 2), -1)
for _case, _pairs in _EDGES.items():
    _PAIRS[_case, : len(_pairs)] = _pairs


def contour_segments(heights: Floats, levels: Sequence[float]) -> Floats:
    """Segments of the contour lines at `levels`.

    Args:
        heights: (rows, columns) at the centres of the cells.

    Returns:
        (n, 2, 2): for each segment two points (column, row), in cells from the centre of the first one.
    """
    found = [_segments(heights, level) for level in levels]
    return np.concatenate(found) if found else np.empty((0, 2, 2))


def _segments(heights: Floats, level: float) -> Floats:
    high = heights > level
    case = high[:-1, :-1] + 2 * high[:-1, 1:] + 4 * high[1:, 1:] + 8 * high[1:, :-1]
    rows, columns = np.nonzero((case > 0) & (case < 15))
    cases = case[rows, columns]
    found = []
    for number in range(2):
        pairs = _PAIRS[cases, number]
        there = pairs[:, 0] >= 0
        if there.any():
            ends = [_crossing(heights, level, rows[there], columns[there], pairs[there, e]) for e in range(2)]
            found.append(np.stack(ends, 1))
    return np.concatenate(found) if found else np.empty((0, 2, 2))


_START = np.array([(0, 0), (0, 1), (1, 1), (1, 0)])  # (row, column) of the corner where each edge begins
_END = np.array([(0, 1), (1, 1), (1, 0), (0, 0)])


def _crossing(heights: Floats, level: float, rows: Floats, columns: Floats, edge: Floats) -> Floats:
    """Where the line crosses an edge of each cell. (n, 2)"""
    r0, c0 = rows + _START[edge, 0], columns + _START[edge, 1]
    r1, c1 = rows + _END[edge, 0], columns + _END[edge, 1]
    a, b = heights[r0, c0].astype(np.float64), heights[r1, c1].astype(np.float64)
    gap = b - a
    share = np.clip((level - a) / np.where(gap == 0, 1, gap), 0, 1)
    return np.stack([c0 + share * (c1 - c0), r0 + share * (r1 - r0)], 1)
