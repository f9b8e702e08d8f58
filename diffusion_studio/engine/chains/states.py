"""What the steps of one chain left, as float16: in memory up to a cap, and then in a nameless file."""

from __future__ import annotations

import itertools
import math
import shutil
import tempfile
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.chain import ChainStep
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.chains.chain import NOT_NUMBERS, Chain

MEMORY_CAP = 1 << 30  # bytes; what is larger lies in a nameless temporary file


class States:
    """State k is x at times[k], k = 0 … S; estimate k is x̂_0 as seen from state k, k = 0 … S−1.

    Beside them only what cannot be worked out of them is kept: ε̂ where clipping leaves it as it is, what
    guidance adds, and what the network says of the noise. Memory and disk are given back with the last
    reference.

    Args:
        chain: whose steps they are.
        memory_cap: bytes up to which they stay in memory.

    Raises:
        Refused: neither memory nor disk has room for them; the message is a sentence for a person.
    """

    def __init__(self, chain: Chain, memory_cap: int = MEMORY_CAP) -> None:
        self.steps = len(chain.times) - 1  # S
        self.shape = chain.shape  # (n, C, H, W)
        self._clip, self._guided, self._name = chain.clip, chain.is_guided, chain.source.name
        lengths = {"x_t": self.steps + 1, "x0_hat": self.steps, **dict.fromkeys(_further(chain), self.steps)}
        shapes = [(length, *self.shape) for length in lengths.values()]
        self.size = 2 * sum(math.prod(shape) for shape in shapes)  # bytes
        self.on_disk = self.size > memory_cap
        arrays = _on_disk(shapes) if self.on_disk else [np.empty(shape, np.float16) for shape in shapes]
        self.arrays: dict[str, NDArray[np.float16]] = dict(zip(lengths, arrays, strict=True))
        self.sigma = np.array([update.added_sigma for update in chain.updates])  # (S,)
        if self.keeps("fraction"):  # what the network says of noise is known step by step
            self.sigma[[update.draws > 0 for update in chain.updates]] = np.nan
        self.eps_norm = np.zeros((self.steps, self.shape[0]))
        self.guidance_norm = np.zeros((self.steps, self.shape[0]))

    def keeps(self, name: str) -> bool:
        return name in self.arrays

    def read(self, name: str, k: int) -> NDArray[np.float32]:
        """A copy of what is kept under a name. (n, C, H, W)"""
        values: NDArray[np.float32] = self.arrays[name][k].astype(np.float32)
        return values

    def begin(self, x: Tensor) -> None:
        """Keeps the first state. (n, C, H, W)"""
        self._write("x_t", 0, x)

    def record(self, step: ChainStep) -> None:
        """Keeps the state that a step leads to, and all that its prediction says.

        Raises:
            Refused: the network answers with values that are not numbers.
        """
        k, prediction = step.index, step.prediction
        self.eps_norm[k] = _norms(prediction.eps_hat)
        if not np.isfinite(self.eps_norm[k]).all():
            raise Refused(NOT_NUMBERS.format(name=self._name, t=step.t))
        self._write("x0_hat", k, prediction.x0_hat)
        self._write("x_t", k + 1, step.x_s)
        if self.keeps("eps_hat"):
            self._write("eps_hat", k, prediction.eps_hat)
        if self.keeps("fraction") and prediction.fraction is not None:
            self._write("fraction", k, prediction.fraction)
            self.sigma[k] = step.update.learned_sigma(prediction.fraction)
        if self._guided:
            self._record_guidance(k, prediction)

    def _record_guidance(self, k: int, prediction: Prediction) -> None:
        unguided, steering = prediction.unguided, prediction.steering
        if unguided is None or steering is None:
            self.arrays["unguided"][k], self.arrays["guidance"][k] = self.arrays["x0_hat"][k], 0
            return
        self._write("unguided", k, self._clip(unguided).x0_hat)
        self._write("guidance", k, steering.direction)
        self.guidance_norm[k] = _norms(steering.direction)

    def _write(self, name: str, k: int, values: Tensor) -> None:
        self.arrays[name][k] = values.to(torch.float16).cpu().numpy()


def _further(chain: Chain) -> list[str]:
    """What is kept of each step beside its state and its estimate."""
    wanted = {
        "eps_hat": chain.clip.keeps_eps,
        "unguided": chain.is_guided,
        "guidance": chain.is_guided,
        "fraction": chain.spec.sampler.uses_learned_variance,
    }
    return [name for name, is_wanted in wanted.items() if is_wanted]


def _norms(values: Tensor) -> NDArray[np.float64]:
    """Root mean square of each sample. (n,)"""
    norms: NDArray[np.float64] = values.float().flatten(1).square().mean(1).sqrt().cpu().numpy()
    return norms


def _on_disk(shapes: Sequence[tuple[int, ...]]) -> list[NDArray[np.float16]]:
    """Arrays in one nameless temporary file, which goes when the last of them does.

    A mapped file that outgrows its disk would end the process, so there must be room beforehand.
    """
    sizes = [2 * math.prod(shape) for shape in shapes]
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if sum(sizes) > free:
        raise Refused(
            tr(
                "Keeping every step of this chain takes {needed:,.1f} GB, but {folder} has only "
                "{free:,.1f} GB left. Choose fewer images or fewer steps.",
                needed=sum(sizes) / 1e9,
                folder=folder,
                free=free / 1e9,
            )
        )
    with tempfile.TemporaryFile(prefix="diffusion-studio-") as file:  # the mapping outlives it
        starts = itertools.accumulate(sizes, initial=0)
        return [
            np.memmap(file, np.float16, "w+", start, shape)
            for start, shape in zip(starts, shapes, strict=False)
        ]
