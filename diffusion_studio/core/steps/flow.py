"""The likelihood along the probability flow, with the exact divergence; score SDE eq. 39, 40."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.mixture import Mixture

Field = Callable[[Tensor, float], tuple[Tensor, Tensor]]
"""Field(x_t, ᾱ) gives the score (B, 2) and its divergence (B,)."""

FIRST_LEVEL, LAST_LEVEL = 1e-4, 1e5  # ς between which the flow is followed; beyond, nothing changes


def mixture_field(mixture: Mixture, dtype: torch.dtype = torch.float64) -> Field:
    """The exact score of a mixture and its divergence."""
    return lambda x, alpha_bar: mixture.at(alpha_bar, dtype).score_and_divergence(x)


def flow_log_likelihood(
    field: Field, x: Tensor, steps: int = 400, first: float = FIRST_LEVEL, last: float = LAST_LEVEL
) -> Tensor:
    """ln p_0(x) by carrying x up the probability flow to pure noise.

    With u = ln ς the flow of the variance-preserving process is dx/du = −(1−ᾱ)(x + s(x, ᾱ)), and
    d ln p/du = −div of the right-hand side = (1−ᾱ)(2 + div s). Fourth-order Runge–Kutta steps in u.

    Args:
        field: score and divergence at any ᾱ.
        x: (B, 2).
        steps: number of Runge–Kutta steps.
        first: ς at which x is taken to lie.
        last: ς at which x is taken to be N(0, I).

    Returns:
        (B,)

    Source:
        score SDE eq. 39, 40.
    """

    def slope(state: Tensor, u: float) -> Tensor:
        variance = 1 / (1 + math.exp(-2 * u))  # 1 − ᾱ
        score, divergence = field(state[:, :2], 1 - variance)
        return -variance * torch.cat([state[:, :2] + score, (2 + divergence)[:, None]], 1)

    state = torch.cat([x, x.new_zeros(len(x), 1)], 1)  # the point, and the integral of the divergence
    u, h = math.log(first), (math.log(last) - math.log(first)) / steps
    for _ in range(steps):
        k1 = slope(state, u)
        k2 = slope(state + h / 2 * k1, u + h / 2)
        k3 = slope(state + h / 2 * k2, u + h / 2)
        k4 = slope(state + h * k3, u + h)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        u += h
    prior = -0.5 * (state[:, :2] ** 2).sum(1) - math.log(2 * math.pi)
    return prior + state[:, 2]
