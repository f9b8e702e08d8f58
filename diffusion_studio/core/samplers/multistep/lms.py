"""The linear multistep method on the probability flow (k-diffusion)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.samplers.euler import RESCALED, rescaling
from diffusion_studio.core.samplers.multistep.weights import lagrange_integrals
from diffusion_studio.core.steps.kernel import check_times
from diffusion_studio.core.steps.update import Quantity, Term, Update
from diffusion_studio.core.words import tr

SLOPES: tuple[Quantity, ...] = ("eps_hat", "eps_before", "eps_before_2", "eps_before_3")
"""The estimates of the noise of a step and of those before it."""


class LMS(Sampler):
    kind: Literal["lms"] = "lms"
    rank: ClassVar[int] = 64
    order: ClassVar[int] = 2  # begun by an Euler step; the later steps are of fourth order
    memory: ClassVar[int] = 3
    title: ClassVar[str] = "LMS"
    summary: ClassVar[str] = tr("linear multistep: a cubic through the slopes of four steps, one call each.")
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s/\bar\alpha_t}\,x_t + \sqrt{\bar\alpha_s}\sum_{i=0}^{3} c_i\,"
        r"\hat\varepsilon_{-i}, \quad c_i = \int_{\varsigma_t}^{\varsigma_s} \ell_i(\varsigma)\,d\varsigma"
    )
    symbols: ClassVar[str] = tr(
        "ε̂₋ᵢ the estimate i steps before, ℓᵢ the polynomial that is 1 at its ς and 0 at the others; fewer "
        "at the first three steps"
    )
    source: ClassVar[str] = "k-diffusion"

    @property
    def is_deterministic(self) -> bool:
        return True

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        check_times(tables, t, s)
        nodes = [tables.noise_level_at(time) for time in (t, *before[: self.memory])]
        weights = lagrange_integrals(nodes, nodes[0], tables.noise_level_at(s))
        root = tables.alpha_bar_at(s) ** 0.5
        return Update((
            Term("x_t", rescaling(tables, t, s), RESCALED),
            *(
                Term(quantity, root * weight, rf"\sqrt{{\bar\alpha_s}}c_{i}")
                for i, (quantity, weight) in enumerate(zip(SLOPES, weights, strict=False))
            ),
        ))  # fmt: skip
