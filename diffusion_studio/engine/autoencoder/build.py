"""From a config to its network."""

from __future__ import annotations

import torch

from diffusion_studio.core.autoencoder.decoders import Decoder, GaussianDecoder
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig, HVAEConfig, VAEConfig
from diffusion_studio.models.autoencoder import CodeNetwork, HierarchyNetwork, Shape

PLAIN = GaussianDecoder(variance=1.0)  # of an autoencoder: its output is the image


def decoder_of(config: AutoencoderConfig) -> Decoder:
    """What the decoder's output means."""
    return config.decoder if isinstance(config, VAEConfig) else PLAIN


def build_network(config: AutoencoderConfig, shape: Shape) -> CodeNetwork:
    """A new network, its weights drawn from the seed of the config."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return _built(config, shape, decoder_of(config).log_variance())


def planned_network(config: AutoencoderConfig, shape: Shape) -> CodeNetwork:
    """The same on the meta device: it has shapes, and takes no memory."""
    start = decoder_of(config).log_variance()
    with torch.device("meta"):
        return _built(config, shape, start)


def _built(config: AutoencoderConfig, shape: Shape, start: float) -> CodeNetwork:
    """
    Args:
        start: ln σ² of the decoder.
    """
    learns = decoder_of(config).learns
    if isinstance(config, HVAEConfig):
        return HierarchyNetwork(config.code, config.hierarchy, shape, start, learns)
    return CodeNetwork(config.code, shape, isinstance(config, VAEConfig), start, learns)
