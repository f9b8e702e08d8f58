"""Branches and A/B behind the Sample page: what they share, where they differ, and what is kept of them."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion_studio.core.samplers import DDIM, DDPM
from diffusion_studio.engine.chains import chain_tree
from diffusion_studio.engine.chains.chain_tree import FILE, Branch, ChainTree, load_tree
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.sample.state import SampleParameters
from support.sample_page import DIGITS, SPEC, states, told

# --- branches ---------------------------------------------------------------------------------------------


def test_that_a_branch_leaves_at_the_shown_state_and_is_shown(model, settled):
    main = model.chains.record
    model.player.seek(4)
    model.branch()
    settled(model)
    tree = model.tree.value
    assert tree.branches == (Branch(parent=0, time=main.times[4], spec=SPEC),)
    assert tree.active == 1
    assert model.chains.record is not main
    assert model.chains.record.parent is main
    np.testing.assert_array_equal(states(model.chains.record), states(main))
    assert model.state.player.position == 4
    first, second = model.state.chains.tracks
    assert (first.label, first.parent, first.start, first.ready) == ("main chain", -1, 0, 11)
    assert (second.label, second.parent, second.start, second.ready) == ("branch 1", 0, 4, 11)


@pytest.mark.parametrize("act", ["branch", "compare_new"])
def test_that_a_branch_too_many_is_refused_with_a_sentence(model, settled, monkeypatch, act):
    monkeypatch.setattr(chain_tree, "MOST_BRANCHES", 1)
    model.branch()
    settled(model)
    before = model.tree.parameters
    getattr(model, act)()
    assert model.tree.parameters == before
    assert model.state.notice.text.startswith("A chain can have 1 branches; delete one")


def test_that_what_is_changed_in_a_branch_acts_from_there_on(branched):
    main, branch = branched.chains.records
    assert branched.tree.value.spec == SPEC
    assert branched.tree.parameters.spec.seed == 3
    differ = (states(branch) != states(main)).any((1, 2, 3, 4))
    assert differ.tolist() == [False] * 5 + [True] * 6
    assert branched.state.chains.tracks[1].label == "seed = 3"


def test_that_a_branch_at_the_image_leaves_before_the_last_step(model, settled):
    model.player.seek(10)
    model.branch()
    settled(model)
    assert model.chains.record.leaves == 9


def test_that_without_a_chain_there_is_nothing_to_branch(made):
    model = made(None)
    model.branch()
    model.compare_new()
    assert model.tree.value == ChainTree()
    assert not model.state.chains.busy


def test_that_a_known_track_is_shown_at_once(branched, settled):
    main, branch = branched.chains.records
    frames = told(branched, "frame")
    branched.player.seek(7)
    branched.tree.show(0)
    assert branched.chains.record is main
    assert (branched.state.player.position, branched.state.chains.facts.times) == (7, main.times)
    np.testing.assert_array_equal(frames[-1].images, main.picture("x0_hat", 7))
    branched.tree.show(1)
    assert branched.chains.record is branch
    np.testing.assert_array_equal(frames[-1].images, branch.picture("x0_hat", 7))
    settled(branched)
    branched.tree.show(2)
    branched.tree.show(-1)
    assert branched.chains.record is branch


def test_that_a_seek_right_after_another_track_is_a_state_of_that_track(branched, settled):
    branched.tree.edit("spacing", {"kind": "explicit", "values": (7, 20, 300, 310, 400, 650, 1000)})
    branched.tree.settle()
    settled(branched)
    own = branched.chains.record.times
    assert own == (1000, 900, 800, 700, 600, 400, 310, 300, 20, 7, 0)
    branched.tree.show(0)
    settled(branched)
    branched.tree.show(1)
    branched.player.seek(8)
    assert branched.player.state.place == pytest.approx(0.02)
    settled(branched)
    assert branched.state.chains.facts.times[branched.state.player.position] == 20


def test_that_a_track_is_named_without_computing_anything_again(branched, settled):
    records = branched.chains.records
    branched.tree.rename(1, " mine ")
    assert branched.state.chains.tracks[1].label == "mine"
    settled(branched)
    assert branched.chains.records == records
    branched.tree.rename(1, "")
    branched.tree.rename(0, "no")
    branched.tree.rename(7, "no")
    assert [track.label for track in branched.state.chains.tracks] == ["main chain", "seed = 3"]


def test_that_a_deleted_branch_goes_with_its_own(branched, settled):
    main = branched.chains.records[0]
    branched.player.seek(6)
    branched.branch()
    settled(branched)
    assert [track.parent for track in branched.state.chains.tracks] == [-1, 0, 1]
    branched.tree.delete(1)
    settled(branched)
    assert branched.tree.value == ChainTree(spec=SPEC)
    assert branched.chains.record is main
    assert len(branched.state.chains.tracks) == 1
    branched.tree.undo()
    settled(branched)
    assert [track.parent for track in branched.state.chains.tracks] == [-1, 0, 1]
    branched.tree.delete(0)
    branched.tree.delete(9)
    assert len(branched.tree.value.branches) == 2


def test_that_a_change_of_the_main_chain_moves_its_branches(branched, settled):
    branched.tree.show(0)
    branched.tree.edit("seed", 9)
    branched.tree.settle()
    settled(branched)
    main, branch = branched.chains.records
    assert branch.parent is main
    assert branch.chain.spec.seed == 3
    np.testing.assert_array_equal(states(branch)[:5], states(main)[:5])


# --- A and B ----------------------------------------------------------------------------------------------


@pytest.fixture
def pair(model, settled) -> SampleViewModel:
    """A and B, B with η = 1."""
    model.compare_new()
    model.tree.edit("sampler.eta", 1.0)
    model.tree.settle()
    return settled(model)


def test_that_a_and_b_share_their_start_and_their_noise(pair):
    a, b = pair.chains.record, pair.chains.compared
    assert (pair.tree.value.active, pair.tree.value.compared) == (1, 0)
    assert (a.chain.spec.sampler, b.chain.spec.sampler) == (DDIM(eta=1.0), DDIM(eta=0.5))
    np.testing.assert_array_equal(a.x_t(0), b.x_t(0))
    for k in range(9):
        np.testing.assert_allclose(
            a.values("noise", k) / a.sigma[k], b.values("noise", k) / b.sigma[k], rtol=1e-5, atol=1e-6
        )
    assert (a.x_t(5) != b.x_t(5)).any()


def test_that_showing_b_changes_both_places(pair, settled):
    a, b = pair.chains.record, pair.chains.compared
    pair.tree.show(0)
    assert (pair.chains.record, pair.chains.compared) == (b, a)
    settled(pair)
    assert (pair.chains.record, pair.chains.compared) == (b, a)
    pair.tree.compare(9)
    pair.tree.compare(-1)
    assert pair.chains.compared is None


def test_that_deleting_either_ends_the_comparison(pair, settled):
    pair.tree.delete(1)
    settled(pair)
    assert pair.chains.compared is None
    assert pair.state.player.position == 10


# --- what is kept with a run ------------------------------------------------------------------------------


def test_that_the_chains_come_back_with_their_run(model, made, settled, runs):
    run = runs / "mine"
    model.choices.choose(str(run))
    settled(model)
    model.player.seek(5)
    model.branch()
    model.tree.edit("sampler.kind", "ddpm")
    model.tree.settle()
    model.tree.rename(1, "η = 1")
    model.tree.compare(0)
    settled(model)
    tree = model.tree.value
    model.saved.flush()
    assert load_tree(run) == tree
    assert tree.branches[0].spec.sampler == DDPM()
    other = made(SampleParameters(DIGITS, ChainTree(spec=SPEC)))
    other.choices.choose(str(run))
    settled(other)
    assert other.tree.value == tree
    assert [track.label for track in other.state.chains.tracks] == ["main chain", "η = 1"]
    other.tree.undo()
    assert other.tree.parameters == SampleParameters(DIGITS, ChainTree(spec=SPEC))


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"active": 3}'])
def test_that_damaged_chains_of_a_run_cost_only_the_chains(model, settled, runs, content):
    (runs / "mine" / FILE).write_bytes(content)
    model.choices.choose(str(runs / "mine"))
    settled(model)
    assert model.tree.value == ChainTree(spec=SPEC)
    assert model.state.chains.facts.model == "mine"
    assert model.state.notice.text.startswith("The chains saved with mine cannot be read: ")
    model.tree.edit("seed", 4)
    settled(model)
    assert model.state.notice is None
