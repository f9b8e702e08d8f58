"""Every kind of training that the program knows, by the name that config.json gives it."""

from __future__ import annotations

from collections.abc import Iterator

from diffusion_studio.engine.runs.autoencoder_config import AEConfig, HVAEConfig, VAEConfig
from diffusion_studio.engine.runs.config import RunConfig, TrainingConfig

OWN: tuple[type[TrainingConfig], ...] = (RunConfig, AEConfig, VAEConfig, HVAEConfig)
"""Those that come with the program; named so that they are imported wherever runs are read."""


def kinds_of_training() -> dict[str, type[TrainingConfig]]:
    """The config of each kind, by the kind's name."""
    return {config.kind: config for config in (*OWN, *_below(TrainingConfig)) if config.kind}


def _below(config: type[TrainingConfig]) -> Iterator[type[TrainingConfig]]:
    for below in config.__subclasses__():
        yield below
        yield from _below(below)
