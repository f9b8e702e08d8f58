"""Presets by effect: what a person wants to see, and how long they will wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diffusion_studio.core.describe import get_value, knobs
from diffusion_studio.core.words import tr
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.models.unet import UNetSpec

KEPT = (
    "parts", "precision", "checkpoint_every", "checkpoint_minutes", "keep_checkpoints", "preview_count",
    "preview_share",
)  # fmt: skip
"""Of a training, what says nothing of how well it learns."""
USUAL = RunConfig()
PATHS = tuple(knob.path for knob in knobs(USUAL))


@dataclass(frozen=True)
class Preset:
    """A time and the average that suits it. The network, its batches, and what it learns are the usual ones,
    by resolution and machine, whatever was tried before; images, labels, code and seed stay.
    """

    key: str
    title: str
    help: str
    changes: Mapping[str, Any]  # of the usual training

    def applied_to(self, config: RunConfig) -> RunConfig:
        kept = {name: getattr(config.training, name) for name in KEPT}
        return USUAL.model_copy(
            update={
                "data": config.data,
                "seed": config.seed,
                "model": UNetSpec(code=config.model.code, conditional=config.model.conditional),
                "training": USUAL.training.model_copy(update={**kept, **self.changes}),
            }
        )

    def changed_in(self, config: RunConfig) -> tuple[str, ...]:
        """The paths of parameters for which the config has other values."""
        mine = self.applied_to(config)
        return tuple(path for path in PATHS if _differ(config, mine, path))

    def matches(self, config: RunConfig) -> bool:
        return self.applied_to(config) == config


def _differ(config: RunConfig, usual: RunConfig, path: str) -> bool:
    """Whether they have different values; another member of a family is one difference."""
    try:
        return bool(get_value(config, path) != get_value(usual, path))
    except KeyError:
        return False


PRESETS = (
    Preset(
        "minute", tr("In a minute"),
        tr("A minute, and a short average. How far it leads here is said below."),
        {"seconds": 60.0, "ema_decay": 0.995},
    ),
    Preset(
        "balanced", tr("Balanced"), tr("Ten minutes, and a longer average."),
        {"seconds": 600.0, "ema_decay": 0.999},
    ),
    Preset(
        "best", tr("Best"), tr("An hour, and the longest average, for the best images."),
        {"seconds": 3600.0, "ema_decay": 0.9995},
    ),
)  # fmt: skip


def preset_of(config: RunConfig) -> str:
    """Key of the preset that the config follows, or ""."""
    return next((preset.key for preset in PRESETS if preset.matches(config)), "")


def nearest_preset(config: RunConfig) -> tuple[Preset, tuple[str, ...]]:
    """The preset that differs least from the config, and the paths where it does."""
    return min(((p, p.changed_in(config)) for p in PRESETS), key=lambda found: len(found[1]))
