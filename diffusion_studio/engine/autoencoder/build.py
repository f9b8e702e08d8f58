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
    decoder = decoder_of(config)
    start, learns = decoder.log_variance(), decoder.learns
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if isinstance(config, HVAEConfig):
            return HierarchyNetwork(config.code, config.hierarchy, shape, start, learns)
        return CodeNetwork(config.code, shape, isinstance(config, VAEConfig), start, learns)
