"""Guidance: a denoiser pushed towards a class, by itself or by a classifier (Luo eq. 166–170)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import NO_LABEL, Denoiser
from diffusion_studio.core.denoisers.predictions import Prediction, Steering
from diffusion_studio.core.denoisers.readings import plus
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.steps.update import Term, Update

Strength = Callable[[int], float | Tensor]  # γ_t; a tensor (B,) has one for each sample


class Classifier(Protocol):
    """p(y | x_t): what class a noisy image shows."""

    @property
    def classes(self) -> int:
        """K."""

    def log_probs(self, x_t: Tensor, t: int) -> Tensor:
        """log p(y | x_t) of every class. (B, K)

        Args:
            x_t: (B, …).
            t: 1 … T.
        """

    def gradient(self, x_t: Tensor, t: int, labels: Tensor) -> Tensor:
        """∇ log p(y | x_t) with respect to x_t; 0 where the label is −1. (B, …)"""


def gradient_of(log_probs: Callable[[Tensor], Tensor], x: Tensor, labels: Tensor) -> Tensor:
    """∇_x log p(y | x) by automatic differentiation; 0 where the label is −1. (B, …)"""
    with torch.inference_mode(False), torch.enable_grad():
        x, labels = x.clone().requires_grad_(), labels.clone()
        chosen = log_probs(x).gather(1, labels.clamp(min=0)[:, None])[:, 0]
        (gradient,) = torch.autograd.grad(torch.where(labels < 0, 0, chosen).sum(), x)
    return gradient.detach()


def constant(gamma: float | Tensor) -> Strength:
    """The same γ at every t."""
    return lambda t: gamma


@dataclass(frozen=True, eq=False)
class GuidedDenoiser:
    """ε̂ = ε̂(x_t, ∅) + γ_t (ε̂(x_t, y) − ε̂(x_t, ∅)), all that is asked of the network in one batched call.

    γ = 0 is unconditional, γ = 1 conditional, γ > 1 stronger; Ho & Salimans' w is γ − 1. At 0 and at 1
    only the half that counts is computed.

    Args:
        base: a denoiser that knows labels, and −1 for ∅.
        strength: γ_t.
        negative: a class to keep away from: it takes the place of ∅.
        second: a second class, mixed into the first: (1 − share) ε̂(y) + share ε̂(second).
        share: how much of it.
        weak: a worse denoiser; its ε̂(x_t, y) takes the place of ε̂(x_t, ∅) (autoguidance, Karras et al.
            2024).
    """

    base: Denoiser
    strength: Strength
    negative: int = NO_LABEL
    second: int = NO_LABEL
    share: float = 0.0
    weak: Denoiser | None = None

    @property
    def tables(self) -> Tables:
        return self.base.tables

    @property
    def learns_variance(self) -> bool:
        return self.base.learns_variance

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        if labels is None and self.weak is None:
            return self.base(x_t, t, None)
        gamma = self.strength(t)
        mixed = self.share > 0 and self.second != NO_LABEL and labels is not None
        if not isinstance(gamma, Tensor):
            if gamma == 0 and self.weak is not None:
                return self.weak(x_t, t, labels)
            if gamma == 0:
                return self.base(x_t, t, self._reference(labels))
            if gamma == 1 and not mixed:
                return self.base(x_t, t, labels)
        asked = [labels]
        if mixed:
            assert labels is not None
            asked.append(torch.full_like(labels, self.second))
        if self.weak is None:
            asked.append(self._reference(labels))
        (target, *others), fraction = self._ask(x_t, t, asked)
        if mixed:
            target = torch.lerp(target, others[0], self.share)
        unguided = others[-1] if self.weak is None else self.weak(x_t, t, labels).eps_hat
        return _steered(x_t, self.tables.alpha_bar_at(t), gamma, target - unguided, unguided, fraction)

    def _reference(self, labels: Tensor | None) -> Tensor | None:
        """What stands in for y at γ = 0: ∅, or the class to keep away from."""
        return None if labels is None else torch.full_like(labels, self.negative)

    def _ask(
        self, x_t: Tensor, t: int, asked: list[Tensor | None]
    ) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """ε̂ for each of the labellings, and v for the first of them, from one call."""
        labels = asked[0] if len(asked) == 1 else torch.cat([each for each in asked if each is not None])
        both = self.base(torch.cat([x_t] * len(asked)), t, labels)
        fraction = None if both.fraction is None else both.fraction[: len(x_t)]
        return both.eps_hat.chunk(len(asked)), fraction


@dataclass(frozen=True, eq=False)
class ClassifierGuidedDenoiser:
    """ε̂ = ε̂(x_t) − γ_t √(1−ᾱ_t) ∇log p(y | x_t) (Dhariwal & Nichol 2021, algorithm 2; Luo eq. 166).

    The base is asked without a label, so it need not know any.
    """

    base: Denoiser
    classifier: Classifier
    strength: Strength

    @property
    def tables(self) -> Tables:
        return self.base.tables

    @property
    def learns_variance(self) -> bool:
        return self.base.learns_variance

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        plain = self.base(x_t, t, None)
        gamma = self.strength(t)
        if labels is None or (not isinstance(gamma, Tensor) and gamma == 0):
            return plain
        direction = as_noise(self.classifier.gradient(x_t, t, labels), self.tables, t)
        return _steered(x_t, plain.alpha_bar, gamma, direction, plain.eps_hat, plain.fraction)


@dataclass(frozen=True, eq=False)
class MeanShift:
    """The step's mean is moved by γ_t σ_t² ∇log p(y | x_t) (Dhariwal & Nichol 2021, algorithm 1).

    σ_t is the noise that the step adds, so it does nothing in a step that adds none.
    """

    classifier: Classifier
    strength: Strength

    def shown(self, update: Update, t: int) -> Update:
        """The update with its shift as one more term; γ_t must be a number."""
        gamma = float(self.strength(t))
        if update.sigma == 0 or gamma == 0:
            return update
        shift = Term("class_gradient", gamma * update.sigma**2, r"\gamma\sigma_t^2")
        if update["learned_noise"]:
            shift = Term("learned_gradient", shift.value, r"\gamma\tilde\beta_t")
        return replace(update, terms=(*update.terms, shift))

    def applied(
        self,
        tables: Tables,
        t: int,
        update: Update,
        prediction: Prediction,
        labels: Tensor | None,
        x_s: Tensor,
    ) -> tuple[Tensor, Prediction]:
        """x_s after the shift, and the prediction that tells of it."""
        gamma = self.strength(t)
        if labels is None or update.sigma == 0 or (not isinstance(gamma, Tensor) and gamma == 0):
            return x_s, prediction
        gradient = self.classifier.gradient(prediction.x_t, t, labels)
        gamma = _per_sample(gamma, gradient)
        direction = as_noise(gradient, tables, t)
        told = replace(prediction, steering=Steering(gamma, direction, prediction.eps_hat))
        return plus(x_s, gradient, gamma * update.variance(prediction.fraction)), told


def as_noise(score: Tensor, tables: Tables, t: int) -> Tensor:
    """A score, or a part of one, as a part of ε̂: −√(1−ᾱ_t) · score. (B, …)"""
    scaled: Tensor = -((1 - tables.alpha_bar_at(t)) ** 0.5) * score
    return scaled


def _steered(
    x_t: Tensor, alpha_bar: float | Tensor, gamma: float | Tensor, direction: Tensor, unguided: Tensor,
    fraction: Tensor | None,
) -> Prediction:  # fmt: skip
    gamma = _per_sample(gamma, x_t)
    eps_hat = plus(unguided, direction, gamma)
    return Prediction("eps", eps_hat, x_t, alpha_bar, None, Steering(gamma, direction, unguided), fraction)


def _per_sample(gamma: float | Tensor, like: Tensor) -> float | Tensor:
    """γ as it is, or as a tensor that broadcasts against `like`."""
    if not isinstance(gamma, Tensor):
        return gamma
    return gamma.to(like).reshape(-1, *[1] * (like.ndim - 1))
