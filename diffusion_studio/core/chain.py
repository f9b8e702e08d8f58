"""The reverse chain as a generator: the caller owns the loop, the pictures and the stopping."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import index as whole

from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.guidance.guidance import MeanShift
from diffusion_studio.core.process.noise import NoiseSource
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers.base import Past, Sampler, Step
from diffusion_studio.core.steps.clipping import Clip
from diffusion_studio.core.steps.update import Update
from diffusion_studio.core.words import tr


@dataclass(frozen=True, eq=False)
class ChainStep:
    """One reverse step, with everything that went into it."""

    index: int  # 0 is the step that begins at noise
    t: int
    s: int
    x_t: Tensor
    prediction: Prediction  # after clipping
    update: Update  # without a shift of its mean
    draws: tuple[Tensor, ...]  # fresh noise, in the order of its use; none when nothing was added
    x_s: Tensor
    past: Past  # what the next step may remember

    @property
    def noise(self) -> Tensor | None:
        """z of the step; the first one where a sampler draws several times."""
        return self.draws[0] if self.draws else None


def plan(tables: Tables, sampler: Sampler, times: Sequence[int], past: Sequence[int] = ()) -> list[Update]:
    """The update of every step of a chain; `past` is where steps before the first began, the nearest first.

    Raises:
        Refused: times out of order, or a step that does not exist.
    """
    return [
        sampler.update(tables, t, s, remembered(sampler, times, index, past))
        for index, (t, s) in enumerate(itertools.pairwise(times))
    ]


def remembered(
    sampler: Sampler, times: Sequence[int], index: int, past: Sequence[int] = ()
) -> tuple[int, ...]:
    """Where the steps began that a chain remembers at its state `index`, the nearest first.

    It remembers one step at least, for whoever goes on from there in another way.
    """
    most = max(sampler.memory, 1)
    return (*reversed(times[max(index - most, 0) : index]), *past)[:most]


def reverse_chain(
    denoiser: Denoiser,
    sampler: Sampler,
    times: Sequence[int],
    x: Tensor,
    noise: NoiseSource | None = None,
    labels: Tensor | None = None,
    clip: Callable[[Prediction], Prediction] | None = None,
    first: int = 0,
    past: Past | None = None,
    shift: MeanShift | None = None,
) -> Iterator[ChainStep]:
    """Walks down the reverse chain.

    Args:
        times: strictly decreasing, from noise to image, as a spacing gives them (S+1,).
        x: the state at times[first], (B, …).
        noise: noise(t, shape, draw) gives the noise of the step that begins at t; draw counts within it. May
            be left out where no step adds any.
        labels: int64 (B,), −1 for unconditional.
        clip: what is done to each prediction, a `Clipping` or any function; by default x̂_0 stays within
            [−1, 1] and ε̂ is derived again from it. `Unclipped()` leaves it as it is.
        first: index of the first step, to go on in the middle of a chain.
        past: what is known of the steps before the first one.
        shift: moves the mean of each step that adds noise.

    Yields:
        S − first steps.

    Raises:
        Refused: times out of order, a step that does not exist, or one that lacks its noise.
        TypeError: times that are not whole numbers.
    """
    times = [whole(t) for t in times]
    clip = Clip() if clip is None else clip
    updates = plan(denoiser.tables, sampler, times[first:], () if past is None else past.times)
    if noise is None and any(update.draws for update in updates):
        raise Refused(tr("{title} adds fresh noise: say where it comes from.", title=sampler.title))

    def ask(x: Tensor, t: int) -> Prediction:
        return clip(denoiser(x, t, labels))

    shape = tuple(x.shape)
    for index, update in enumerate(updates, start=first):
        t, s = times[index], times[index + 1]
        prediction = ask(x, t)

        def draw(number: int, t: int = t, like: Tensor = x) -> Tensor:
            assert noise is not None
            return (noise(t, shape, number) if number else noise(t, shape)).to(like)

        step = Step(t, s, x, prediction, past, update, ask, draw)
        x_s = sampler.advance(step)
        if shift is not None:
            x_s, prediction = shift.applied(denoiser.tables, t, update, prediction, labels, x_s)
        past = Past(t, prediction.x0_hat, prediction.eps_hat, past).newest(max(sampler.memory, 1))
        yield ChainStep(index, t, s, x, prediction, update, tuple(step.draws), x_s, past)
        x = x_s
