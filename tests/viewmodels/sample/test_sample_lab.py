"""The laboratory behind the Sample page: branches, A/B, undo, images in and out, and what cannot be."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from diffusion_studio.core.denoisers.denoiser import FunctionDenoiser
from diffusion_studio.core.describe import members
from diffusion_studio.core.process.spacing import ExplicitSpacing
from diffusion_studio.core.samplers import DDIM, DDPM, Sampler
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.chain_tree import FILE, Branch, ChainTree, load_tree
from diffusion_studio.engine.chains.distances import distance_between
from diffusion_studio.engine.chains.records import ROUGH_CALLS, place_of, rough_picture, to_picture
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.starts import InvertedStart
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.files.pictures import save_grid
from diffusion_studio.engine.jobs.events import SamplingProgress
from diffusion_studio.viewmodels.history import History
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.sample.sources import memorising_choice
from diffusion_studio.viewmodels.sample.state import SampleParameters
from support.chains import random_source
from support.tiny import begin, finish, tiny_config, write_pictures

CPU = torch.device("cpu")
DIGITS = memorising_choice("digits").key
SPEC = SampleSpec(steps=10, count=4, sampler=DDIM(eta=0.5))
Settled = Callable[[SampleViewModel], SampleViewModel]


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A run of the digits; not to be changed."""
    path = tmp_path_factory.mktemp("trained") / "run"
    finish(begin(path, tiny_config(steps=2)))
    return path


@pytest.fixture
def runs(tmp_path, trained) -> Path:
    shutil.copytree(trained, tmp_path / "runs" / "mine")
    return tmp_path / "runs"


@pytest.fixture
def made(qapp, runs):
    """Makes view-models and shuts them down."""
    models = []

    def make(parameters: SampleParameters | None = None) -> SampleViewModel:
        models.append(SampleViewModel(runs, parameters, device="cpu"))
        return models[-1]

    yield make
    for model in models:
        model.shutdown()


@pytest.fixture
def settled(qtbot) -> Settled:
    """Waits until a model has computed all it was asked for."""

    def settled(model: SampleViewModel) -> SampleViewModel:
        qtbot.waitUntil(lambda: not model.state.busy, timeout=20_000)
        return model

    return settled


@pytest.fixture
def model(made, settled) -> SampleViewModel:
    """A short chain of the digits, standing at the image."""
    model = made(SampleParameters(DIGITS, ChainTree(spec=SPEC)))
    model.refresh_choices()
    model.compute()
    return settled(model)


@pytest.fixture
def branched(model, settled) -> SampleViewModel:
    """With a branch that leaves at state 4, of another seed, on show."""
    model.seek(4)
    model.branch()
    model.edit("seed", 3)
    model.settle()
    return settled(model)


def told(signal) -> list[Any]:
    """Everything that a signal says from now on."""
    heard: list[Any] = []
    signal.connect(heard.append)
    return heard


def states(record: Trajectory) -> np.ndarray:
    return np.stack([record.x_t(k) for k in range(record.steps + 1)])


# --- branches ---------------------------------------------------------------------------------------------


def test_that_a_branch_leaves_at_the_shown_state_and_is_shown(model, settled):
    main = model.record
    model.seek(4)
    model.branch()
    settled(model)
    tree = model.parameters.tree
    assert tree.branches == (Branch(parent=0, time=main.times[4], spec=SPEC),)
    assert tree.active == 1
    assert model.record is not main
    assert model.record.parent is main
    np.testing.assert_array_equal(states(model.record), states(main))
    assert model.state.position == 4
    first, second = model.state.tracks
    assert (first.label, first.parent, first.start, first.ready) == ("main chain", -1, 0, 11)
    assert (second.label, second.parent, second.start, second.ready) == ("branch 1", 0, 4, 11)


def test_that_what_is_changed_in_a_branch_acts_from_there_on(branched):
    main, branch = branched._records
    assert branched.parameters.tree.spec == SPEC
    assert branched.parameters.spec.seed == 3
    differ = (states(branch) != states(main)).any((1, 2, 3, 4))
    assert differ.tolist() == [False] * 5 + [True] * 6
    assert branched.state.tracks[1].label == "seed = 3"


