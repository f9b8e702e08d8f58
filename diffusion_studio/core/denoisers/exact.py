"""Denoisers that are known exactly: the ground truth of every test."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import NO_LABEL, Denoiser
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused


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


class MemorisingDenoiser:
    """The exact denoiser of a finite data set: x̂_0 = Σ w_i x^(i).

    w_i ∝ exp(−‖x_t − √ᾱ x^(i)‖² / (2(1−ᾱ))). It needs no training, and it is what a network that only
    memorised its data would be. With a label only the images of that class take part.

    Args:
        tables: the forward process.
        images: (N, …) floating, in the range of x_0.
        labels: int64 (N,), or None without classes.
    """

    learns_variance = False

    def __init__(self, tables: Tables, images: Tensor, labels: Tensor | None = None) -> None:
        if len(images) == 0:
            raise Refused("The memorising denoiser needs at least one image.")
        self.tables = tables
        self._images = images.flatten(1)  # (N, D)
        self._squares = (self._images**2).sum(1)  # (N,)
        self._labels = None if labels is None else labels.to(images.device)

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        alpha_bar = self.tables.alpha_bar_at(t)
        weights = torch.softmax(self._log_weights(x_t, alpha_bar, labels), dim=1)  # (B, N)
        x0_hat = (weights @ self._images).to(x_t.dtype).view_as(x_t)
        return Prediction("x_0", x0_hat, x_t, alpha_bar)

    def _log_weights(self, x_t: Tensor, alpha_bar: float, labels: Tensor | None) -> Tensor:
        """ln w_i up to a constant of each row. (B, N)"""
        x = x_t.flatten(1).to(self._images.dtype)
        # ‖x − √ᾱ x_i‖² without the term ‖x‖², which every i shares
        distances = alpha_bar * self._squares - 2 * alpha_bar**0.5 * (x @ self._images.T)
        log_weights: Tensor = -distances / (2 * (1 - alpha_bar))
        if labels is not None and self._labels is not None:
            asked = labels.to(x.device)[:, None]
            log_weights = log_weights.masked_fill((asked != NO_LABEL) & (asked != self._labels), -torch.inf)
        return log_weights

    def class_log_probs(self, x_t: Tensor, t: int) -> Tensor:
        """log p(y | x_t): how much of the posterior weight lies on each class. (B, K)

        Raises:
            Refused: images without classes.
        """
        if self._labels is None:
            raise Refused("These images have no classes.")
        log_weights = torch.log_softmax(self._log_weights(x_t, self.tables.alpha_bar_at(t), None), dim=1)
        classes = range(int(self._labels.max()) + 1)
        return torch.stack([log_weights[:, self._labels == k].logsumexp(1) for k in classes], dim=1)


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
