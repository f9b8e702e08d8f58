"""DPM-Solver++(3M) SDE: the estimates of three steps (k-diffusion).

Third order needs 2 φ_3 D″, for D″ is half of the second derivative; as published, and here, the steps are of
second order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.steps.kernel import check_times, noise_term
from diffusion_studio.core.steps.update import Quantity, Term, Update
from diffusion_studio.core.words import tr

_ESTIMATES: tuple[Quantity, ...] = ("x0_hat", "x0_before", "x0_before_2")


def _shares(lengths: Sequence[float], rate: float) -> tuple[float, ...]:
    """What each of up to three estimates counts, times √ᾱ_s.

    With φ_1 = 1 − e^{−k}, φ_2 = 1 − φ_1/k, φ_3 = φ_2/k − ½ for k = (1+η²)h, and the divided differences D',
    D'' of the estimates in units of h: φ_1 x̂_0 + φ_2 D' − φ_3 D''.

    Args:
        lengths: h in ln ς, of this step and of those before it.
        rate: k.
    """
    first = -math.expm1(-rate)
    second = 1 - first / rate
    if len(lengths) == 1:
        return (first,)
    r0 = lengths[1] / lengths[0]
    if len(lengths) == 2:
        return first + second / r0, -second / r0
    third, r1 = second / rate - 0.5, lengths[2] / lengths[0]
    outer = (second * r0 - third) / (r0 + r1)  # of the difference of both slopes
    near, far = second / r0 + outer / r0, outer / r1
    return first + near, -near - far, far


class DPMSolver3MSDE(Sampler):
    kind: Literal["dpm3m_sde"] = "dpm3m_sde"
    rank: ClassVar[int] = 84
    memory: ClassVar[int] = 2
    eta: float = knob(
        1.0, title=tr("stochasticity"), symbol="η", ge=0, le=1,
        help=tr("0 adds no noise; at 1 each step forgets as much as the reverse SDE does. Its square is what "
                "k-diffusion calls eta."),
        formula=r"\sigma_t^2 = (1-\bar\alpha_s)(1-e^{-2\eta^2 h})", source="k-diffusion",
    )  # fmt: skip
    title: ClassVar[str] = "DPM++ (3M) SDE"
    summary: ClassVar[str] = tr("the reverse SDE with the estimates of three steps; for many steps.")
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\frac{1-\bar\alpha_s}{1-\bar\alpha_t}}\,e^{-\eta^2 h}x_t + \sqrt{\bar\alpha_s}\,"
        r"(\varphi_1\hat x_0 + \varphi_2 D' - \varphi_3 D'') + \sigma_t z"
    )
    symbols: ClassVar[str] = tr(
        "h = ln(ς_t/ς_s), k = (1+η²)h, φ₁ = 1−e⁻ᵏ, φ₂ = 1−φ₁/k, φ₃ = φ₂/k−½; D′ and D″ the slope and the "
        "second difference of x̂₀ over three steps, in units of h; of second order, for third needs 2 φ₃ D″"
    )
    source: ClassVar[str] = "k-diffusion"

    @property
    def is_deterministic(self) -> bool:
        return self.eta == 0

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        check_times(tables, t, s)
        if s == 0:
            return Update((Term("x0_hat", 1.0, ""),))
        places = [math.log(tables.noise_level_at(k)) for k in (s, t, *before[: self.memory])]
        lengths = [later - earlier for earlier, later in itertools.pairwise(places)]
        h, noise = lengths[0], self.eta**2 * lengths[0]
        room, root = 1 - tables.alpha_bar_at(s), tables.alpha_bar_at(s) ** 0.5
        kept = math.sqrt(room / (1 - tables.alpha_bar_at(t))) * math.exp(-noise)
        sigma = math.sqrt(room * -math.expm1(-2 * noise))
        shares = _shares(lengths, h + noise)
        estimates = (
            Term(quantity, root * share, rf"\sqrt{{\bar\alpha_s}}c_{i}")
            for i, (quantity, share) in enumerate(zip(_ESTIMATES, shares, strict=False))
        )
        x = Term("x_t", kept, r"\sqrt{\frac{1-\bar\alpha_s}{1-\bar\alpha_t}}e^{-\eta^2 h}")
        return Update((x, *estimates, *noise_term(sigma, s, r"\sigma_t")))
