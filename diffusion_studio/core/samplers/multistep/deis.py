"""DEIS: the slopes of several steps, extrapolated in ln ς and integrated exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.samplers.euler import RESCALED, Euler, rescaling
from diffusion_studio.core.samplers.multistep.lms import SLOPES
from diffusion_studio.core.samplers.multistep.weights import exponential_integrals
from diffusion_studio.core.steps.kernel import check_times
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr


class DEIS(Sampler):
    kind: Literal["deis"] = "deis"
    rank: ClassVar[int] = 66
    order: ClassVar[int] = 2  # begun by an Euler step; the later steps are of third order
    memory: ClassVar[int] = 2
    back: int = knob(
        2, title=tr("looks back"), ge=1, le=2,
        help=tr("Through how many slopes before the present one the curve goes; 1 is a line, of second "
                "order."),
        source="Zhang & Chen 2023, §3.3",
    )  # fmt: skip
    title: ClassVar[str] = "DEIS"
    summary: ClassVar[str] = tr("a parabola in ln ς through the slopes of three steps, one call each.")
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s/\bar\alpha_t}\,x_t + \sqrt{\bar\alpha_s}\sum_{i=0}^{2} c_i\,"
        r"\hat\varepsilon_{-i}, \quad c_i = \int_{\varsigma_t}^{\varsigma_s} \ell_i(\ln\varsigma)\,d\varsigma"
    )
    symbols: ClassVar[str] = tr(
        "ε̂₋ᵢ the estimate i steps before, ℓᵢ the polynomial that is 1 at its ln ς and 0 at the others; "
        "fewer at the first two steps, and Euler alone to the image"
    )
    source: ClassVar[str] = "Zhang & Chen 2023, §3.3"

    @property
    def is_deterministic(self) -> bool:
        return True

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        check_times(tables, t, s)
        if s == 0:  # ln ς has no end there
            return Euler().update(tables, t, s)
        level = tables.noise_level_at
        nodes = [math.log(level(time) / level(t)) for time in (t, *before[: self.back])]
        weights = exponential_integrals(nodes, 0.0, math.log(level(s) / level(t)))
        root = tables.alpha_bar_at(s) ** 0.5 * level(t)
        return Update((
            Term("x_t", rescaling(tables, t, s), RESCALED),
            *(
                Term(quantity, root * weight, rf"\sqrt{{\bar\alpha_s}}c_{i}")
                for i, (quantity, weight) in enumerate(zip(SLOPES, weights, strict=False))
            ),
        ))  # fmt: skip
