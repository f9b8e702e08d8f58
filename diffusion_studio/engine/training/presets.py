"""Presets by effect: what a person wants to see, and how long they will wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diffusion_studio.core.describe import get_value, with_value
from diffusion_studio.core.words import tr
from diffusion_studio.engine.runs.config import RunConfig


@dataclass(frozen=True)
class Preset:
    """A named set of parameter values."""

    key: str
    title: str
    help: str
    changes: Mapping[str, Any]

    def applied_to(self, config: RunConfig) -> RunConfig:
        for path, value in self.changes.items():
            config = with_value(config, path, value)
        return config

    def changed_in(self, config: RunConfig) -> tuple[str, ...]:
        """The paths of its values for which the config has others."""
        return tuple(path for path, value in self.changes.items() if get_value(config, path) != value)

    def matches(self, config: RunConfig) -> bool:
        return not self.changed_in(config)


PRESETS = (
    Preset(
        "minute", tr("In a minute"), tr("See something in a minute: a small network that learns fast."),
        {"training.seconds": 60.0, "training.steps": 0, "training.batch_size": 0,
         "training.optimizer": "auto", "training.learning_rate": 3e-3, "training.ema_decay": 0.995},
    ),
    Preset(
        "balanced", tr("Balanced"), tr("Ten minutes: calmer steps and a longer average."),
        {"training.seconds": 600.0, "training.steps": 0, "training.batch_size": 0,
         "training.optimizer": "auto", "training.learning_rate": 1e-3, "training.ema_decay": 0.999},
    ),
    Preset(
        "best", tr("Best"), tr("An hour: small steps and a long average, for the best images."),
        {"training.seconds": 3600.0, "training.steps": 0, "training.batch_size": 0,
         "training.optimizer": "auto", "training.learning_rate": 5e-4, "training.ema_decay": 0.9995},
    ),
)  # fmt: skip


def preset_of(config: RunConfig) -> str:
    """Key of the preset that the config follows, or ""."""
    return next((preset.key for preset in PRESETS if preset.matches(config)), "")


def nearest_preset(config: RunConfig) -> tuple[Preset, tuple[str, ...]]:
    """The preset that differs least from the config, and the paths where it does."""
    return min(((p, p.changed_in(config)) for p in PRESETS), key=lambda found: len(found[1]))
