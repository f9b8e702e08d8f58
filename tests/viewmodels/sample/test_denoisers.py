"""The Sample page without its widgets: the denoiser that is asked for, its chain, what becomes of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.records import rough_picture
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.runs.trash import move_to_trash
from diffusion_studio.viewmodels.sample.sources import list_choices, memorising_choice
from diffusion_studio.viewmodels.sample.state import SampleParameters
from support.sample_page import DIGITS, SPEC, told
from support.tiny import write_pictures

# --- the chain --------------------------------------------------------------------------------------------


def test_that_the_first_start_shows_digits_that_nobody_trained(made, settled, runs):
    model = made(None)
    frames = told(model, "frame")
    model.choices.refresh()
    model.compute()
    state = settled(model).state
    assert state.parameters == SampleParameters(DIGITS, ChainTree(spec=SampleSpec()))
    facts = state.chains.facts
    assert (facts.model, facts.class_names) == ("Digits", tuple("0123456789"))
    assert (state.player.position, state.chains.ready, len(facts.times)) == (50, 51, 51)
    assert frames[-1].images.shape == (16, 8, 8, 1)
    assert frames[-1].captions[:3] == ("0", "1", "2")
    assert state.choices[0].key == DIGITS
    assert [Path(choice.key).name for choice in state.choices[1:]] == ["mine"]


def test_that_its_record_is_the_chain_of_the_core(model):
    record = model.chains.record
    source, noise = record.chain.source, CounterNoise(SPEC.seed)
    x, k = noise.start((4, 1, 8, 8)), 0
    labels = torch.arange(4)
    for step in reverse_chain(source.denoiser, SPEC.sampler, record.times, x, noise.step, labels, SPEC.clip):
        np.testing.assert_allclose(record.x_t(k), step.x_t, rtol=2**-10, atol=2e-3)
        k += 1
    assert k == 10


def test_that_the_place_is_kept_while_the_chain_is_computed_again(qtbot, model, settled, gate):
    model.player.seek(6)
    model.tree.edit("sampler.eta", 1.0)
    gate.open(3)
    qtbot.waitUntil(lambda: model.look().chains.ready == 3)
    assert model.state.player.position == 6
    model.player.seek(8)
    assert model.state.player.position == 8
    gate.open(20)
    settled(model)
    assert model.state.player.position == 8
    np.testing.assert_array_equal(model.state.pictures.frame.images, model.chains.record.picture("x0_hat", 8))


def test_that_a_rough_picture_comes_before_the_chain(qtbot, made, settled, gate):
    model = made(SampleParameters(DIGITS, ChainTree(spec=SPEC.model_copy(update={"steps": 50}))))
    frames = told(model, "frame")
    model.compute()
    qtbot.waitUntil(lambda: bool(frames))
    assert frames[0].rough
    assert model.look().chains.ready == 0
    gate.open(1000)
    settled(model)
    expected = rough_picture(Trajectory(model.chains.record.chain), 0, "x0_hat")
    np.testing.assert_array_equal(frames[0].images, expected)
    np.testing.assert_array_equal(frames[-1].images, model.chains.record.picture("x0_hat", 50))
    assert [frame.rough for frame in frames] == [True, False]


def test_that_only_the_last_of_many_changes_is_computed_to_the_end(model, settled):
    for eta in np.linspace(0, 1, 30):
        model.tree.edit("sampler.eta", float(eta))
    settled(model)
    assert model.chains.record.chain.spec.sampler == DDIM(eta=1.0)
    assert model.chains.record.is_complete
    model.tree.settle()
    model.tree.undo()
    assert settled(model).state.spec.sampler == DDIM(eta=0.5)
    assert not model.state.tree.can_undo


# --- parameters -------------------------------------------------------------------------------------------

CHANGES = [
    ("sampler.eta", 0.7), ("sampler.kind", "ddpm"), ("steps", 20), ("spacing.kind", "leading"), ("count", 6),
    ("label", 3), ("guidance", 2.0), ("clip.kind", "off"), ("seed", 5),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), CHANGES)
def test_that_every_parameter_computes_the_chain_again_and_keeps_the_place(model, settled, path, value):
    before, parameters = model.chains.record, model.tree.parameters
    model.player.seek(4)
    model.tree.edit(path, value)
    assert model.state.chains.busy
    settled(model)
    assert model.chains.record is not before
    assert model.state.chains.facts.times[model.state.player.position] == pytest.approx(600, abs=51)
    assert model.state.tree.errors == ()
    model.tree.settle()
    model.tree.undo()
    settled(model)
    assert model.tree.parameters == parameters
    model.tree.redo()
    settled(model)
    assert model.tree.parameters != parameters


def test_that_what_is_refused_and_what_stays_the_same_compute_nothing(model):
    frames = told(model, "frame")
    for path, value in (("sampler.eta", 2.0), ("sampler.eta", 0.5), ("label", 10)):
        model.tree.edit(path, value)
        model.tree.settle()
        assert bool(model.state.tree.errors) == (value != 0.5)
        assert not model.state.chains.busy
    model.tree.undo()
    model.tree.redo()
    assert not model.state.chains.busy
    assert frames == []


def test_that_a_class_the_model_lacks_falls_back_to_none(made, settled, runs, tmp_path):
    folder = write_pictures(tmp_path / "zoo")
    model = made(SampleParameters(DIGITS, ChainTree(spec=SPEC.model_copy(update={"label": 7}))))
    model.compute()
    settled(model)
    model.choices.choose(memorising_choice(str(folder)).key)
    settled(model)
    assert model.state.notice is None
    assert model.state.chains.facts.class_names == ("ape", "bee", "cat")
    assert model.chains.record.chain.spec.label == -1


def test_that_more_steps_than_the_model_has_are_cut(made, settled, runs):
    model = made(SampleParameters(str(runs / "mine"), ChainTree(spec=SampleSpec(steps=400, count=1))))
    model.compute()
    assert len(settled(model).state.chains.facts.times) == 51  # T = 50


# --- denoisers --------------------------------------------------------------------------------------------


def test_that_another_denoiser_takes_its_place_and_undo_brings_it_back(model, settled, runs):
    model.player.seek(4)
    model.choices.choose(str(runs / "mine"))
    settled(model)
    facts = model.state.chains.facts
    assert (facts.model, facts.model_step, facts.total) == ("mine", 2, 50)
    assert model.state.player.position == 4
    model.tree.undo()
    assert settled(model).state.chains.facts.model == "Digits"


def test_that_a_missing_run_is_told_and_the_shown_chain_stays(model, settled, runs):
    model.player.seek(4)
    frames, before = told(model, "frame"), model.chains.record
    model.choices.choose(str(runs / "gone"))
    settled(model)
    assert model.state.notice.kind == "error"
    assert "gone" in model.state.notice.text
    assert model.chains.record is before
    assert (model.state.chains.facts.model, model.state.player.position) == ("Digits", 4)
    model.player.seek(5)
    assert len(frames) == 1
    model.tree.undo()
    settled(model)
    assert model.state.notice is None


def test_that_a_remembered_run_that_is_gone_gives_way_to_the_digits(made, settled, runs):
    model = made(SampleParameters(str(runs / "gone"), ChainTree(spec=SPEC)))
    model.compute()
    settled(model)
    assert model.state.chains.facts.model == "Digits"
    assert model.state.chains.ready == 11
    assert "gone" in model.state.notice.text
    assert model.tree.parameters == SampleParameters(DIGITS, ChainTree(spec=SPEC))
    assert not model.state.tree.can_undo


def test_that_a_run_in_the_trash_is_missed_only_when_it_is_asked_for(model, settled, runs):
    model.choices.choose(str(runs / "mine"))
    settled(model)
    move_to_trash(runs / "mine")
    model.choices.refresh()
    assert model.state.chains.facts.model == "mine"
    model.tree.edit("seed", 4)
    assert "mine" in settled(model).state.notice.text


def test_that_a_newer_checkpoint_of_the_shown_run_is_computed_again(model, settled, runs):
    model.model_saved(runs / "mine")
    assert not model.state.chains.busy
    model.choices.choose(str(runs / "mine"))
    settled(model)
    model.model_saved(runs / "mine")
    assert model.state.chains.busy
    settled(model)


def test_that_a_folder_from_elsewhere_joins_the_choices(model, settled, runs, tmp_path):
    elsewhere = (runs / "mine").rename(tmp_path / "run")
    model.choices.open_folder(elsewhere)
    settled(model)
    assert model.state.choices[-1].key == str(elsewhere)
    assert model.state.chains.facts.model == "run"
    model.choices.choose(DIGITS)
    elsewhere.rename(tmp_path / "gone")
    model.choices.refresh()
    assert str(elsewhere) not in [choice.key for choice in model.state.choices]


# --- the end ----------------------------------------------------------------------------------------------


def test_that_shutting_down_in_the_middle_leaves_nothing(qtbot, made):
    model = made(SampleParameters(DIGITS, ChainTree(spec=SampleSpec(steps=1000, count=64))))
    model.compute()
    qtbot.waitUntil(lambda: model.look().chains.ready > 0)
    model.player.play()
    model.shutdown()
    assert not model.player._timer.isActive()
    assert not model.chains.busy
    model.player.seek(3)
    model.pictures.set_view("x_t")
    model.player.toggle()
    assert not model.player._timer.isActive()


def test_that_a_folder_of_images_that_is_gone_is_not_offered(tmp_path):
    folder = write_pictures(tmp_path / "zoo")
    at_hand = (str(folder), str(tmp_path / "Digits.png"))
    offered = [choice.key for choice in list_choices(tmp_path / "runs", at_hand)]
    assert offered == [DIGITS, memorising_choice(str(folder)).key]
