"""DPM-Solver-2: the slope in the middle of the step, along the probability flow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler, Step, apply
from diffusion_studio.core.samplers.euler import RESCALED, Euler, rescaling
from diffusion_studio.core.samplers.heun import is_left_to_euler
from diffusion_studio.core.steps.kernel import check_times
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr


class DPM2(Sampler):
    kind: Literal["dpm2"] = "dpm2"
    rank: ClassVar[int] = 62
    order: ClassVar[int] = 2
    title: ClassVar[str] = "DPM2"
    summary: ClassVar[str] = tr(
        "second order along the probability flow, by the slope in the middle of a step."
    )
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s/\bar\alpha_t}\,x_t + \sqrt{\bar\alpha_s}\,(\varsigma_s-\varsigma_t)"
        r"\left((1-\frac{1}{2r})\,\hat\varepsilon+\frac{1}{2r}\,\hat\varepsilon'\right)"
    )
    symbols: ClassVar[str] = tr(
        "ε̂′ after an Euler step to the whole time nearest to the middle of ln ς, r its share of the way, "
        "nearly ½; Euler alone where no time lies between, and where ς falls more than tenfold from above 80"
    )
    source: ClassVar[str] = "DPM-Solver algorithm 1; k-diffusion"

    @property
    def is_deterministic(self) -> bool:
        return True

    def calls(self, steps: int) -> int:
        """At most: a step without a time between its ends takes one."""
        return 2 * steps - 1

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        check_times(tables, t, s)
        euler, middle = Euler().update(tables, t, s), tables.time_between(t, s)
        if middle is None or is_left_to_euler(tables, t, s):
            return euler
        high, low = tables.noise_level_at(t), tables.noise_level_at(s)
        r = math.log(high / tables.noise_level_at(middle)) / math.log(high / low)
        fall = r"\sqrt{\bar\alpha_s}(\varsigma_s-\varsigma_t)"
        return Update(
            (
                Term("x_t", rescaling(tables, t, s), RESCALED),
                Term("eps_hat", euler["eps_hat"] * (1 - 1 / (2 * r)), fall + r"(1-\frac{1}{2r})"),
                Term("eps_next", euler["eps_hat"] / (2 * r), fall + r"\frac{1}{2r}"),
            ),
            inner=Euler().update(tables, t, middle),
            repeats=1,
            asked_at=middle,
        )

    def advance(self, step: Step) -> Tensor:
        inner, middle = step.update.inner, step.update.asked_at
        if inner is None or middle is None:
            return super().advance(step)
        slope = step.ask(apply(inner, step, step.x_t, step.prediction), middle).eps_hat
        return apply(step.update, step, step.x_t, step.prediction, eps_next=slope)
