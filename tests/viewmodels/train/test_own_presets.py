"""Presets that a person made."""

from __future__ import annotations

import pytest

from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.train.model import TrainViewModel
from diffusion_studio.viewmodels.train.own_presets import MOST, PRESETS, OwnPresets
from support.tiny import tiny_config, write_pictures


@pytest.fixture
def memory(tmp_path):
    return Memory(tmp_path / "memory.json")


@pytest.fixture
def model(qapp, tmp_path):
    made = TrainViewModel(tmp_path / "runs", tiny_config(), device="cpu")
    yield made
    made.shutdown()


def change(model, path, value) -> None:
    model.edit(path, value)
    model.settle()


def test_that_parameters_come_back_under_their_name_and_are_undone_in_one_step(model, memory):
    own = OwnPresets(model, memory)
    own.save("  small   and quick ")
    kept = model.config
    change(model, "seed", 5)
    change(model, "diffusion.steps", 200)
    own.apply("small and quick")
    assert model.config == kept
    model.undo()
    assert (model.config.seed, model.config.diffusion.steps) == (5, 200)


def test_that_the_images_of_now_stay(model, memory, tmp_path):
    own = OwnPresets(model, memory)
    own.save("mine")
    model.open_data(str(write_pictures(tmp_path / "zoo")))
    change(model, "data.resolution", 16)
    own.apply("mine")
    assert model.config.data.source == str(tmp_path / "zoo")
    assert model.config.data.resolution == 8


def test_that_one_of_the_same_name_gives_way_and_one_is_deleted(model, memory):
    own, told = OwnPresets(model, memory), []
    own.changed.connect(told.append)
    own.save("b")
    own.save("A")
    change(model, "seed", 7)
    own.save("b")
    own.save("   ")
    change(model, "seed", 0)
    own.apply("b")
    assert model.config.seed == 7
    own.remove("b")
    assert told == [["b"], ["A", "b"], ["A", "b"], ["A"]]
    own.apply("b")  # is gone
    own.apply("A")
    assert model.config.seed == 0


def test_that_they_are_there_at_the_next_start_as_far_as_they_make_sense(model, memory, tmp_path):
    OwnPresets(model, memory).save("mine")
    memory.set(PRESETS, {**memory.get(PRESETS), "odd": 3, "bad": {"data": {}, "seed": "?"}, "none": {}})
    memory.flush()
    again = OwnPresets(model, Memory(tmp_path / "memory.json"))
    assert again.names == ["mine"]
    memory.set(PRESETS, ["mine"])
    assert OwnPresets(model, memory).names == []


def test_that_none_is_taken_while_something_trains_and_there_is_an_end_to_them(model, memory):
    own = OwnPresets(model, memory)
    own.save("mine")
    change(model, "seed", 4)
    model._update(phase="running")
    own.apply("mine")
    assert model.config.seed == 4
    model._update(phase="idle")
    for number in range(MOST + 3):
        own.save(str(number))
    assert len(own.names) == MOST
