"""EDM's stochastic sampler: Heun below the next level, and up to it by fresh noise (churn)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import field_validator, model_validator
from torch import Tensor

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers.base import Sampler, Step, apply
from diffusion_studio.core.samplers.euler import RESCALED, rescaling
from diffusion_studio.core.samplers.heun import Heun
from diffusion_studio.core.steps.kernel import check_times
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr

MOST_CHURN = math.sqrt(2) - 1  # more noise than the state has would be added (EDM algorithm 2)


class EDMStochastic(Sampler):
    kind: Literal["edm"] = "edm"
    rank: ClassVar[int] = 64
    order: ClassVar[int] = 2
    churn: float = knob(
        0.1, title=tr("churn"), symbol="γ", ge=0, le=MOST_CHURN,
        help=tr("How far above its level each step begins, S_churn/S in EDM; 0 is Heun. More than √2 − 1 "
                "would add more noise than there is."),
        formula=r"\varsigma_s = (1+\gamma)\,\varsigma_d", source="EDM algorithm 2",
    )  # fmt: skip
    lowest: float = knob(
        0.05, title=tr("lowest level"), symbol="S_min", ge=0, le=10, advanced=True,
        help=tr("Noise level ς below which no noise is added."), source="EDM algorithm 2",
    )  # fmt: skip
    highest: float = knob(
        50.0, title=tr("highest level"), symbol="S_max", gt=0, le=1e5, scale="log", advanced=True,
        help=tr("Noise level ς above which no noise is added."), source="EDM algorithm 2",
    )  # fmt: skip
    inflation: float = knob(
        1.0, title=tr("noise factor"), symbol="S_noise", ge=0.9, le=1.1, advanced=True,
        help=tr("Makes up for detail that a network loses; a little above 1 in EDM's figures, which no exact "
                "denoiser needs."),
        source="EDM algorithm 2",
    )  # fmt: skip
    title: ClassVar[str] = tr("EDM, stochastic")
    summary: ClassVar[str] = tr(
        "Heun, with a little fresh noise before each step that repairs earlier errors."
    )
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\tfrac{\bar\alpha_s}{\bar\alpha_t}}\,x_t + \sqrt{\bar\alpha_s}\left("
        r"(\varsigma_d-\varsigma_t)\,\tfrac{\hat\varepsilon+\hat\varepsilon'}{2}"
        r"+ \sqrt{\varsigma_s^2-\varsigma_d^2}\,z\right)"
    )
    symbols: ClassVar[str] = tr(
        "d the whole time whose ς is nearest to ς_s/(1+γ), ε̂′ there; the steps of EDM from one raised level "
        "to the next"
    )
    source: ClassVar[str] = "EDM algorithm 2"

    @field_validator("churn", mode="before")
    @classmethod
    def _addable(cls, churn: Any) -> Any:
        try:
            too_much = float(churn) > MOST_CHURN
        except (TypeError, ValueError):
            return churn  # no number, which is said elsewhere
        if too_much:
            raise Refused(
                tr(
                    "more than {most:.4f} (√2 − 1) would add more noise than there is in the state",
                    most=MOST_CHURN,
                )
            )
        return churn

    @model_validator(mode="after")
    def _in_order(self) -> EDMStochastic:
        if self.lowest >= self.highest:
            raise Refused(
                tr(
                    "the lowest level of fresh noise, {lowest:g}, must be below the highest, {highest:g}",
                    lowest=self.lowest,
                    highest=self.highest,
                )
            )
        return self

    @property
    def is_deterministic(self) -> bool:
        return self.churn == 0

    def calls(self, steps: int) -> int:
        """At most: where ς falls very far a step takes one."""
        return 2 * steps - 1

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        check_times(tables, t, s)
        below = self._below(tables, s)
        heun = Heun().update(tables, t, below)
        if below == s:
            return heun
        up = rescaling(tables, below, s)
        added = tables.noise_level_at(s) ** 2 - tables.noise_level_at(below) ** 2
        sigma = self.inflation * math.sqrt(tables.alpha_bar_at(s) * added)
        fall = r"\sqrt{\bar\alpha_s}(\varsigma_d-\varsigma_t)"
        slopes = [term for term in heun.terms if term.quantity != "x_t"]
        share = r"\frac{1}{2}" if len(slopes) > 1 else ""
        return Update(
            (
                Term("x_t", rescaling(tables, t, s), RESCALED),
                *(Term(term.quantity, up * term.value, share + fall) for term in slopes),
                Term("noise", sigma, r"\sqrt{\bar\alpha_s(\varsigma_s^2-\varsigma_d^2)}"),
            ),
            inner=heun.inner, repeats=heun.repeats, asked_at=below,
        )  # fmt: skip

    def _below(self, tables: Tables, s: int) -> int:
        """d, the whole time from which noise leads up to s; s itself where none is added."""
        level = tables.noise_level_at(s)
        if s < 2 or self.churn == 0 or not self.lowest <= level <= self.highest:
            return s
        return tables.time_near(level / (1 + self.churn), 1, s)

    def advance(self, step: Step) -> Tensor:
        inner, below = step.update.inner, step.update.asked_at
        if inner is None:
            return super().advance(step)
        asked = step.s if below is None else below
        slope = step.ask(apply(inner, step, step.x_t, step.prediction), asked).eps_hat
        return apply(step.update, step, step.x_t, step.prediction, eps_next=slope)
