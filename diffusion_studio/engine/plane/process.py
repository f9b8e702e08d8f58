"""How particles move in the plane: at one noise level, up to the noise, or back to the data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.denoisers.mixture import MixtureDenoiser
from diffusion_studio.core.denoisers.tilted import TiltedDenoiser
from diffusion_studio.core.describe import Member, OneOf, knob
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.spacing import AnySpacing, TrailingSpacing
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import DDIM, AnySampler
from diffusion_studio.core.samplers.base import Past
from diffusion_studio.core.samplers.ddpm import NOT_LEARNED
from diffusion_studio.core.steps.clipping import Unclipped
from diffusion_studio.core.steps.inversion import inversion
from diffusion_studio.core.steps.langevin import adjusted_step, langevin_step
from diffusion_studio.core.words import tr

_UP, _LEVEL, _TEST = 10_000, 100_000, 500_000  # separate counters for the noise of each kind of step


@dataclass(frozen=True, eq=False)
class State:
    """Where every particle is."""

    x: Tensor  # (n, 2) float32
    past: Past | None = None  # what a multi-step sampler remembers


class Process(Member):
    """A way to move. State k lies at the noise level `times[k]`."""

    family: ClassVar[str] = tr("Ways to move")

    def times(self, tables: Tables, t: int, up: bool) -> tuple[int, ...]:
        """The noise level of every state.

        Args:
            t: the level of the slider.
            up: begin at the data, and go to the noise first where the process begins there.
        """
        raise NotImplementedError

    def walk(
        self, denoiser: Denoiser, times: Sequence[int], first: int, state: State, seed: int
    ) -> Iterator[State]:
        """The states after number `first`, which is `state`. `seed` fixes all noise, state by state."""
        raise NotImplementedError


def forward_steps(
    tables: Tables, times: Sequence[int], first: int, state: State, noise: CounterNoise
) -> Iterator[State]:
    """x_t | x_s ~ N(√(ᾱ_t/ᾱ_s) x_s, (1−ᾱ_t/ᾱ_s) I) from one time to the next (docs/NOTATION.md)."""
    x = state.x
    for k, (s, t) in enumerate(pairwise(times[first:]), start=first):
        variance = tables.beta_between(t, s)
        fresh = noise.step(_UP + k, tuple(x.shape))
        x = torch.add(math.sqrt(1 - variance) * x, fresh, alpha=math.sqrt(variance))
        yield State(x)


class Langevin(Process):
    kind: Literal["langevin"] = "langevin"
    step: float = knob(
        0.01, title=tr("step"), symbol="c", gt=0, le=1, scale="log",
        help=tr("How far one step goes. Short steps are slow; long ones widen the law and end in leaps."),
        formula=r"x \leftarrow x + c\,\nabla\log p_t(x) + \sqrt{2c}\,\varepsilon", source="Luo eq. 158",
    )  # fmt: skip
    heat: float = knob(
        1.0, title=tr("noise"), ge=0, le=1,
        help=tr("1 samples from p_t; 0 leaves the noise out, and every particle climbs to a mode."),
        source="Luo eq. 158",
    )  # fmt: skip
    adjusted: bool = knob(
        False, title=tr("Metropolis test"),
        help=tr("Keep each step only with the probability that makes p_t invariant: the honest reference."),
        source="Roberts & Tweedie 1996",
    )  # fmt: skip
    steps: int = knob(
        600,
        title=tr("steps"),
        symbol="K",
        ge=1,
        le=5000,
        scale="log",
        help=tr("Steps until the clock starts again."),
    )
    title: ClassVar[str] = "Langevin"
    summary: ClassVar[str] = tr("follows the score of one noise level, with noise.")
    formula: ClassVar[str] = r"x \leftarrow x + c\,\nabla\log p_t(x) + \sqrt{2c}\,\varepsilon"
    source: ClassVar[str] = "Luo eq. 158"

    def times(self, tables: Tables, t: int, up: bool) -> tuple[int, ...]:
        return (t,) * (self.steps + 1)

    def walk(
        self, denoiser: Denoiser, times: Sequence[int], first: int, state: State, seed: int
    ) -> Iterator[State]:
        noise, x, t = CounterNoise(seed), state.x, times[first]
        exact = denoiser if isinstance(denoiser, MixtureDenoiser | TiltedDenoiser) else None
        for k in range(first, len(times) - 1):
            fresh = noise.step(_LEVEL + k, tuple(x.shape))
            if self.adjusted and exact is not None:
                coin = torch.from_numpy(_coins(seed, k, len(x)))
                x = adjusted_step(exact.level(t, x.dtype), x, self.step, fresh, coin)
            else:
                score = denoiser(x, t).score_hat
                x = langevin_step(x, score, self.step, fresh, self.heat)
            yield State(x)


def _coins(seed: int, k: int, count: int) -> np.ndarray:
    """Uniform numbers of step k, float32 (count,)."""
    philox = np.random.Philox(counter=[0, 0, _TEST + k, 2], key=seed)
    return np.random.Generator(philox).random(count, dtype=np.float32)


class Reverse(Process):
    kind: Literal["reverse"] = "reverse"
    sampler: AnySampler = knob(DDIM(), title=tr("sampler"), help=tr("The rule of each reverse step."))
    steps: int = knob(
        200, title=tr("steps"), symbol="S", ge=1, le=1000, scale="log",
        help=tr("Reverse steps from the noise to the data."), source="Stratos §3.3",
    )  # fmt: skip
    spacing: AnySpacing = knob(
        TrailingSpacing(), title=tr("times"), symbol="τ", help=tr("Which of the T times the chain visits."),
        advanced=True,
    )  # fmt: skip
    climb: Literal["noise", "flow"] = knob(
        "noise", title=tr("way up"), advanced=True,
        words={"noise": tr("fresh noise"), "flow": tr("the flow")},
        help=tr("How particles that begin as data go up to the noise: by fresh noise, or along the "
             "probability flow, which DDIM walks back (inversion)."),
        source="DDIM §4.3",
    )  # fmt: skip
    title: ClassVar[str] = tr("reverse chain")
    summary: ClassVar[str] = tr("walks from pure noise down to the data, one level after the other.")
    formula: ClassVar[str] = r"x_T \to \dots \to x_t \to x_s \to \dots \to x_0"
    source: ClassVar[str] = "Stratos §3.3; Luo eq. 143"

    @model_validator(mode="after")
    def _no_learned_variance(self) -> Reverse:
        if self.sampler.uses_learned_variance:
            raise Refused(NOT_LEARNED.format(name=tr("The denoiser of the plane")))
        return self

    def times(self, tables: Tables, t: int, up: bool) -> tuple[int, ...]:
        down = self.spacing.times(tables, self.steps)
        return (*reversed(down), *down[1:]) if up else down

    def walk(
        self, denoiser: Denoiser, times: Sequence[int], first: int, state: State, seed: int
    ) -> Iterator[State]:
        top = times.index(max(times))
        noise = CounterNoise(seed)
        if first < top:
            for above in self._climbed(denoiser, times[: top + 1], first, state, noise):
                state = above
                yield state
        down, begin = tuple(times[top:]), max(first - top, 0)
        chain = reverse_chain(
            denoiser, self.sampler, down, state.x, noise.step, None, Unclipped(), begin, state.past
        )
        for step in chain:
            yield State(step.x_s, step.past if self.sampler.memory else None)

    def _climbed(
        self, denoiser: Denoiser, times: Sequence[int], first: int, state: State, noise: CounterNoise
    ) -> Iterator[State]:
        """From the data up to the noise."""
        if self.climb == "noise":
            yield from forward_steps(denoiser.tables, times, first, state, noise)
        else:
            up = inversion(denoiser, tuple(reversed(times[first:])), state.x, clip=Unclipped())
            yield from (State(step.x_t) for step in up)


class Forward(Process):
    kind: Literal["forward"] = "forward"
    steps: int = knob(
        200, title=tr("steps"), symbol="S", ge=1, le=1000, scale="log",
        help=tr("Steps from the data to the noise."), source="Luo eq. 69",
    )  # fmt: skip
    title: ClassVar[str] = tr("forward noising")
    summary: ClassVar[str] = tr("adds noise to exact samples until nothing of them is left.")
    formula: ClassVar[str] = r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon"
    source: ClassVar[str] = "Luo eq. 69"

    def times(self, tables: Tables, t: int, up: bool) -> tuple[int, ...]:
        return tuple(round(k * tables.steps / self.steps) for k in range(self.steps + 1))

    def walk(
        self, denoiser: Denoiser, times: Sequence[int], first: int, state: State, seed: int
    ) -> Iterator[State]:
        yield from forward_steps(denoiser.tables, times, first, state, CounterNoise(seed))


AnyProcess = Annotated[Process, OneOf()]
