"""The record of one reverse chain: computed step by step, cached, read at random."""

from __future__ import annotations

import itertools
import math
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.data.imageset import to_uint8
from diffusion_studio.engine.events import SamplingProgress
from diffusion_studio.engine.sampling import Chain

View = Literal["x0_hat", "x_t", "eps_hat"]
MEMORY_CAP = 1 << 30  # bytes; a larger record lies in a nameless temporary file


class Trajectory:
    """All states x_t and estimates x̂_0 of one chain, as float16.

    State k is x at times[k], k = 0 … S; estimate k is x̂_0 as seen from state k, k = 0 … S−1. What is not
    computed yet is not there: the first `ready` states can be read. Values for display are rounded to
    float16; the chain itself goes on in full precision. Memory and disk are given back with the last
    reference, so that a file can still be written from a record that is no longer shown.

    Args:
        chain: what to compute.
        memory_cap: bytes up to which the record stays in memory.

    Raises:
        ValueError: neither memory nor disk has room for it; the message is a sentence for a person.
    """

    def __init__(self, chain: Chain, memory_cap: int = MEMORY_CAP) -> None:
        self.chain = chain
        self.times = chain.times
        self.steps = len(self.times) - 1
        shape = chain.source.shape(chain.spec.count)
        self.size = 2 * 2 * (self.steps + 1) * int(np.prod(shape))  # bytes
        shapes = (self.steps + 1, *shape), (self.steps, *shape)
        if self.size > memory_cap:
            self._x, self._x0 = _on_disk(*shapes)
        else:
            self._x, self._x0 = (np.empty(shape, np.float16) for shape in shapes)
        self.ready = 0  # states that are known, each with its estimate
        sampler, tables = chain.spec.sampler, chain.source.tables
        kernels = [sampler.kernel(tables, t, s) for t, s in itertools.pairwise(self.times)]
        self.sigma = np.array([kernel.sigma for kernel in kernels])  # (S,)
        self.eps_norm = np.zeros((self.steps, shape[0]))  # ‖ε̂‖ per pixel of each sample
        self._frontier: Tensor | None = None

    @property
    def estimates(self) -> int:
        """How many estimates x̂_0 are known; one for each state but the last."""
        return min(self.ready, self.steps)

    @property
    def is_complete(self) -> bool:
        return self.ready == self.steps + 1

    def compute(self) -> Iterator[SamplingProgress]:
        """Computes what is missing, one step at a time; may be left and taken up again."""
        if self._frontier is None:
            self._frontier = self.chain.start()
            self._x[0] = _half(self._frontier)
        for step in self.chain.steps(self.ready, self._frontier):
            self._x0[step.index] = _half(step.prediction.x0_hat)
            self._x[step.index + 1] = _half(step.x_s)
            norm = step.prediction.eps_hat.float().flatten(1).square().mean(1).sqrt()
            self.eps_norm[step.index] = norm.cpu().numpy()
            self._frontier = step.x_s
            last = step.index == self.steps - 1
            self.ready = self.steps + 1 if last else step.index + 1
            yield SamplingProgress(step.index + 1, self.steps)

    def x_t(self, k: int) -> NDArray[np.float32]:
        """State k. (n, C, H, W)"""
        state: NDArray[np.float32] = self._x[self._index(k)].astype(np.float32)
        return state

    def x0_hat(self, k: int) -> NDArray[np.float32]:
        """The estimate of the image seen from state k; the last state is the image itself. (n, C, H, W)"""
        k = self._index(k)
        values = self._x[k] if k == self.steps else self._x0[k]
        estimate: NDArray[np.float32] = values.astype(np.float32)
        return estimate

    def eps_hat(self, k: int) -> NDArray[np.float32]:
        """The estimate of the noise in state k; nothing is left of it in the last one. (n, C, H, W)"""
        k = self._index(k)
        if k == self.steps:
            return np.zeros(self._x.shape[1:], np.float32)
        alpha_bar = self.chain.source.tables.alpha_bar_at(self.times[k])
        noise: NDArray[np.float32] = (self.x_t(k) - alpha_bar**0.5 * self.x0_hat(k)) / (1 - alpha_bar) ** 0.5
        return noise

    def picture(self, view: View, k: int) -> NDArray[np.uint8]:
        """What the eye sees of state k: x̂_0 and x_t clipped to the range of pixels, ε̂ to ±3. (n, H, W, C)"""
        values: NDArray[np.floating[Any]]
        match view:
            case "x0_hat":
                values = self.x0_hat(k)
            case "x_t":
                values = self.x_t(k)
            case "eps_hat":
                values = self.eps_hat(k) / 3
        return to_uint8(values).transpose(0, 2, 3, 1)

    def distance_to_end(self) -> NDArray[np.float64]:
        """Root mean square of x̂_0(t) − x̂_0(last) of each sample, as far as it is computed. (≤ S, n)"""
        steps = self.estimates
        distances = np.zeros((steps, self._x.shape[1]))
        for k in range(steps):
            difference = (self._x0[k].astype(np.float32) - self._x0[steps - 1]).reshape(len(distances[k]), -1)
            distances[k] = np.sqrt((difference**2).mean(axis=1))
        return distances

    def _index(self, k: int) -> int:
        if not 0 <= k < self.ready:
            raise IndexError(f"State {k} is not computed yet; there are {self.ready}.")
        return k


def _on_disk(*shapes: tuple[int, ...]) -> tuple[NDArray[np.float16], ...]:
    """Arrays in one nameless temporary file, which goes when the last of them does.

    A mapped file that outgrows its disk would end the process, so there must be room beforehand.
    """
    sizes = [2 * math.prod(shape) for shape in shapes]
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if sum(sizes) > free:
        raise ValueError(
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
