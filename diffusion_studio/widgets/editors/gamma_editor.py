"""The strength of guidance γ_t over the chain, drawn by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PySide6.QtWidgets import QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.editors.ceiling import CeilingPlot
from diffusion_studio.widgets.editors.sigma_points import Ceiling
from diffusion_studio.widgets.plots.chain import Curve
from diffusion_studio.widgets.plots.legend import LegendEntry

GAMMA = "γ_t"
MOST = 20.0


class GammaEditor(CeilingPlot):
    """γ_t at the visited times; points to drag where it is drawn by hand."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Guidance over the chain"), "γ", "guidance", 0.1, parent)

    def set_steps(self, times: Sequence[int], gamma: ArrayLike) -> None:
        """γ_t of the steps between the decreasing `times` (S+1,). (S,)

        Raises ValueError when the numbers do not fit.
        """
        values = np.asarray(gamma, np.float64)
        if values.shape != (max(0, len(times) - 1),):
            raise ValueError(f"expected {max(0, len(times) - 1)} values for {len(times)} times")
        starts = np.asarray(times[:-1], np.float64)
        self._set_ceiling(Ceiling(starts, np.full(len(starts), MOST)))
        self._limits = (0.0, 1.1 * max(1.0, float(values.max(initial=0.0))))
        curve = Curve(np.append(values, np.nan)[: len(times)], "guidance", label="γ_t")
        self.set_curves(np.asarray(times, np.float64), {GAMMA: curve})

    def _entries(self) -> list[LegendEntry]:
        return [LegendEntry("γ_t", "guidance", sample=True), LegendEntry(tr("strength of guidance"), "muted")]
