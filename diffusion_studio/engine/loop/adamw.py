"""AdamW as torch computes it, without what `torch.optim` does around it at every step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_BETAS, _EPS = (0.9, 0.999), 1e-8


class AdamW:
    """Loshchilov and Hutter 2019, by torch's own fused operation, with its bits.

    Around it `torch.optim.AdamW` takes longer than the operation itself for a small network.

    Args:
        weights: of one type on one device; one that has no gradient at a step is left as it is.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self.weights = weights
        self.state: dict[Tensor, dict[str, Tensor]] = {weight: {} for weight in weights}

    def remembered(self, weight: Tensor) -> dict[str, Tensor]:
        """Both moments of a weight and how many steps it took; all 0 before the first."""
        known = self.state[weight]
        if not known:
            known |= {key: torch.zeros_like(weight.detach()) for key in MOMENTS[:2]}
            known["step"] = weight.new_zeros((), dtype=torch.float32, requires_grad=False)
        return known

    @torch.no_grad()
    def step(self, rate: float, weight_decay: float, skipped: Tensor | None) -> None:
        """Moves each weight along its gradient.

        Args:
            rate: learning rate.
            skipped: 1 where nothing is to change, on the device; None: known to be 0.
        """
        moved = [weight for weight in self.weights if weight.grad is not None]
        if not moved:
            return
        gradients = [weight.grad for weight in moved if weight.grad is not None]
        known = [self.remembered(weight) for weight in moved]
        first, second, steps = ([each[key] for each in known] for key in MOMENTS)
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            moved, gradients, first, second, [], steps, lr=rate,
            beta1=_BETAS[0], beta2=_BETAS[1], weight_decay=weight_decay, eps=_EPS, amsgrad=False,
            maximize=False, found_inf=skipped,
        )  # fmt: skip
        if skipped is not None:
            torch._foreach_sub_(steps, [skipped] * len(steps))
