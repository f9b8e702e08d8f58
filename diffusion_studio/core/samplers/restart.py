"""Restart: Heun down to a low level, up to a higher one by fresh noise, and down again, several times."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from pydantic import model_validator
from torch import Tensor

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers.base import Sampler, Step, apply
from diffusion_studio.core.samplers.euler import rescaling
from diffusion_studio.core.samplers.heun import Heun
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr

HEUN = Heun()
BEND = 7  # ρ of EDM's levels, between which each way down is divided
MOST_STEPS = 200  # of all restarts together: a chain can be stopped only between two of its own steps


@dataclass(frozen=True, kw_only=True)
class Restarts(Update):
    """Heun's step to s, then `repeats` times up to times[0] and down again to s.

    `inner` is the sum that one restart comes to; it is computed in steps.

    Args:
        down: Heun's step from t to s.
        up: the forward process from s to times[0].
        times: of the way back; the last is s.
        back: its steps.
    """

    down: Update
    up: Update
    times: tuple[int, ...]
    back: tuple[Update, ...]


class Restart(Sampler):
    kind: Literal["restart"] = "restart"
    rank: ClassVar[int] = 66
    order: ClassVar[int] = 2
    repeats: int = knob(
        2, title=tr("restarts"), symbol="K", ge=0, le=50,
        help=tr("How often the chain goes up again; each time forgets errors that were made above. 0 is "
                "Heun."),
        source="Xu et al. 2023, §3.1",
    )  # fmt: skip
    steps: int = knob(
        3, title=tr("steps each"), symbol="N", ge=1, le=50,
        help=tr("Heun steps of each way down again, spaced as EDM's levels; each calls the network twice."),
        source="Xu et al. 2023, §3.1; EDM eq. 5",
    )  # fmt: skip
    lowest: float = knob(
        0.59, title=tr("lower level"), symbol="ς_min", gt=0, le=1e5, scale="log",
        help=tr("Noise level ς at which the chain turns: the first of its times that is there or below."),
        source="Xu et al. 2023, §3.1",
    )  # fmt: skip
    highest: float = knob(
        1.09, title=tr("upper level"), symbol="ς_max", gt=0, le=1e5, scale="log",
        help=tr("Noise level ς to which it goes up. Far above the lower one, images change; close to it, "
                "only their details. 0.59 and 1.09 are one of the intervals for ImageNet in 64 × 64."),
        source="Xu et al. 2023, §3.1",
    )  # fmt: skip
    title: ClassVar[str] = tr("Restart")
    summary: ClassVar[str] = tr(
        "Heun, which goes back up by fresh noise and down again; that forgets errors."
    )
    formula: ClassVar[str] = (
        r"x_s \leftarrow x_s + \sqrt{\bar\alpha_s}\left(\sqrt{\varsigma_{\mathrm{max}}^2-\varsigma_s^2}\,z"
        r" + (\varsigma_s-\varsigma_{\mathrm{max}})\,\hat\varepsilon\right)"
    )
    symbols: ClassVar[str] = tr(
        "K times after the step of Heun that reaches ς_min; ς_max at the nearest whole time, ε̂ the mean "
        "over the N Heun steps down from it"
    )
    source: ClassVar[str] = "Xu et al. 2023, §3.1"

    @model_validator(mode="after")
    def _possible(self) -> Restart:
        if self.lowest >= self.highest:
            raise Refused(
                tr(
                    "the level where restarts begin, {lowest:g}, must be below the one to which they go up, "
                    "{highest:g}",
                    lowest=self.lowest,
                    highest=self.highest,
                )
            )
        if self.repeats * self.steps > MOST_STEPS:
            raise Refused(
                tr(
                    "{repeats} restarts of {steps} steps are {total} steps within one of the chain; at "
                    "most {most} are possible",
                    repeats=self.repeats,
                    steps=self.steps,
                    total=self.repeats * self.steps,
                    most=MOST_STEPS,
                )
            )
        return self

    @property
    def is_deterministic(self) -> bool:
        return self.repeats == 0

    def calls(self, steps: int) -> int:
        """At most: a way down to the image itself takes one less, and the interval may not be passed."""
        return HEUN.calls(steps) + 2 * self.repeats * self.steps

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        down = HEUN.update(tables, t, s)
        if self.repeats == 0:
            return down
        self._check(tables)
        if not tables.noise_level_at(s) <= self.lowest < tables.noise_level_at(t):
            return down
        times = self._way_back(tables, s)
        return Restarts(
            down.terms, _whole(tables, times[0], s), self.repeats, "after",
            down=down, up=_forward(tables, s, times[0]), times=times,
            back=tuple(HEUN.update(tables, above, below) for above, below in itertools.pairwise(times)),
        )  # fmt: skip

    def _check(self, tables: Tables) -> None:
        first, last = (tables.noise_level_at(time) for time in (1, tables.steps))
        if not first <= self.highest <= last:
            raise Refused(
                tr(
                    "Restarts go up to a noise level of {highest:g}, which is not within this chain: its "
                    "levels reach from {first:.3g} to {last:.3g}.",
                    highest=self.highest,
                    first=first,
                    last=last,
                )
            )

    def _way_back(self, tables: Tables, s: int) -> tuple[int, ...]:
        """From the whole time nearest to the upper level down to s."""
        top, bottom = (level ** (1 / BEND) for level in (self.highest, tables.noise_level_at(s)))
        levels = [(top + i / self.steps * (bottom - top)) ** BEND for i in range(self.steps)]
        times = {tables.time_near(level, s + 1, tables.steps) for level in levels}
        return (*sorted(times, reverse=True), s)

    def advance(self, step: Step) -> Tensor:
        update = step.update
        if not isinstance(update, Restarts):
            return HEUN.advance(step)
        x = HEUN.advance(replace(step, update=update.down))
        for _ in range(update.repeats):
            x = apply(update.up, step, x, step.prediction)
            for (t, s), back in zip(itertools.pairwise(update.times), update.back, strict=True):
                x = HEUN.advance(replace(step, t=t, s=s, x_t=x, prediction=step.ask(x, t), update=back))
        return x

    def added_noise(
        self, update: Update, draws: Sequence[Tensor], fraction: Tensor | None = None
    ) -> Tensor | None:
        if update.inner is None or not draws:
            return None
        return update.inner.sigma * torch.stack(list(draws)).sum(0)


def _forward(tables: Tables, s: int, t: int) -> Update:
    """x_t of x_s, exactly as the forward process has it."""
    return Update((
        Term("x_t", rescaling(tables, s, t), r"\sqrt{\bar\alpha_t/\bar\alpha_s}"),
        Term("noise", math.sqrt(tables.beta_between(t, s)), r"\sqrt{1-\bar\alpha_t/\bar\alpha_s}"),
    ))  # fmt: skip


def _whole(tables: Tables, top: int, s: int) -> Update:
    """A restart in (x/√ᾱ, ς), where the noise comes to what lies between, and ε̂ is followed down again."""
    root, high, low = tables.alpha_bar_at(s) ** 0.5, tables.noise_level_at(top), tables.noise_level_at(s)
    return Update((
        Term("x_t", 1.0, ""),
        Term("noise", root * math.sqrt(high**2 - low**2),
             r"\sqrt{\bar\alpha_s(\varsigma_{\mathrm{max}}^2-\varsigma_s^2)}"),
        Term("eps_hat", root * (low - high), r"\sqrt{\bar\alpha_s}(\varsigma_s-\varsigma_{\mathrm{max}})"),
    ))  # fmt: skip
