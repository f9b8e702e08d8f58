"""Predictor–corrector: an ancestral step, then Langevin steps at the level it reached (score SDE)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler, Step, apply
from diffusion_studio.core.steps.kernel import posterior_variance, reverse_kernel
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr


def langevin_update(tables: Tables, t: int, size: float) -> Update:
    """x ← x + c ŝ + √(2c) z at the level of t, with c = size · (1−ᾱ_t) (Luo eq. 158, 160–161)."""
    room = 1 - tables.alpha_bar_at(t)
    return Update((
        Term("x_t", 1.0, ""),
        Term("eps_hat", -size * room**0.5, r"\frac{-c}{\sqrt{1-\bar\alpha_t}}"),
        Term("noise", (2 * size * room) ** 0.5, r"\sqrt{2c}"),
    ))  # fmt: skip


class PredictorCorrector(Sampler):
    kind: Literal["predictor_corrector"] = "predictor_corrector"
    rank: ClassVar[int] = 100
    corrections: int = knob(
        1, title=tr("corrections"), ge=1, le=20, help=tr("Langevin steps after each reverse step.")
    )
    ratio: float = knob(
        0.16, title=tr("noise to score"), symbol="r", gt=0, le=1,
        help=tr("Size of a Langevin step: c = 2r² times the variance of the level. The size that the score "
                "has on average stands in for the one measured."),
        formula=r"c = 2r^2(1-\bar\alpha_s)", source="score SDE algorithm 5",
    )  # fmt: skip
    title: ClassVar[str] = tr("PC sampling")
    summary: ClassVar[str] = tr("a predictor, the ancestral step, then correctors, Langevin steps.")
    formula: ClassVar[str] = r"x_s \leftarrow x_s + c\,\hat s(x_s, s) + \sqrt{2c}\,z"
    symbols: ClassVar[str] = tr("c = 2r² (1−ᾱ_s), r the noise-to-score ratio")
    source: ClassVar[str] = "score SDE algorithm 3"

    @property
    def keeps_marginals(self) -> bool:
        return False

    def calls(self, steps: int) -> int:
        return steps + self.corrections * (steps - 1)

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        variance = posterior_variance(tables, t, s)
        predictor = reverse_kernel(tables, t, s, variance, variance)
        if s == 0:
            return predictor
        corrector = langevin_update(tables, s, 2 * self.ratio**2)
        return Update(predictor.terms, corrector, self.corrections, "after")

    def advance(self, step: Step) -> Tensor:
        x = super().advance(step)
        if step.update.inner is not None:
            for _ in range(step.update.repeats):
                x = apply(step.update.inner, step, x, step.ask(x, step.s))
        return x

    def added_noise(
        self, update: Update, draws: Sequence[Tensor], fraction: Tensor | None = None
    ) -> Tensor | None:
        noise = super().added_noise(update, draws)
        for z in draws[1:]:
            assert update.inner is not None and noise is not None
            noise = noise + update.inner.sigma * z
        return noise
