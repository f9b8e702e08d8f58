"""Presets are valid, differ, and are known again."""

from __future__ import annotations

import pytest

from diffusion_studio.core.describe import get_value, with_value
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
    for name in preset.changes:
        assert preset_of(with_value(config, f"training.{name}", 0.125)) == ""


LEFT = {
    "training.batch_size": 7, "training.optimizer": "adamw", "training.steps": 9, "training.warmup": 0,
    "model.width": 64, "model.attention": 16, "objective.predict": "eps", "diffusion.steps": 100,
    "diffusion.schedule.kind": "linear",
}  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)
def test_that_nothing_is_left_of_what_was_tried_before(preset):
    config = preset.applied_to(RunConfig())
    for path, value in LEFT.items():
        tried = with_value(config, path, value)
        assert preset_of(tried) == "" and path in preset.changed_in(tried)
        assert preset.applied_to(tried) == config


def test_that_images_labels_code_seed_and_what_is_kept_on_the_way_stay():
    config = RunConfig(seed=4)
    mine = {
        "data.resolution": 48, "model.conditional": False, "model.code": "/there", "training.parts": 2,
        "training.preview_count": 4, "training.checkpoint_minutes": 1.0, "training.precision": "fp32",
    }  # fmt: skip
    for path, value in mine.items():
        config = with_value(config, path, value)
    for preset in PRESETS:
        found = preset.applied_to(config)
        assert {path: get_value(found, path) for path in mine} == mine
        assert found.seed == 4 and preset_of(found) == preset.key


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
