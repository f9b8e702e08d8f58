"""What the Autoencoder page shows, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diffusion_studio.core.autoencoder.decoders import LearnedGaussianDecoder
from diffusion_studio.core.describe import knobs, validated
from diffusion_studio.core.words import tr
from diffusion_studio.engine.runs.autoencoder_config import BY_KIND, AutoencoderConfig, HVAEConfig, VAEConfig
from diffusion_studio.models.autoencoder import CodeSpec
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.train.state import DataCardState, Phase, sides_to_choose

View = Literal["learn", "code", "exact", "bridge"]
LIVE = ("kl_weight",)  # may change while training
RUNNING = tr("This training is running with this value. Stop it to change the value.")


@dataclass(frozen=True)
class CodeState:
    """Everything on the page but curves and pictures."""

    config: AutoencoderConfig
    view: View = "learn"
    phase: Phase = "idle"
    data: DataCardState | None = None
    reading: tuple[int, int] | None = None  # (done, total) while images are read
    run: Path | None = None
    step: int = 0
    fraction: float = 0.0
    detail: str = ""
    device: str = ""
    saved_step: int = 0
    errors: tuple[tuple[str, str], ...] = ()  # (path, sentence) of parameters
    notice: Notice | None = None
    can_undo: bool = False
    can_redo: bool = False

    @property
    def busy(self) -> bool:
        return self.phase != "idle"

    @property
    def sides(self) -> tuple[int, int] | None:
        """Between which sizes of the pictures one can choose now."""
        return None if self.busy or self.reading else sides_to_choose(self.data, self.config.data)


def may_become(state: CodeState, config: AutoencoderConfig | None) -> bool:
    """Whether the config may become this one now: while it trains, only the weight of the KL may differ."""
    if not state.busy:
        return True
    return config is not None and _unweighed(config) == _unweighed(state.config)


def _unweighed(config: AutoencoderConfig) -> AutoencoderConfig:
    return config.model_copy(update={"kl_weight": 1.0}) if isinstance(config, VAEConfig) else config


def fixed_reasons(state: CodeState) -> dict[str, str]:
    """Why parameters cannot change now, by path."""
    if not state.busy:
        return {}
    return {k.path: RUNNING for k in knobs(state.config) if k.path not in LIVE}


def as_kind(config: AutoencoderConfig, kind: str) -> AutoencoderConfig:
    """The same of another kind; what only the other kind has, or cannot have, takes its default."""
    target = BY_KIND[kind]
    shared = {
        name: getattr(config, name) for name in target.model_fields if name in type(config).model_fields
    }
    if issubclass(target, HVAEConfig) and config.code.network == "kl":  # has one level
        shared["code"] = config.code.model_copy(update={"network": CodeSpec().network})
    return validated(target, shared)


def first_config() -> AutoencoderConfig:
    """What the page begins with: a VAE with two latents, whose map fills the plane."""
    config = BY_KIND["vae"]()
    return config.model_copy(
        update={"code": config.code.model_copy(update={"size": 2}), "decoder": LearnedGaussianDecoder()}
    )