def test_that_a_branch_at_the_image_leaves_before_the_last_step(model, settled):
    model.seek(10)
    model.branch()
    settled(model)
    assert model.record.leaves == 9


def test_that_without_a_chain_there_is_nothing_to_branch(made):
    model = made()
    model.branch()
    model.compare_new()
    assert model.parameters.tree == ChainTree()
    assert not model.state.busy


def test_that_a_known_track_is_shown_at_once(branched, settled):
    main, branch = branched._records
    frames = told(branched.frame_changed)
    branched.seek(7)
    branched.show_track(0)
    assert branched.record is main
    assert (branched.state.position, branched.state.times) == (7, main.times)
    np.testing.assert_array_equal(frames[-1].images, main.picture("x0_hat", 7))
    branched.show_track(1)
    assert branched.record is branch
    np.testing.assert_array_equal(frames[-1].images, branch.picture("x0_hat", 7))
    settled(branched)
    branched.show_track(2)
    branched.show_track(-1)
    assert branched.record is branch


def test_that_a_seek_right_after_another_track_is_a_state_of_that_track(branched, settled):
    branched.edit("spacing", {"kind": "explicit", "values": (7, 20, 300, 310, 400, 650, 1000)})
    branched.settle()
    settled(branched)
    own = branched.record.times
    assert own == (1000, 900, 800, 700, 600, 400, 310, 300, 20, 7, 0)
    branched.show_track(0)
    settled(branched)
    branched.show_track(1)
    branched.seek(8)
    assert branched.time == pytest.approx(0.02)
    settled(branched)
    assert branched.state.times[branched.state.position] == 20


def test_that_a_track_is_named_without_computing_anything_again(branched, settled):
    records = branched._records
    branched.rename_track(1, " mine ")
    assert branched.state.tracks[1].label == "mine"
    settled(branched)
    assert branched._records == records
    branched.rename_track(1, "")
    branched.rename_track(0, "no")
    branched.rename_track(7, "no")
    assert [track.label for track in branched.state.tracks] == ["main chain", "seed = 3"]


def test_that_a_deleted_branch_goes_with_its_own(branched, settled):
    main = branched._records[0]
    branched.seek(6)
    branched.branch()
    settled(branched)
    assert [track.parent for track in branched.state.tracks] == [-1, 0, 1]
    branched.delete_track(1)
    settled(branched)
    assert branched.parameters.tree == ChainTree(spec=SPEC)
    assert branched.record is main
    assert len(branched.state.tracks) == 1
    branched.undo()
    settled(branched)
    assert [track.parent for track in branched.state.tracks] == [-1, 0, 1]
    branched.delete_track(0)
    branched.delete_track(9)
    assert len(branched.parameters.tree.branches) == 2


def test_that_a_change_of_the_main_chain_moves_its_branches(branched, settled):
    branched.show_track(0)
    branched.edit("seed", 9)
    branched.settle()
    settled(branched)
    main, branch = branched._records
    assert branch.parent is main
    assert branch.chain.spec.seed == 3
    np.testing.assert_array_equal(states(branch)[:5], states(main)[:5])


def test_that_numbers_of_the_step_are_those_of_the_track_that_makes_it(branched):
    branched.edit("sampler.eta", 1.0)
    main, branch = branched._records
    branched.seek(2)
    assert branched.state.step.update == main.chain.updates[2]
    branched.seek(4)
    assert branched.state.step.update == branched.record.chain.updates[0]
    assert (branched.state.step.t, branched.state.step.s) == branch.times[4:6]


# --- A and B ----------------------------------------------------------------------------------------------


@pytest.fixture
def pair(model, settled) -> SampleViewModel:
    """A and B, B with η = 1."""
    model.compare_new()
    model.edit("sampler.eta", 1.0)
    model.settle()
    return settled(model)


