"""Ways to learn a score: from the noise that was added, or from the noisy points alone; and an energy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import READINGS, PredictionKind
from diffusion_studio.models.network import Output

_OF_LEVEL = 0.3  # what the slope over the level counts beside that over the place


class Asked(Protocol):
    """What is trained: it says one of the predictions of each x_t at a time of its own."""

    def predict(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Output: ...


class Sloped(Protocol):
    """An energy: it says the slopes of it, over the place (as ε̂) and over ln ς."""

    def slopes(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True, eq=False)
class Batch:
    """Noised points with what was done to them."""

    x_0: Tensor  # (B, 2)
    noise: Tensor  # ε (B, 2)
    t: Tensor  # (B,)
    alpha_bar: Tensor  # (B, 1)
    labels: Tensor | None = None  # (B,), −1 for ∅

    @property
    def x_t(self) -> Tensor:
        return self.alpha_bar.sqrt() * self.x_0 + (1 - self.alpha_bar).sqrt() * self.noise


def denoising(network: Asked, batch: Batch, kind: PredictionKind) -> Tensor:
    """Mean squared error of what the network predicts (Luo eq. 161; Vincent 2011)."""
    a, b = batch.alpha_bar.sqrt(), (1 - batch.alpha_bar).sqrt()
    reading = READINGS[kind]
    value = network.predict(batch.x_t, batch.t, batch.labels).value
    error = value - reading.target(batch.x_0, batch.noise, a, b)
    loss: Tensor = ((reading.own_factor(a, b) * error) ** 2).mean()
    return loss


def implicit(network: Asked, batch: Batch, kind: PredictionKind) -> Tensor:
    """Mean of (1−ᾱ)(½ ‖ŝ‖² + tr ∇ŝ) (Hyvärinen 2005, theorem 1), with the exact trace.

    Under p_t it is half of E (1−ᾱ) ‖ŝ − s‖² less a constant, so it has the minimum of `denoising` for ε.
    """
    x_t = batch.x_t.requires_grad_()
    value = network.predict(x_t, batch.t, batch.labels).value
    score = Prediction(kind, value, x_t, batch.alpha_bar).score_hat
    terms = 0.5 * (score**2).sum(1) + trace_of_jacobian(score, x_t)
    return ((1 - batch.alpha_bar[:, 0]) * terms).mean()


def trace_of_jacobian(field: Tensor, x: Tensor) -> Tensor:
    """tr ∇f of each point, for f (B, 2) computed from x (B, 2) point by point. (B,)"""
    found = torch.zeros_like(x[:, 0])
    for i in range(x.shape[1]):
        (slope,) = torch.autograd.grad(field[:, i].sum(), x, create_graph=True)
        found = found + slope[:, i]
    return found


def energetic(network: Sloped, batch: Batch) -> Tensor:
    """Denoising score matching of an energy, over the place and over the level.

    The slope over the place says nothing of how much of the whole lies in each of two parts with nothing
    between them. How log p_t changes with the level at one place does, for at high levels all parts are one:

        ∂ log p_t/∂ ln ς = E[∂ log p(x_t|x_0)/∂ ln ς | x_t],

    the mean of a number that is known of each noised point, as the noise is.

    Source:
        DRE-∞ (the time score), here learned from noised points as the score is.
    """
    eps_hat, rise = network.slopes(batch.x_t, batch.t, batch.labels)
    return ((eps_hat - batch.noise) ** 2).mean() + _OF_LEVEL * ((rise + level_slope(batch)) ** 2).mean()


def level_slope(batch: Batch) -> Tensor:
    """∂ log p(x_t|x_0)/∂ ln ς at x_t, in the coordinates of chains. (B,)"""
    alpha_bar, noise = batch.alpha_bar[:, 0], batch.noise
    towards = (noise * batch.x_0).sum(1)
    d = noise.shape[1]
    return alpha_bar * ((noise**2).sum(1) - d) - (alpha_bar * (1 - alpha_bar)).sqrt() * towards


LOSSES: dict[str, Callable[[Asked, Batch, PredictionKind], Tensor]] = {
    "denoising": denoising,
    "implicit": implicit,
}
