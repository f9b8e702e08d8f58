"""What is written about a run: it lies in its folder, moves with it, and never hides it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from diffusion_studio.engine.labbook import entries
from diffusion_studio.engine.labbook.entries import (
    BROKEN,
    ENTRY,
    MOST_NOTE,
    Entry,
    called,
    common_tags,
    file_name,
    read_entry,
    retagged,
    tags_in,
    write_entry,
)
from diffusion_studio.engine.runs.run import RunError

WRITTEN = Entry("The first one", "T = 50\nis too few.", ("small", "for Anna"), True)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_that_of_a_new_run_nothing_is_written_and_it_is_called_like_its_folder(run):
    assert read_entry(run) == (Entry(), "")
    assert called(run) == "run"
    assert not list(run.iterdir())


def test_that_what_is_written_is_there_again_wherever_the_folder_is_moved(run, tmp_path):
    write_entry(run, WRITTEN)
    moved = run.rename(tmp_path / "elsewhere")
    assert read_entry(moved) == (WRITTEN, "")
    assert called(moved) == "The first one"
    assert [path.name for path in moved.iterdir()] == [ENTRY]


def test_that_one_that_cannot_be_looked_for_is_not_taken_for_none(run, monkeypatch):
    """A folder of a network that hiccups: what is written next must not take the place of what is there."""
    lstat = os.lstat

    def hiccup(path, *arguments, **more):
        if Path(path).name == ENTRY:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return lstat(path, *arguments, **more)

    monkeypatch.setattr(os, "lstat", hiccup)
    entry, problem = read_entry(run)
    assert entry == Entry()
    assert problem.startswith(f"What was written about it ({ENTRY}) cannot be read: ")


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b" " * (2 << 20)])
def test_that_a_broken_one_is_told_and_kept_when_a_new_one_is_written(run, content):
    (run / ENTRY).write_bytes(content)
    entry, problem = read_entry(run)
    assert entry == Entry()
    assert problem.startswith(f"What was written about it ({ENTRY}) cannot be read: ")
    write_entry(run, WRITTEN)
    assert read_entry(run) == (WRITTEN, "")
    assert (run / BROKEN).read_bytes() == content


def test_that_parts_that_make_no_sense_cost_only_themselves(run):
    content = {
        "name": ["x"],
        "note": "a" * 30_000,
        "tags": ["one", 2, " One ", "a,b", ""],
        "star": 1,
        "more": 0,
    }
    (run / ENTRY).write_text(json.dumps(content))
    assert read_entry(run) == (Entry("", "a" * MOST_NOTE, ("one", "a", "b")), "")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_that_nothing_outside_of_the_folder_is_read_or_written(run, tmp_path):
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps({"name": "stolen"}))
    (run / ENTRY).symlink_to(outside)
    assert read_entry(run)[0] == Entry()
    write_entry(run, WRITTEN)
    assert json.loads(outside.read_text()) == {"name": "stolen"}
    assert read_entry(run)[0] == WRITTEN


def test_that_a_run_that_is_gone_is_not_made_anew(run):
    run.rmdir()
    with pytest.raises(RunError, match="not there any more"):
        write_entry(run, WRITTEN)
    assert not run.exists()


def test_that_tags_are_words_between_commas_each_once():
    assert tags_in([" small,  for   Anna ", "#Small", "ANNA, small"]) == ("small", "for Anna", "ANNA")
    assert len(tags_in(map(str, range(100)))) == 20


def test_that_tagging_several_changes_what_they_have_in_common_and_keeps_their_own():
    entries = [Entry(tags=("a", "b")), Entry(tags=("b", "c"))]
    before = common_tags(entries)
    assert before == ("b",)
    assert [retagged(entry, before, ("d",)).tags for entry in entries] == [("a", "d"), ("c", "d")]
    assert [retagged(entry, before, ("b", "a")).tags for entry in entries] == [("a", "b"), ("b", "c", "a")]
    assert common_tags([]) == ()


@pytest.mark.parametrize(
    ("name", "file"),
    [("T = 50", "T = 50"), ("a/b: <c>?", "a-b- -c--"), (" … ", "…"), ("..", "run"), ("ς̂ → x₀", "ς̂ → x₀")],
)
def test_that_files_about_a_run_are_called_like_it_where_any_system_takes_them(run, name, file):
    write_entry(run, Entry(name))
    assert file_name(run) == file


def test_that_nothing_is_looked_into_for_a_run_of_which_nothing_is_written(run, monkeypatch):
    monkeypatch.setattr(entries, "json_inside", lambda *_: pytest.fail("looked into"))
    assert read_entry(run) == (Entry(), "") and called(run) == run.name
