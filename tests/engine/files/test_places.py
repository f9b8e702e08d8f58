"""Where files go, and that one variable moves all of them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import platformdirs
import pytest

from diffusion_studio.engine.files import places

ALL = (places.runs_dir, places.cache_dir, places.settings_dir, places.log_dir)


def test_that_one_variable_moves_every_place(tmp_path, monkeypatch):
    monkeypatch.setenv(places.HOME_VARIABLE, str(tmp_path / "elsewhere"))
    found = [place() for place in ALL]
    assert all(place.parent == tmp_path / "elsewhere" for place in found)
    assert len(set(found)) == len(ALL)


def test_that_places_follow_the_platform_without_the_variable(monkeypatch):
    monkeypatch.delenv(places.HOME_VARIABLE)
    assert places.runs_dir() == platformdirs.user_data_path("diffusion-studio", appauthor=False) / "runs"
    assert all("diffusion-studio" in str(place()) for place in ALL)


def test_that_a_machine_on_which_nothing_can_be_written_is_no_fault(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFUSION_STUDIO_HOME", str(tmp_path / "file" / "home"))
    (tmp_path / "file").touch()
    assert places.torch_dir().is_dir()

    def nowhere(prefix: str) -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "mkdtemp", nowhere)
    assert places.torch_dir() == places.cache_dir() / "torch"


def test_that_an_empty_variable_counts_as_unset(monkeypatch):
    monkeypatch.setenv(places.HOME_VARIABLE, "")
    assert places.runs_dir().is_absolute()
    assert places.runs_dir() != Path("runs").absolute()


def test_that_the_variable_may_be_relative_or_start_at_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(places.HOME_VARIABLE, "studio")
    assert places.runs_dir() == tmp_path / "studio" / "runs"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv(places.HOME_VARIABLE, "~/studio")
    assert places.cache_dir() == tmp_path / "studio" / "cache"


@pytest.mark.parametrize("place", ALL, ids=lambda place: place.__name__)
def test_that_asking_creates_nothing(place):
    assert not place().exists()
