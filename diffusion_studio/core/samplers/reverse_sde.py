"""The reverse SDE by Euler–Maruyama (score SDE)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.steps.kernel import check_times, noise_term
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr


class ReverseSDE(Sampler):
    kind: Literal["reverse_sde"] = "reverse_sde"
    rank: ClassVar[int] = 90
    title: ClassVar[str] = tr("reverse SDE")
    summary: ClassVar[str] = tr(
        "Euler–Maruyama on the reverse SDE; needs many steps, above all near the noise."
    )
    formula: ClassVar[str] = (
        r"x_s = (1+\frac{b}{2})\,x_t + b\,\hat s + \sqrt{b}\,z, \quad b = \ln(\bar\alpha_s/\bar\alpha_t)"
    )
    symbols: ClassVar[str] = tr("b, the integral of β over the step")
    source: ClassVar[str] = "score SDE eq. 6"

    @property
    def keeps_marginals(self) -> bool:
        return False

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        """`b` is the integral of β over the step; the score is −ε̂/√(1−ᾱ_t)."""
        check_times(tables, t, s)
        b = math.log(tables.alpha_bar_at(s) / tables.alpha_bar_at(t))
        return Update((
            Term("x_t", 1 + b / 2, r"(1+\frac{b}{2})"),
            Term("eps_hat", -b / (1 - tables.alpha_bar_at(t)) ** 0.5, r"\frac{-b}{\sqrt{1-\bar\alpha_t}}"),
            *noise_term(b**0.5, s, r"\sqrt{b}"),
        ))  # fmt: skip
