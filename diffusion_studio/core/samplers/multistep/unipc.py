"""UniPC of second order: each call of the network also corrects the step that led to it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.steps.kernel import check_times
from diffusion_studio.core.steps.update import Quantity, Term, Update
from diffusion_studio.core.words import tr

_ESTIMATES: tuple[Quantity, ...] = ("x0_hat", "x0_before", "x0_before_2")


def _predicted(h: float, older: float | None) -> list[float]:
    """What x̂_0 and x̂_0′ count in UniP's step of length h in ln ς, times √ᾱ_s; B(h) = e^{−h} − 1.

    Args:
        older: the length of the step before; None makes it a step of first order.
    """
    gain = -math.expm1(-h)
    if older is None:
        return [gain]
    return [gain * (1 + h / (2 * older)), -gain * h / (2 * older)]


def _corrected(h: float, older: float | None) -> list[float]:
    """What UniC adds to the step of length h that led here, times √ᾱ: of x̂_0, x̂_0′ and x̂_0″.

    UniC begins where UniP did, with the same first-order part, so that it only moves where that led.
    """
    gain = -math.expm1(-h)
    if older is None:
        return [gain / 2, -gain / 2]
    r = -older / h
    first, second = _conditions(h)
    outer = (first - second) / (1 - r)
    now = first - outer
    old = (outer - 0.5) / r
    return [gain * now, -gain * (now + old), gain * old]


def _conditions(h: float) -> tuple[float, float]:
    """The right-hand sides b_1 and b_2 of UniC's two conditions for B(h) = e^{−h} − 1."""
    grown = math.expm1(-h)
    first = grown / -h - 1
    second = first / -h - 0.5
    return first / grown, 2 * second / grown


class UniPC(Sampler):
    kind: Literal["unipc"] = "unipc"
    rank: ClassVar[int] = 74
    order: ClassVar[int] = 3
    memory: ClassVar[int] = 2
    title: ClassVar[str] = "UniPC"
    summary: ClassVar[str] = tr(
        "a predictor of second order; what the network then says also corrects the step before: one call, "
        "third order."
    )
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\frac{1-\bar\alpha_s}{1-\bar\alpha_t}}\,x_t^c + \sqrt{\bar\alpha_s}\,(1-e^{-h})\,"
        r"(\hat x_0 + \frac{\hat x_0-\hat x_0'}{2r}),"
        r"\quad x_t^c = x_t + \sum_i c_i\,\hat x_0^{(i)}"
    )
    symbols: ClassVar[str] = tr(
        "h = ln(ς_t/ς_s), r = h of the step before over h of this one; x_tᶜ is x_t corrected by UniC, cᵢ its "
        "weights on x̂₀, x̂₀′ and x̂₀″, whose sum is 0; B(h) = e⁻ʰ−1 (“bh2”)"
    )
    source: ClassVar[str] = "Zhao et al. 2023, algorithms 1 and 2"

    @property
    def is_deterministic(self) -> bool:
        return True

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        check_times(tables, t, s)
        if s == 0:
            return Update((Term("x0_hat", 1.0, ""),))
        places = [math.log(tables.noise_level_at(k)) for k in (s, t, *before[: self.memory])]
        h, *older = (later - earlier for earlier, later in itertools.pairwise(places))
        kept = math.sqrt((1 - tables.alpha_bar_at(s)) / (1 - tables.alpha_bar_at(t)))
        root_s, root_t = (tables.alpha_bar_at(k) ** 0.5 for k in (s, t))
        counts = [0.0] * (len(older) + 1)
        for i, share in enumerate(_predicted(h, older[0] if older else None)):
            counts[i] += root_s * share
        if older:
            for i, share in enumerate(_corrected(older[0], older[1] if len(older) > 1 else None)):
                counts[i] += kept * root_t * share
        estimates = (
            Term(quantity, count, rf"a_{i}")
            for i, (quantity, count) in enumerate(zip(_ESTIMATES, counts, strict=False))
        )
        return Update((Term("x_t", kept, r"\sqrt{\frac{1-\bar\alpha_s}{1-\bar\alpha_t}}"), *estimates))
