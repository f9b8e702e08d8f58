"""The likelihood along the probability flow, with the exact divergence; score SDE eq. 39, 40."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.mixture import Mixture

Field = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Field(x_t, ᾱ) gives the score (B, 2) and its divergence (B,); ᾱ is float64 (B,)."""

FIRST_LEVEL, LAST_LEVEL = 1e-6, 1e5  # ς between which the flow is followed; beyond, nothing changes
TOLERANCE = 1e-6  # largest error of a step, in nats and in the plane
MOST_STEPS = 4000

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

    def field(x: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
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


def flow_log_likelihood(
    field: Field,
    x: Tensor,
    tolerance: float = TOLERANCE,
    most: int = MOST_STEPS,
    stopped: Callable[[], bool] = lambda: False,
) -> Tensor:
    """ln p_0(x) by carrying x up the probability flow to pure noise.

    With u = ln ς the flow of the variance-preserving process is dx/du = −(1−ᾱ)(x + s(x, ᾱ)), and
    d ln p/du = −div of the right-hand side = (1−ᾱ)(2 + div s). Each point takes steps of its own in u,
    as long as the difference of two orders allows: near the ridge between two parts of a thin curve a
    thousand times shorter ones than elsewhere.

    Args:
        field: score and divergence, each point at its own ᾱ.
        x: float64 (B, 2).
        tolerance: largest error of one step.
        most: steps after which a point is given up.
        stopped: asked before each step; True gives up all.

    Returns:
        (B,); not a number where it did not converge.

    Source:
        score SDE eq. 39, 40; Dormand & Prince 1980.
    """
    state = torch.cat([x, x.new_zeros(len(x), 1)], 1)  # the point, and the integral of the divergence
    u = x.new_full((len(x),), math.log(FIRST_LEVEL))
    h, slope = torch.full_like(u, 0.1), _slope(field, state, u)
    for _ in range(most):
        left = (u < math.log(LAST_LEVEL)).nonzero()[:, 0]
        if not len(left) or stopped():
            break
        step = torch.minimum(h[left], math.log(LAST_LEVEL) - u[left])
        end, last, error = _attempt(field, state[left], u[left], step, slope[left])
        size = (error / tolerance).nan_to_num(1e9).amax(1)
        taken = size <= 1
        kept = left[taken]
        state[kept], slope[kept], u[kept] = end[taken], last[taken], u[kept] + step[taken]
        h[left] = step * (0.9 * size.clamp(min=1e-9) ** -0.2).clamp(0.2, 5)
    prior = -0.5 * (state[:, :2] ** 2).sum(1) - math.log(2 * math.pi)
    return (prior + state[:, 2]).masked_fill(u < math.log(LAST_LEVEL), torch.nan)


def _slope(field: Field, state: Tensor, u: Tensor) -> Tensor:
    """d/du of the points and of the integral. (B, 3)"""
    variance = torch.sigmoid(2 * u)  # 1 − ᾱ
    score, divergence = field(state[:, :2], 1 - variance)
    return -variance[:, None] * torch.cat([state[:, :2] + score, (2 + divergence)[:, None]], 1)


def _attempt(
    field: Field, state: Tensor, u: Tensor, step: Tensor, first: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Where a step leads, the slope there, and the size of its error. Each (B, 3)"""
    slopes, end = [first], state
    for node, parts in zip(_NODES[1:], _SLOPES[1:], strict=True):
        end = state + step[:, None] * sum(a * k for a, k in zip(parts, slopes, strict=True))
        slopes.append(_slope(field, end, u + node * step))
    error = step[:, None] * sum(a * k for a, k in zip(_ERROR, slopes, strict=True))
    return end, slopes[-1], error.abs()
