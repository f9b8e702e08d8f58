"""The end of long work is told where nobody looks, and how far it is stands on the rail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication

from diffusion_studio.pages.bell import LONG, Bell
from diffusion_studio.pages.shell import Shell
from diffusion_studio.viewmodels.page_model import Work
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.settings import SettingsModel

RUN = Path("mine")
GOING, ENDED = Work(0.5, RUN, "half"), Work(1.0, RUN, "all of it", ended=True)


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def settings(qapp: Any, tmp_path: Any) -> SettingsModel:
    return SettingsModel(Memory(tmp_path / "window.json"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bell(qtbot: Any, settings: SettingsModel, clock: Clock) -> Bell:
    shell = Shell([("train", "Train", "pages/train/icon")])
    qtbot.addWidget(shell)
    made = Bell(shell, settings, clock)
    made.shell = shell
    return made


@pytest.fixture
def rung(bell: Bell, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    heard: list[tuple[str, str]] = []
    monkeypatch.setattr(bell, "ring", lambda title, words: heard.append((title, words)))
    return heard


@pytest.mark.parametrize(("seconds", "rings"), [(LONG - 1, False), (LONG, True)])
def test_that_the_end_of_long_work_is_told_once(bell, rung, clock, seconds, rings):
    bell.follow("train", "Train", GOING)
    clock.now = seconds
    for work in (GOING, ENDED, ENDED, None):
        bell.follow("train", "Train", work)
    assert rung == ([("Train", "mine: all of it")] if rings else [])


def test_that_nothing_is_told_to_who_has_the_window_in_front(qtbot, bell, rung, clock, monkeypatch):
    monkeypatch.setattr(bell.shell, "isActiveWindow", lambda: True)
    bell.follow("train", "Train", GOING)
    clock.now = 2 * LONG
    bell.follow("train", "Train", ENDED)
    assert rung == []


def test_that_the_rail_shows_how_far_it_is(bell):
    item = bell.shell.rail.button("train")
    bell.follow("train", "Train", GOING)
    assert "50\N{NO-BREAK SPACE}%" in item.accessibleDescription()
    item.grab()
    bell.follow("train", "Train", ENDED)
    assert item.accessibleDescription() == ""


@pytest.mark.parametrize(("notify", "sound"), [(True, False), (False, True), (False, False)])
def test_that_it_is_told_as_the_settings_say(bell, settings, monkeypatch, notify, sound):
    said = []
    monkeypatch.setattr(QApplication, "alert", lambda *_: said.append("alert"))
    monkeypatch.setattr(QApplication, "beep", lambda: said.append("beep"))
    settings.edit("notify", notify)
    settings.edit("sound", sound)
    bell.ring("Train", "done")
    assert said == ["beep"] * sound + ["alert"] * notify