def test_that_a_and_b_share_their_start_and_their_noise(pair):
    a, b = pair.record, pair.compared
    assert (pair.parameters.tree.active, pair.parameters.tree.compared) == (1, 0)
    assert (a.chain.spec.sampler, b.chain.spec.sampler) == (DDIM(eta=1.0), DDIM(eta=0.5))
    np.testing.assert_array_equal(a.x_t(0), b.x_t(0))
    for k in range(9):
        np.testing.assert_allclose(
            a.values("noise", k) / a.sigma[k], b.values("noise", k) / b.sigma[k], rtol=1e-5, atol=1e-6
        )
    assert (a.x_t(5) != b.x_t(5)).any()


def test_that_both_pictures_and_their_difference_are_shown(pair):
    frames = told(pair.frame_changed)
    for k in (0, 5, 10):
        pair.seek(k)
        frame = frames[-1]
        np.testing.assert_array_equal(frame.images, pair.record.picture("x0_hat", k))
        np.testing.assert_array_equal(frame.other, pair.compared.picture("x0_hat", k))
        apart = pair.record.x0_hat(k) - pair.compared.x0_hat(k)
        sizes = [f"{size:.3f}" for size in np.sqrt((apart**2).mean((1, 2, 3)))]
        assert frame.distances == tuple(sizes)
        assert frame.difference.shape == (4, 8, 8, 3)
    pair.seek(0)
    pair.set_view("x_t")
    assert len(np.unique(frames[-1].difference.reshape(-1, 3), axis=0)) == 1  # the same noise: no colour


def test_that_the_distance_between_both_is_a_curve(made, pair):
    curves = told(pair.curves_changed)
    pair.choose_sample(2)
    expected = distance_between(pair.record, pair.compared)
    np.testing.assert_array_equal(curves[-1].apart, expected[:, 2])
    pair.choose_sample(None)
    np.testing.assert_array_equal(curves[-1].apart, expected.mean(1))
    assert curves[-1].apart[0] == 0
    pair.compare_with(-1)
    assert curves[-1].apart is None


def test_that_showing_b_changes_both_places(pair, settled):
    a, b = pair.record, pair.compared
    pair.show_track(0)
    assert (pair.record, pair.compared) == (b, a)
    settled(pair)
    assert (pair.record, pair.compared) == (b, a)
    pair.compare_with(9)
    pair.compare_with(-1)
    assert pair.compared is None


def test_that_deleting_either_ends_the_comparison(pair, settled):
    pair.delete_track(1)
    settled(pair)
    assert pair.compared is None
    assert pair.state.position == 10


# --- undo and redo ----------------------------------------------------------------------------------------

SEEDS, TRACKS, POSITIONS = st.integers(0, 5), st.integers(0, 6), st.integers(0, 10)
EDITS = [
    ("sampler.eta", 0.0), ("sampler.eta", 0.3), ("sampler.eta", -1.0), ("sampler.kind", "ddpm"),
    ("sampler.kind", "heun"), ("sampler.kind", "ddim"), ("steps", 7), ("steps", 12), ("count", 3),
    ("spacing.kind", "quadratic"), ("spacing", {"kind": "explicit", "values": (3, 40)}), ("label", 2),
    ("label", 99), ("guidance", 2.5), ("clip.kind", "off"), ("seed", 1), ("seed", 2),
]  # fmt: skip
ACTS = st.one_of(
    st.tuples(st.just("edit"), st.sampled_from(EDITS)),
    st.tuples(st.just("drag"), st.lists(st.floats(0, 1), min_size=1, max_size=5)),
    st.tuples(st.just("branch"), POSITIONS),
    st.tuples(st.sampled_from(["delete", "show", "compare"]), TRACKS),
    st.tuples(st.just("rename"), st.tuples(TRACKS, st.sampled_from(["", "a", "b"]))),
    st.tuples(st.just("compare_new"), st.none()),
    st.tuples(st.just("source"), st.sampled_from([DIGITS, "mine", "gone"])),
)


