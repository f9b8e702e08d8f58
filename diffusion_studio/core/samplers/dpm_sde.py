"""DPM-Solver++(2S) for the reverse SDE, with the estimate in the middle of the step: DPM++ SDE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler, Step, apply
from diffusion_studio.core.steps.kernel import check_times, noise_term, posterior_variance
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr


def _first_order(tables: Tables, t: int, s: int, eta: float, r: float | None = None) -> Update:
    """From t to s as if x̂_0 did not change: to ς_down without noise, then noise back up to ς_s.

    With h = ln(ς_t/ς_down): x_s = √(ᾱ_s/ᾱ_t) e^{−h} x_t + √ᾱ_s (1 − e^{−h}) x̂_0 + √ᾱ_s ς_up z.

    Args:
        r: where the estimate within the step was found, which then shares the place of x̂_0.
    """
    alpha_bar = tables.alpha_bar_at(s)
    variance = eta**2 * posterior_variance(tables, t, s)
    kept = math.sqrt(max(1 - alpha_bar - variance, 0.0) / (1 - tables.alpha_bar_at(t)))
    gain = math.sqrt(alpha_bar) - kept * math.sqrt(tables.alpha_bar_at(t))
    factor = r"\sqrt{\bar\alpha_s}(1-e^{-h})"
    if r is None:
        estimates: tuple[Term, ...] = (Term("x0_hat", gain, factor),)
    else:
        estimates = (
            Term("x0_hat", gain * (1 - 1 / (2 * r)), factor + r"(1-\frac{1}{2r})"),
            Term("x0_next", gain / (2 * r), factor + r"\frac{1}{2r}"),
        )
    x = (Term("x_t", kept, r"\sqrt{\bar\alpha_s/\bar\alpha_t}\,e^{-h}"),) if s > 0 else ()
    noise = noise_term(math.sqrt(variance), s, r"\sqrt{\bar\alpha_s}\varsigma_{up}")
    return Update((*x, *estimates, *noise))


class DPMSolverSDE(Sampler):
    kind: Literal["dpm_sde"] = "dpm_sde"
    rank: ClassVar[int] = 82
    eta: float = knob(
        1.0, title=tr("stochasticity"), symbol="η", ge=0, le=1,
        help=tr("0 is DPM-Solver++(2S), without noise; at 1 each step forgets as much as ancestral sampling "
                "does."),
        formula=r"\sigma_t^2 = \eta^2\,\frac{1-\bar\alpha_s}{1-\bar\alpha_t}\,\beta_{t|s}",
        source="k-diffusion",
    )  # fmt: skip
    title: ClassVar[str] = "DPM++ SDE"
    summary: ClassVar[str] = tr(
        "the reverse SDE, with a second look at the image in the middle of each step."
    )
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s/\bar\alpha_t}\,e^{-h}x_t + \sqrt{\bar\alpha_s}\,(1-e^{-h})"
        r"\left((1-\frac{1}{2r})\,\hat x_0+\frac{1}{2r}\,\hat x_0^{+}\right)"
        r" + \sqrt{\bar\alpha_s}\,\varsigma_{up}\,z"
    )
    symbols: ClassVar[str] = tr(
        "h = ln(ς_t/ς_down); x̂₀⁺ after such a step to the whole time nearest to the middle of ln ς, r its "
        "share of the way, nearly ½; of first order where no time lies between"
    )
    source: ClassVar[str] = "DPM-Solver++ algorithm 1; k-diffusion"

    @property
    def is_deterministic(self) -> bool:
        return self.eta == 0

    def calls(self, steps: int) -> int:
        """At most: a step without a time between its ends takes one."""
        return 2 * steps - 1

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        check_times(tables, t, s)
        middle = tables.time_between(t, s)
        if middle is None:
            return _first_order(tables, t, s, self.eta)
        level = tables.noise_level_at
        r = math.log(level(t) / level(middle)) / math.log(level(t) / level(s))
        terms = _first_order(tables, t, s, self.eta, r).terms
        inner = _first_order(tables, t, middle, self.eta)
        return Update(terms, inner=inner, repeats=1, asked_at=middle)

    def advance(self, step: Step) -> Tensor:
        inner, middle = step.update.inner, step.update.asked_at
        if inner is None or middle is None:
            return super().advance(step)
        ahead = step.ask(apply(inner, step, step.x_t, step.prediction), middle).x0_hat
        return apply(step.update, step, step.x_t, step.prediction, x0_next=ahead)

    def added_noise(
        self, update: Update, draws: Sequence[Tensor], fraction: Tensor | None = None
    ) -> Tensor | None:
        """That of the step itself; what its first half drew only found the estimate within it."""
        return update.sigma * draws[-1] if draws else None
