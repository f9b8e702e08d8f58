"""What is set for the whole window is kept, reset, and never makes no sense."""

from __future__ import annotations

import json

import pytest

from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.settings import Settings, SettingsModel


@pytest.fixture
def path(tmp_path):
    return tmp_path / "window.json"


@pytest.fixture
def memory(qapp, path):
    return Memory(path)


def test_that_a_setting_is_told_and_kept_under_its_name(memory, path):
    model, heard = SettingsModel(memory), []
    model.changed.connect(heard.append)
    model.edit("theme", "dark")
    model.edit("text_size", 150)
    assert [state.theme for state in heard] == ["dark", "dark"]
    memory.flush()
    assert json.loads(path.read_bytes()) == {"theme": "dark", "text_size": 150}
    assert SettingsModel(Memory(path)).state == Settings(theme="dark", text_size=150)


def test_that_what_cannot_be_changes_nothing_and_the_field_is_told(memory):
    model, heard = SettingsModel(memory), []
    model.changed.connect(heard.append)
    model.edit("text_size", 5)
    assert heard == [Settings()]
    assert memory.get("text_size") is None


def test_that_reset_brings_back_every_default(memory):
    model = SettingsModel(memory)
    for name, value in (("theme", "light"), ("threads", 3), ("runs", "/elsewhere"), ("motion", "less")):
        model.edit(name, value)
    model.reset()
    assert model.state == Settings()
    assert SettingsModel(memory).state == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("theme", ["dark"]), ("text_size", "x"), ("threads", -1), ("device", {"a": 1}), ("runs", 7)],
)
def test_that_remembered_nonsense_takes_its_default_alone(memory, name, value):
    memory.set("motion", "less")
    memory.set(name, value)
    assert SettingsModel(memory).state == Settings(motion="less")
