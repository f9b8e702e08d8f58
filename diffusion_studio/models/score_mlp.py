"""A small network for the plane: from a point and a noise level to one of the four predictions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffusion_studio.core.denoisers.denoiser import NO_LABEL
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import PredictionKind
from diffusion_studio.core.process.tables import Tables

_FREQUENCIES = 6
_AT_ONCE = 1024  # points; what they need in between fits into the cache, and leaves no large holes in memory


class ScoreMLP(nn.Module):
    """Three hidden layers over the point at several scales and the noise level.

    Args:
        width: units in each hidden layer.
        unit: a length in the plane below which the data have no detail; it scales the features of the point.
        classes: how many classes it is told of; 0 for a network without labels.
    """

    def __init__(self, width: int = 128, unit: float = 0.25, classes: int = 0) -> None:
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
            nn.Linear(width, 2),
        )  # fmt: skip

    def forward(self, x: Tensor, log_snr: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, 2), (B,) and labels (B,), −1 for ∅ → (B, 2)"""
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


class ScoreDenoiser:
    """A trained network as a denoiser.

    Args:
        tables: the forward process.
        network: the network; it is not changed.
        kind: what it predicts.
        scale: one number for each t, by which the network's answer is multiplied. (T+1,)
    """

    learns_variance = False

    def __init__(self, tables: Tables, network: ScoreMLP, kind: PredictionKind, scale: Tensor) -> None:
        self.tables = tables
        self.network = network
        self.kind: PredictionKind = kind
        self.scale = scale

    @property
    def knows_classes(self) -> bool:
        """Whether labels change what it says."""
        return self.network.classes > 0

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        t = max(t, 1)
        level, scale = self.tables.log_snr[t].to(x_t.dtype), self.scale[t].to(x_t.dtype)
        with torch.inference_mode():
            starts = range(0, len(x_t), _AT_ONCE)
            asked = [None if labels is None else labels[i : i + _AT_ONCE] for i in starts]
            pieces = [x_t[i : i + _AT_ONCE] for i in starts]
            found = [self.network(x, level.expand(len(x)), y) for x, y in zip(pieces, asked, strict=True)]
            value = torch.cat(found) * scale
        return Prediction(self.kind, value, x_t, self.tables.alpha_bar_at(t))