def act(model: SampleViewModel, runs: Path, name: str, what: Any) -> None:
    """One thing that a person does: one step of the history at most."""
    match name:
        case "edit":
            model.edit(*what)
            model.settle()
        case "drag":
            for value in what:
                model.edit("sampler.eta", value)
            model.settle()
        case "branch":
            model.seek(what)
            model.branch()
        case "delete":
            model.delete_track(what)
        case "show":
            model.show_track(what)
        case "compare":
            model.compare_with(what - 1)
        case "rename":
            model.rename_track(*what)
        case "compare_new":
            model.compare_new()
        case "source":
            model.choose_source(what if what == DIGITS else str(runs / what))


def test_that_undo_and_redo_walk_over_fifty_mixed_changes(model, runs, monkeypatch):
    monkeypatch.setattr(model, "compute", lambda: None)  # the parameters alone are looked at
    began = model.parameters

    @given(st.lists(ACTS, min_size=50, max_size=50))
    @settings(max_examples=20)
    def walk(acts: list[tuple[str, Any]]) -> None:
        model._history = History(began)
        seen = [began]
        for name, what in acts:
            act(model, runs, name, what)
            if model.parameters != seen[-1]:
                seen.append(model.parameters)
            assert ChainTree.model_validate(model.parameters.tree.model_dump()) == model.parameters.tree
        for _ in range(2):
            for value in reversed(seen[:-1]):
                assert model.state.can_undo
                model.undo()
                assert model.parameters == model.state.parameters == value
            assert model.parameters == began
            assert not model.state.can_undo
            model.undo()
            for value in seen[1:]:
                assert model.state.can_redo
                model.redo()
                assert model.parameters == model.state.parameters == value
            assert not model.state.can_redo

    walk()


def test_that_after_undoing_all_the_pictures_are_those_of_the_beginning(model, settled, runs):
    began, pictures = model.parameters, states(model.record)
    way = [
        ("edit", ("seed", 4)), ("branch", 6), ("edit", ("sampler.kind", "heun")), ("compare_new", None),
        ("rename", (1, "a")), ("source", "mine"), ("edit", ("steps", 5)), ("show", 0), ("delete", 1),
    ]  # fmt: skip
    for name, what in way:
        act(model, runs, name, what)
        settled(model)
        assert model.state.notice is None
    for _ in way:
        model.undo()
        settled(model)
    assert model.parameters == began
    np.testing.assert_array_equal(states(model.record), pictures)


# --- what is kept with a run ------------------------------------------------------------------------------


def test_that_the_chains_come_back_with_their_run(model, made, settled, runs):
    run = runs / "mine"
    model.choose_source(str(run))
    settled(model)
    model.seek(5)
    model.branch()
    model.edit("sampler.kind", "ddpm")
    model.settle()
    model.rename_track(1, "η = 1")
    model.compare_with(0)
    settled(model)
    tree = model.parameters.tree
    assert load_tree(run) == tree
    assert tree.branches[0].spec.sampler == DDPM()
    other = made(SampleParameters(DIGITS, ChainTree(spec=SPEC)))
    other.choose_source(str(run))
    settled(other)
    assert other.parameters.tree == tree
    assert [track.label for track in other.state.tracks] == ["main chain", "η = 1"]
    other.undo()
    assert other.parameters == SampleParameters(DIGITS, ChainTree(spec=SPEC))


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"active": 3}'])
def test_that_damaged_chains_of_a_run_cost_only_the_chains(model, settled, runs, content, caplog):
    (runs / "mine" / FILE).write_bytes(content)
    model.choose_source(str(runs / "mine"))
    settled(model)
    assert model.parameters.tree == ChainTree(spec=SPEC)
    assert (model.state.model, model.state.notice) == ("mine", None)


def test_that_a_run_that_cannot_be_written_to_shows_its_chains_all_the_same(
    model, settled, runs, monkeypatch
):
    def refuse(*_: Any) -> None:
        raise OSError("read only")

    monkeypatch.setattr("diffusion_studio.viewmodels.sample.model.save_tree", refuse)
    model.choose_source(str(runs / "mine"))
    settled(model)
    assert (model.state.model, model.state.notice) == ("mine", None)
    assert model.record.is_complete


