"""The order of the data and every random draw of a step, as pure functions of (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import NO_LABEL
from diffusion_studio.core.devices import finest, sent
from diffusion_studio.core.objective.time_density import LossHistory, TimeDensity, UniformDensity
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.data.imageset import ImageSet

_ORDER, _DRAWS = 11, 12  # streams of the counter


class DataOrder:
    """An endless sequence of image numbers: one permutation after another."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed
        self._epoch = -1
        self._permutation: NDArray[np.int64] = np.empty(0, np.int64)

    def slice(self, position: int, size: int) -> NDArray[np.int64]:
        """The `size` numbers from `position` on. (size,)"""
        parts: list[NDArray[np.int64]] = []
        while size > 0:
            epoch, start = divmod(position, self.count)
            part = self._epoch_order(epoch)[start : start + size]
            parts.append(part)
            position, size = position + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            philox = np.random.Philox(counter=[0, 0, epoch, _ORDER], key=self.seed)
            self._permutation = np.random.Generator(philox).permutation(self.count)
            self._epoch = epoch
        return self._permutation


@dataclass(frozen=True, eq=False)
class Batch:
    """One training batch on its device, or some of its rows."""

    x_0: Tensor  # (B, C, H, W) in [−1, 1]
    t: Tensor  # int64 (B,), 1 … T
    noise: Tensor  # (B, C, H, W)
    labels: Tensor | None  # int64 (B,), −1 for ∅
    correction: Tensor | None = None  # 1 / (T p_t) of each loss, float32 (B,); None: 1
    times: Tensor | None = None  # t of the whole batch, where these are some rows of it

    @property
    def every_t(self) -> Tensor:
        """t of the whole batch, whoever computes its other rows. int64"""
        return self.t if self.times is None else self.times

    @property
    def share(self) -> float:
        """How much of the whole batch this is."""
        return len(self.t) / len(self.every_t)

    def part(self, rows: slice) -> Batch:
        """Some of its images."""
        labels = None if self.labels is None else self.labels[rows]
        correction = None if self.correction is None else self.correction[rows]
        return Batch(self.x_0[rows], self.t[rows], self.noise[rows], labels, correction, self.every_t)


class Examples(Protocol):
    """What a network is trained on: pixels, or codes in their place."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one example, (C, H, W)."""

    def batch(self, numbers: NDArray[np.int64], mirrored: Tensor | None) -> Tensor:
        """Some of them as numbers, on the device. (B, C, H, W)

        Args:
            mirrored: which are turned left to right (B,); None: none is.
        """

    def pictures(self, x: Tensor) -> Tensor:
        """What the eye sees of examples. (B, C, H, W) in [−1, 1]"""


class Pixels:
    """The pixels themselves, in [−1, 1]."""

    def __init__(self, images: NDArray[np.uint8], device: torch.device) -> None:
        self._images, self._device = images, device

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self._images.shape[1:]
        return channels, height, width

    def batch(self, numbers: NDArray[np.int64], mirrored: Tensor | None) -> Tensor:
        pixels = sent(torch.from_numpy(self._images[numbers]), self._device)
        x = pixels.to(torch.float32).div_(127.5).sub_(1)
        return x if mirrored is None else torch.where(mirrored[:, None, None, None], x.flip(3), x)

    def pictures(self, x: Tensor) -> Tensor:
        return x


