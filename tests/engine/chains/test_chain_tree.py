"""A tree of chains: what each change leaves of it, and what comes back from the disk."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from diffusion_studio.core.describe import with_value
from diffusion_studio.core.process.spacing import ExplicitSpacing
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import DDIM, DDPM, SigmaCurve
from diffusion_studio.engine.chains import chain_tree
from diffusion_studio.engine.chains.chain_tree import (
    FILE,
    MOST_BRANCHES,
    Branch,
    ChainTree,
    changes,
    load_tree,
    save_tree,
)
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.starts import InvertedStart
from support import hostile

MAIN = SampleSpec(steps=10, count=4)


def seeded(seed: int) -> SampleSpec:
    return with_value(MAIN, "seed", seed)


def family() -> ChainTree:
    """The main chain; 1 and 2 leave it, 3 leaves 1, 4 leaves 3, 5 leaves 2."""
    parents = (0, 0, 1, 3, 2)
    branches = tuple(
        Branch(parent=parent, time=900 - 100 * number, spec=seeded(number), name=f"b{number}")
        for number, parent in enumerate(parents, start=1)
    )
    return ChainTree(spec=MAIN, branches=branches)


def sound(tree: ChainTree) -> ChainTree:
    """The tree, if its own rules hold."""
    again = ChainTree.model_validate(json.loads(json.dumps(tree.model_dump(mode="json"))))
    assert again == tree
    assert tree.compared != tree.active
    return again


def seeds(tree: ChainTree) -> list[int]:
    return [tree.spec_of(track).seed for track in tree.tracks]


# --- branching --------------------------------------------------------------------------------------------


def test_that_a_branch_begins_as_its_parent_and_is_shown():
    tree = ChainTree(spec=MAIN).branched(400)
    assert (tree.active, len(tree.branches)) == (1, 1)
    assert tree.branches[0] == Branch(parent=0, time=400, spec=MAIN)
    assert tree.spec_of(1) == tree.spec_of(0) == MAIN
    assert (tree.parent_of(0), tree.parent_of(1)) == (-1, 0)


def test_that_an_edit_changes_the_shown_track_alone():
    tree = family().showing(3)
    changed = sound(tree.with_spec(seeded(77)))
    assert seeds(changed) == [0, 1, 2, 77, 4, 5]
    main = sound(tree.showing(0).with_spec(seeded(66)))
    assert seeds(main) == [66, 1, 2, 3, 4, 5]
    assert changed.branches[2].model_copy(update={"spec": seeded(3)}) == tree.branches[2]


@pytest.mark.parametrize(("time", "parent"), [(100, 4), (500, 4), (501, 3), (600, 3), (601, 1), (801, 0)])
def test_that_a_branch_leaves_the_track_that_holds_the_time(time, parent):
    """Before a branch left, it is one with its parent; there the parent is left."""
    tree = sound(family().showing(4).branched(time))
    assert tree.branches[-1].parent == parent
    assert tree.branches[-1].spec == seeded(4)
    assert tree.active == 6


# --- deleting ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("track", "left", "parents"),
    [
        (0, [0, 1, 2, 3, 4, 5], [0, 0, 1, 3, 2]),
        (1, [0, 2, 5], [0, 1]),
        (2, [0, 1, 3, 4], [0, 1, 2]),
        (3, [0, 1, 2, 5], [0, 0, 2]),
        (4, [0, 1, 2, 3, 5], [0, 0, 1, 2]),
        (5, [0, 1, 2, 3, 4], [0, 0, 1, 3]),
    ],
)
def test_that_a_branch_goes_with_all_that_leave_it(track, left, parents):
    tree = sound(family().without(track))
    assert seeds(tree) == left
    assert [branch.parent for branch in tree.branches] == parents
    assert [branch.name for branch in tree.branches] == [f"b{number}" for number in left[1:]]


@pytest.mark.parametrize(
    ("shown", "deleted", "seed"),
    [(4, 4, 3), (4, 3, 1), (4, 1, 0), (5, 1, 5), (5, 2, 0), (2, 5, 2), (0, 1, 0)],
)
def test_that_the_nearest_ancestor_that_is_left_is_shown(shown, deleted, seed):
    tree = sound(family().showing(shown).without(deleted))
    assert tree.spec_of(tree.active).seed == seed


@pytest.mark.parametrize(
    ("shown", "compared", "deleted", "left"),
    [(0, 5, 1, 5), (0, 5, 2, None), (0, 4, 3, None), (4, 1, 4, 1), (4, 3, 4, None), (3, 0, 1, None)],
)
def test_that_the_comparison_goes_with_its_track_and_never_means_the_shown_one(
    shown, compared, deleted, left
):
    tree = sound(family().showing(shown).comparing(compared).without(deleted))
    assert (tree.spec_of(tree.compared).seed if tree.compared >= 0 else None) == left


# --- showing, comparing, naming ---------------------------------------------------------------------------


def test_that_the_compared_track_changes_places_with_the_shown_one():
    tree = family().showing(1).comparing(2)
    assert (tree.active, tree.compared) == (1, 2)
    assert (tree.showing(2).active, tree.showing(2).compared) == (2, 1)
    assert (tree.showing(4).active, tree.showing(4).compared) == (4, 2)
    assert tree.showing(2).showing(1) == tree


def test_that_a_comparison_ends():
    tree = family().showing(1).comparing(2)
    assert tree.comparing(-1).compared == -1
    assert tree.comparing(1).compared == -1  # with itself


def test_that_a_name_is_trimmed_and_an_empty_one_says_what_is_changed():
    tree = ChainTree(spec=MAIN).branched(500)
    assert tree.label_of(0) == "main chain"
    assert tree.label_of(1) == "branch 1"
    tree = tree.with_spec(seeded(3))
    assert tree.label_of(1) == "seed = 3"
    named = sound(tree.renamed(1, "  my way "))
    assert named.label_of(1) == "my way"
    assert named.renamed(1, " ").label_of(1) == "seed = 3"
    assert named.renamed(0, "no") == named


def test_that_a_tree_of_many_branches_is_named_without_finding_out_again_what_each_changes(monkeypatch):
    tree = ChainTree(spec=MAIN)
    for number in range(MOST_BRANCHES):
        tree = tree.branched(500).with_spec(seeded(number % 5))
    labels = tree.labels
    asked = []
    monkeypatch.setattr(chain_tree, "knobs", asked.append)
    assert tree.renamed(MOST_BRANCHES, "mine").labels == (*labels[:-1], "mine")
    assert not asked
    assert len(set(labels)) == len(labels)
    assert labels[1:3] == ("branch 1", "seed = 1")


CHANGED = [
    ({}, ""),
    ({"seed": 3}, "seed = 3"),
    ({"sampler": DDIM(eta=0.25)}, "η = 0.25"),
    ({"sampler": DDPM()}, DDPM.title),
    ({"guidance": 2.5, "label": 4}, "y = 4 · γ = 2.5"),
    ({"count": 99, "start": InvertedStart(images=("a.png",))}, ""),  # a branch shares its parent's
    ({"steps": 20, "seed": 1}, "S = 20 · seed = 1"),
    ({"spacing": ExplicitSpacing(values=(3, 50))}, f"{ExplicitSpacing.title} · τ"),
    ({"sampler": SigmaCurve(points=((0.0, 0.1),))}, f"{SigmaCurve.title} · σ_t"),
]


@pytest.mark.parametrize(("update", "words"), CHANGED)
def test_that_changes_are_said_in_the_symbols_of_the_form(update, words):
    after = MAIN.model_copy(update=update)
    assert changes(MAIN, after) == words


@pytest.mark.parametrize("update", [update for update, _ in CHANGED])
def test_that_nothing_is_said_where_nothing_was_changed(update):
    spec = MAIN.model_copy(update=update)
    assert changes(spec, spec) == ""


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["branch", "show", "compare", "delete", "edit", "name"]), st.integers(0, 9)
        ),
        max_size=30,
    )
)
def test_that_no_chain_of_changes_breaks_the_tree(acts):
    tree = ChainTree(spec=MAIN)
    for act, number in acts:
        track = number % len(tree.tracks)
        match act:
            case "branch":
                tree = tree.branched(100 * number + 1)
            case "show":
                tree = tree.showing(track)
            case "compare":
                tree = tree.comparing(track if number else -1)
            case "delete":
                tree = tree.without(track)
            case "edit":
                tree = tree.with_spec(seeded(number))
            case _:
                tree = tree.renamed(track, f"n{number}")
        sound(tree)


def test_that_all_tracks_begin_at_noise_when_an_image_is_gone():
    inverted = MAIN.model_copy(update={"start": InvertedStart(images=("gone.png",))})
    tree = ChainTree(spec=inverted).branched(500).with_spec(inverted.model_copy(update={"seed": 3}))
    assert sound(tree.from_noise()) == ChainTree(spec=MAIN).branched(500).with_spec(seeded(3))


# --- what is no tree --------------------------------------------------------------------------------------

BROKEN = [
    {"branches": [{"parent": 1, "time": 5}]},  # leaves itself
    {"branches": [{"parent": 2, "time": 5}, {"parent": 0, "time": 5}]},
    {"active": 1},
    {"compared": 2, "branches": [{"time": 5}]},
    {"active": -1},
    {"compared": -2},
    {"branches": [{"time": 0}]},
    {"branches": 7},
    {"spec": {"seed": -1}},
    {"something": 1},
]


@pytest.mark.parametrize("value", BROKEN)
def test_that_a_tree_that_cannot_be_is_refused(value):
    with pytest.raises(ValidationError):
        ChainTree.model_validate(value)


# --- on disk ----------------------------------------------------------------------------------------------


def test_that_a_tree_comes_back_from_the_disk(tmp_path):
    tree = family().showing(4).comparing(2).renamed(1, "η größer")
    spec = SampleSpec(
        sampler=SigmaCurve(points=((1.0, 0.0), (700.5, 0.123456789))),
        spacing=ExplicitSpacing(values=(5, 700)),
        start=InvertedStart(images=("/tmp/山水/a.png", "b.png"), share=0.5),
    )
    for saved in (tree, ChainTree(), tree.with_spec(spec), ChainTree(spec=spec)):
        save_tree(tmp_path, saved)
        assert load_tree(tmp_path) == saved
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_that_a_run_without_saved_chains_has_none(tmp_path):
    assert load_tree(tmp_path) is None
    assert load_tree(tmp_path / "gone") is None


def refusal(run):
    with pytest.raises(Refused, match=r"^The chains saved with .* cannot be read: .*[^.]\.$") as refused:
        load_tree(run)
    return str(refused.value)


DAMAGED = [b"", b"{", b"[]", b"null", b"7", b"\xff\xfe\x00", b"[" * 100_000] + [
    json.dumps(value).encode() for value in BROKEN
]


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_that_damaged_chains_are_refused_and_stay_where_they_are(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    assert "\n" not in refusal(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_that_only_a_regular_file_of_the_run_is_opened(tmp_path, kind):
    hostile.put(tmp_path / FILE, kind)
    assert refusal(tmp_path)


def test_that_a_million_branches_are_not_read(tmp_path, monkeypatch):
    (tmp_path / FILE).write_text(json.dumps({"branches": [Branch().model_dump(mode="json")] * 20_000}))
    monkeypatch.setattr(json, "loads", lambda *_: pytest.fail("it was read"))
    assert "more than the 4 MB that are read" in refusal(tmp_path)


def test_that_a_tree_has_a_bounded_number_of_branches(tmp_path):
    (tmp_path / FILE).write_text(json.dumps({"branches": [{}] * (MOST_BRANCHES + 1)}))
    assert f"at most {MOST_BRANCHES}" in refusal(tmp_path)
    full = ChainTree(branches=(Branch(),) * MOST_BRANCHES)
    save_tree(tmp_path, full)
    assert load_tree(tmp_path) == full
    with pytest.raises(Refused, match="can have 256 branches"):
        full.branched(1)


def test_that_what_could_not_be_read_again_is_not_saved(tmp_path):
    images = tuple(f"/a/folder/with/a/long/name/{number}.png" for number in range(4096))
    spec = SampleSpec(start=InvertedStart(images=images))
    save_tree(tmp_path, family())
    with pytest.raises(OSError, match="too many images"):
        save_tree(tmp_path, ChainTree(spec=spec, branches=(Branch(spec=spec),) * 40))
    assert load_tree(tmp_path) == family()


def test_that_a_failed_save_leaves_the_tree_of_before(tmp_path, monkeypatch):
    save_tree(tmp_path, family())
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        save_tree(tmp_path, ChainTree())
    assert load_tree(tmp_path) == family()
