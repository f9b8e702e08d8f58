"""Denoisers that are known exactly: the ground truth of every test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import NO_LABEL, Denoiser
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr


class GaussianDenoiser:
    """The exact denoiser of data from N(m, a² I).

    Args:
        tables: the forward process.
        mean: m, a number or a tensor that broadcasts against x_t.
        std: a > 0.
    """

    learns_variance = False

    def __init__(self, tables: Tables, mean: float | Tensor = 0.0, std: float = 1.0) -> None:
        self.tables = tables
        self.mean = mean
        self.std = std

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        alpha_bar = self.tables.alpha_bar_at(t)
        root = alpha_bar**0.5
        gain = root * self.std**2 / (alpha_bar * self.std**2 + 1 - alpha_bar)
        return Prediction("x_0", self.mean + gain * (x_t - root * self.mean), x_t, alpha_bar)


class Memory(Protocol):
    """The images of a memorising denoiser, however many: only a piece of them is numbers at a time."""

    dtype: torch.dtype
    device: torch.device

    def __len__(self) -> int: ...

    def pieces(self) -> Iterator[Tensor]:
        """All of them in their order, in the range of x_0. (n, D) each"""


class WholeMemory:
    """Images that lie in memory as numbers.

    Args:
        images: (N, …) floating, in the range of x_0.
    """

    def __init__(self, images: Tensor) -> None:
        self._images = images.flatten(1)
        self.dtype, self.device = images.dtype, images.device

    def __len__(self) -> int:
        return len(self._images)

    def pieces(self) -> Iterator[Tensor]:
        yield self._images


class MemorisingDenoiser:
    """The exact denoiser of a finite data set: x̂_0 = Σ w_i x^(i).

    w_i ∝ exp(−‖x_t − √ᾱ x^(i)‖² / (2(1−ᾱ))). It needs no training, and it is what a network that only
    memorised its data would be. With a label only the images of that class take part.

    The images are gone through once a call, whether they are in memory or not: the sum over a piece is scaled
    by the largest weight so far.

    Args:
        tables: the forward process.
        images: (N, …) floating, in the range of x_0; or a memory that gives them piece by piece.
        labels: int64 (N,), or None without classes.
    """

    learns_variance = False

    def __init__(self, tables: Tables, images: Tensor | Memory, labels: Tensor | None = None) -> None:
        if len(images) == 0:
            raise Refused(tr("The memorising denoiser needs at least one image."))
        self.tables = tables
        self._memory: Memory = WholeMemory(images) if isinstance(images, Tensor) else images
        self._labels = None if labels is None else labels.to(images.device)
        # small tensors that stay would lie between the pieces and keep their memory, so there is one for all
        self._squares = torch.zeros(len(images), dtype=self._memory.dtype, device=images.device)  # ‖x^(i)‖²
        self._squared = 0  # how many of them are known

    @property
    def classes(self) -> int:
        """How many classes it can be asked for."""
        return 0 if self._labels is None else int(self._labels.max()) + 1

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        alpha_bar = self.tables.alpha_bar_at(t)
        x = x_t.flatten(1).to(self._memory.dtype)
        most = x.new_full((len(x), 1), torch.finfo(x.dtype).min)  # the largest ln w_i so far
        total, summed = torch.zeros_like(most), torch.zeros_like(x)  # Σ w_i, Σ w_i x^(i)
        for images, log_weights in self._weighed(x, alpha_bar, labels):
            now = torch.maximum(most, log_weights.amax(1, keepdim=True))
            kept, weights = (most - now).exp(), (log_weights - now).exp()
            total = kept * total + weights.sum(1, keepdim=True)
            summed, most = kept * summed + weights @ images, now
        return Prediction("x_0", (summed / total).to(x_t.dtype).view_as(x_t), x_t, alpha_bar)

    def _weighed(self, x: Tensor, alpha_bar: float, labels: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
        """The images piece by piece, (n, D), and ln w_i up to a constant of each row of x. (B, n)"""
        start = 0
        for images in self._memory.pieces():
            end = start + len(images)
            if end > self._squared:
                self._squares[start:end], self._squared = (images**2).sum(1), end
            # ‖x − √ᾱ x_i‖² without the term ‖x‖², which every i shares
            distances = alpha_bar * self._squares[start:end] - 2 * alpha_bar**0.5 * (x @ images.T)
            log_weights: Tensor = -distances / (2 * (1 - alpha_bar))
            if labels is not None and self._labels is not None:
                asked, known = labels.to(x.device)[:, None], self._labels[start:end]
                log_weights = log_weights.masked_fill((asked != NO_LABEL) & (asked != known), -torch.inf)
            yield images, log_weights
            start = end

    def class_log_probs(self, x_t: Tensor, t: int) -> Tensor:
        """log p(y | x_t): how much of the posterior weight lies on each class. (B, K)

        Raises:
            Refused: images without classes.
        """
        if self._labels is None:
            raise Refused(tr("These images have no classes."))
        x = x_t.flatten(1).to(self._memory.dtype)
        found, start = x.new_empty(len(x), len(self._memory)), 0
        for _, log_weights in self._weighed(x, self.tables.alpha_bar_at(t), None):
            found[:, start : start + log_weights.shape[1]] = log_weights
            start += log_weights.shape[1]
        log_weights = torch.log_softmax(found, dim=1)  # (B, N)
        return torch.stack(
            [log_weights[:, self._labels == k].logsumexp(1) for k in range(self.classes)], dim=1
        )


class KnowsClasses(Denoiser, Protocol):
    """An exact denoiser that knows the posterior over its classes."""

    def class_log_probs(self, x_t: Tensor, t: int) -> Tensor:
        """log p(y | x_t). (B, K)"""


class PosteriorClassifier:
    """The exact classifier of a denoiser that knows its own posterior over classes.

    Its gradient is the difference of two scores, ∇log p(y|x_t) = s(x_t, y) − s(x_t) (Bayes; Luo eq. 165).

    Args:
        denoiser: exact, knows labels.
        classes: K.
    """

    def __init__(self, denoiser: KnowsClasses, classes: int) -> None:
        self.denoiser = denoiser
        self.classes = classes

    def log_probs(self, x_t: Tensor, t: int) -> Tensor:
        return self.denoiser.class_log_probs(x_t, t)

    def gradient(self, x_t: Tensor, t: int, labels: Tensor) -> Tensor:
        return self.denoiser(x_t, t, labels).score_hat - self.denoiser(x_t, t, None).score_hat
