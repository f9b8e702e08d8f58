"""Classifier-free guidance: one network asked with the label and without it (L 170)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_studio.core.denoisers import NO_LABEL, Denoiser
from diffusion_studio.core.predictions import Prediction
from diffusion_studio.core.tables import Tables


@dataclass(frozen=True, eq=False)
class GuidedDenoiser:
    """ε̂ = γ ε̂(x_t, y) + (1−γ) ε̂(x_t, ∅), both halves in one batched call.

    γ = 0 is unconditional, γ = 1 conditional, γ > 1 stronger; Ho & Salimans' w is γ − 1. At 0 and at 1
    only the half that counts is computed.
    """

    base: Denoiser
    guidance: float

    @property
    def tables(self) -> Tables:
        return self.base.tables

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        if labels is None or self.guidance == 0:
            return self.base(x_t, t, None)
        if self.guidance == 1:
            return self.base(x_t, t, labels)
        both = self.base(torch.cat([x_t, x_t]), t, torch.cat([labels, torch.full_like(labels, NO_LABEL)]))
        conditional, unconditional = both.eps_hat.chunk(2)
        eps_hat = self.guidance * conditional + (1 - self.guidance) * unconditional
        return Prediction("eps", eps_hat, x_t, self.tables.alpha_bar_at(t))
