"""What is kept of chains beside their run: later, and never lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from diffusion_studio.engine.chains.chain_tree import ASIDE, FILE, ChainTree, load_tree
from diffusion_studio.viewmodels.sample import saved as module
from diffusion_studio.viewmodels.sample.saved import SavedTrees, restored, to_remember
from diffusion_studio.viewmodels.sample.state import SampleParameters
from support.sample_page import DIGITS, SPEC, START

TREE, OTHER = ChainTree(spec=SPEC).branched(500), ChainTree(spec=SPEC)


@pytest.fixture
def run(tmp_path):
    """As much of a run as is looked at."""
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "config.json").touch()
    return tmp_path / "run"


@pytest.fixture
def complaints():
    return []


@pytest.fixture
def saved(qapp, complaints):
    saved = SavedTrees(complaints.append)
    yield saved
    saved.flush()


def test_that_a_tree_is_written_a_while_after_the_last_change(qtbot, saved, run):
    for tree in (OTHER, TREE):
        saved.keep(str(run), tree)
        assert saved.load(str(run)) == tree
        assert not (run / FILE).exists()
    qtbot.waitUntil((run / FILE).exists)
    assert load_tree(run) == TREE
    assert saved.load(str(run)) == TREE


def test_that_nothing_waits_when_it_is_closed(saved, run):
    saved.keep(str(run), TREE)
    saved.flush()
    assert load_tree(run) == TREE
    assert not saved._timer.isActive()


def test_that_what_is_being_written_is_known_and_what_follows_waits_for_its_turn(
    qtbot, saved, run, monkeypatch
):
    written: list[ChainTree] = []
    disk = threading.Semaphore(0)

    def slow(path: Any, tree: ChainTree) -> None:
        disk.acquire()
        written.append(tree)

    monkeypatch.setattr(module, "save_tree", slow)
    saved.keep(str(run), OTHER)
    saved._timer.timeout.emit()
    assert saved.load(str(run)) == OTHER
    saved.keep(str(run), TREE)
    saved._timer.timeout.emit()
    assert saved._timer.isActive()
    disk.release(2)
    qtbot.waitUntil(lambda: len(written) == 2)
    assert written == [OTHER, TREE]


def test_that_other_denoisers_have_no_place_for_a_tree(saved, tmp_path):
    for source in (DIGITS, str(tmp_path), str(tmp_path / "gone")):
        saved.keep(source, TREE)
        assert saved.load(source) is None
    saved.flush()
    assert list(tmp_path.iterdir()) == []
    assert saved.load(DIGITS) is None


@pytest.mark.parametrize("content", [b"{", b'{"active": 3}', b'{"dreams": "of a newer version"}'])
def test_that_chains_that_cannot_be_read_are_told_of_and_not_lost(saved, run, complaints, content):
    (run / FILE).write_bytes(content)
    assert saved.load(str(run)) is None
    assert [text.startswith("The chains saved with run cannot be read: ") for text in complaints] == [True]
    saved.keep(str(run), TREE)
    saved.flush()
    assert load_tree(run) == TREE
    assert (run / ASIDE).read_bytes() == content


def test_that_the_same_tree_is_not_written_again(saved, run, monkeypatch):
    saved.keep(str(run), TREE)
    saved.flush()
    monkeypatch.setattr(module, "save_tree", lambda *_: pytest.fail("written again"))
    saved.keep(str(run), TREE)
    saved.flush()


def test_that_a_run_that_cannot_be_written_to_is_no_reason_to_fail(saved, run, monkeypatch, caplog):
    def refuse(*_: Any) -> None:
        raise OSError("read only")

    monkeypatch.setattr(module, "save_tree", refuse)
    saved.keep(str(run), TREE)
    saved.flush()
    assert "read only" in caplog.text


def test_that_parameters_come_back_from_the_memory():
    parameters = SampleParameters(DIGITS, TREE)
    assert restored(to_remember(parameters)) == parameters
    assert restored({"source": DIGITS, "spec": SPEC.model_dump(mode="json")}) == START


@pytest.mark.parametrize("value", [None, {}, [1], {"source": 1}, {"source": "a", "tree": {"active": 4}}, "x"])
def test_that_what_makes_no_sense_is_not_restored(value):
    assert restored(value) is None
