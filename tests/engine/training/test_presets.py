"""Presets are valid, differ, and are known again."""

from __future__ import annotations

import pytest

from diffusion_studio.core.describe import with_value
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.training.presets import PRESETS, nearest_preset, preset_of


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)
def test_that_a_preset_is_known_again(preset):
    config = preset.applied_to(RunConfig(seed=3))
    assert preset_of(config) == preset.key
    assert config.seed == 3
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)
def test_that_every_value_of_a_preset_counts(preset):
    config = preset.applied_to(RunConfig())
    for path in preset.changes:
        other = "adamw" if path.endswith("optimizer") else 7 if path.endswith(("steps", "size")) else 0.125
        assert preset_of(with_value(config, path, other)) == ""


def test_that_a_preset_takes_the_place_of_another_whatever_the_order():
    for first in PRESETS:
        for second in PRESETS:
            assert second.applied_to(first.applied_to(RunConfig())) == second.applied_to(RunConfig())


def test_that_keys_and_titles_differ():
    assert len({p.key for p in PRESETS}) == len({p.title for p in PRESETS}) == len(PRESETS)


def test_that_the_nearest_preset_says_where_it_was_left():
    config = PRESETS[1].applied_to(RunConfig())
    assert nearest_preset(config) == (PRESETS[1], ())
    config = with_value(config, "training.seconds", 90.0)
    assert nearest_preset(config) == (PRESETS[1], ("training.seconds",))
