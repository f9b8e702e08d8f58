"""A code: pictures as small maps of standardised numbers, and back (Rombach et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

PIXELS_AT_ONCE = 64 * 64 * 64  # of pictures that go through the network together


def factor_of(widths: Sequence[int]) -> int:
    """f of an autoencoder of diffusers whose levels are so wide: each but the last halves both sides."""
    return 1 << len(widths) - 1


@dataclass(frozen=True, eq=False)
class Code:
    """An autoencoder that nothing changes any more, as a diffusion model of its codes uses it.

    Args:
        network: diffusers' `AutoencoderKL`, in evaluation; the code of a picture is the mean that it gives.
        mean: of each channel of its codes, (c, 1, 1).
        spread: their standard deviations, (c, 1, 1).
        digest: the same for the same weights.
        name: what a person calls it.
    """

    network: AutoencoderKL
    mean: Tensor
    spread: Tensor
    digest: str
    name: str

    @property
    def factor(self) -> int:
        """f: how many pixels, each way, come into one place of the code."""
        return factor_of(self.network.config.block_out_channels)

    @property
    def channels(self) -> int:
        """c: numbers in each place of the code."""
        return int(self.network.config.latent_channels)

    @property
    def picture_channels(self) -> int:
        """Of the pictures: 1 grey, 3 colour."""
        return int(self.network.config.in_channels)

    @property
    def device(self) -> torch.device:
        return self.mean.device

    def sides(self, pictures: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the codes of pictures of this height and width."""
        return pictures[0] // self.factor, pictures[1] // self.factor

    def encode(self, x: Tensor) -> Tensor:
        """Pictures in [−1, 1] as standardised codes. (B, C, H, W) → (B, c, H/f, W/f)"""
        return self.standardised(self.raw(x))

    def raw(self, x: Tensor) -> Tensor:
        """The same as the network gives them. (B, C, H, W) → (B, c, H/f, W/f)"""
        return self._in_parts(lambda part: self.network.encode(part, return_dict=False)[0].mean, x, 1)

    def standardised(self, z: Tensor) -> Tensor:
        """Codes of the network, brought to mean 0 and variance 1 in each channel."""
        return (z - self.mean) / self.spread

    def decode(self, z: Tensor) -> Tensor:
        """The pictures of standardised codes, in about [−1, 1]. (B, c, h, w) → (B, C, f h, f w)"""
        return self._in_parts(
            lambda part: self.network.decode(part * self.spread + self.mean, return_dict=False)[0],
            z, self.factor,
        )  # fmt: skip

    def _in_parts(self, of: Callable[[Tensor], Tensor], values: Tensor, scale: int) -> Tensor:
        """What the network makes of values, of so many at a time as memory surely has room for."""
        most = max(1, PIXELS_AT_ONCE // (math.prod(values.shape[2:]) * scale**2))
        with torch.inference_mode():
            return torch.cat([of(part.to(self.device, torch.float32)) for part in torch.split(values, most)])
