"""A learned noise schedule: SNR(t) = exp(−ω(t)), ω a monotone network (VDM §I.2; Luo eq. 111–114)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffusion_studio.core.process.tables import Tables

HIDDEN = 64


class LearnedSNR(nn.Module):
    """ω(t) for t = 1 … T, rising between two learned ends; its inside is a network of positive weights.

    It begins as a straight line, so that ln SNR falls evenly.

    Args:
        steps: T.
        first, last: ω at t = 1 and at T, to begin with; first < last.
    """

    u: Tensor  # t as a share, (T,)

    def __init__(self, steps: int, first: float, last: float) -> None:
        super().__init__()
        self.steps = steps
        self.ends = nn.Parameter(torch.tensor([first, last], dtype=torch.float64))
        places = torch.linspace(-4, 4, HIDDEN, dtype=torch.float64)
        self.slope = nn.Parameter(torch.zeros((), dtype=torch.float64))  # of the straight part, as its log
        self.widths = nn.Parameter(torch.full((HIDDEN,), 2.0, dtype=torch.float64))
        self.centres = nn.Parameter(-2 * places)
        self.heights = nn.Parameter(torch.full((HIDDEN,), -6.0, dtype=torch.float64))
        self.register_buffer("u", torch.linspace(0, 1, steps, dtype=torch.float64))

    @property
    def inside(self) -> list[nn.Parameter]:
        """The parameters that shape ω between its ends."""
        return [self.slope, self.widths, self.centres, self.heights]

    def shape(self, u: Tensor) -> Tensor:
        """A rising function from 0 at u = 0 to 1 at u = 1. (N,)"""

        def raw(u: Tensor) -> Tensor:
            x = (8 * u - 4)[:, None]
            bumps = torch.sigmoid(nn.functional.softplus(self.widths) * x + self.centres)
            return self.slope.exp() * u + (nn.functional.softplus(self.heights) * bumps).sum(1)

        low, high = raw(torch.stack([torch.zeros_like(u[0]), torch.ones_like(u[0])]))
        risen: Tensor = (raw(u) - low) / (high - low)
        return risen

    def forward(self) -> Tensor:
        """ω_1 … ω_T, rising, in the type of the parameters: float64 where the device has it. (T,)"""
        first, last = self.ends[0], self.ends[1]
        return first + (last - first) * self.shape(self.u)

    @torch.no_grad()
    def tables(self) -> Tables:
        """The schedule as it stands, frozen to β_t."""
        return frozen(self().cpu().double())


def frozen(omega: Tensor) -> Tables:
    """β_t from ω_1 … ω_T, rising. (T,)"""
    alpha_bar = torch.sigmoid(-omega)
    before = torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar[:-1]])
    return Tables.from_betas((1 - alpha_bar / before).clamp(1e-9, 1 - 1e-9))
