"""What is seen of chains: each test takes their steps itself, so there is nothing to wait for."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion_studio.core.describe import with_value, with_values
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.distances import distance_between, distance_to_end
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.viewmodels.sample.chains import Chains, TrackDone
from diffusion_studio.viewmodels.sample.pictures import Pictures
from diffusion_studio.viewmodels.sample.state import PicturesState
from support.chains import random_source
from support.sample_page import SPEC, begun


def walked(chains: Chains, *, until: int | None = None, track: int = 0) -> Trajectory:
    """The record of a track, computed as far as a state, or to its end."""
    record = chains.records[track]
    list(record.compute(until))
    if record.is_complete:
        chains._on_event(TrackDone(record, distance_to_end(record)))
    return record


@pytest.fixture
def chains(qapp) -> Chains:
    return begun(random_source(3), ChainTree(spec=SPEC))


@pytest.fixture
def pair(qapp) -> Chains:
    """A with η = 1, complete, compared with B with η = 0.5."""
    tree = ChainTree(spec=SPEC).branched(50).comparing(0)
    chains = begun(random_source(3), tree.with_spec(with_value(SPEC, "sampler.eta", 1.0)))
    walked(chains)
    walked(chains, track=1)
    return chains


@pytest.fixture
def pictures(qapp) -> Pictures:
    return Pictures(lambda: None)


def shown(pictures: Pictures, chains: Chains, position: int) -> PicturesState:
    return pictures.look(chains, position)


# --- pictures of one state --------------------------------------------------------------------------------


def test_that_what_is_shown_does_not_depend_on_the_way_there(pictures, chains):
    record, way = walked(chains), np.random.default_rng(0)
    for _ in range(40):
        position, view = int(way.integers(0, 11)), str(way.choice(["x0_hat", "x_t", "eps_hat", "score"]))
        pictures.set_view(view)
        frame = shown(pictures, chains, position).frame
        np.testing.assert_array_equal(frame.images, record.picture(view, position))
        assert frame.captions == ("class 0", "class 1", "class 2", "class 0")


def test_that_nothing_is_made_again_that_stays_the_same(pictures, chains):
    walked(chains)
    before = shown(pictures, chains, 4)
    assert shown(pictures, chains, 4) == before
    after = shown(pictures, chains, 5)
    assert after.frame is not before.frame
    assert after.curves is before.curves
    pictures.choose_sample(1)
    chosen = shown(pictures, chains, 5)
    assert chosen.frame is after.frame
    assert chosen.curves is not after.curves


def test_that_the_numbers_are_those_of_the_step_that_begins_here(pictures, chains):
    record = chains.record
    step = shown(pictures, chains, 3).step
    assert (step.t, step.s) == record.times[3:5]
    assert step.update == SPEC.sampler.update(record.chain.source.tables, step.t, step.s)
    assert shown(pictures, chains, 10).step is None


def test_that_numbers_of_the_step_are_those_of_the_track_that_makes_it(pictures):
    tree = ChainTree(spec=SPEC).branched(30)
    chains = begun(random_source(3), tree.with_spec(with_value(SPEC, "sampler.eta", 1.0)))
    main, branch = chains.records
    assert branch.leaves == 4
    assert shown(pictures, chains, 2).step.update == main.chain.updates[2]
    step = shown(pictures, chains, 4).step
    assert step.update == branch.chain.updates[0]
    assert (step.t, step.s) == branch.times[4:6]


# --- while it is computed ---------------------------------------------------------------------------------


def test_that_the_picture_before_stays_until_there_is_another(pictures, chains):
    walked(chains)
    before = shown(pictures, chains, 6).frame
    following = begun(random_source(2), ChainTree(spec=SPEC))
    pictures.begin(following.record, None, 6)
    assert shown(pictures, following, 6).frame is before
    record = walked(following, until=2)
    np.testing.assert_array_equal(shown(pictures, following, 6).frame.images, record.picture("x0_hat", 2))
    walked(following, until=8)
    np.testing.assert_array_equal(shown(pictures, following, 6).frame.images, record.picture("x0_hat", 6))


def test_that_a_rough_picture_stands_in_until_its_state_is_computed(pictures, chains):
    rough = np.zeros((4, 8, 8, 1), np.uint8)
    pictures.begin(chains.record, rough, 6)
    frame = shown(pictures, chains, 6).frame
    assert frame.rough
    assert frame.images is rough
    walked(chains, until=5)
    assert shown(pictures, chains, 6).frame is frame
    walked(chains, until=6)
    assert not shown(pictures, chains, 6).frame.rough


@pytest.mark.parametrize("leave", [lambda p: p.set_view("x_t"), lambda p: None])
def test_that_a_rough_picture_is_of_one_state_and_one_view(pictures, chains, leave):
    pictures.begin(chains.record, np.zeros((4, 8, 8, 1), np.uint8), 6)
    assert shown(pictures, chains, 6).frame.rough
    walked(chains, until=3)
    leave(pictures)
    elsewhere = 6 if pictures.state.view == "x_t" else 7
    frame = shown(pictures, chains, elsewhere).frame
    np.testing.assert_array_equal(frame.images, chains.record.picture(pictures.state.view, 3))
    assert not shown(pictures, chains, 6).frame.rough


def test_that_a_sample_that_the_next_chains_lack_is_let_go(pictures, chains):
    pictures.choose_sample(3)
    pictures.begin(chains.record, None, 0)
    assert pictures.state.sample == 3
    fewer = begun(random_source(3), ChainTree(spec=with_value(SPEC, "count", 2)))
    pictures.begin(fewer.record, None, 0)
    assert pictures.state.sample is None


# --- A and B, with guidance and without -------------------------------------------------------------------


def test_that_both_pictures_and_their_difference_are_shown(pictures, pair):
    for k in (0, 5, 10):
        frame = shown(pictures, pair, k).frame
        np.testing.assert_array_equal(frame.images, pair.record.picture("x0_hat", k))
        np.testing.assert_array_equal(frame.other, pair.compared.picture("x0_hat", k))
        apart = pair.record.x0_hat(k) - pair.compared.x0_hat(k)
        assert frame.distances == pytest.approx(np.sqrt((apart**2).mean((1, 2, 3))))
        assert frame.difference.shape == (4, 8, 8, 3)
    pictures.set_view("x_t")
    frame = shown(pictures, pair, 0).frame
    assert len(np.unique(frame.difference.reshape(-1, 3), axis=0)) == 1  # the same noise: no colour


def test_that_the_distance_between_both_is_a_curve_once_both_are_known(pictures, pair):
    pictures.choose_sample(2)
    expected = distance_between(pair.record, pair.compared)
    np.testing.assert_array_equal(shown(pictures, pair, 0).curves.apart, expected[:, 2])
    pictures.choose_sample(None)
    curves = shown(pictures, pair, 0).curves
    np.testing.assert_array_equal(curves.apart, expected.mean(1))
    assert curves.apart[0] == 0
    half = begun(random_source(3), pair.shown.tree)
    walked(half, track=1)
    pictures.begin(half.record, None, 0)
    assert shown(pictures, half, 0).curves.apart is None


def test_that_both_estimates_stand_side_by_side(pictures, chains):
    chains = begun(random_source(3), ChainTree(spec=with_value(SPEC, "guidance", 4.0)))
    record = walked(chains)
    pictures.set_layout("guided")
    frame = shown(pictures, chains, 6).frame
    np.testing.assert_array_equal(frame.images, record.picture("x0_hat", 6))
    np.testing.assert_array_equal(frame.other, record.picture("unguided", 6))
    pictures.set_layout("grid")
    assert shown(pictures, chains, 6).frame.other is None


@pytest.mark.parametrize("spec", [{"guidance": 1.0}, {"guidance": 4.0, "curve.kind": "interval"}])
def test_that_no_estimate_is_shown_as_one_without_guidance_where_none_is_computed(pictures, spec):
    """At γ_t = 1 only the conditional half is asked; it stood under the name of the other."""
    chains = begun(random_source(3), ChainTree(spec=with_values(SPEC, spec.items())))
    record = walked(chains)
    pictures.set_layout("guided")
    for k, t in enumerate(record.times[:-1]):
        frame = shown(pictures, chains, k).frame
        known = record.chain.spec.gamma(t, record.chain.source.tables.steps) != 1
        assert len(frame.other) == len(frame.difference) == (len(frame.images) if known else 0)
        assert bool(frame.missing) is not known
        assert record.values("unguided", k).any() == known


def test_that_a_chain_at_gamma_0_is_its_own_estimate_without_guidance(pictures):
    chains = begun(random_source(3), ChainTree(spec=with_value(SPEC, "guidance", 0.0)))
    record = walked(chains)
    pictures.set_layout("guided")
    np.testing.assert_array_equal(shown(pictures, chains, 6).frame.other, record.picture("x0_hat", 6))


# --- curves and the strip ---------------------------------------------------------------------------------


def test_that_curves_are_told_for_every_state(pictures, chains):
    walked(chains)
    curves = shown(pictures, chains, 0).curves
    for values in (curves.alpha_bar, curves.sigma, curves.eps_norm, curves.distance):
        assert len(values) == len(curves.times) == 11
    assert np.isfinite(curves.eps_norm[:10]).all()
    assert np.isfinite(curves.distance[:10]).all()
    assert np.isnan([curves.sigma[10], curves.eps_norm[10], curves.distance[10]]).all()
    assert (np.diff(curves.alpha_bar) > 0).all()


def test_that_curves_grow_with_the_chain(pictures, chains):
    known = []
    for until in (0, 4, 10):
        walked(chains, until=until)
        known.append(int(np.isfinite(shown(pictures, chains, 0).curves.eps_norm).sum()))
    assert known == [1, 5, 10]


def test_that_the_strip_is_made_only_where_it_is_looked_at(pictures, chains):
    record = walked(chains)
    assert shown(pictures, chains, 0).strip is None
    pictures.set_layout("strip")
    strip = shown(pictures, chains, 0).strip
    assert strip.columns == tuple(range(11))
    expected = np.stack([record.picture("x0_hat", k) for k in strip.columns], 1).reshape(-1, 8, 8, 1)
    np.testing.assert_array_equal(strip.images, expected)
    pictures.set_view("x_t")
    pictures.set_layout("grid")
    assert shown(pictures, chains, 0).strip is strip
    pictures.set_layout("strip")
    assert shown(pictures, chains, 0).strip is not strip


def test_that_unknown_views_and_layouts_do_no_harm(pictures):
    pictures.set_view("nothing")
    pictures.set_layout("nothing")
    assert (pictures.state.view, pictures.state.layout) == ("x0_hat", "grid")


def test_that_facts_are_those_of_the_chain(pair):
    facts, record = pair.state.facts, pair.record
    assert (facts.model, facts.class_names, facts.total) == ("random", ("class 0", "class 1", "class 2"), 50)
    assert facts.times == record.times
    np.testing.assert_array_equal(facts.alpha_bar, record.chain.source.tables.alpha_bar.numpy())
    np.testing.assert_allclose(facts.noise.sigma, record.sigma)
    assert facts.gammas == (1.0,) * 10
    assert facts.megabytes == sum(each.size for each in pair.records) / 1e6
    assert record.chain.spec.sampler == DDIM(eta=1.0)
