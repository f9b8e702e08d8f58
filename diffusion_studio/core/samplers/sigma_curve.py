"""The family of Lemma 3.1 with the σ_t that a person draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.steps.kernel import reverse_kernel
from diffusion_studio.core.steps.update import Update
from diffusion_studio.core.words import tr


def points_below(
    times: Sequence[int], sigma: NDArray[np.float64], ceiling: NDArray[np.float64]
) -> tuple[tuple[float, float], ...]:
    """Some nine points (t, σ) of a curve close to `sigma`, and as many more as keep it below the ceiling.

    Args:
        times: where the steps begin, falling. (S,)
        sigma: their σ. (S,)
        ceiling: √(1−ᾱ_s), by Lemma 3.1; the last step, to s = 0, takes no noise whatever is drawn. (S,)
    """
    t = np.asarray(times, np.float64)
    values = np.floor(np.minimum(sigma, ceiling) * 0.999e4) / 1e4
    chosen = set(range(0, len(t), max(1, len(t) // 8)))
    while True:
        places = sorted(chosen, reverse=True)  # by rising t
        over = (np.interp(t, t[places], values[places]) - ceiling)[:-1]
        if not len(over) or over.max() < 0 or int(over.argmax()) in chosen:
            return tuple((float(t[k]), float(values[k])) for k in places)
        chosen.add(int(over.argmax()))


class SigmaCurve(Sampler):
    kind: Literal["sigma"] = "sigma"
    rank: ClassVar[int] = 30
    is_drawn: ClassVar[bool] = True
    points: tuple[tuple[float, float], ...] = knob(
        ((0.0, 0.0),), title=tr("curve"), symbol="σ_t",
        help=tr("Noise of the step that begins at t, as points t:σ with straight lines between them. "
                "It must stay below √(1−ᾱ_s)."),
        formula=r"0 \leq \sigma_t^2 \leq 1-\bar\alpha_s", source="Stratos lemma 3.1",
    )  # fmt: skip

    title: ClassVar[str] = tr("σ by hand")
    summary: ClassVar[str] = tr("every σ that Lemma 3.1 allows keeps the marginals; draw your own.")
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s-\sigma_t^2}\,\hat\varepsilon"
        r" + \sigma_t z"
    )
    source: ClassVar[str] = "Stratos lemma 3.1"

    @field_validator("points")
    @classmethod
    def _in_order(cls, points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if not points:
            raise Refused(tr("the curve of σ needs at least one point t:σ"))
        if any(t < 0 or sigma < 0 for t, sigma in points):
            raise Refused(tr("neither t nor σ can be negative in the curve of σ"))
        ordered = tuple(sorted(points))
        if len({t for t, _ in ordered}) < len(ordered):
            raise Refused(tr("the curve of σ has two points at the same t"))
        return ordered

    @property
    def is_deterministic(self) -> bool:
        return all(sigma == 0 for _, sigma in self.points)

    def sigma_at(self, t: float) -> float:
        """σ_t, level beyond the first and the last point."""
        times, values = zip(*self.points, strict=True)
        return float(np.interp(t, times, values))

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        variance = self.sigma_at(t) ** 2 if s > 0 else 0.0
        return reverse_kernel(tables, t, s, variance, variance)
