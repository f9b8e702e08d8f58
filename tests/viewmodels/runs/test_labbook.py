"""The lab book behind the Runs page: what is written about runs, undone, found, and sorted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffusion_studio.engine.labbook.entries import ENTRY, Entry, read_entry
from diffusion_studio.engine.runs.creation import create_run
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.runs.model import RunsViewModel
from diffusion_studio.viewmodels.runs.order import Arrangement, arranged
from diffusion_studio.viewmodels.runs.summary import summary_of, unreadable
from support.tiny import tiny_config


@pytest.fixture
def folder(tmp_path):
    """Three runs that have learned nothing yet."""
    for name in ("a", "b", "c"):
        create_run(tmp_path / "runs" / name, tiny_config(), {})
    return tmp_path / "runs"


@pytest.fixture
def model(qtbot, folder, tmp_path):
    made = RunsViewModel(folder, Memory(tmp_path / "memory.json"))
    listed(qtbot, made)
    made.sort("name")
    made.select(folder / "a")
    yield made
    made.shutdown()


def listed(qtbot, model) -> None:
    model.refresh()
    qtbot.waitUntil(lambda: model.state.listed and not model._listing.busy)


def written(qtbot, model, run: Path) -> Entry:
    """What lies on the disk once all is written."""
    qtbot.waitUntil(lambda: not model._writing._slot.busy)
    return read_entry(run)[0]


def names(model) -> list[str]:
    return [run.name for run in model.state.shown]


def test_that_what_is_written_is_shown_at_once_and_lies_with_the_run(qtbot, model, folder):
    model.rename("  The   first ")
    model.tag("small, T50")
    model.write_note("A note.\n\n")
    model.star()
    expected = Entry("The first", "A note.", ("small", "T50"), True)
    assert model.state.summary(folder / "a").entry == expected
    assert written(qtbot, model, folder / "a") == expected
    assert written(qtbot, model, folder / "b") == Entry()
    listed(qtbot, model)
    assert model.state.summary(folder / "a").entry == expected


def test_that_every_edit_is_undone_and_made_again(qtbot, model, folder):
    model.rename("first")
    model.write_note("note")
    assert names(model) == ["b", "c", "first"]
    model.undo()
    model.undo()
    assert names(model) == ["a", "b", "c"] and not model.state.can_undo
    assert written(qtbot, model, folder / "a") == Entry()
    model.redo()
    model.redo()
    assert not model.state.can_redo
    assert written(qtbot, model, folder / "a") == Entry("first", "note")


def test_that_undo_goes_through_the_trash_too(qtbot, model, folder):
    model.rename("first")
    model.trash(folder / "a")
    listed(qtbot, model)
    assert names(model) == ["b", "c"]
    model.undo()
    model.undo()
    listed(qtbot, model)
    assert names(model) == ["a", "b", "c"]
    model.redo()
    model.redo()
    listed(qtbot, model)
    assert names(model) == ["b", "c"] and not model.state.can_redo
    model.undo()
    assert read_entry(folder / "a")[0] == Entry("first")


def test_that_a_new_edit_leaves_nothing_to_be_made_again(model):
    model.rename("first")
    model.undo()
    model.star()
    assert not model.state.can_redo


def test_that_an_empty_name_is_that_of_the_folder(qtbot, model, folder):
    model.rename("first")
    model.rename("")
    assert names(model) == ["a", "b", "c"]
    model.rename("a")
    assert written(qtbot, model, folder / "a") == Entry()


def test_that_several_chosen_runs_are_tagged_and_starred_together(qtbot, model, folder):
    model.tag("own")
    model.choose([folder / "a", folder / "b"])
    model.tag("both")
    model.star()
    assert written(qtbot, model, folder / "a") == Entry(tags=("own", "both"), star=True)
    assert written(qtbot, model, folder / "b") == Entry(tags=("both",), star=True)
    model.star()
    assert not any(run.entry.star for run in model.state.runs)
    for _ in range(3):
        model.undo()
    assert [run.entry.tags for run in model.state.shown] == [("own",), (), ()]


def test_that_runs_keep_the_order_in_which_they_were_chosen(model, folder):
    a, b, c = (folder / name for name in "abc")
    for paths in ([c], [a, c], [a, b, c]):
        model.choose(paths)
    assert model.state.chosen == (c, a, b)
    assert model.state.selected == b


def test_that_runs_are_found_by_words_in_whatever_is_said_of_them(model, folder):
    model.write_note("Slower than Anna's")
    model.tag("paper")
    for words, found in (
        ("anna", "a"),
        ("PAPER slow", "a"),
        ("digits", "abc"),
        ("a b", ""),
        ("diffusion", "abc"),
    ):
        model.filter(words)
        assert "".join(names(model)) == found, words
    model.filter("anna")
    assert model.state.chosen == (folder / "a",)
    model.filter("nothing")
    assert model.state.chosen == () and model.state.selected is None
    model.rename("nobody")  # nothing is chosen
    model.filter("")
    model.star()
    model.show_starred(True)
    assert names(model) == ["a"]


def test_that_the_order_is_kept_for_the_next_start_and_the_words_are_not(qtbot, model, folder, tmp_path):
    model.sort("step")
    model.sort("step")
    model.filter("x")
    model.show_starred(True)
    model._memory.flush()
    again = RunsViewModel(folder, Memory(tmp_path / "memory.json"))
    assert again.state.arrangement == Arrangement("", True, "step", False)


@pytest.mark.parametrize(
    "odd", [None, 3, [], {"by": "nothing"}, {"by": ["step"]}, {"by": "loss", "starred": 1}]
)
def test_that_an_order_that_makes_no_sense_is_as_at_first(folder, tmp_path, odd):
    memory = Memory(tmp_path / "memory.json")
    memory.set("labbook.order", odd)
    order = RunsViewModel(folder, memory).state.arrangement
    assert order.by in ("saved", "loss") and not order.starred


def test_that_what_is_not_known_comes_last_either_way():
    runs = [replace(unreadable(Path(str(n)), ""), loss=loss) for n, loss in enumerate((0.2, np.nan, 0.1))]
    rising = arranged(runs, Arrangement(by="loss", descending=False))
    falling = arranged(runs, Arrangement(by="loss", descending=True))
    assert [run.name for run in rising] == ["2", "0", "1"]
    assert [run.name for run in falling] == ["0", "2", "1"]


def test_that_broken_notes_never_hide_their_run(folder):
    (folder / "a" / ENTRY).write_bytes(b"\x00{")
    found = summary_of(folder / "a")
    assert (found.name, found.problem) == ("a", "")
    assert "not valid JSON" in found.remark


def test_that_what_cannot_be_written_is_told_and_not_shown(qtbot, model, folder):
    (folder / "a").rename(folder / "moved")
    model.rename("first")
    qtbot.waitUntil(lambda: model.state.notice is not None and not model._listing.busy)
    assert "not there any more" in model.state.notice.text
    assert names(model) == ["b", "c", "moved"]
