"""A picture is never told under a name that is not its own, and what takes long can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from diffusion_studio.viewmodels.sample.sources import SourceCache
from support.sample_page import DIGITS


@pytest.fixture
def door(monkeypatch) -> Iterator[threading.Event]:
    """No denoiser is opened before the door is."""
    door, original = threading.Event(), SourceCache.open

    def waiting(cache: SourceCache, key: str) -> object:
        door.wait()
        return original(cache, key)

    monkeypatch.setattr(SourceCache, "open", waiting)
    yield door
    door.set()


def test_that_chains_of_the_denoiser_before_are_told_as_such(model, runs, door, settled):
    model.choices.refresh()
    model.choices.choose(str(runs / "mine"))
    state = model.look()
    assert state.opens_another
    assert state.progress == "Opening mine · newest …"
    door.set()
    state = settled(model).look()
    assert not state.opens_another
    assert not state.pictures.old
    assert state.progress == ""


def test_that_a_denoiser_that_is_not_open_yet_is_taken_back(model, runs, door, settled):
    before = model.look().pictures.frame
    model.choices.choose(str(runs / "mine"))
    model.stop()
    assert model.tree.parameters.source == DIGITS
    assert not model.look().opens_another
    door.set()
    state = settled(model).look()
    assert state.chains.source == DIGITS
    assert state.pictures.frame is before
    assert state.progress == ""


def test_that_what_is_computed_stays_when_it_is_stopped_and_goes_on(model, gate, settled, qtbot):
    model.tree.edit("seed", 5)
    model.tree.settle()
    gate.open(3)
    qtbot.waitUntil(lambda: model.chains.shown.tree.spec.seed == 5 and model.look().chains.ready >= 3)
    assert model.state.progress.startswith("computing ")
    model.stop()
    gate.open(1)  # the step that it is in
    settled(model)
    assert model.tree.parameters.spec.seed == 5
    ready = model.look().chains.ready
    assert model.state.progress == f"stopped at {ready - 1} of 10"
    model.compute()
    gate.open(30)
    assert settled(model).look().chains.complete
    assert model.state.progress == ""
