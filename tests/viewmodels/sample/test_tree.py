"""The tree of chains that is asked for, with undo and redo: nothing is computed here."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion_studio.core.describe import with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import DDIM, SigmaCurve
from diffusion_studio.engine.chains.chain_tree import Branch, ChainTree
from diffusion_studio.viewmodels.sample.state import SampleParameters
from diffusion_studio.viewmodels.sample.tree import TreeModel
from support.chains import random_source
from support.sample_page import DIGITS, SPEC, START, begun


class Anything:
    """A denoiser that follows everything, but for classes beyond the tenth."""

    points: tuple[tuple[float, float], ...] | None = None

    def check(self, asked: SampleParameters, tree: ChainTree) -> None:
        if tree.spec_of(tree.active).label > 9:
            raise Refused("Digits has the classes 0 … 9.")

    def sigma_points(self, spec: Any) -> tuple[tuple[float, float], ...] | None:
        return self.points


class Told:
    """A tree, and whether each of the times that it told of something its parameters had changed."""

    def __init__(self, limits: Any = None, start: SampleParameters = START) -> None:
        self.changed: list[bool] = []
        self.tree = TreeModel(start, limits or Anything(), self.hear)

    def hear(self, before: SampleParameters) -> None:
        self.changed.append(before != self.tree.parameters)


@pytest.fixture
def told(qapp) -> Told:
    return Told()


@pytest.fixture
def tree(told) -> TreeModel:
    return told.tree


# --- edits ------------------------------------------------------------------------------------------------


def test_that_an_edit_is_told_once_and_its_end_only_if_that_changes_something(told, tree):
    tree.edit("sampler.eta", 0.7)
    assert told.changed == [True]
    assert tree.state.parameters.spec.sampler == DDIM(eta=0.7)
    assert (tree.state.can_undo, tree.state.can_redo) == (True, False)
    tree.settle()
    tree.edit("sampler.eta", 0.7)  # the value it has
    tree.settle()
    assert told.changed == [True]


def test_that_one_drag_is_one_step(tree):
    for eta in (0.1, 0.2, 0.3):
        tree.edit("sampler.eta", eta)
    tree.settle()
    tree.undo()
    assert tree.parameters == START
    assert not tree.state.can_undo


def test_that_undo_without_a_past_is_not_told(told, tree):
    tree.undo()
    tree.redo()
    assert told.changed == []


def test_that_a_curve_to_draw_begins_with_the_noise_there_is(tree):
    Anything.points = ((100.0, 0.1), (900.0, 0.4))
    try:
        tree.edit("sampler.kind", "sigma")
    finally:
        Anything.points = None
    assert tree.parameters.spec.sampler == SigmaCurve(points=((100.0, 0.1), (900.0, 0.4)))


WRONG = [
    ("sampler.eta", -0.1, "greater than or equal to 0"),
    ("sampler.eta", 1.5, "less than or equal to 1"),
    ("label", 10, "there is no class 10"),
    ("label", -3, "greater than or equal to -2"),
    ("spacing", {"kind": "explicit", "values": (5, 300, 20)}, "increas"),
    ("spacing", {"kind": "explicit", "values": (5, 300, 300)}, "increas"),
    ("spacing", {"kind": "explicit", "values": (5, 1001)}, "T = 1,?000"),
    ("spacing", {"kind": "explicit", "values": (-3, 5)}, ""),
    ("sampler", {"kind": "sigma", "points": ((0.0, 0.0), (400.0, 5.0))}, "σ"),
    ("sampler", {"kind": "sigma", "points": ((0.0, 0.0), (400.0, -0.5))}, "negative"),
    ("sampler", {"kind": "sigma", "points": ()}, "at least one point"),
    ("steps", 0, "greater than or equal to 1"),
    ("nothing", 1, "no parameter"),
]


@pytest.fixture(scope="module")
def source():
    """A denoiser of ten classes with T = 1000; no step of it is ever taken here."""
    return random_source(10, T=1000)


@pytest.mark.parametrize("on_a_branch", [False, True])
@pytest.mark.parametrize(("path", "value", "sentence"), WRONG)
def test_that_what_cannot_be_gets_its_sentence_and_changes_nothing(
    qapp, source, path, value, sentence, on_a_branch
):
    asked = START.tree.branched(600) if on_a_branch else START.tree
    told = Told(begun(source, asked), SampleParameters(DIGITS, asked))
    tree = told.tree
    tree.edit(path, value)
    tree.settle()
    ((where, words),) = tree.state.errors
    assert where == path
    assert words.endswith(".")
    assert re.search(sentence, words), words
    assert tree.parameters == tree.state.parameters == SampleParameters(DIGITS, asked)
    assert not tree.state.can_undo
    assert told.changed == [False]
    tree.edit("seed", 1)
    assert tree.state.errors == ()
    assert tree.parameters.spec.seed == 1


def test_that_a_sigma_too_large_for_the_steps_of_a_branch_is_refused(qapp, source):
    """What the whole chain could take, the first step of the branch cannot."""
    spec = with_value(SPEC, "spacing", {"kind": "explicit", "values": (100, 900, 1000)})
    asked = ChainTree(spec=spec).branched(900)
    tree = Told(begun(source, asked), SampleParameters(DIGITS, asked)).tree
    points = ((100.0, 0.0), (880.0, 0.0), (890.0, 0.9), (910.0, 0.9), (920.0, 0.0))
    tree.edit("sampler", {"kind": "sigma", "points": points})
    assert len(tree.state.errors) == 1
    assert tree.value == asked


def test_that_a_change_that_a_branch_could_not_follow_is_refused_with_its_name(qapp, source):
    points = ((450.0, 0.0), (500.0, 0.9), (550.0, 0.0))  # too much for a step from 500 to 10
    few = {"spacing": {"kind": "explicit", "values": (10, 900)}}
    branch = SPEC.model_dump() | few | {"sampler": {"kind": "sigma", "points": points}}
    asked = ChainTree(spec=SPEC, branches=[{"name": "mine", "time": 600, "spec": branch}])
    chains = begun(source, asked)
    assert chains.records[1].times == (1000, 900, 800, 700, 600, 10, 0)
    tree = Told(chains, SampleParameters(DIGITS, asked)).tree
    tree.edit("spacing", {"kind": "explicit", "values": (500, 1000)})  # the branch would leave at 500
    ((path, words),) = tree.state.errors
    assert path == "spacing"
    assert words.startswith("In “mine”: ")
    assert tree.value == asked


def test_that_a_class_of_another_denoiser_stands_until_it_is_changed(qapp):
    asked = ChainTree(spec=SPEC.model_copy(update={"label": 7}))
    tree = Told(begun(random_source(3, T=1000), asked), SampleParameters(DIGITS, asked)).tree
    tree.edit("seed", 3)
    assert tree.state.errors == ()
    assert (tree.parameters.spec.label, tree.parameters.spec.seed) == (7, 3)
    tree.edit("label", 5)
    assert "there is no class 5" in tree.state.errors[0][1]


def test_that_of_a_denoiser_that_is_not_on_show_yet_nothing_is_known(qapp):
    chains = begun(random_source(3, T=1000), START.tree)
    tree = Told(chains, SampleParameters("another", START.tree)).tree
    tree.edit("label", 5)
    assert tree.state.errors == ()
    assert tree.parameters.spec.label == 5


# --- tracks -----------------------------------------------------------------------------------------------


def test_that_a_branch_leaves_the_shown_track_and_is_shown(told, tree):
    tree.branch(600)
    assert tree.value.branches == (Branch(parent=0, time=600, spec=SPEC),)
    assert tree.value.active == 1
    tree.edit("seed", 3)
    assert (tree.value.spec.seed, tree.parameters.spec.seed) == (0, 3)
    assert told.changed == [True, True]


def test_that_a_comparison_ends_with_what_is_deleted(tree):
    tree.compare_new(1000)
    assert (tree.value.active, tree.value.compared) == (1, 0)
    tree.delete(1)
    assert tree.value == START.tree
    tree.undo()
    assert (tree.value.active, tree.value.compared) == (1, 0)


def test_that_of_tracks_that_are_not_there_nothing_comes(told, tree):
    tree.branch(600)
    told.changed.clear()
    for act in (tree.show, tree.compare, tree.delete):
        act(9)
    tree.show(-1)
    tree.rename(0, "no")
    tree.rename(7, "no")
    tree.delete(0)
    assert told.changed == []


def test_that_what_turned_out_wrong_is_withdrawn_and_told_as_no_change(told, tree):
    tree.edit("seed", 1)
    tree.settle()
    tree.edit("seed", 2)
    tree.settle()
    told.changed.clear()
    tree.withdraw(lambda value: value.spec.seed == 2, START)
    assert tree.parameters.spec.seed == 1
    tree.begin_again(START)
    assert tree.state.parameters == START
    assert not tree.state.can_undo
    assert told.changed == [False, False]


# --- undo and redo ----------------------------------------------------------------------------------------

TRACKS = st.integers(0, 6)
EDITS = [
    ("sampler.eta", 0.0), ("sampler.eta", 0.3), ("sampler.eta", -1.0), ("sampler.kind", "ddpm"),
    ("sampler.kind", "heun"), ("sampler.kind", "ddim"), ("steps", 7), ("steps", 12), ("count", 3),
    ("spacing.kind", "quadratic"), ("spacing", {"kind": "explicit", "values": (3, 40)}), ("label", 2),
    ("label", 99), ("guidance", 2.5), ("clip.kind", "off"), ("seed", 1), ("seed", 2),
]  # fmt: skip
ACTS = st.one_of(
    st.tuples(st.just("edit"), st.sampled_from(EDITS)),
    st.tuples(st.just("drag"), st.lists(st.floats(0, 1), min_size=1, max_size=5)),
    st.tuples(st.just("branch"), st.integers(1, 1000)),
    st.tuples(st.sampled_from(["delete", "show", "compare"]), TRACKS),
    st.tuples(st.just("rename"), st.tuples(TRACKS, st.sampled_from(["", "a", "b"]))),
    st.tuples(st.just("compare_new"), st.just(1000)),
    st.tuples(st.just("source"), st.sampled_from([DIGITS, "mine", "gone"])),
)


def act(tree: TreeModel, name: str, what: Any) -> None:
    """One thing that a person does: one step of the history at most."""
    match name:
        case "edit":
            tree.edit(*what)
            tree.settle()
        case "drag":
            for value in what:
                tree.edit("sampler.eta", value)
            tree.settle()
        case "compare":
            tree.compare(what - 1)
        case "rename":
            tree.rename(*what)
        case "source":
            tree.put(source=what)
        case _:
            getattr(tree, name)(what)


@given(st.lists(ACTS, min_size=50, max_size=50))
@settings(max_examples=20)
def test_that_undo_and_redo_walk_over_fifty_mixed_changes(acts):
    tree, seen = Told().tree, [START]
    for name, what in acts:
        act(tree, name, what)
        if tree.parameters != seen[-1]:
            seen.append(tree.parameters)
        assert ChainTree.model_validate(tree.value.model_dump()) == tree.value
    for _ in range(2):
        for value in reversed(seen[:-1]):
            assert tree.state.can_undo
            tree.undo()
            assert tree.parameters == tree.state.parameters == value
        assert tree.parameters == START
        assert not tree.state.can_undo
        tree.undo()
        for value in seen[1:]:
            assert tree.state.can_redo
            tree.redo()
            assert tree.parameters == tree.state.parameters == value
        assert not tree.state.can_redo