# --- what cannot be ---------------------------------------------------------------------------------------

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


@pytest.mark.parametrize(("path", "value", "sentence"), WRONG)
@pytest.mark.parametrize("on_a_branch", [False, True])
def test_that_what_cannot_be_gets_its_sentence_and_the_page_stays(
    model, settled, path, value, sentence, on_a_branch
):
    if on_a_branch:
        model.seek(4)
        model.branch()
        settled(model)
    before, record, undo = model.parameters, model.record, model.state.can_undo
    frames = told(model.frame_changed)
    model.edit(path, value)
    model.settle()
    ((where, words),) = model.state.errors
    assert where == path
    assert words.endswith(".")
    assert re.search(sentence, words), words
    assert model.parameters == model.state.parameters == before
    assert model.record is record
    assert (model.state.busy, model.state.can_undo, frames) == (False, undo, [])
    model.edit("seed", 1)
    assert model.state.errors == ()
    settled(model)
    assert model.record.chain.spec.seed == 1


def test_that_a_sigma_too_large_for_the_steps_of_a_branch_is_refused(model, settled):
    """What the whole chain could take, the first step of the branch cannot."""
    model.edit("spacing", {"kind": "explicit", "values": (100, 900, 1000)})
    model.settle()
    settled(model)
    model.seek(1)
    model.branch()
    settled(model)
    before = model.parameters
    points = ((100.0, 0.0), (880.0, 0.0), (890.0, 0.9), (910.0, 0.9), (920.0, 0.0))
    model.edit("sampler", {"kind": "sigma", "points": points})
    assert len(model.state.errors) == 1
    assert model.parameters == before


def test_that_a_change_that_a_branch_could_not_follow_is_refused_with_its_name(model, settled):
    model.seek(4)
    model.branch()
    model.edit("spacing", {"kind": "explicit", "values": (10, 900)})
    points = ((450.0, 0.0), (500.0, 0.9), (550.0, 0.0))  # too much for a step from 500 to 10
    model.edit("sampler", {"kind": "sigma", "points": points})
    model.rename_track(1, "mine")
    model.show_track(0)
    settled(model)
    assert model.record is model._records[0]
    assert model._records[1].times == (1000, 900, 800, 700, 600, 10, 0)
    before, record = model.parameters, model.record
    model.edit("spacing", {"kind": "explicit", "values": (500, 1000)})  # the branch would leave at 500
    ((path, words),) = model.state.errors
    assert path == "spacing"
    assert words.startswith("In “mine”: ")
    assert (model.parameters, model.record, model.state.busy) == (before, record, False)


def test_that_a_class_of_another_denoiser_stands_until_it_is_changed(model, settled, tmp_path):
    model.edit("label", 7)
    model.settle()
    model.choose_source(memorising_choice(str(write_pictures(tmp_path / "zoo"))).key)
    settled(model)
    model.edit("seed", 3)
    assert model.state.errors == ()
    settled(model)
    assert model.record.chain.spec.seed == 3
    model.edit("label", 5)
    assert "there is no class 5" in model.state.errors[0][1]


# --- images in the chain ----------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path) -> Path:
    Image.fromarray(np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "real.png")
    return tmp_path / "real.png"


def test_that_chains_begin_at_a_dropped_image(model, settled, picture):
    model.open_images([picture])
    settled(model)
    spec = model.parameters.spec
    assert (spec.start.kind, spec.start.files, spec.count) == ("inverted", (str(picture),), 1)
    assert model.state.notice is None
    assert model.record.is_complete
    model.undo()
    settled(model)
    assert model.parameters.spec == SPEC


