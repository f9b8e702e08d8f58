"""A hierarchy with linear levels is one normal distribution: its bound and its ln p(x) by algebra alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_studio.core.autoencoder.chains import GaussianChain, LinearStep
from diffusion_studio.core.autoencoder.gaussians import Normal
from diffusion_studio.core.autoencoder.hierarchy import Hierarchy


@dataclass(frozen=True, eq=False)
class LinearHierarchy:
    """Encoder and decoder as linear steps; p(z_T) = N(0, I).

    Args:
        up: q(z_1|x), q(z_2|z_1), …
        down: p(x|z_1), p(z_1|z_2), …
    """

    up: tuple[LinearStep, ...]
    down: tuple[LinearStep, ...]

    @property
    def levels(self) -> int:
        return len(self.up)

    def hierarchy(self) -> Hierarchy:
        """The same for the routines that take any hierarchy."""

        def likelihood(x: Tensor, z: Tensor) -> Tensor:
            return self.down[0](z).log_density(x)

        def back(t: int, z: Tensor) -> Normal:
            return self.down[t - 1](z)

        return Hierarchy(GaussianChain(self.up[0], self.up[1:]), likelihood, back)

    def log_density(self, x: Tensor) -> Tensor:
        """ln p(x): the chain of normal distributions from the top down. nats (B,)"""
        top = self.up[-1].bias
        mean, covariance = torch.zeros_like(top), torch.eye(len(top), dtype=top.dtype)
        for step in reversed(self.down):
            mean = step.weight @ mean + step.bias
            covariance = step.weight @ covariance @ step.weight.T + step.matrix
        return Normal(mean.expand_as(x), covariance, True).log_density(x)

    def bound(self, x: Tensor) -> Tensor:
        """The ELBO: E_q of the joint's quadratic form, plus the entropy of q(z_{1:T}|x). nats (B,)"""
        mean, covariance = self._given(x)
        precision, linear, constant = self._joint(x)
        inside = (precision @ covariance).trace() + (mean @ precision * mean).sum(1)
        expected = -0.5 * inside + (mean * linear).sum(1) + constant
        n = mean.shape[1]
        entropy = 0.5 * (torch.logdet(covariance) + n * (1 + math.log(2 * math.pi)))
        return expected + entropy

    def _given(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """q(z_{1:T}|x) as one normal distribution. (B, n), (n, n)"""
        means, mean = [], x
        rows: list[list[Tensor]] = []  # covariance of z_t with z_1 … z_t
        for step in self.up:
            mean = step(mean).mean
            means.append(mean)
            own = step.matrix
            if rows:
                across = [step.weight @ block for block in rows[-1]]
                rows.append([*across, across[-1] @ step.weight.T + own])
            else:
                rows.append([own])
        return torch.cat(means, 1), _symmetric(rows)

    def _joint(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ln p(x, z) = −½ zᵀ P z + zᵀ h + c. P (n, n), h (B, n), c (B,)"""
        found = _Quadratic(x, [len(step.bias) for step in self.up])
        found.add_top(self.levels)
        for t, step in enumerate(self.down, 1):
            found.add(t, step)
        return found.precision, found.linear, found.constant


class _Quadratic:
    """A sum of linear-Gaussian factors over z_1 … z_T, as a quadratic form."""

    def __init__(self, x: Tensor, sizes: Sequence[int]) -> None:
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        self._x = x
        self._of = {
            t: slice(end - size, end) for t, (end, size) in enumerate(zip(ends, sizes, strict=True), 1)
        }
        self.precision = x.new_zeros(ends[-1], ends[-1])
        self.linear, self.constant = x.new_zeros(len(x), ends[-1]), x.new_zeros(len(x))

    def add_top(self, t: int) -> None:
        """N(z_t; 0, I)."""
        own = self._of[t]
        self.precision[own, own].diagonal().add_(1)
        self.constant = self.constant - 0.5 * (own.stop - own.start) * math.log(2 * math.pi)

    def add(self, t: int, step: LinearStep) -> None:
        """p(z_{t−1}|z_t), where z_0 is x."""
        own, inverse = self._of[t], torch.linalg.inv(step.matrix)
        self.precision[own, own] += step.weight.T @ inverse @ step.weight
        self.constant = self.constant - 0.5 * torch.logdet(2 * math.pi * step.matrix)
        if t == 1:
            left = self._x - step.bias
            self.linear[:, own] += left @ inverse @ step.weight
            self.constant = self.constant - 0.5 * (left @ inverse * left).sum(1)
            return
        below = self._of[t - 1]
        self.precision[below, below] += inverse
        self.precision[below, own] -= inverse @ step.weight
        self.precision[own, below] -= step.weight.T @ inverse
        self.linear[:, below] += inverse @ step.bias
        self.linear[:, own] -= step.weight.T @ inverse @ step.bias
        self.constant = self.constant - 0.5 * step.bias @ inverse @ step.bias


def _symmetric(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """A matrix from the blocks of its lower half."""
    many = range(len(rows))
    return torch.cat([torch.cat([rows[i][j] if j <= i else rows[j][i].T for j in many], 1) for i in many], 0)