class BatchSource:
    """Batches from an image set: indexed, mirrored and converted all at once, on the device.

    Args:
        images: the data.
        steps: T.
        classes: K for a conditional network, 0 otherwise.
        dropout: probability that a label is hidden.
        numbers: which of the images are used, (N',); None: all.
        examples: what is trained on of them; None: their pixels.
    """

    def __init__(
        self,
        images: ImageSet,
        steps: int,
        classes: int,
        dropout: float,
        flip: bool,
        seed: int,
        device: torch.device,
        numbers: NDArray[np.int64] | None = None,
        examples: Examples | None = None,
    ) -> None:
        self._images = images
        self.examples: Examples = examples or Pixels(images.images, device)
        self._numbers = np.arange(images.count) if numbers is None else numbers
        self._steps = steps
        self._classes = classes
        self._dropout = dropout
        self._flip = flip
        self._seed = seed
        self._device = device
        self._order = DataOrder(len(self._numbers), seed)
        self._generator = torch.Generator(device)
        self.density: TimeDensity = UniformDensity()
        self.history: LossHistory | None = None
        self._tables: Tables | None = None  # of a density that is not uniform
        self._fixed: Tensor | None = None  # p_t of a density that does not learn, (T,)
        self._finest = finest(device)

    @property
    def count(self) -> int:
        """How many images are trained on."""
        return len(self._numbers)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Which of all images these are. (N',)"""
        return self._numbers

    def set_density(self, density: TimeDensity, tables: Tables) -> None:
        """Draws t from this density over the times of these tables from the next batch on."""
        if density == self.density:
            return
        self.density = density
        if not density.learns:
            self.history = None
        elif self.history is None:
            self.history = LossHistory(self._steps, device=self._device)
        uniform = isinstance(density, UniformDensity)
        self._tables = tables
        self._fixed = None if uniform or density.learns else self._probabilities()

    def _probabilities(self) -> Tensor:
        known = None if self.history is None else self.history.mean_square()
        if self._tables is None:
            return torch.full((self._steps,), 1 / self._steps, device=self._device, dtype=self._finest)
        return self.density.probabilities(self._tables, known).to(self._device, self._finest)

    def probabilities(self) -> Tensor:
        """p_1 … p_T of the next batch, as finely as the device knows them. (T,)"""
        return self._fixed if self._fixed is not None else self._probabilities()

    def learn(self, t: Tensor, losses: Tensor) -> None:
        """Tells a density that learns the weighted losses (B,) at times t (B,)."""
        if self.history is not None:
            self.history.add(t, losses)

    def batch(self, step: int, position: int, size: int, rows: slice = slice(None)) -> Batch:
        """The batch of a step; `position` counts the images seen before it.

        Args:
            rows: those of it that are wanted. All is drawn, but only their images are read.
        """
        self._generator.manual_seed(_step_seed(self._seed, step))
        numbers = self._numbers[self._order.slice(position, size)]
        mirrored = self._uniform(size) < 0.5 if self._flip else None
        x_0 = self.examples.batch(numbers[rows], None if mirrored is None else mirrored[rows])
        t, correction = self._times(size)
        noise = torch.randn((size, *x_0.shape[1:]), generator=self._generator, device=self._device)
        labels = self._labels(numbers, size)
        whole = Batch(x_0, t, noise, labels, correction)
        return whole if rows == slice(None) else replace(whole.part(rows), x_0=x_0)

    def _times(self, size: int) -> tuple[Tensor, Tensor | None]:
        """Times 1 … T, one from each of `size` equal strata of the density (VDM §I.1). int64 (size,)

        With strata the losses of different batches can be compared better than with independent draws. The
        second tensor is 1 / (T p_t), where the density asks for it.
        """
        strata = torch.arange(size, device=self._device)
        shares = (strata + self._uniform(size)).to(self._finest) / size
        if isinstance(self.density, UniformDensity):
            return (shares * self._steps).long().clamp_(max=self._steps - 1) + 1, None
        p = self.probabilities()
        edges = torch.cumsum(p, 0)
        index = torch.searchsorted(edges, shares * edges[-1], right=True).clamp_(max=self._steps - 1)
        correction = (1 / (self._steps * p[index])).float() if self.density.corrects else None
        return index + 1, correction

    def _labels(self, numbers: NDArray[np.int64], size: int) -> Tensor | None:
        if not self._classes:
            return None
        labels = sent(torch.from_numpy(self._images.labels[numbers]), self._device)
        hidden = (self._uniform(size) < self._dropout) | (labels == NO_LABEL)
        return labels.masked_fill(hidden, NO_LABEL)

    def _uniform(self, size: int) -> Tensor:
        return torch.rand(size, generator=self._generator, device=self._device)


def _step_seed(seed: int, step: int) -> int:
    """A 63-bit seed that differs for every (seed, step)."""
    words = np.random.SeedSequence([seed, _DRAWS, step]).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))
