"""The likelihood along the probability flow, its divergence exact or estimated; score SDE eq. 39, 40."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.mixture import Mixture

Estimate = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Estimate(x_t, ᾱ, rows) gives ε̂ (B, d) of x_t (B, d) at ᾱ, float64 (B,); rows: which points these are."""


class Field(Protocol):
    """The score (B, d) and its divergence (B,) of x_t (B, d), each point at its own ᾱ, float64 (B,).

    `rows`, int64 (B,), says which points of the whole these are.
    """

    def __call__(self, x: Tensor, alpha_bar: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]: ...


FIRST_LEVEL, LAST_LEVEL = 1e-6, 1e5  # ς between which the flow is followed; beyond, nothing changes
TOLERANCE = 2.5e-4  # largest error of the number, nats
ADD_UP = (
    250  # what the errors of all steps add up to, in those of one: less than that on every shape of the plane
)
LARGEST_STEP = 1e-2  # error of a step, in each component and in nats, however much the number may err
MOST_STEPS = 4000
LONGEST = 0.5  # step in ln ς: a longer one leaps over levels at which all happens, and sees no error in it

# Dormand and Prince's pair of orders 5 and 4: where each slope is asked, what it is made of, and what of the
# slopes is the difference of both orders. The last slope of a step is the first of the next.
_NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_SLOPES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def mixture_field(mixture: Mixture) -> Field:
    """The exact score of a mixture and its divergence, each point at a level of its own."""
    means, c, weights = mixture.means, mixture.covariances, mixture.weights.log()[:, None]

    def field(x: Tensor, alpha_bar: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        xx, xy, yy = (c[:, i, j, None] * alpha_bar for i, j in ((0, 0), (0, 1), (1, 1)))  # (K, B)
        xx, yy = xx + (1 - alpha_bar), yy + (1 - alpha_bar)
        det = xx * yy - xy**2
        dx, dy = (means[:, i, None] * alpha_bar.sqrt() - x[:, i] for i in (0, 1))
        pull_x, pull_y = (yy * dx - xy * dy) / det, (xx * dy - xy * dx) / det
        shares = torch.softmax(weights - 0.5 * (det.log() + dx * pull_x + dy * pull_y), 0)
        score = torch.stack([(shares * pull_x).sum(0), (shares * pull_y).sum(0)], 1)
        spread = (shares * ((pull_x - score[:, 0]) ** 2 + (pull_y - score[:, 1]) ** 2)).sum(0)
        return score, spread - (shares * (xx + yy) / det).sum(0)

    return field


def estimated_field(estimate: Estimate, probes: Tensor) -> Field:
    """The score of any denoiser, and its divergence by v·∂(s·v)/∂x, which is right on average over v.

    Args:
        estimate: ε̂; it is asked with gradients recorded.
        probes: v, (P, n, d) for n points: signs at random (Hutchinson), or √d times every axis, which makes
            the divergence exact.

    Source:
        score SDE appendix D.2.
    """

    def field(x: Tensor, alpha_bar: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            given = x.detach().requires_grad_()
            score = -estimate(given, alpha_bar, rows) / (1 - alpha_bar).sqrt()[:, None]
            found = torch.zeros_like(alpha_bar)
            for probe in probes[:, rows]:
                (slope,) = torch.autograd.grad((score * probe).sum(), given, retain_graph=True)
                found = found + (slope * probe).sum(1)
        return score.detach(), found / len(probes)

    return field


def axes(count: int, dims: int) -> Tensor:
    """Probes that make the divergence exact: every axis of n points. (d, n, d)"""
    each: Tensor = dims**0.5 * torch.eye(dims, dtype=torch.float64)
    return each[:, None].expand(dims, count, dims)


def flow_log_likelihood(
    field: Field,
    x: Tensor,
    tolerance: float = TOLERANCE,
    most: int = MOST_STEPS,
    stopped: Callable[[], bool] = lambda: False,
    levels: tuple[float, float] = (FIRST_LEVEL, LAST_LEVEL),
) -> Tensor:
    """ln p(x) at the first level by carrying x up the probability flow to pure noise.

    With u = ln ς the flow of the variance-preserving process is dx/du = −(1−ᾱ)(x + s(x, ᾱ)), and
    d ln p/du = −div of the right-hand side = (1−ᾱ)(d + div s). Each point takes steps of its own in u,
    as long as the difference of two orders allows: near the ridge between two parts of a thin curve a
    thousand times shorter ones than elsewhere.

    Args:
        field: score and divergence, each point at its own ᾱ.
        x: float64 (B, d).
        tolerance: largest error of the number, nats. That of a step, in each component and in nats, is kept
            to a share of it.
        most: steps after which a point is given up.
        stopped: asked before each step; True gives up all.
        levels: ς at which x lies, and of the noise.

    Returns:
        (B,); not a number where it did not converge.

    Source:
        score SDE eq. 39, 40; Dormand & Prince 1980.
    """
    begin, close = (math.log(level) for level in levels)
    allowed = min(tolerance / ADD_UP, LARGEST_STEP)
    state = torch.cat([x, x.new_zeros(len(x), 1)], 1)  # the point, and the integral of the divergence
    u = x.new_full((len(x),), begin)
    h, slope = torch.full_like(u, 0.1), _slope(field, state, u, torch.arange(len(x), device=x.device))
    for _ in range(most):
        left = (u < close).nonzero()[:, 0]
        if not len(left) or stopped():
            break
        step = torch.minimum(h[left], close - u[left])
        end, last, error = _attempt(field, state[left], u[left], step, slope[left], left)
        size = (error / allowed).nan_to_num(1e9).amax(1)
        taken = size <= 1
        kept = left[taken]
        state[kept], slope[kept], u[kept] = end[taken], last[taken], u[kept] + step[taken]
        h[left] = (step * (0.9 * size.clamp(min=1e-9) ** -0.2).clamp(0.2, 5)).clamp(max=LONGEST)
    points, gained = state[:, :-1], state[:, -1]
    prior = -0.5 * (points**2).sum(1) - x.shape[1] / 2 * math.log(2 * math.pi)
    return (prior + gained).masked_fill(u < close, torch.nan)


def _slope(field: Field, state: Tensor, u: Tensor, rows: Tensor) -> Tensor:
    """d/du of the points and of the integral. (B, d+1)"""
    variance, points = torch.sigmoid(2 * u), state[:, :-1]  # 1 − ᾱ
    score, divergence = field(points, torch.sigmoid(-2 * u), rows)
    return -variance[:, None] * torch.cat([points + score, (points.shape[1] + divergence)[:, None]], 1)


def _attempt(
    field: Field, state: Tensor, u: Tensor, step: Tensor, first: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Where a step leads, the slope there, and the size of its error. Each (B, d+1)"""
    slopes, end = [first], state
    for node, parts in zip(_NODES[1:], _SLOPES[1:], strict=True):
        end = state + step[:, None] * sum(a * k for a, k in zip(parts, slopes, strict=True))
        slopes.append(_slope(field, end, u + node * step, rows))
    error = step[:, None] * sum(a * k for a, k in zip(_ERROR, slopes, strict=True))
    return end, slopes[-1], error.abs()