def test_that_an_image_dropped_while_a_branch_is_shown_goes_to_the_main_chain(branched, settled, picture):
    branched.open_images([picture])
    settled(branched)
    tree = branched.parameters.tree
    assert (tree.active, tree.spec.start.kind, len(tree.branches)) == (0, "inverted", 1)
    assert branched.state.notice is None


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_that_an_image_that_cannot_be_read_leaves_the_page_as_it_was(model, settled, tmp_path, content):
    file = tmp_path / "broken.jpg"
    if content is not None:
        file.write_bytes(content)
    model.seek(6)
    before, record = model.parameters, model.record
    frames = told(model.frame_changed)
    model.open_images([file])
    settled(model)
    assert model.state.notice.kind == "error"
    assert model.state.notice.text.startswith("broken.jpg cannot be used: ")
    assert model.parameters == model.state.parameters == before
    assert (model.record, model.state.position, frames) == (record, 6, [])
    assert (model.state.can_undo, model.state.can_redo) == (False, False)
    model.edit("seed", 1)
    settled(model)
    assert model.state.notice is None


def test_that_a_broken_image_beside_a_sound_one_is_not_taken(model, settled, picture, tmp_path):
    model.open_images([picture])
    settled(model)
    before, record = model.parameters, model.record
    (tmp_path / "broken.png").write_bytes(b"no")
    model.edit("start.images", (str(picture), str(tmp_path / "broken.png")))
    model.settle()
    settled(model)
    assert "broken.png" in model.state.notice.text
    assert model.parameters == before
    assert model.record is record


def test_that_a_start_waits_for_its_images(model, settled, picture, tmp_path):
    record = model.record
    model.edit("start.kind", "interpolated")
    model.settle()
    settled(model)
    assert "Choose an image first" in model.state.notice.text
    assert model.record is record
    model.edit("start.images", (str(picture),))
    model.settle()
    settled(model)
    assert "Choose two images" in model.state.notice.text
    assert model.record is record
    (tmp_path / "broken.png").write_bytes(b"no")
    model.edit("start.images", (str(picture), str(tmp_path / "broken.png")))
    model.settle()
    settled(model)
    assert model.parameters.spec.start.files == (str(picture),)
    shutil.copy(picture, tmp_path / "second.png")
    model.edit("start.images", (str(picture), str(tmp_path / "second.png")))
    model.settle()
    settled(model)
    assert model.state.notice is None
    assert model.record.chain.spec.start.kind == "interpolated"


@pytest.mark.parametrize("files", [(), ("gone.png",)])
def test_that_remembered_chains_whose_image_is_gone_begin_at_noise(made, settled, files):
    start = InvertedStart(images=files)
    tree = ChainTree(spec=SPEC.model_copy(update={"start": start})).branched(500)
    model = made(SampleParameters(DIGITS, tree))
    model.compute()
    settled(model)
    assert model.record.is_complete
    assert model.parameters == SampleParameters(DIGITS, ChainTree(spec=SPEC).branched(500))
    assert (files[0] if files else "Choose an image first") in model.state.notice.text
    assert not model.state.can_undo


def test_that_a_run_whose_saved_image_is_gone_opens_with_the_rest_of_its_chains(
    model, made, settled, runs, picture
):
    key = str(runs / "mine")
    model.choose_source(key)
    model.open_images([picture])
    settled(model)
    model.seek(4)
    model.branch()
    settled(model)
    saved = load_tree(runs / "mine")
    assert saved.spec.start.files == (str(picture),)
    picture.unlink()
    other = made(SampleParameters(DIGITS, ChainTree(spec=SPEC)))
    other.compute()
    settled(other)
    other.choose_source(key)
    settled(other)
    assert other.state.model == "mine"
    assert other.record.is_complete
    assert other.parameters == SampleParameters(key, saved.from_noise())
    assert "real.png" in other.state.notice.text


# --- a picture of ours ------------------------------------------------------------------------------------


@pytest.fixture
def exported(qtbot, model, tmp_path):
    """Exports and waits until it is told."""

    def exported(name: str, kind: str = "state") -> Path:
        model.dismiss_notice()
        model.export(tmp_path / name, kind)
        qtbot.waitUntil(lambda: model.state.notice is not None, timeout=20_000)
        model.dismiss_notice()
        return tmp_path / name

    return exported


