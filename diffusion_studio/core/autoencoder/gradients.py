"""Two ways to the gradient of E_q f(z) for the encoder: through the draw, and through the density."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_studio.core.autoencoder.gaussians import reparameterised

Function = Callable[[Tensor], Tensor]
"""f(z), (L, k) → (L,)"""


@dataclass(frozen=True, eq=False)
class Gradients:
    """One estimate per draw of ∇ E_q f(z) with respect to (μ, ln σ²). (L, 2k) each"""

    reparameterised: Tensor
    score: Tensor

    @property
    def variances(self) -> tuple[float, float]:
        """Of one draw, summed over the coordinates."""
        return float(self.reparameterised.var(0).sum()), float(self.score.var(0).sum())


def gradients(f: Function, mean: Tensor, log_variance: Tensor, noise: Tensor) -> Gradients:
    """Both estimates for the same draws z = μ + σ ⊙ ε.

    Reparameterised: ∇ f(μ + σ ε) (Course proposition 1.9). Score function: f(z) ∇ ln q(z) (Williams 1992).

    Args:
        mean: (k,).
        log_variance: (k,).
        noise: ε, (L, k).
    """
    z = reparameterised(mean, log_variance, noise).detach().requires_grad_()
    values = f(z)
    (slope,) = torch.autograd.grad(values.sum(), z)
    std = (0.5 * log_variance).exp()
    through_draw = torch.cat([slope, 0.5 * slope * std * noise], 1)
    score_of_q = torch.cat([noise / std, 0.5 * (noise**2 - 1)], 1)
    return Gradients(through_draw.detach(), (values.detach()[:, None] * score_of_q))
