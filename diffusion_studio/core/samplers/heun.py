"""Heun's method on the probability flow (EDM)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler, Step, apply
from diffusion_studio.core.samplers.euler import RESCALED, Euler, rescaling
from diffusion_studio.core.steps.kernel import check_times
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr

HIGHEST, LONGEST = 80.0, 10.0  # from a higher ς (Karras et al. begin at 80) a longer fall is left to Euler


def is_left_to_euler(tables: Tables, t: int, s: int) -> bool:
    """Whether a slope elsewhere than at t does harm: at s = 0 there is none, and long falls blow it up."""
    return s == 0 or tables.noise_level_at(t) > max(HIGHEST, LONGEST * tables.noise_level_at(s))


class Heun(Sampler):
    kind: Literal["heun"] = "heun"
    rank: ClassVar[int] = 60
    order: ClassVar[int] = 2
    title: ClassVar[str] = "Heun"
    summary: ClassVar[str] = tr(
        "second order along the probability flow: an Euler step, then again with the mean of both slopes."
    )
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s/\bar\alpha_t}\,x_t"
        r" + \sqrt{\bar\alpha_s}\,(\varsigma_s-\varsigma_t)\,(\hat\varepsilon+\hat\varepsilon')/2"
    )
    symbols: ClassVar[str] = tr(
        "ε̂′ at the end of the Euler step; unlike elsewhere, Euler alone where ς falls more than tenfold "
        "from above 80"
    )
    source: ClassVar[str] = "EDM algorithm 1"

    @property
    def is_deterministic(self) -> bool:
        return True

    def calls(self, steps: int) -> int:
        """At most: the first steps of a schedule that begins very high take one."""
        return 2 * steps - 1

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        """The mean of both slopes; the Euler step that finds the second is `inner`.

        Euler's step at s = 0, where there is no slope, and where ς falls more than tenfold from above 80: the
        mean of both slopes multiplies what the estimate of the image changes by ς_t/2ς_s, and a cosine
        schedule begins at ς = 20,000.
        """
        check_times(tables, t, s)
        euler = Euler().update(tables, t, s)
        if is_left_to_euler(tables, t, s):
            return euler
        half = euler["eps_hat"] / 2
        formula = r"\frac{1}{2}\sqrt{\bar\alpha_s}(\varsigma_s-\varsigma_t)"
        return Update(
            (
                Term("x_t", rescaling(tables, t, s), RESCALED),
                Term("eps_hat", half, formula),
                Term("eps_next", half, formula),
            ),
            inner=euler,
            repeats=1,
        )

    def advance(self, step: Step) -> Tensor:
        if step.update.inner is None:
            return super().advance(step)
        end = apply(step.update.inner, step, step.x_t, step.prediction)
        slope = step.ask(end, step.s).eps_hat
        return apply(step.update, step, step.x_t, step.prediction, eps_next=slope)
