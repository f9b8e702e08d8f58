"""DPM-Solver++(2M) and its stochastic form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.steps.kernel import check_times, noise_term
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr


def _multistep(tables: Tables, t: int, s: int, before: Sequence[int], eta: float) -> Update:
    """The step of second order in λ = −ln ς, which reuses x̂_0 of the step before.

    With D = x̂_0 + (x̂_0 − x̂_0')/(2r), r the length of the step before over that of this one, and
    h = λ_s − λ_t: x_s = √((1−ᾱ_s)/(1−ᾱ_t)) e^{−η²h} x_t + √ᾱ_s (1 − e^{−(1+η²)h}) D
    + √(1−ᾱ_s) √(1 − e^{−2η²h}) z. Of first order at the first step and at the last, where h = ∞.
    """
    check_times(tables, t, s)
    if s == 0:
        return Update((Term("x0_hat", 1.0, ""),))
    level = tables.noise_level_at
    h = math.log(level(t) / level(s))
    noise = eta**2 * h
    kept = ((1 - tables.alpha_bar_at(s)) / (1 - tables.alpha_bar_at(t))) ** 0.5 * math.exp(-noise)
    gain = tables.alpha_bar_at(s) ** 0.5 * -math.expm1(-h - noise)
    extra = r"e^{-\eta^2 h}" if eta else ""
    rate = r"(1+\eta^2)h" if eta else "h"
    x = Term("x_t", kept, r"\sqrt{\frac{1-\bar\alpha_s}{1-\bar\alpha_t}}" + extra)
    factor = rf"\sqrt{{\bar\alpha_s}}(1-e^{{-{rate}}})"
    if not before:
        estimates: tuple[Term, ...] = (Term("x0_hat", gain, factor),)
    else:
        r = math.log(level(before[0]) / level(t)) / h
        estimates = (
            Term("x0_hat", gain * (1 + 1 / (2 * r)), factor + r"(1+\frac{1}{2r})"),
            Term("x0_before", -gain / (2 * r), factor + r"\frac{-1}{2r}"),
        )
    sigma = ((1 - tables.alpha_bar_at(s)) * -math.expm1(-2 * noise)) ** 0.5
    return Update((x, *estimates, *noise_term(sigma, s, r"\sqrt{1-\bar\alpha_s}\sqrt{1-e^{-2\eta^2 h}}")))


class DPMSolver2M(Sampler):
    kind: Literal["dpm2m"] = "dpm2m"
    rank: ClassVar[int] = 70
    order: ClassVar[int] = 2
    memory: ClassVar[int] = 1
    title: ClassVar[str] = "DPM++ (2M)"
    summary: ClassVar[str] = tr("DPM-Solver++: second order with one call a step, by remembering the last.")
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\frac{1-\bar\alpha_s}{1-\bar\alpha_t}}\,x_t + \sqrt{\bar\alpha_s}\,(1-e^{-h})\,"
        r"(\hat x_0 + \frac{\hat x_0-\hat x_0'}{2r})"
    )
    symbols: ClassVar[str] = tr("h = ln(ς_t/ς_s), r = h of the step before over h of this one")
    source: ClassVar[str] = "DPM-Solver++ algorithm 2"

    @property
    def is_deterministic(self) -> bool:
        return True

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        return _multistep(tables, t, s, before, 0.0)


class DPMSolver2MSDE(Sampler):
    kind: Literal["dpm2m_sde"] = "dpm2m_sde"
    rank: ClassVar[int] = 80
    memory: ClassVar[int] = 1
    eta: float = knob(
        1.0, title=tr("stochasticity"), symbol="η", ge=0, le=1,
        help=tr("0 is DPM-Solver++(2M); at 1 each step forgets as much as the reverse SDE does. Its square "
                "is what k-diffusion calls eta."),
        formula=r"\sigma_t^2 = (1-\bar\alpha_s)(1-e^{-2\eta^2 h})", source="DPM-Solver++",
    )  # fmt: skip
    title: ClassVar[str] = "DPM++ (2M) SDE"
    summary: ClassVar[str] = tr("the same solver for the reverse SDE: fresh noise in every step.")
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\frac{1-\bar\alpha_s}{1-\bar\alpha_t}}\,e^{-h}x_t + \sqrt{\bar\alpha_s}\,(1-e^{-2h})\,"
        r"(\hat x_0 + \frac{\hat x_0-\hat x_0'}{2r}) + \sigma_t z"
    )
    symbols: ClassVar[str] = tr("for η = 1; else η²h for h in the exponential, (1+η²)h for 2h in the bracket")
    source: ClassVar[str] = "DPM-Solver++"

    @property
    def is_deterministic(self) -> bool:
        return self.eta == 0

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        return _multistep(tables, t, s, before, self.eta)
