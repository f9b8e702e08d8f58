"""Muon: momentum whose matrices are made orthogonal, so that every direction is learned equally fast."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import product

import torch
from torch import Tensor

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # pulls singular values towards 1 in few rounds
_STAGES = (2, 3)  # rounds: five in all
MOMENTUM = 0.95


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly U Vᵀ of a matrix U S Vᵀ: its singular values end between 0.7 and 1.2. (m, n)

    Source:
        Jordan et al. 2024: five rounds of a Newton-Schulz iteration of the fifth degree.
    """
    (found,) = all_orthogonal([matrix])
    return found


def all_orthogonal(matrices: Sequence[Tensor]) -> list[Tensor]:
    """The same of many. Each round multiplies X by a polynomial in X Xᵀ from the left, so what the rounds of
    a stage make of it is found from X Xᵀ alone, of all matrices with equally many rows at once.

    A singular value s stands in X Xᵀ as s², beside the rounding of 1: after two rounds, which make the small
    ones twelve times as large, it is formed anew.
    """
    flat = [x.T if x.shape[0] > x.shape[1] else x for x in matrices]  # no more rows than columns
    flat = list(torch._foreach_div(flat, torch._foreach_add(torch._foreach_norm(flat), 1e-7)))
    places: dict[int, list[int]] = defaultdict(list)
    for place, x in enumerate(flat):
        places[len(x)].append(place)
    for together, rounds in product(places.values(), _STAGES):
        factors = _factors(torch.stack([flat[place] @ flat[place].T for place in together]), rounds)
        for place, factor in zip(together, factors, strict=True):
            flat[place] = factor @ flat[place]
    return [x.T if len(x) != len(given) else x for x, given in zip(flat, matrices, strict=True)]


def _factors(square: Tensor, rounds: int) -> Tensor:
    """What so many rounds together multiply each X by, from its X Xᵀ. (k, m, m)"""
    factor = once = _once(square)
    for _ in range(rounds - 1):
        square = once @ square @ once
        once = _once(square)
        factor = once @ factor
    return factor


def _once(square: Tensor) -> Tensor:
    """What one round multiplies each X by. (k, m, m)"""
    a, b, c = _NEWTON_SCHULZ
    found = torch.baddbmm(square, square, square, beta=b, alpha=c)
    found.diagonal(dim1=1, dim2=2).add_(a)
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
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._move(
                    weights, 1 - self.found_inf.to(weights[0].device), group["lr"], group["weight_decay"]
                )

    def _move(self, weights: list[Tensor], sound: Tensor, rate: float, weight_decay: float) -> None:
        """One step, along all momenta at once.

        Args:
            sound: 1 where the gradient is finite, else 0; on the device of the weights.
        """
        near = sound.device.type == "cpu"  # where reading a number costs nothing
        if near and not sound:
            return
        moves = all_orthogonal(self._ahead(weights, None if near else sound))
        rates = [rate * max(1.0, len(move) / move.shape[1]) ** 0.5 for move in moves]
        shaped = [move.reshape(weight.shape) for move, weight in zip(moves, weights, strict=True)]
        moved = torch._foreach_mul(shaped, rates)
        if weight_decay:
            torch._foreach_add_(moved, weights, alpha=rate * weight_decay)
        if not near:
            moved = torch._foreach_mul(moved, [sound] * len(weights))
        torch._foreach_sub_(weights, moved)

    def _ahead(self, weights: list[Tensor], sound: Tensor | None) -> list[Tensor]:
        """The momenta after this step, looking one ahead, as matrices; only sound gradients enter them."""
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        new: float | list[Tensor] = 1 - MOMENTUM
        if sound is not None:
            gradients = [torch.where(sound > 0, gradient, 0.0) for gradient in gradients]
            new = [sound * (1 - MOMENTUM)] * len(weights)
        momenta = [self._momentum(weight) for weight in weights]
        torch._foreach_lerp_(momenta, gradients, new)
        return [ahead.flatten(1) for ahead in torch._foreach_lerp(gradients, momenta, MOMENTUM)]

    def _momentum(self, weight: Tensor) -> Tensor:
        known = self.state[weight]
        if "momentum" not in known:
            known["momentum"] = torch.zeros_like(weight)
        momentum: Tensor = known["momentum"]
        return momentum
