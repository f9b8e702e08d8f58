"""The embedding of time of a network that is not trained any more: each t is embedded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from diffusers import UNet2DModel

Embedding = Callable[[Tensor], Tensor]


class RememberedTimes:
    """Sinusoids and the layers after them, remembered by t; a percent of a small network's call.

    Only for weights that do not change. All samples of a call stand at one t, so the embedding has one row,
    which every sample shares; a call with several times, or beside the processor, is worked out as ever.

    Args:
        sinusoids: (B,) → (B, F).
        layers: (B, F) → (B, D).
        dtype: tells that of the layers.
    """

    def __init__(self, sinusoids: Embedding, layers: Embedding, dtype: Callable[[], torch.dtype]) -> None:
        self._sinusoids, self._layers, self._dtype = sinusoids, layers, dtype
        self._known: dict[tuple[float, torch.dtype, bool], Tensor] = {}

    def __call__(self, times: Tensor) -> Tensor:
        """times (B,) → (1, D), or (B, D) where they differ."""
        if times.device.type != "cpu" or not bool((times == times[0]).all()):
            return self._embed(times)
        key = float(times[0]), self._dtype(), torch.is_autocast_enabled("cpu")
        if key not in self._known:
            self._known[key] = self._embed(times[:1])
        return self._known[key]

    def _embed(self, times: Tensor) -> Tensor:
        return self._layers(self._sinusoids(times).to(self._dtype()))


def forget_times(unet: UNet2DModel) -> None:
    """Undoes `remember_times`."""
    for module in (unet.time_proj, unet.time_embedding):
        vars(module).pop("forward", None)


def remember_times(unet: UNet2DModel) -> None:
    """Gives a network whose weights stay as they are a memory for its times; its modules keep their names."""
    if unet.config.time_embedding_type == "learned" or unet.config.class_embed_type == "timestep":
        return  # a table of its own, which takes whole numbers; or sinusoids that serve classes as well
    sinusoids, layers = unet.time_proj, unet.time_embedding
    weight = layers.linear_1.weight
    layers.forward = RememberedTimes(sinusoids.forward, layers.forward, lambda: weight.dtype)
    sinusoids.forward = lambda times: times
