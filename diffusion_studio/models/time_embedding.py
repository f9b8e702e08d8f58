"""The embedding of time of a network that is not trained any more: each t is embedded once."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class _Unchanged(nn.Module):
    """In the place of the sinusoids: times stay times."""

    def forward(self, times: Tensor) -> Tensor:
        return times


class RememberedTimes(nn.Module):
    """Sinusoids and the layers after them, remembered by t; a percent of a small network's call.

    Only for weights that do not change. All samples of a call stand at one t, so the embedding has one row,
    which every sample shares; a call with several times, or beside the processor, is worked out as ever.

    Args:
        sinusoids: (B,) → (B, F).
        layers: (B, F) → (B, D).
    """

    def __init__(self, sinusoids: nn.Module, layers: nn.Module) -> None:
        super().__init__()
        self.sinusoids, self.layers = sinusoids, layers
        self._known: dict[tuple[float, bool], Tensor] = {}

    def forward(self, times: Tensor) -> Tensor:
        """times (B,) → (1, D), or (B, D) where they differ."""
        if times.device.type != "cpu" or not bool((times == times[0]).all()):
            return self._embed(times)
        key = float(times[0]), torch.is_autocast_enabled("cpu")
        if key not in self._known:
            self._known[key] = self._embed(times[:1])
        return self._known[key]

    def _embed(self, times: Tensor) -> Tensor:
        dtype = next(self.layers.parameters()).dtype
        return cast(Tensor, self.layers(self.sinusoids(times).to(dtype)))


def remember_times(unet: nn.Module) -> None:
    """Gives a `UNet2DModel` whose weights stay as they are a memory for its times."""
    unet.time_embedding = RememberedTimes(unet.time_proj, unet.time_embedding)  # type: ignore[arg-type]
    unet.time_proj = _Unchanged()
