"""A network that learns one number, an energy, whose slope is the score (Luo eq. 152–156)."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.models.network import Output
from diffusion_studio.models.score_mlp import ScoreMLP


class EnergyNetwork:
    """E_θ(x_t, t), read as every other network of the plane: it predicts ε = b_t ∇E_θ, for s = −∇E_θ.

    Args:
        network: gives one number for a point.
        tables: the forward process.
        scale: what the slope of that number is multiplied by to be ε. (T+1,)
    """

    learns_variance = False

    def __init__(self, network: ScoreMLP, tables: Tables, scale: Tensor) -> None:
        self.network = network
        self.log_snr = tables.log_snr.float()
        self.scale = scale.float()
        self.noise = tables.noise.float()

    @property
    def classes(self) -> int:
        return self.network.classes

    def energy(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """E_θ, which is −log p_t but for a constant; x in the coordinates of the process. (B, 2) → (B,)"""
        found: Tensor = self.network(x, self.log_snr[t].to(x.dtype), labels)[:, 0]
        return found * (self.scale[t] / self.noise[t]).to(x.dtype)

    def predict(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Output:
        """ε of each point, by the slope of its energy; recorded where gradients are.

        Args:
            x_t: (B, 2).
            t: int64 (B,), 1 … T.
            labels: int64 (B,), −1 for ∅; None means all −1.
        """
        wanted = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            x = x_t if x_t.requires_grad else x_t.clone().requires_grad_()
            told = None if labels is None else labels.clone()
            value = self.network(x, self.log_snr[t.clone()].to(x.dtype), told)[:, 0].sum()
            (slope,) = torch.autograd.grad(value, x, create_graph=wanted)
        return Output(slope * self.scale[t].to(x.dtype)[:, None])
