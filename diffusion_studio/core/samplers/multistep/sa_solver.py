"""SA-Solver of second order: a stochastic predictor, whose step the next call corrects."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.samplers.multistep.weights import exponential_integrals
from diffusion_studio.core.steps.kernel import check_times, noise_term
from diffusion_studio.core.steps.update import Quantity, Term, Update
from diffusion_studio.core.words import tr

_ESTIMATES: tuple[Quantity, ...] = ("x0_hat", "x0_before", "x0_before_2")


def _rest(h: float, a: float) -> float:
    """h²/2 less ∫_{−h}^0 of (w + h) e^{a w} dw, which the solver adds for few steps."""
    return h * h / 2 - (a * h + math.expm1(-a * h)) / a**2


def _predicted(h: float, older: float | None, a: float) -> list[float]:
    """What x̂_0 and x̂_0′ count in a step of length h in ln ς, times √ᾱ_s; a = 1 + τ².

    Args:
        older: the length of the step before; None makes it a step of first order.
    """
    if older is None:
        return [-math.expm1(-a * h)]
    now, old = exponential_integrals((-h, -h - older), -h, 0.0, a)
    more = _rest(h, a) / older
    return [a * (now + more), a * (old - more)]


def _corrected(h: float, a: float) -> list[float]:
    """What x̂_0 at the end and x̂_0′ at the start of the last step count in that step, corrected."""
    now, old = exponential_integrals((0.0, -h), -h, 0.0, a)
    more = _rest(h, a) / h
    return [a * (now + more), a * (old - more)]


class SASolver(Sampler):
    kind: Literal["sa_solver"] = "sa_solver"
    rank: ClassVar[int] = 84
    memory: ClassVar[int] = 2
    tau: float = knob(
        1.0, title=tr("stochasticity"), symbol="τ", ge=0, le=1.5,
        help=tr("How much fresh noise each step within the interval adds: 0 none, 1 as the reverse SDE."),
        source="Xue et al. 2023, eq. 5",
    )  # fmt: skip
    low: float = knob(
        0.2, title=tr("from"), symbol="t/T", ge=0, le=1, advanced=True,
        help=tr("Place of the chain below which no noise is added."), source="Xue et al. 2023, §6",
    )  # fmt: skip
    high: float = knob(
        0.8, title=tr("to"), symbol="t/T", ge=0, le=1, advanced=True,
        help=tr("Place of the chain above which no noise is added."), source="Xue et al. 2023, §6",
    )  # fmt: skip
    title: ClassVar[str] = "SA-Solver"
    summary: ClassVar[str] = tr("a stochastic Adams method: each call also corrects the step before.")
    formula: ClassVar[str] = (
        r"x_s = e^{-\tau^2h}\sqrt{\tfrac{1-\bar\alpha_s}{1-\bar\alpha_t}}\,x_t^c + \sqrt{\bar\alpha_s}"
        r"\sum_i b_i\,\hat x_0^{(i)} + \sqrt{(1-\bar\alpha_s)(1-e^{-2\tau^2h})}\,z"
    )
    symbols: ClassVar[str] = tr(
        "h = ln(ς_t/ς_s), bᵢ the integrals of e^{(1+τ²)λ} times the line through two estimates; x_tᶜ is x_t "
        "corrected by the estimate there"
    )
    source: ClassVar[str] = "Xue et al. 2023, algorithm 1"

    @property
    def is_deterministic(self) -> bool:
        return self.tau == 0

    def _a(self, tables: Tables, t: int) -> float:
        """1 + τ² of the step that begins at t."""
        within = self.low <= (t - 1) / tables.steps <= self.high
        return 1 + self.tau**2 if within else 1.0

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        check_times(tables, t, s)
        if s == 0:
            return Update((Term("x0_hat", 1.0, ""),))
        before = before[: self.memory]
        places = [math.log(tables.noise_level_at(k)) for k in (s, t, *before)]
        h, *older = (later - earlier for earlier, later in itertools.pairwise(places))
        a = self._a(tables, t)
        kept = math.exp((1 - a) * h) * math.sqrt((1 - tables.alpha_bar_at(s)) / (1 - tables.alpha_bar_at(t)))
        root_s, root_t = (tables.alpha_bar_at(k) ** 0.5 for k in (s, t))
        counts = [0.0] * (len(older) + 1)
        for i, share in enumerate(_predicted(h, older[0] if older else None, a)):
            counts[i] += root_s * share
        for i, share in enumerate(self._correction(tables, before, older)):
            counts[i] += kept * root_t * share
        sigma = math.sqrt((1 - tables.alpha_bar_at(s)) * -math.expm1(2 * (1 - a) * h))
        return Update((
            Term("x_t", kept, r"e^{-\tau^2h}\sqrt{\frac{1-\bar\alpha_s}{1-\bar\alpha_t}}"),
            *(
                Term(quantity, count, rf"a_{i}")
                for i, (quantity, count) in enumerate(zip(_ESTIMATES, counts, strict=False))
            ),
            *noise_term(sigma, s, r"\sqrt{(1-\bar\alpha_s)(1-e^{-2\tau^2h})}"),
        ))  # fmt: skip

    def _correction(self, tables: Tables, before: Sequence[int], older: Sequence[float]) -> list[float]:
        """What the corrector adds to x_t, times √ᾱ_t, of x̂_0, x̂_0′ and x̂_0″; the noise of the step "
        "stays."""
        if not older:
            return []
        a = self._a(tables, before[0])
        now, was = _corrected(older[0], a)
        predicted = _predicted(older[0], older[1] if len(older) > 1 else None, a)
        return [now, was - predicted[0], *(-share for share in predicted[1:])]
