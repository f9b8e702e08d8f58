"""Muon: momentum whose matrices are made orthogonal, so that every direction is learned equally fast."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # pulls singular values towards 1 in few rounds
_ROUNDS = 5
MOMENTUM = 0.95


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly U Vᵀ of a matrix U S Vᵀ: its singular values end between 0.7 and 1.2. (m, n)

    Source:
        Jordan et al. 2024: five rounds of a Newton-Schulz iteration of the fifth degree.
    """
    a, b, c = _NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    found: Tensor = x.T if tall else x
    return found


class Muon(torch.optim.Optimizer):
    """For the matrices of a network, those of its convolutions among them; what is none needs another one.

    Args:
        weights: of two or more dimensions; all but the first are the columns.
        found_inf: 1 where the gradient is not finite; then nothing changes. Read on the device alone.
    """

    found_inf: Tensor

    def __init__(self, weights: Iterable[Tensor]) -> None:
        super().__init__(weights, {"lr": 0.0, "weight_decay": 0.0})
        self.found_inf = torch.zeros(())

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # nothing is computed again
        """Moves each weight; rate and decay are those of its group."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group["lr"], group["weight_decay"])

    def _move(self, weight: Tensor, gradient: Tensor, rate: float, decay: float) -> None:
        sound = 1 - self.found_inf.to(weight.device)
        gradient = torch.where(sound > 0, gradient, 0.0)
        known = self.state[weight]
        if "momentum" not in known:
            known["momentum"] = torch.zeros_like(weight)
        momentum = known["momentum"].lerp_(gradient, sound * (1 - MOMENTUM))
        ahead = gradient.lerp(momentum, MOMENTUM).flatten(1)
        rows, columns = ahead.shape
        length = max(1.0, rows / columns) ** 0.5
        moved = orthogonal(ahead).reshape(weight.shape).add_(weight, alpha=decay / length)
        weight.sub_(moved * (sound * rate * length))
