"""A quantity of each step as points (t, value) below a ceiling, to be dragged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtWidgets import QWidget

from diffusion_studio.widgets.editors.points import PointPlot
from diffusion_studio.widgets.editors.sigma_points import Ceiling
from diffusion_studio.widgets.plots.math import tick_text


class CeilingPlot(PointPlot):
    """Points of a curve over t, each between zero and the ceiling of its step.

    Args:
        name: spoken by screen readers.
        symbol: of the quantity.
        color_key: of the quantity.
        unit: how far the arrows move a point up or down.
    """

    def __init__(
        self, name: str, symbol: str, color_key: str, unit: float, parent: QWidget | None = None
    ) -> None:
        self._ceiling = Ceiling(np.empty(0), np.empty(0))
        self._symbol = symbol
        super().__init__(name, color_key, unit, self._ceiling, parent)

    def _set_ceiling(self, ceiling: Ceiling) -> None:
        self._rule = self._ceiling = ceiling

    def set_points(self, points: Sequence[tuple[float, float]] | None) -> None:
        """Offer these (t, value) for dragging; None where the quantity follows a rule."""
        self._show_points(None if points is None else tuple(sorted((float(t), float(y)) for t, y in points)))
        self._changed()

    def _words(self, i: int) -> str:
        assert self._points is not None
        t, value = self._points[i]
        return f"t = {tick_text(t)}, {self._symbol} = {tick_text(value)}"
