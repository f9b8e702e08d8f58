"""Runs of other places: listed from now on, with all of the lab book, and taken off the list again."""

from __future__ import annotations

import shutil

import pytest

from diffusion_studio.engine.labbook.entries import read_entry
from diffusion_studio.engine.runs.creation import create_run
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.runs.listing import ELSEWHERE, GONE, remembered_places
from diffusion_studio.viewmodels.runs.model import RunsViewModel
from support.tiny import tiny_config


@pytest.fixture
def disk(tmp_path):
    """Another disk, with two runs in a folder."""
    for name in ("x", "y"):
        create_run(tmp_path / "disk" / "runs" / name, tiny_config(), {})
    return tmp_path / "disk" / "runs"


@pytest.fixture
def home(tmp_path):
    create_run(tmp_path / "home" / "a", tiny_config(), {})
    return tmp_path / "home"


@pytest.fixture
def model(qtbot, home, tmp_path):
    made = RunsViewModel(home, Memory(tmp_path / "memory.json"))
    made.sort("name")
    made.refresh()
    seen(qtbot, made)
    yield made
    made.shutdown()


def seen(qtbot, model) -> str:
    """The names of the runs, once they are listed."""
    qtbot.waitUntil(lambda: model.state.listed and not model._listing.busy)
    return "".join(run.name for run in model.state.shown)


def test_that_a_run_anywhere_is_listed_and_written_about(qtbot, model, disk):
    model.open_place(disk / "x")
    assert seen(qtbot, model) == "ax"
    assert model.state.selected == disk / "x"
    model.write_note("from afar")
    qtbot.waitUntil(lambda: not model._writing._slot.busy)
    assert read_entry(disk / "x")[0].note == "from afar"


def test_that_a_folder_of_runs_is_followed(qtbot, model, disk):
    model.open_place(disk)
    assert seen(qtbot, model) == "axy"
    create_run(disk / "z", tiny_config(), {})
    model.refresh()
    assert seen(qtbot, model) == "axyz"
    model.open_place(disk / "x")  # twice on the list, once in it
    assert seen(qtbot, model) == "axyz"


def test_that_a_checkpoint_stands_for_its_run_and_a_run_of_the_home_for_itself(qtbot, model, disk, home):
    checkpoint = disk / "x" / "checkpoints" / "step-00000002"
    checkpoint.mkdir()
    model.open_place(checkpoint)
    model.open_place(home / "a")
    assert seen(qtbot, model) == "ax"
    assert model.state.elsewhere == (disk / "x",) and model.state.selected == home / "a"


def test_that_a_place_without_runs_is_refused(qtbot, model, tmp_path):
    (tmp_path / "empty").mkdir()
    model.open_place(tmp_path / "empty")
    assert "is no run, and there is none right inside" in model.state.notice.text
    assert seen(qtbot, model) == "a" and not model.state.can_undo


def test_that_it_is_taken_off_the_list_and_undone_and_the_disk_stays_as_it_is(qtbot, model, disk):
    model.open_place(disk)
    seen(qtbot, model)
    model.leave(disk / "y")
    assert seen(qtbot, model) == "a"
    model.undo()
    assert seen(qtbot, model) == "axy"
    model.undo()
    assert seen(qtbot, model) == "a" and not model.state.can_undo
    model.redo()
    assert seen(qtbot, model) == "axy"
    assert (disk / "y" / "config.json").exists()


def test_that_it_is_there_at_the_next_start_also_while_its_disk_is_not(qtbot, model, disk, home, tmp_path):
    model.open_place(disk / "x")
    seen(qtbot, model)
    model._memory.flush()
    shutil.move(disk, tmp_path / "unplugged")
    again = RunsViewModel(home, Memory(tmp_path / "memory.json"))
    again.refresh()
    assert seen(qtbot, again) in ("ax", "xa")
    assert again.state.summary(disk / "x").problem == GONE
    shutil.move(tmp_path / "unplugged", disk)
    again.refresh()
    seen(qtbot, again)
    assert again.state.summary(disk / "x").problem == ""
    again.shutdown()


def test_that_its_trash_is_seen_beside_it(qtbot, model, disk):
    model.open_place(disk / "x")
    model.trash(disk / "x")
    seen(qtbot, model)
    assert [found.home for found in model.state.trash] == [disk / "x"]
    model.undo()
    seen(qtbot, model)
    assert (disk / "x").exists() and model.state.trash == ()


@pytest.mark.parametrize("odd", [None, 3, "x", [1, None, ""], {"a": 1}])
def test_that_a_memory_that_makes_no_sense_has_no_places(tmp_path, odd):
    memory = Memory(tmp_path / "memory.json")
    memory.set(ELSEWHERE, odd)
    assert remembered_places(memory) == ()
