"""The strength of guidance γ_t over the chain, drawn by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from diffusion_studio.widgets.plot_chain import Curve
from diffusion_studio.widgets.plot_legend import LegendEntry
from diffusion_studio.widgets.plot_math import tick_text
from diffusion_studio.widgets.plot_points import PointPlot
from diffusion_studio.widgets.sigma_points import Ceiling, Points

GAMMA = "γ_t"
MOST = 20.0


class GammaEditor(PointPlot):
    """γ_t at the visited times; points to drag where it is drawn by hand."""

    points_edited = Signal(list)  # [(t, γ_t), …], t rising

    def __init__(self, parent: QWidget | None = None) -> None:
        self._ceiling = Ceiling(np.empty(0), np.empty(0))
        super().__init__("Guidance over the chain", "guidance", 0.1, parent)

    def set_steps(self, times: Sequence[int], gamma: ArrayLike) -> None:
        """γ_t of the steps between the decreasing `times` (S+1,). (S,)

        Raises ValueError when the numbers do not fit.
        """
        values = np.asarray(gamma, np.float64)
        if values.shape != (max(0, len(times) - 1),):
            raise ValueError(f"expected {max(0, len(times) - 1)} values for {len(times)} times")
        starts = np.asarray(times[:-1], np.float64)
        self._ceiling = Ceiling(starts, np.full(len(starts), MOST))
        self._limits = (0.0, 1.1 * max(1.0, float(values.max(initial=0.0))))
        curve = Curve(np.append(values, np.nan)[: len(times)], "guidance", label="γ_t")
        self.set_curves(np.asarray(times, np.float64), {GAMMA: curve})

    def set_points(self, points: Sequence[tuple[float, float]] | None) -> None:
        """Offer these (t, γ_t) for dragging; None where γ_t follows a rule."""
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
        t, gamma = self._points[i]
        return f"t = {tick_text(t)}, γ = {tick_text(gamma)}"

    def _entries(self) -> list[LegendEntry]:
        return [LegendEntry("γ_t", "guidance", sample=True), LegendEntry("strength of guidance", "muted")]
