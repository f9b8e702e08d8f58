"""The record of one reverse chain: computed step by step, cached, read at random."""

from __future__ import annotations

import itertools
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.chain import ChainStep, Past
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.imageset import to_uint8
from diffusion_studio.engine.chains.chain import Chain, Origin
from diffusion_studio.engine.jobs.events import SamplingProgress

View = Literal["x0_hat", "x_t", "eps_hat", "score", "noise", "change", "unguided", "guidance"]
MEMORY_CAP = 1 << 30  # bytes; a larger record lies in a nameless temporary file


class Trajectory:
    """All states x_t and estimates x̂_0 of one chain, as float16.

    State k is x at times[k], k = 0 … S; estimate k is x̂_0 as seen from state k, k = 0 … S−1. What is not
    computed yet is not there: the first `ready` states can be read. Values for display are rounded to
    float16; the chain itself goes on in full precision, and a branch leaves it in full precision too: every
    √S steps the exact state is kept. Memory and disk are given back with the last reference, so that a file
    can still be written from a record that is no longer shown.

    A branch shows its parent's states before the one at which it leaves, and its own from there on.

    Args:
        chain: what to compute; a branch's without its origin, which comes from the parent.
        parent: the record that this one branches off.
        leaves: the parent's state at which it does.
        memory_cap: bytes up to which the record stays in memory.

    Raises:
        Refused: a chain that cannot be run, or neither memory nor disk has room for it; the message is a
            sentence for a person.
    """

    def __init__(
        self, chain: Chain, memory_cap: int = MEMORY_CAP, parent: Trajectory | None = None, leaves: int = 0
    ) -> None:
        if parent is not None:
            leaves = min(max(leaves, 0), parent.steps - 1)
            before = parent.times[leaves - 1] if leaves else None
            spec = chain.spec.model_copy(update={"count": parent.chain.spec.count})
            chain = replace(chain, spec=spec, origin=Origin(parent.times[leaves], before))
        chain.check()
        self.chain: Chain = chain
        self.parent, self.leaves = parent, leaves
        self.times: tuple[int, ...] = (*(parent.times[:leaves] if parent is not None else ()), *chain.times)
        self.steps: int = len(self.times) - 1
        own = len(chain.times) - 1
        shape = chain.shape
        self._keeps_eps = not getattr(chain.spec.clip, "rederive", True)
        self._keeps_fraction = chain.spec.sampler.uses_learned_variance
        optional = (self._keeps_eps, self.is_guided, self.is_guided, self._keeps_fraction)
        shapes = [(own + 1, *shape), (own, *shape), *((own if kept else 0, *shape) for kept in optional)]
        self.size = 2 * sum(math.prod(shape) for shape in shapes)  # bytes
        self.on_disk = self.size > memory_cap
        arrays = _on_disk(*shapes) if self.on_disk else tuple(np.empty(each, np.float16) for each in shapes)
        self._x, self._x0, self._eps, self._unguided, self._direction, self._fraction = arrays
        self._next = 0  # own step that is computed next
        self._frontier: tuple[Tensor, Past | None] | None = None  # where it begins, in full precision
        self._kept: dict[int, tuple[Tensor, Past | None]] = {}  # the same for every so many steps
        self._every = max(1, round(own**0.5))
        self._sigma = np.array([update.added_sigma for update in chain.updates])  # (own,)
        if self._keeps_fraction:  # what the network says of noise is known step by step
            self._sigma[[update.draws > 0 for update in chain.updates]] = np.nan
        self._eps_norm = np.zeros((own, shape[0]))
        self._guidance_norm = np.zeros((own, shape[0]))

    @property
    def _own(self) -> int:
        """Own steps, those after the parent was left."""
        return self.steps - self.leaves

    @property
    def ready(self) -> int:
        """How many states are known, from the noise on."""
        known = self._own + 1 if self._next == self._own else self._next
        if known or self.parent is None:
            return self.leaves + known
        return min(self.parent.ready, self.leaves)

    @property
    def estimates(self) -> int:
        """How many estimates x̂_0 are known; one for each state but the last."""
        return min(self.ready, self.steps)

    @property
    def is_complete(self) -> bool:
        return self.ready == self.steps + 1

    @property
    def sigma(self) -> NDArray[np.float64]:
        """Standard deviation of the noise of each step; NaN while one that is learned is unknown. (S,)"""
        return (
            self._sigma if self.parent is None else np.append(self.parent.sigma[: self.leaves], self._sigma)
        )

    @property
    def eps_norm(self) -> NDArray[np.float64]:
        """Root mean square of ε̂ in each estimate, for each sample. (S, n)"""
        if self.parent is None:
            return self._eps_norm
        return np.concatenate([self.parent.eps_norm[: self.leaves], self._eps_norm])

    @property
    def guidance_norm(self) -> NDArray[np.float64]:
        """Root mean square of ε̂(y) − ε̂(∅) in each step, for each sample; 0 where not computed. (S, n)"""
        if self.parent is None:
            return self._guidance_norm
        return np.concatenate([self.parent.guidance_norm[: self.leaves], self._guidance_norm])

    @property
    def is_guided(self) -> bool:
        """Whether any of its own steps tells a guided estimate from one without guidance."""
        return self.chain.is_guided

    def compute(self, until: int | None = None) -> Iterator[SamplingProgress]:
        """Computes what is missing, one step at a time; may be left and taken up again.

        Args:
            until: no further than this state; the whole chain when None.
        """
        if self._frontier is None:
            yield from self._begin()
        assert self._frontier is not None
        if self._next == self._own or (until is not None and self.ready > until):
            return
        for step in self.chain.steps(self._next, *self._frontier):
            self._record(step)
            yield SamplingProgress(self.leaves + step.index + 1, self.steps)
            if until is not None and self.ready > until:
                return

    def _begin(self) -> Iterator[SamplingProgress]:
        """Finds the first own state: the parent's, or noise, or the noise of an image."""
        if self.parent is not None:
            yield from self.parent.compute(self.leaves)
            self._frontier = self.parent.exact(self.leaves)
        else:
            starting = self.chain.starting()
            while self._frontier is None:
                try:
                    step = next(starting)
                    yield SamplingProgress(0, self.steps, f"inverting: t = {step.t}")
                except StopIteration as end:
                    self._frontier = end.value, None
        self._kept[0] = self._frontier
        self._x[0] = _half(self._frontier[0])

    def _record(self, step: ChainStep) -> None:
        k = step.index
        prediction = step.prediction
        self._x0[k] = _half(prediction.x0_hat)
        self._x[k + 1] = _half(step.x_s)
        if self._keeps_eps:
            self._eps[k] = _half(prediction.eps_hat)
        if self._keeps_fraction and prediction.fraction is not None:
            self._fraction[k] = _half(prediction.fraction)
            self._sigma[k] = step.update.learned_sigma(prediction.fraction)
        norm = prediction.eps_hat.float().flatten(1).square().mean(1).sqrt()
        self._eps_norm[k] = norm.cpu().numpy()
        if self.is_guided:
            self._record_guidance(k, prediction)
        self._frontier = step.x_s, step.past
        if (k + 1) % self._every == 0:
            self._kept[k + 1] = self._frontier
        self._next = k + 1

    def _record_guidance(self, k: int, prediction: Prediction) -> None:
        unguided, steering = prediction.unguided, prediction.steering
        if unguided is None or steering is None:
            self._unguided[k], self._direction[k] = self._x0[k], 0
            return
        self._unguided[k] = _half(self.chain.spec.clip(unguided).x0_hat)
        self._direction[k] = _half(steering.direction)
        self._guidance_norm[k] = steering.direction.float().flatten(1).square().mean(1).sqrt().cpu().numpy()

    def exact(self, k: int) -> tuple[Tensor, Past | None]:
        """State k in full precision, and what is known of the step before it; computed again from near by."""
        k = self._index(k)
        own = k - self.leaves
        if self.parent is not None and own <= 0:
            return self.parent.exact(k)
        if own == self._next and self._frontier is not None:
            return self._frontier
        near = max(number for number in self._kept if number <= own)
        x, past = self._kept[near]
        if near < own:
            for step in self.chain.steps(near, x, past):
                x, past = step.x_s, step.past
                if step.index == own - 1:
                    break
        return x, past

    def x_t(self, k: int) -> NDArray[np.float32]:
        """State k. (n, C, H, W)"""
        k = self._index(k)
        if self.parent is not None and k < self.leaves:
            return self.parent.x_t(k)
        state: NDArray[np.float32] = self._x[k - self.leaves].astype(np.float32)
        return state

    def x0_hat(self, k: int) -> NDArray[np.float32]:
        """The estimate of the image seen from state k; the last state is the image itself. (n, C, H, W)"""
        k = self._index(k)
        if self.parent is not None and k < self.leaves:
            return self.parent.x0_hat(k)
        own = k - self.leaves
        values = self._x[own] if own == self._own else self._x0[own]
        estimate: NDArray[np.float32] = values.astype(np.float32)
        return estimate

    def eps_hat(self, k: int) -> NDArray[np.float32]:
        """The estimate of the noise in state k; nothing is left of it in the last one. (n, C, H, W)"""
        k = self._index(k)
        if self.parent is not None and k < self.leaves:
            return self.parent.eps_hat(k)
        own = k - self.leaves
        if own == self._own:
            return np.zeros(self._x.shape[1:], np.float32)
        if self._keeps_eps:
            kept: NDArray[np.float32] = self._eps[own].astype(np.float32)
            return kept
        alpha_bar = self._alpha_bar(k)
        noise: NDArray[np.float32] = (self.x_t(k) - alpha_bar**0.5 * self.x0_hat(k)) / (1 - alpha_bar) ** 0.5
        return noise

    def unguided(self, k: int) -> NDArray[np.float32]:
        """x̂_0 from state k as it would be at γ = 0; as it is where γ_t is 0 or 1. (n, C, H, W)"""
        k = self._index(k)
        if self.parent is not None and k < self.leaves:
            return self.parent.unguided(k)
        own = k - self.leaves
        if not self.is_guided or own == self._own:
            return self.x0_hat(k)
        estimate: NDArray[np.float32] = self._unguided[own].astype(np.float32)
        return estimate

    def guidance(self, k: int) -> NDArray[np.float32]:
        """What γ multiplies in ε̂ at state k, ε̂(y) − ε̂(∅); 0 where it is not computed. (n, C, H, W)"""
        k = self._index(k)
        if self.parent is not None and k < self.leaves:
            return self.parent.guidance(k)
        own = k - self.leaves
        if not self.is_guided or own == self._own:
            return np.zeros(self._x.shape[1:], np.float32)
        direction: NDArray[np.float32] = self._direction[own].astype(np.float32)
        return direction

    def score(self, k: int) -> NDArray[np.float32]:
        """The estimate of the score at state k, −ε̂/√(1−ᾱ). (n, C, H, W)"""
        score: NDArray[np.float32] = -self.eps_hat(k) / max(1 - self._alpha_bar(k), 1e-12) ** 0.5
        return score

    def noise(self, k: int) -> NDArray[np.float32]:
        """The fresh noise that the step from state k added; none at the last one. (n, C, H, W)"""
        k = self._index(k)
        if self.parent is not None and k < self.leaves:
            return self.parent.noise(k)
        own = k - self.leaves
        update = self.chain.updates[own] if own < self._own else None
        unknown = self._keeps_fraction and own >= self._next
        if update is None or update.draws == 0 or unknown:
            return np.zeros(self._x.shape[1:], np.float32)
        draws = [self.chain.noise.step(self.times[k], self.chain.shape, n) for n in range(update.draws)]
        learned = torch.from_numpy(self._fraction[own].astype(np.float32)) if self._keeps_fraction else None
        fraction = None if learned is None else learned.to(draws[0])
        added = self.chain.spec.sampler.added_noise(update, draws, fraction)
        assert added is not None
        values: NDArray[np.float32] = added.cpu().numpy()
        return values

    def change(self, k: int) -> NDArray[np.float32]:
        """What the step from state k changed, x_s − x_t; nothing at the last one. (n, C, H, W)"""
        k = self._index(k)
        if k + 1 > self.steps or k + 1 > self.leaves + self._next:
            return np.zeros(self._x.shape[1:], np.float32)
        own = k + 1 - self.leaves
        if self.parent is not None and own <= 0:  # the state it leaves at is the parent's too
            return self.parent.change(k)
        change: NDArray[np.float32] = self._x[own].astype(np.float32) - self.x_t(k)
        return change

    def _alpha_bar(self, k: int) -> float:
        return self.chain.source.tables.alpha_bar_at(self.times[k])

    def values(self, view: View, k: int) -> NDArray[np.float32]:
        """One quantity at state k, in its own units. (n, C, H, W)"""
        read: Callable[[int], NDArray[np.float32]] = getattr(self, view)
        return read(k)

    def shown(self, view: View, k: int) -> NDArray[np.float32]:
        """The same in the range [−1, 1] of a picture.

        Images as they are; ε̂ and the score over three of their standard deviations, the others over three of
        what they are in this step. (n, C, H, W)
        """
        values = self.values(view, k)
        if view in ("x0_hat", "x_t", "unguided"):
            return values
        if view == "eps_hat":
            scale = 3.0
        elif view == "score":
            scale = 3 / max(1 - self._alpha_bar(k), 1e-12) ** 0.5
        else:
            scale = 3 * float(np.sqrt((values**2).mean())) or 1.0
        return values / np.float32(scale)

    def picture(self, view: View, k: int) -> NDArray[np.uint8]:
        """What the eye sees of state k. (n, H, W, C)"""
        return to_uint8(self.shown(view, k)).transpose(0, 2, 3, 1)

    def distance_to_end(self) -> NDArray[np.float64]:
        """Root mean square of x̂_0(t) − x̂_0(last) of each sample, as far as it is computed. (≤ S, n)"""
        steps = self.estimates
        if not steps:
            return np.zeros((0, self._x.shape[1]))
        end = self.x0_hat(steps - 1)
        return np.array([_distance(self.x0_hat(k), end) for k in range(steps)])

    def distance_to(self, other: Trajectory) -> NDArray[np.float64]:
        """Root mean square of the difference of both x_t, sample by sample. (S+1, n)

        NaN where not both are known, and at times that the other chain does not visit.
        """
        found = np.full((self.steps + 1, self._x.shape[1]), np.nan)
        where = {t: k for k, t in enumerate(other.times[: other.ready])}
        for k, t in enumerate(self.times[: self.ready]):
            if t in where:
                found[k] = _distance(self.x_t(k), other.x_t(where[t]))
        return found

    def _index(self, k: int) -> int:
        if not 0 <= k < self.ready and not (k == self.leaves and self._frontier is not None):
            raise IndexError(f"State {k} is not computed yet; there are {self.ready}.")
        return k


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Root mean square difference of each sample. (n,)"""
    distance: NDArray[np.float64] = np.sqrt(((a - b) ** 2).reshape(len(a), -1).mean(1, dtype=np.float64))
    return distance


def _on_disk(*shapes: tuple[int, ...]) -> tuple[NDArray[np.float16], ...]:
    """Arrays in one nameless temporary file, which goes when the last of them does.

    A mapped file that outgrows its disk would end the process, so there must be room beforehand.
    """
    sizes = [2 * math.prod(shape) for shape in shapes]
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if sum(sizes) > free:
        raise Refused(
            f"Keeping every step of this chain takes {sum(sizes) / 1e9:,.1f} GB, but {folder} has only "
            f"{free / 1e9:,.1f} GB left. Choose fewer images or fewer steps."
        )
    with tempfile.TemporaryFile(prefix="diffusion-studio-") as file:  # the mapping outlives it
        starts = itertools.accumulate(sizes, initial=0)
        return tuple(
            np.memmap(file, np.float16, "w+", start, shape)
            for start, shape in zip(starts, shapes, strict=False)
        )


def _half(values: Tensor) -> NDArray[np.float16]:
    half: NDArray[np.float16] = values.to(torch.float16).cpu().numpy()
    return half
