"""A small network for the plane: from a point and a noise level to one of the predictions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffusion_studio.core.denoisers.denoiser import NO_LABEL
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.models.network import Output

_FREQUENCIES = 6
_AT_ONCE = 1024  # points; what they need in between fits into the cache, and leaves no large holes in memory


class ScoreMLP(nn.Module):
    """Three hidden layers over the point at several scales and the noise level.

    Args:
        width: units in each hidden layer.
        unit: a length in the plane below which the data have no detail; it scales the features of the point.
        classes: how many classes it is told of; 0 for a network without labels.
        outputs: how many numbers it gives.
    """

    def __init__(self, width: int = 128, unit: float = 0.25, classes: int = 0, outputs: int = 2) -> None:
        super().__init__()
        self.classes = classes
        scales = 2.0 ** torch.arange(3)
        self.register_buffer("scales", 1 / (unit * 4 * scales))  # radians per length
        self.register_buffer("frequencies", torch.pi * 2.0 ** torch.arange(_FREQUENCIES) / 32)
        features = 2 + 4 * len(scales) + 2 * _FREQUENCIES + 1 + classes
        self.layers = nn.Sequential(
            nn.Linear(features, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, outputs),
        )  # fmt: skip

    def forward(self, x: Tensor, log_snr: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, 2), (B,) and labels (B,), −1 for ∅ → (B, outputs)"""
        waves = (x[:, :, None] * self.scales).flatten(1)  # type: ignore[operator]
        level = log_snr[:, None] / 4
        turns = log_snr[:, None] * self.frequencies  # type: ignore[operator]
        parts = [x, waves.sin(), waves.cos(), turns.sin(), turns.cos(), level]
        if self.classes:
            known = torch.arange(self.classes)
            asked = x.new_full((len(x),), NO_LABEL) if labels is None else labels
            parts.append((asked[:, None] == known).to(x.dtype))
        found: Tensor = self.layers(torch.cat(parts, 1))
        return found


class PlaneNetwork:
    """The network of the plane, read as every other one. It is told ln SNR, and answers near 1.

    Args:
        network: in training or not.
        tables: the forward process.
        scale: one number for each t, by which the network's answer is multiplied. (T+1,)
    """

    learns_variance = False

    def __init__(self, network: ScoreMLP, tables: Tables, scale: Tensor) -> None:
        self.network = network
        self.log_snr = tables.log_snr.float()
        self.scale = scale.float()

    @property
    def classes(self) -> int:
        return self.network.classes

    def predict(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Output:
        """Asks the network about at most so many points at a time as the cache has room for.

        Args:
            x_t: (B, 2).
            t: int64 (B,), 1 … T.
            labels: int64 (B,), −1 for ∅; None means all −1.
        """
        level, scale = self.log_snr[t].to(x_t.dtype), self.scale[t].to(x_t.dtype)[:, None]
        parts = [slice(i, i + _AT_ONCE) for i in range(0, len(x_t), _AT_ONCE)]
        found = [self.network(x_t[p], level[p], None if labels is None else labels[p]) for p in parts]
        return Output(torch.cat(found) * scale)
