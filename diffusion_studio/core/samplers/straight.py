"""Euler and Heun along the straight path from image to noise: the samplers of flow matching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler, Step, apply
from diffusion_studio.core.steps.kernel import check_times
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr

_KEPT, _FALL = r"\frac{m_s}{m_t}", r"m_s(u_s-u_t)"
_WHERE = tr(
    "u = √(1−ᾱ)/m with m = √ᾱ + √(1−ᾱ): x_t/m = (1−u) x₀ + u ε lies on the straight path, whose velocity is "
    "ε − x₀"
)


def _euler(tables: Tables, t: int, s: int) -> Update:
    """x_s/m_s = x_t/m_t + (u_s − u_t)(ε̂ − x̂_0)."""
    check_times(tables, t, s)
    fall = tables.path_scale_at(s) * (tables.path_time_at(s) - tables.path_time_at(t))
    return Update((
        Term("x_t", tables.path_scale_at(s) / tables.path_scale_at(t), _KEPT),
        Term("eps_hat", fall, _FALL),
        Term("x0_hat", -fall, r"m_s(u_t-u_s)"),
    ))  # fmt: skip


class FlowEuler(Sampler):
    kind: Literal["flow_euler"] = "flow_euler"
    rank: ClassVar[int] = 46
    title: ClassVar[str] = tr("flow, Euler")
    summary: ClassVar[str] = tr(
        "flow matching's own sampler: straight steps in u; the same images as DDIM with η = 0."
    )
    formula: ClassVar[str] = r"\frac{x_s}{m_s} = \frac{x_t}{m_t} + (u_s-u_t)\,(\hat\varepsilon-\hat x_0)"
    symbols: ClassVar[str] = _WHERE
    source: ClassVar[str] = "Lipman et al. 2023, eq. 22; Liu et al. 2023, §2.1"

    @property
    def is_deterministic(self) -> bool:
        return True

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        return _euler(tables, t, s)


class FlowHeun(Sampler):
    kind: Literal["flow_heun"] = "flow_heun"
    rank: ClassVar[int] = 61
    order: ClassVar[int] = 2
    title: ClassVar[str] = tr("flow, Heun")
    summary: ClassVar[str] = tr("second order in u, where the velocity stays finite however high the noise.")
    formula: ClassVar[str] = (
        r"\frac{x_s}{m_s} = \frac{x_t}{m_t} + \frac{u_s-u_t}{2}"
        r"\left((\hat\varepsilon-\hat x_0)+(\hat\varepsilon'-\hat x_0^{+})\right)"
    )
    symbols: ClassVar[str] = (
        _WHERE + "; " + tr("ε̂′ and x̂₀⁺ at the end of the Euler step; Euler alone to the image")
    )
    source: ClassVar[str] = "Lipman et al. 2023, §6.3; EDM algorithm 1"

    @property
    def is_deterministic(self) -> bool:
        return True

    def calls(self, steps: int) -> int:
        return 2 * steps - 1

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        euler = _euler(tables, t, s)
        if s == 0:  # no noise is left there to be told from the image
            return euler
        half = euler["eps_hat"] / 2
        up, down = r"\frac{1}{2}" + _FALL, r"\frac{1}{2}m_s(u_t-u_s)"
        terms = (
            Term("x_t", euler["x_t"], _KEPT),
            Term("eps_hat", half, up), Term("x0_hat", -half, down),
            Term("eps_next", half, up), Term("x0_next", -half, down),
        )  # fmt: skip
        return Update(terms, inner=euler, repeats=1)

    def advance(self, step: Step) -> Tensor:
        if step.update.inner is None:
            return super().advance(step)
        end = apply(step.update.inner, step, step.x_t, step.prediction)
        ahead = step.ask(end, step.s)
        more = {"eps_next": ahead.eps_hat, "x0_next": ahead.x0_hat}
        return apply(step.update, step, step.x_t, step.prediction, **more)