@pytest.mark.parametrize(("name", "kind"), [("a.png", "state"), ("a.png", "strip")])
def test_that_a_picture_of_ours_restores_what_made_it(model, settled, exported, runs, name, kind):
    model.seek(4)
    model.branch()
    model.edit("sampler.kind", "ddpm")
    model.settle()
    model.compare_with(0)
    settled(model)
    model.set_view("noise")
    model.seek(5)
    before, pictures = model.parameters, states(model.record)
    file = exported(name, kind)
    model.choose_source(str(runs / "mine"))
    model.edit("steps", 3)
    model.delete_track(1)
    model.set_view("x_t")
    settled(model)
    model.seek(1)
    model.open_images([file])
    settled(model)
    assert model.parameters == before
    assert (model.state.view, model.state.position) == ("noise", 5)
    np.testing.assert_array_equal(states(model.record), pictures)
    assert model.state.notice is None
    model.undo()
    assert model.parameters.source == str(runs / "mine")


def save_with(path: Path, settings: dict[str, Any]) -> Path:
    save_grid(path, np.zeros((1, 8, 8, 1), np.uint8), settings)
    return path


def test_that_a_picture_of_the_command_line_keeps_the_denoiser(model, settled, tmp_path):
    """It says nothing of where its model lay."""
    other = SPEC.model_copy(update={"seed": 8, "sampler": DDPM()})
    sample = {"model": "x", "step": 3, "sample": other.model_dump(mode="json")}
    model.open_images([save_with(tmp_path / "line.png", sample)])
    settled(model)
    assert model.parameters == SampleParameters(DIGITS, ChainTree(spec=other))
    assert model.record.chain.spec == other
    assert model.state.notice is None


def test_that_a_picture_of_a_model_that_is_not_here_says_so(model, settled, tmp_path):
    other = SPEC.model_copy(update={"seed": 8})
    settings = {"model": "Far", "source": str(tmp_path / "far"), "sample": other.model_dump(mode="json")}
    model.open_images([save_with(tmp_path / "a.png", settings)])
    settled(model)
    assert model.parameters == SampleParameters(DIGITS, ChainTree(spec=other))
    assert model.state.notice.kind == "info"
    assert "Far of this picture is not here" in model.state.notice.text


def test_that_a_picture_of_a_folder_that_is_not_on_the_list_opens_it(model, settled, tmp_path):
    key = memorising_choice(str(write_pictures(tmp_path / "zoo"))).key
    settings = {"model": "zoo", "source": key, "sample": SPEC.model_dump(mode="json")}
    model.open_images([save_with(tmp_path / "a.png", settings)])
    settled(model)
    assert model.parameters.source == key
    assert model.state.class_names == ("ape", "bee", "cat")
    assert model.state.notice is None


@pytest.mark.parametrize(
    "settings",
    [
        {"sample": {"bogus": 1}}, {"sample": {}, "tree": {"active": 4}}, {"sample": {"seed": -1}},
        {"sample": {}, "tree": [1]},
    ],
)  # fmt: skip
def test_that_settings_of_another_version_are_a_sentence(model, settled, tmp_path, settings):
    before = model.parameters
    model.open_images([save_with(tmp_path / "a.png", settings)])
    settled(model)
    assert model.state.notice.kind == "error"
    assert "another version" in model.state.notice.text
    assert model.parameters == before


def test_that_strange_places_in_a_picture_do_no_harm(model, settled, tmp_path):
    for number, time in enumerate([float("nan"), -3.0, 1e300, "x", True]):
        settings = {"source": DIGITS, "sample": SPEC.model_dump(mode="json"), "time": time, "view": ["x"]}
        model.open_images([save_with(tmp_path / f"{number}.png", json.loads(json.dumps(settings)))])
        settled(model)
        assert 0 <= model.state.position <= 10
        assert 0 <= model.time <= 1
        assert model.state.view == "x0_hat"


