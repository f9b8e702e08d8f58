"""PNDM: Runge–Kutta for the first three steps, then Adams–Bashforth, each along DDIM's curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler, Step, apply
from diffusion_studio.core.samplers.euler import RESCALED, Euler, rescaling
from diffusion_studio.core.samplers.heun import is_left_to_euler
from diffusion_studio.core.samplers.multistep.lms import SLOPES
from diffusion_studio.core.steps.kernel import check_times
from diffusion_studio.core.steps.update import Quantity, Term, Update
from diffusion_studio.core.words import tr

_ADAMS = (55 / 24, -59 / 24, 37 / 24, -9 / 24)
_WRITTEN = (r"\frac{55}{24}", r"\frac{-59}{24}", r"\frac{37}{24}", r"\frac{-9}{24}")
_SIMPSON: tuple[tuple[Quantity, int, int], ...] = (
    ("eps_hat", 1, 6), ("eps_middle", 2, 3), ("eps_next", 1, 6),
)  # fmt: skip
_FALL = r"\sqrt{\bar\alpha_s}(\varsigma_s-\varsigma_t)"


class PNDM(Sampler):
    kind: Literal["pndm"] = "pndm"
    rank: ClassVar[int] = 66
    order: ClassVar[int] = 2
    memory: ClassVar[int] = 3
    title: ClassVar[str] = "PNDM"
    summary: ClassVar[str] = tr(
        "DDIM's step with the slopes of four steps; made for times that lie evenly. The first three ask four "
        "times."
    )
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s/\bar\alpha_t}\,x_t + \sqrt{\bar\alpha_s}\,(\varsigma_s-\varsigma_t)\,"
        r"\bar\varepsilon, \quad \bar\varepsilon = "
        r"\frac{55\hat\varepsilon-59\hat\varepsilon_{-1}+37\hat\varepsilon_{-2}-9\hat\varepsilon_{-3}}{24}"
    )
    symbols: ClassVar[str] = tr(
        "ε̂₋ᵢ the estimate i steps before; at the first three steps (ε̂ + 4 ε̂_{½} + ε̂′)/6, with the mean "
        "of two estimates in the middle of the step and one at its end; of them, Euler where the step ends "
        "in the image or ς falls more than tenfold from above 80"
    )
    source: ClassVar[str] = "Liu et al. 2022, algorithm 2"

    @property
    def is_deterministic(self) -> bool:
        return True

    def calls(self, steps: int) -> int:
        return steps + 3 * min(3, steps - 1)

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        check_times(tables, t, s)
        euler = Euler().update(tables, t, s)
        x = Term("x_t", rescaling(tables, t, s), RESCALED)
        if len(before) >= self.memory:
            slopes = zip(SLOPES, _ADAMS, _WRITTEN, strict=True)
            parts = (
                Term(quantity, euler["eps_hat"] * share, _FALL + written)
                for quantity, share, written in slopes
            )
            return Update((x, *parts))
        if is_left_to_euler(tables, t, s):
            return euler
        mean = (
            Term(quantity, euler["eps_hat"] * up / down, _FALL + rf"\frac{{{up}}}{{{down}}}")
            for quantity, up, down in _SIMPSON
        )
        middle = max(t - (t - s) // 2, s + 1)
        inner = Euler().update(tables, t, middle) if middle < t else Update((Term("x_t", 1.0, ""),))
        return Update((x, *mean), inner=inner, repeats=1, asked_at=middle)

    def advance(self, step: Step) -> Tensor:
        update, x = step.update, step.x_t
        if update.inner is None or update.asked_at is None:
            return super().advance(step)
        second = step.ask(apply(update.inner, step, x, step.prediction), update.asked_at)
        third = step.ask(apply(update.inner, step, x, second), update.asked_at)
        whole = update["eps_hat"] + update["eps_middle"] + update["eps_next"]
        fourth = step.ask(update["x_t"] * x + whole * third.eps_hat, step.s)
        middle = (second.eps_hat + third.eps_hat) / 2
        return apply(update, step, x, step.prediction, eps_middle=middle, eps_next=fourth.eps_hat)
