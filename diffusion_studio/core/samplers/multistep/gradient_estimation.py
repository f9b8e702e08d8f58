"""Gradient estimation: a slope that leads beyond the last one (smalldiffusion's gam)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.samplers.euler import RESCALED, Euler, rescaling
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr

_FALL = r"\sqrt{\bar\alpha_s}(\varsigma_s-\varsigma_t)"


class GradientEstimation(Sampler):
    kind: Literal["gradient_estimation"] = "gradient_estimation"
    rank: ClassVar[int] = 44
    memory: ClassVar[int] = 1
    reach: float = knob(
        2.0, title=tr("reach"), symbol="g", ge=1, le=3,
        help=tr("How far the slope leads beyond that of the step before: 1 is Euler, 1.5 the method of Adams "
                "and Bashforth for even ς, 2 what the paper found best; gam in smalldiffusion."),
        formula=r"\bar\varepsilon = g\,\hat\varepsilon + (1-g)\,\hat\varepsilon_{-1}",
        source="Permenter & Yuan 2024, algorithm 2",
    )  # fmt: skip
    title: ClassVar[str] = tr("gradient estimation")
    summary: ClassVar[str] = tr(
        "Euler with a slope corrected by the one before, as if the distance to the data."
    )
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s/\bar\alpha_t}\,x_t + \sqrt{\bar\alpha_s}\,(\varsigma_s-\varsigma_t)\,"
        r"(g\,\hat\varepsilon + (1-g)\,\hat\varepsilon_{-1})"
    )
    symbols: ClassVar[str] = tr("ε̂₋₁ the estimate one step before; Euler at the first step")
    source: ClassVar[str] = "Permenter & Yuan 2024, algorithm 2"

    @property
    def is_deterministic(self) -> bool:
        return True

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        euler = Euler().update(tables, t, s)
        if not before:
            return euler
        fall = euler["eps_hat"]
        return Update((
            Term("x_t", rescaling(tables, t, s), RESCALED),
            Term("eps_hat", self.reach * fall, _FALL + "g"),
            Term("eps_before", (1 - self.reach) * fall, _FALL + "(1-g)"),
        ))  # fmt: skip
