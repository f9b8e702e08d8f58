"""Diffusers' `AutoencoderKL` as encoder and decoder: its code is a small picture of numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from diffusion_studio.core.importing import importing
from diffusion_studio.models.unet import quiet_diffusers

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

LEAST_LOG_VARIANCE = -30.0  # the library reads all below as this
PARTS = {"encoder": "quant_conv", "decoder": "post_quant_conv"}
"""The two halves of the library's network, each with the convolution at its end that is next to the code."""


class KLEncoder(nn.Module):
    """Images to μ and ln σ² of a small picture, flat: all means first. (B, C, H, W) → (B, 2 c H/f W/f)"""

    def __init__(self, network: AutoencoderKL, means_only: bool) -> None:
        super().__init__()
        self.encoder, self.quant_conv = network.encoder, network.quant_conv
        self._means_only = means_only

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.quant_conv(self.encoder(x)).flatten(1)
        return out[:, : out.shape[1] // 2] if self._means_only else out


class KLDecoder(nn.Module):
    """A flat code back to an image. (B, c H/f W/f) → (B, C, H, W)"""

    def __init__(self, network: AutoencoderKL, grid: tuple[int, int, int]) -> None:
        super().__init__()
        self.decoder, self.post_quant_conv = network.decoder, network.post_quant_conv
        self._grid = grid

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.decoder(self.post_quant_conv(z.reshape(-1, *self._grid)))
        return out


def build_kl(
    shape: tuple[int, int, int], width: int, factor: int, channels: int, variational: bool
) -> tuple[KLEncoder, KLDecoder]:
    """Both halves of a new network.

    Args:
        shape: of an image, (C, H, W); the factor divides H and W.
        width: channels of its first level; a multiple of 8.
        factor: f, 4 or 8.
        channels: c of the code.
    """
    with importing(), torch.device("cpu"):  # its own tensors, wherever the network's are
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    levels = {4: 3, 8: 4}[factor]
    with quiet_diffusers():
        network = AutoencoderKL(
            in_channels=shape[0], out_channels=shape[0], latent_channels=channels, sample_size=shape[1],
            block_out_channels=(width, *(2 * width,) * (levels - 1)), layers_per_block=1, norm_num_groups=8,
            down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels,
            mid_block_add_attention=False, scaling_factor=1.0,
        )  # fmt: skip
    grid = (channels, shape[1] // factor, shape[2] // factor)
    encoder, decoder = KLEncoder(network, not variational), KLDecoder(network, grid)
    encoder.config = config_of(network)  # what diffusers builds the same network from
    return encoder, decoder


def config_of(network: AutoencoderKL) -> Any:
    """Its config.json."""
    return json.loads(network.to_json_string())


def as_diffusers(weights: Mapping[str, Tensor], variational: bool) -> dict[str, Tensor]:
    """The weights of both halves by the names that diffusers gives them.

    Args:
        variational: whether ln σ² of a code was learned; else it is made the smallest there is, so that a
            draw is the mean.
    """
    found: dict[str, Tensor] = {}
    for half, convolution in PARTS.items():
        for inner in (half, convolution):
            prefix = f"{half}.{inner}."
            found |= {
                f"{inner}.{name.removeprefix(prefix)}": weight
                for name, weight in weights.items()
                if name.startswith(prefix)
            }
    return found if variational else found | _certain(found)


def _certain(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The convolution that gives μ and ln σ², with the least ln σ² everywhere."""
    weight, bias = (weights[f"quant_conv.{name}"].clone() for name in ("weight", "bias"))
    weight[len(weight) // 2 :], bias[len(bias) // 2 :] = 0, LEAST_LOG_VARIANCE
    return {"quant_conv.weight": weight, "quant_conv.bias": bias}
