"""What is read once: as long as nothing changes on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diffusion_studio.engine.files import file_cache as module
from diffusion_studio.engine.files.file_cache import FileCache

LONG_AGO = 1_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    put(path, "one")
    return path


def put(path: Path, text: str, changed: int = LONG_AGO) -> None:
    draft = path.with_name("draft")
    draft.write_text(text)
    os.utime(draft, (changed, changed))
    draft.replace(path)


def test_that_a_file_is_read_once_until_it_is_another_one(file: Path) -> None:
    kept, read = FileCache[str](), []

    def text() -> str:
        read.append(file.read_text())
        return read[-1]

    assert [kept.of(file, text) for _ in range(3)] == ["one"] * 3
    assert read == ["one"]
    put(file, "two")  # of the same size and time
    assert [kept.of(file, text) for _ in range(3)] == ["two"] * 3
    assert read == ["one", "two"]
    file.write_text("six")  # in its place
    os.utime(file, (LONG_AGO + 1, LONG_AGO + 1))
    assert kept.of(file, text) == "six"
    file.unlink()
    with pytest.raises(FileNotFoundError):
        kept.of(file, text)


def test_that_what_was_changed_a_moment_ago_is_read_again(file: Path) -> None:
    kept = FileCache[str]()
    file.write_text("two")
    assert kept.of(file, file.read_text) == "two"
    before = file.stat()
    file.write_text("six")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert kept.of(file, file.read_text) == "six"
    assert not kept._found


def test_that_what_changes_while_it_is_read_and_a_refusal_are_not_kept(file: Path) -> None:
    kept = FileCache[str]()

    def meanwhile() -> str:
        before = file.read_text()
        put(file, "two", LONG_AGO + 1)
        return before

    def refuse() -> str:
        raise ValueError

    assert kept.of(file, meanwhile) == "one"
    assert kept.of(file, file.read_text) == "two"
    put(file, "six")
    with pytest.raises(ValueError):
        kept.of(file, refuse)
    assert kept.of(file, file.read_text) == "six"


def test_that_of_many_files_the_last_ones_are_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    kept = FileCache[str]()
    for number in range(5):
        path = file.with_name(f"{number}.json")
        put(path, str(number))
        kept.of(path, path.read_text)
    assert [path.stem for path in kept._found] == ["2", "3", "4"]
