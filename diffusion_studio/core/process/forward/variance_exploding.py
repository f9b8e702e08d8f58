"""The variance-exploding process: that of NCSN and of the score SDE's name for it."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from diffusion_studio.core.process.forward.base import ForwardProcess
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import tr


class VarianceExploding(ForwardProcess):
    kind: Literal["ve"] = "ve"
    rank: ClassVar[int] = 20
    signal_stays: ClassVar[bool] = True
    title: ClassVar[str] = "VE"
    summary: ClassVar[str] = tr("variance exploding: the image stays, and the noise grows over it.")
    formula: ClassVar[str] = r"x_t = x_0 + \varsigma_t\,\varepsilon"
    source: ClassVar[str] = "Luo eq. 160; score SDE eq. 9"

    def signal(self, alpha_bar: Tensor) -> Tensor:
        return torch.ones_like(alpha_bar)

    def noise(self, alpha_bar: Tensor) -> Tensor:
        return ((1 - alpha_bar) / alpha_bar).sqrt()

    def tables(self, betas: Tensor) -> Tables:
        """The SNR stays that of the schedule."""
        alpha_bar = Tables.from_betas(betas).alpha_bar
        return Tables.from_betas(betas, alpha_bar.rsqrt())