# --- the rough picture ------------------------------------------------------------------------------------


class Asked:
    """A source that notes at which times its denoiser was asked."""

    def __init__(self) -> None:
        source = random_source(3)
        self.times: list[int] = []

        def noise(x_t: torch.Tensor, t: int, labels: torch.Tensor | None) -> torch.Tensor:
            self.times.append(t)
            return source.denoiser(x_t, t, labels).eps_hat

        self.source = replace(source, denoiser=FunctionDenoiser(source.tables, noise, conditional=True))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", members(Sampler))
def test_that_a_rough_picture_is_that_of_a_chain_over_those_few_times(kind, share):
    asked = Asked()
    spec = SampleSpec(steps=50, count=2, sampler={"kind": kind}, label=1)
    record = Trajectory(Chain(asked.source, spec, CPU))
    target = place_of(record.times, 50 * share)
    picture = rough_picture(record, 50 * share, "x0_hat")
    assert picture is not None
    assert len(asked.times) <= ROUGH_CALLS + 2 * spec.sampler.calls(1)  # and the step that is looked at
    visited = sorted({t for t in asked.times if t >= record.times[target]})
    again = Chain(asked.source, spec.model_copy(update={"spacing": ExplicitSpacing(values=visited)}), CPU)
    *_, last = again.steps()
    at_image = target == len(record.times) - 1
    np.testing.assert_array_equal(picture, to_picture(last.x_s if at_image else last.prediction.x0_hat))


def test_that_a_rough_picture_of_a_branch_goes_on_from_where_it_left():
    asked = Asked()
    spec = SampleSpec(steps=50, count=2, sampler=DDIM())
    parent = Trajectory(Chain(asked.source, spec, CPU))
    list(parent.compute())
    changed = spec.model_copy(update={"label": 2})
    branch = Trajectory(Chain(asked.source, changed, CPU), parent=parent, leaves=20)
    asked.times.clear()
    picture = rough_picture(branch, 0, "x0_hat")
    visited = (*(t for t in asked.times if t <= parent.times[20]), 0)  # not those that lead there again
    assert len(visited) <= ROUGH_CALLS + 1
    assert visited[0] == parent.times[20]
    exact = parent.exact(20)
    x, past = exact.x, exact.past
    *_, last = Chain(asked.source, changed, CPU, branch.chain.origin, visited).steps(0, x, past)
    np.testing.assert_array_equal(picture, to_picture(last.x_s))


@pytest.mark.parametrize("view", ["x_t", "eps_hat", "score", "noise", "change"])
def test_that_other_views_wait_for_the_chain(view):
    asked = Asked()
    record = Trajectory(Chain(asked.source, SampleSpec(steps=50, count=2), CPU))
    assert rough_picture(record, 0, view) is None
    assert not asked.times


def test_that_a_rough_picture_comes_before_the_chain(qtbot, made, settled, monkeypatch):
    model = made(SampleParameters(DIGITS, ChainTree(spec=SPEC.model_copy(update={"steps": 50}))))
    model.compute()
    settled(model)
    go, original = threading.Event(), Trajectory.compute

    def compute(record: Trajectory) -> Iterator[SamplingProgress]:
        go.wait(20)
        yield from original(record)

    monkeypatch.setattr(Trajectory, "compute", compute)
    frames = told(model.frame_changed)
    model.edit("sampler.eta", 1.0)
    qtbot.waitUntil(lambda: bool(frames), timeout=20_000)
    assert frames[0].rough
    assert model.state.ready == 0
    go.set()
    settled(model)
    monkeypatch.setattr(Trajectory, "compute", original)
    assert not frames[-1].rough
    expected = rough_picture(Trajectory(model.record.chain), 0, "x0_hat")
    np.testing.assert_array_equal(frames[0].images, expected)
    np.testing.assert_array_equal(frames[-1].images, model.record.picture("x0_hat", 50))
    roughness = [frame.rough for frame in frames]
    assert roughness == sorted(roughness, reverse=True)
