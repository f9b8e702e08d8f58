"""Chains computed beside the window: what is told, what is looked at, what is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffusion_studio.core.describe import with_value
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.records import rough_picture
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.machine.devices import device_name
from diffusion_studio.viewmodels.sample.chains import Chains, ImagesRefused, TracksBegun
from diffusion_studio.viewmodels.sample.state import SampleParameters
from support.chains import random_source
from support.sample_page import DIGITS, SPEC, begun
from support.tiny import CPU

LONG = ChainTree(spec=SPEC.model_copy(update={"steps": 40}))


class Work:
    """Chains of a fixed denoiser, and all that they told."""

    def __init__(self) -> None:
        self.told: list[events.Event] = []
        self.chains = Chains(CPU, self.told.append)
        source = random_source(3)
        self.chains._bench.cache.open = lambda key: source

    def compute(self, tree: ChainTree, view: str = "x0_hat") -> None:
        self.chains.compute(SampleParameters(DIGITS, tree), 0.0, view)

    @property
    def kinds(self) -> list[type[events.Event]]:
        return [type(event) for event in self.told]


@pytest.fixture
def work(qapp):
    work = Work()
    yield work
    work.chains.stop()


@pytest.fixture
def ended(qtbot, work):
    """Waits until all is computed."""
    return lambda: qtbot.waitUntil(lambda: not work.chains.busy)


def test_that_the_beginning_and_the_end_are_told_and_no_step_between(work, ended):
    work.compute(LONG)
    assert work.chains.state.busy
    ended()
    assert work.kinds == [TracksBegun, events.Finished]
    state = work.chains.state
    assert (state.ready, state.complete, state.busy, state.doing) == (41, True, False, "")
    assert work.chains.distances.shape == (40, 4)


def test_that_many_tracks_are_told_no_more_often(work, ended):
    tree = LONG.branched(30).with_spec(with_value(SPEC, "seed", 3)).showing(0).branched(10).comparing(1)
    work.compute(tree)
    ended()
    assert work.kinds == [TracksBegun, events.Finished]
    assert all(record.is_complete for record in work.chains.records)
    assert work.chains.record is work.chains.records[2]
    assert work.chains.compared is work.chains.records[1]
    assert [track.ready for track in work.chains.state.tracks] == [
        record.steps + 1 for record in work.chains.records
    ]


def test_that_one_can_look_how_far_they_have_come(qtbot, work, ended, gate):
    work.compute(LONG)
    gate.open(7)
    qtbot.waitUntil(lambda: work.chains.state.ready == 7)
    state = work.chains.state
    assert (state.tracks[0].ready, state.complete, state.busy) == (7, False, True)
    assert (work.chains.road().ready, work.chains.road().growing) == (7, True)
    assert work.kinds == [TracksBegun]
    gate.open(1000)
    ended()
    assert work.chains.road().last == 40


def test_that_a_rough_picture_comes_with_the_beginning(qtbot, work, gate):
    work.compute(LONG)
    qtbot.waitUntil(lambda: bool(work.told))
    (begun,) = work.told
    assert work.chains.state.ready == 0
    expected = rough_picture(Trajectory(begun.records[0].chain), 0, "x0_hat")
    np.testing.assert_array_equal(begun.rough, expected)


def test_that_other_views_have_no_rough_picture(work, ended):
    work.compute(LONG, view="x_t")
    ended()
    assert work.told[0].rough is None


def test_that_what_was_being_computed_ends_unheard(qtbot, work, ended, gate):
    work.compute(LONG)
    qtbot.waitUntil(lambda: bool(work.told))
    for eta in np.linspace(0, 0.4, 5):
        work.compute(LONG.with_spec(with_value(LONG.spec, "sampler.eta", float(eta))))
    gate.open(1000)
    ended()
    assert work.kinds == [TracksBegun, TracksBegun, events.Finished]
    assert work.chains.record.chain.spec.sampler == DDIM(eta=0.4)
    assert work.chains.record.is_complete


def test_that_an_inversion_is_said_while_it_goes_on(qtbot, work, picture, gate):
    start = {"kind": "inverted", "images": (str(picture),)}
    work.compute(ChainTree(spec=with_value(with_value(SPEC, "count", 1), "start", start)))
    gate.open(3)
    qtbot.waitUntil(lambda: work.chains.state.doing.startswith("inverting: t = "))


def test_that_an_image_that_cannot_be_read_is_refused(work, ended, tmp_path):
    start = {"kind": "inverted", "images": (str(tmp_path / "gone.png"),)}
    work.compute(ChainTree(spec=with_value(SPEC, "start", start)))
    ended()
    assert work.kinds == [ImagesRefused, events.Finished]
    assert "gone.png" in work.told[0].message
    assert work.chains.record is None


def test_that_a_chain_that_cannot_be_leaves_the_one_on_show(work, ended):
    work.compute(LONG)
    ended()
    record = work.chains.record
    work.compute(ChainTree(spec=with_value(SPEC, "guide.kind", "auto")))
    ended()
    assert work.told[-1].outcome == "failed"
    assert work.chains.record is record
    assert work.chains.shown.tree == LONG


def test_that_what_is_known_is_shown_at_once(qapp):
    tree = ChainTree(spec=SPEC).branched(25)
    chains = begun(random_source(3), tree)
    main, branch = chains.records
    assert chains.record is branch
    facts = chains.state.facts
    assert chains.show(SampleParameters(DIGITS, tree.showing(0).renamed(1, "mine")))
    assert chains.record is main
    assert chains.state.tracks[1].label == "mine"
    assert chains.state.facts is not facts
    assert not chains.show(SampleParameters("another", tree))
    assert not chains.show(SampleParameters(DIGITS, tree.with_spec(with_value(SPEC, "seed", 3))))
    assert chains.record is main


def test_that_points_of_a_curve_follow_the_noise_of_the_steps(qapp):
    chains = begun(random_source(3), ChainTree(spec=SPEC))
    points = dict(chains.sigma_points(SPEC))
    record = chains.record
    for t, sigma in points.items():
        assert sigma == pytest.approx(record.sigma[record.times.index(int(t))], abs=1e-3)
    assert Chains(CPU, lambda event: None).sigma_points(SPEC) is None


def test_that_records_are_given_back_at_the_end(work, ended):
    work.compute(LONG)
    ended()
    work.chains.stop()
    work.chains.forget()
    assert work.chains.record is None
    assert work.chains.compared is None
    assert work.chains.state.tracks == ()
    assert work.chains.road().times == ()


def test_that_another_device_computes_the_chains_again(model, settled, monkeypatch):
    before = model.chains.record
    other = torch.device("cpu", 0)  # which is not "cpu" to torch
    monkeypatch.setattr("diffusion_studio.viewmodels.sample.model.choose_device", lambda name: other)
    model.use_device("cpu")
    settled(model)
    assert model.chains.record is not before and model.chains.record.chain.device == other
    assert model.state.device == device_name(other)
