"""A network that learns one number, an energy, whose slope is the score (Luo eq. 152–156)."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.models.network import Output
from diffusion_studio.models.score_mlp import ScoreMLP

_CALM = 4  # how much slower than a score an energy turns with the level, as neighbours tell of each other


class EnergyNetwork:
    """E_θ(x_t, t), read as every other network of the plane: it predicts ε = b_t ∇E_θ, for s = −∇E_θ.

    It is told ln(ς² + δ²/4), which stands still where the noise is finer than the data have detail: there p_t
    does not change any more, and the noise hides nearly all that a step could learn.

    Args:
        network: gives one number for a point.
        tables: the forward process.
        detail: δ, the smallest standard deviation in the data.
    """

    learns_variance = False

    def __init__(self, network: ScoreMLP, tables: Tables, detail: float) -> None:
        self.network = network
        self.detail = detail
        self.log_level = (-tables.log_snr / 2).float()  # ln ς
        self.scale = tables.scale.float()
        self.noise = (1 - tables.alpha_bar).sqrt().float()

    @property
    def classes(self) -> int:
        return self.network.classes

    def energy(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """E_θ, which is −log p_t but for a constant; x in the coordinates of the process. (B, 2) → (B,)"""
        return self._at(self._shown(x, t), self.log_level[t].to(x.dtype), labels)

    def predict(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Output:
        """ε of each point, by the slope of its energy; recorded where gradients are.

        Args:
            x_t: (B, 2).
            t: int64 (B,), 1 … T.
            labels: int64 (B,), −1 for ∅; None means all −1.
        """
        wanted = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            given = x_t if x_t.requires_grad else x_t.clone()
            told = None if labels is None else labels.clone()
            eps, _ = self.slopes(self._shown(given, t.clone()), t.clone(), told, wanted)
        return Output(eps)

    def slopes(
        self, x: Tensor, t: Tensor, labels: Tensor | None = None, recorded: bool = True
    ) -> tuple[Tensor, Tensor]:
        """ε̂ of points in the coordinates of chains, and how their energy changes with ln ς. (B, 2), (B,)

        Args:
            recorded: whether gradients are to go through the slopes.
        """
        x = x if x.requires_grad else x.requires_grad_()
        log_level = self.log_level[t].to(x.dtype).requires_grad_()
        value = self._at(x, log_level, labels).sum()
        of_place, of_level = torch.autograd.grad(value, (x, log_level), create_graph=recorded)
        return of_place * self.noise[t].to(x.dtype)[:, None], of_level

    def _shown(self, x: Tensor, t: Tensor) -> Tensor:
        """Points of the process in the coordinates of chains, where all levels are of one size."""
        return x / self.scale[t].to(x.dtype)[:, None]

    def _at(self, x: Tensor, log_level: Tensor, labels: Tensor | None) -> Tensor:
        """E_θ of points in the coordinates of chains, each at a level of its own. (B,)

        What the network gives is divided by the width of the narrowest part of p_t, so that it has slopes
        near 1, and added to the energy of pure noise as far as x_t is noise.
        """
        level = torch.exp(2 * log_level)  # ς²
        told = -torch.log(level + self.detail**2 / 4) / _CALM
        width = ((self.detail**2 + level) / (1 + level)).sqrt()
        of_noise = (x**2).sum(1) / 2 * level / (1 + level)
        found: Tensor = of_noise + self.network(x, told, labels)[:, 0] / width
        return found
