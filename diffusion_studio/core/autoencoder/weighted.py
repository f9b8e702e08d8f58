"""The bound by importance weights, which rises to ln p(x) (Burda et al. 2016, eq. 8)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def importance_weighted(log_weights: Tensor, draws: int | None = None) -> Tensor:
    """ln (1/K) Σ_k p(x, z_k) / q(z_k|x), a bound that rises with K. nats (B,)

    Args:
        log_weights: ln p(x, z) − ln q(z|x) of independent draws. (L, B)
        draws: K; the mean over the L // K groups of so many is given. None: K = L.
    """
    many = len(log_weights)
    each = many if draws is None else draws
    groups = log_weights[: many - many % each].reshape(many // each, each, -1)  # (L/K, K, B)
    return (torch.logsumexp(groups, 1) - math.log(each)).mean(0)
