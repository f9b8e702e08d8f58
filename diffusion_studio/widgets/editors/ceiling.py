"""A quantity of each step as points (t, value) below a ceiling, to be dragged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from diffusion_studio.widgets.editors.points import PointPlot
from diffusion_studio.widgets.editors.sigma_points import Ceiling, Points
from diffusion_studio.widgets.plots.math import tick_text


class CeilingPlot(PointPlot):
    """Points of a curve over t, each between zero and the ceiling of its step.

    Args:
        name: spoken by screen readers.
        symbol: of the quantity.
        color_key: of the quantity.
        unit: how far the arrows move a point up or down.
    """

    points_edited = Signal(list)  # [(t, value), …], t rising

    def __init__(
        self, name: str, symbol: str, color_key: str, unit: float, parent: QWidget | None = None
    ) -> None:
        self._ceiling = Ceiling(np.empty(0), np.empty(0))
        self._symbol = symbol
        super().__init__(name, color_key, unit, parent)

    def set_points(self, points: Sequence[tuple[float, float]] | None) -> None:
        """Offer these (t, value) for dragging; None where the quantity follows a rule."""
        self._show_points(None if points is None else tuple(sorted((float(t), float(y)) for t, y in points)))
        self._changed()

    def _with_moved(self, i: int, t: float, y: float) -> Points:
        return self._ceiling.moved(self._points or (), i, t, y)

    def _with_added(self, t: float, y: float) -> tuple[Points, int] | None:
        return self._ceiling.added(self._points or (), t, y)

    def _without(self, i: int) -> Points:
        return self._ceiling.removed(self._points or (), i)

    def _announce(self) -> None:
        self.points_edited.emit(list(self._points or ()))

    def _words(self, i: int) -> str:
        assert self._points is not None
        t, value = self._points[i]
        return f"t = {tick_text(t)}, {self._symbol} = {tick_text(value)}"
