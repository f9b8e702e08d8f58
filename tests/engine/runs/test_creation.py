"""How a run folder comes into being: whole or not at all, and never for two trainings at once."""

from __future__ import annotations

import datetime
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from diffusion_studio.engine.files import files
from diffusion_studio.engine.runs import creation
from diffusion_studio.engine.runs.creation import NewRun, TakenError, begin_run, create_run
from diffusion_studio.engine.runs.run import Run, RunError, is_run, list_runs
from support.tiny import tiny_config

MANIFEST = {"source": "zoo", "class_names": ["ape", "bee"], "images": []}


@pytest.mark.parametrize(
    ("data", "expected"),
    [("digits", "digits"), ("My cats / dogs", "My-cats---dogs"), ("山水", "山水"), ("..", "images"),
     ("", "images"), ("x" * 100, "x" * 40), ("a\0b", "a-b")],
)  # fmt: skip
def test_that_a_new_run_has_a_name_of_its_own(data: str, expected: str, tmp_path: Path) -> None:
    stem = f"{datetime.date.today().isoformat()}_{expected}"
    names = [begin_run(NewRun(tmp_path, data), tiny_config(), MANIFEST).name for _ in range(3)]
    assert names == [stem, f"{stem}-2", f"{stem}-3"]
    assert {path.name for path in tmp_path.iterdir()} == set(names)


def test_that_runs_that_begin_together_get_a_name_each(tmp_path: Path) -> None:
    together, begun = threading.Barrier(8), []

    def begin(seed: int) -> None:
        config = tiny_config(seed=seed)
        together.wait()
        begun.append((begin_run(NewRun(tmp_path, "digits"), config, MANIFEST).path, seed))

    threads = [threading.Thread(target=begin, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(dict(begun)) == 8
    assert all(Run.open(path).config.seed == seed for path, seed in begun)
    assert len(list(tmp_path.iterdir())) == 8


@pytest.mark.parametrize("empty", [False, True])
def test_that_one_of_two_in_the_same_folder_is_refused(
    empty: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    if empty:
        path.mkdir()
    fill = creation._fill

    def late(folder: Path, content: dict[str, bytes]) -> None:
        """Another training makes the same folder between the look and the deed."""
        monkeypatch.setattr(creation, "_fill", fill)
        if empty:
            with pytest.raises(TakenError, match="is being made by another"):
                create_run(path, tiny_config(seed=2), MANIFEST)
        else:
            create_run(path, tiny_config(seed=2), MANIFEST)
        fill(folder, content)

    monkeypatch.setattr(creation, "_fill", late)
    if empty:
        create_run(path, tiny_config(seed=1), MANIFEST)
    else:
        with pytest.raises(TakenError, match="by another training meanwhile"):
            create_run(path, tiny_config(seed=1), MANIFEST)
    assert Run.open(path).config.seed == (1 if empty else 2)
    assert [found.name for found in tmp_path.iterdir()] == ["run"]


class Killed(BaseException):
    """Stands for a process that is no more."""


@contextmanager
def killed_at(at: int) -> Iterator[None]:
    """From the `at`-th change of the disk on, nothing is changed any more, not even to clean up."""
    count = [0]

    def wrapped(original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            count[0] += 1
            if count[0] >= at:
                raise Killed
            return original(*args, **kwargs)

        return call

    places = [(Path, name) for name in ("mkdir", "open", "replace", "rename", "unlink")]
    places += [(files.os, "fsync"), (shutil, "rmtree")]  # type: ignore[list-item]
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in places:
            patch.setattr(owner, name, wrapped(getattr(owner, name)))
        yield


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("at", range(1, 18))
def test_that_a_kill_blocks_no_name(at: int, there: bool, tmp_path: Path) -> None:
    path = tmp_path / "run"
    if there:
        path.mkdir()
    try:
        with killed_at(at):
            create_run(path, tiny_config(seed=1), MANIFEST)
    except Killed:
        assert list_runs(tmp_path) in ([], [path])
    if is_run(path):
        assert Run.open(path).config.seed == 1
        assert Run.open(path).class_names == ("ape", "bee")
    else:
        assert create_run(path, tiny_config(seed=2), MANIFEST).class_names == ("ape", "bee")
        assert Run.open(path).config.seed == 2


def test_that_what_a_killed_process_was_making_is_swept_away(tmp_path: Path) -> None:
    with pytest.raises(Killed), killed_at(8):
        create_run(tmp_path / "run", tiny_config(), MANIFEST)
    (left,) = tmp_path.iterdir()
    create_run(tmp_path / "first", tiny_config(), MANIFEST)
    assert left.exists()  # somebody may still be at it
    os.utime(left, (0, 0))
    create_run(tmp_path / "second", tiny_config(), MANIFEST)
    assert {found.name for found in tmp_path.iterdir()} == {"first", "second"}


def test_that_a_name_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device"):
        create_run(tmp_path / "run", tiny_config(), MANIFEST)
    with pytest.raises(RunError, match="No space left on device"):
        begin_run(NewRun(tmp_path, "digits"), tiny_config(), MANIFEST)
    assert list(tmp_path.iterdir()) == []


def test_that_a_link_to_an_empty_folder_may_become_a_run(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "far", target_is_directory=True)
    create_run(tmp_path / "run", tiny_config(), MANIFEST)
    assert is_run(tmp_path / "far")


def test_that_a_link_to_nothing_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RunError, match="already exists"):
        create_run(tmp_path / "run", tiny_config(), MANIFEST)
    assert is_run(begin_run(NewRun(tmp_path, "digits"), tiny_config(), MANIFEST).path)
