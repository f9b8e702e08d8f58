"""Langevin dynamics at one noise level, its law on a Gaussian, and the Metropolis-adjusted chain."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.readings import plus
from diffusion_studio.core.denoisers.tilted import Level
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr


def langevin_step(x: Tensor, score: Tensor, step: float, noise: Tensor | None, heat: float = 1.0) -> Tensor:
    """x + c s(x) + heat √(2c) ε (Luo eq. 158).

    Args:
        x: (B, 2).
        score: s(x) (B, 2).
        step: c > 0.
        noise: ε (B, 2); None for none.
        heat: 1 samples, 0 only climbs.
    """
    moved = plus(x, score, step)
    return moved if noise is None or heat == 0 else plus(moved, noise, heat * (2 * step) ** 0.5)


def stationary_variance(variance: Tensor | float, step: float) -> Tensor | float:
    """Variance of the chain's invariant law on N(m, variance): variance / (1 − c / (2 variance)).

    The discretised chain is an autoregression with the factor 1 − c/variance, so it is too wide by a known
    amount.

    Raises:
        Refused: c is 2 variance or more, and the chain runs away.
    """
    ratio = step / (2 * variance)
    if bool(torch.as_tensor(ratio >= 1).any()):
        raise Refused(tr("The step must be below twice the smallest variance, or the chain runs away."))
    return variance / (1 - ratio)


def log_proposal(x: Tensor, y: Tensor, score_x: Tensor, step: float) -> Tensor:
    """ln q(y | x) of one Langevin step, up to a constant that x and y share. (B,)"""
    return -((y - x - step * score_x) ** 2).sum(1) / (4 * step)


def acceptance(level: Level, x: Tensor, y: Tensor, step: float) -> Tensor:
    """How probably a Metropolis test would keep the Langevin step from x to y. (B,)

    Source:
        Roberts & Tweedie 1996.
    """
    log_x, score_x = level.log_density_and_score(x)
    log_y, score_y = level.log_density_and_score(y)
    ratio = log_y - log_x + log_proposal(y, x, score_y, step) - log_proposal(x, y, score_x, step)
    return ratio.clamp(max=0).exp()


def adjusted_step(level: Level, x: Tensor, step: float, noise: Tensor, uniform: Tensor) -> Tensor:
    """One Langevin step that a Metropolis test keeps or refuses: its invariant law is p_t exactly.

    Args:
        x, noise: (B, 2).
        uniform: (B,) in [0, 1).
    """
    proposed = langevin_step(x, level.score(x), step, noise)
    kept = uniform < acceptance(level, x, proposed, step)
    return torch.where(kept[:, None], proposed, x)
