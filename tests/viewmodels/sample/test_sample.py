"""The Sample page without its widgets: one chain, and where in it one stands."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.files.pictures import read_settings
from diffusion_studio.engine.runs.run import move_to_trash
from diffusion_studio.viewmodels.sample import files as sample_files
from diffusion_studio.viewmodels.sample.chain_views import Frame
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.sample.sources import memorising_choice
from diffusion_studio.viewmodels.sample.state import SampleParameters
from support.tiny import begin, finish, tiny_config, write_pictures

DIGITS = memorising_choice("digits").key
SPEC = SampleSpec(steps=10, count=4)


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
def settled(qtbot):
    """Waits until a model has computed all it was asked for."""

    def settled(model: SampleViewModel) -> SampleViewModel:
        qtbot.waitUntil(lambda: not model.state.busy, timeout=20_000)
        return model

    return settled


@pytest.fixture
def model(made, settled) -> SampleViewModel:
    """A short chain of the digits, standing at the image."""
    model = made(SampleParameters(DIGITS, ChainTree(spec=SPEC)))
    model.compute()
    return settled(model)


class Frames(list[Frame]):
    def __init__(self, model: SampleViewModel) -> None:
        super().__init__()
        model.frame_changed.connect(self.append)


# --- the chain --------------------------------------------------------------------------------------------


def test_that_the_first_start_shows_digits_that_nobody_trained(made, settled):
    model = made()
    frames = Frames(model)
    model.refresh_choices()
    model.compute()
    settled(model)
    state = model.state
    assert state.parameters == SampleParameters(DIGITS, ChainTree(spec=SampleSpec()))
    assert (state.model, state.class_names) == ("Digits", tuple("0123456789"))
    assert (state.position, state.ready, len(state.times)) == (50, 51, 51)
    assert frames[-1].images.shape == (16, 8, 8, 1)
    assert frames[-1].captions[:3] == ("0", "1", "2")
    assert state.choices[0].key == DIGITS
    assert [Path(choice.key).name for choice in state.choices[1:]] == ["mine"]


def test_that_its_record_is_the_chain_of_the_core(model):
    record = model.record
    source, noise = record.chain.source, CounterNoise(SPEC.seed)
    x, k = noise.start((4, 1, 8, 8)), 0
    labels = torch.arange(4)
    for step in reverse_chain(source.denoiser, SPEC.sampler, record.times, x, noise.step, labels, SPEC.clip):
        np.testing.assert_allclose(record.x_t(k), step.x_t, rtol=2**-10, atol=2e-3)
        k += 1
    assert k == 10


def test_that_curves_are_told_for_every_state(made, settled):
    model, told = made(SampleParameters(DIGITS, ChainTree(spec=SPEC))), []
    model.curves_changed.connect(told.append)
    model.compute()
    settled(model)
    last = told[-1]
    for values in (last.alpha_bar, last.sigma, last.eps_norm, last.distance):
        assert len(values) == len(last.times) == 11
    assert np.isfinite(last.eps_norm[:10]).all()
    assert np.isfinite(last.distance[:10]).all()
    assert np.isnan([last.sigma[10], last.eps_norm[10], last.distance[10]]).all()
    assert (np.diff(last.alpha_bar) > 0).all()


# --- moving about -----------------------------------------------------------------------------------------


def test_that_one_moves_to_every_state_and_no_further(model):
    for asked, stood in ((0, 0), (7, 7), (-3, 0), (10, 10), (99, 10)):
        model.seek(asked)
        assert model.state.position == stood
    model.step(-1)
    assert model.state.position == 9
    model.step(10)
    assert model.state.position == 10
    model.step(-100)
    assert model.state.position == 0


def test_that_the_numbers_are_those_of_the_step_that_begins_here(model):
    model.seek(3)
    step, times = model.state.step, model.state.times
    assert (step.t, step.s) == (times[3], times[4])
    tables = model.record.chain.source.tables
    assert step.update == SPEC.sampler.update(tables, step.t, step.s)
    model.seek(10)
    assert model.state.step is None


def test_that_what_is_shown_does_not_depend_on_the_way_there(model):
    frames, way = Frames(model), np.random.default_rng(0)
    for _ in range(40):
        position, view = int(way.integers(-2, 13)), str(way.choice(["x0_hat", "x_t", "eps_hat"]))
        model.set_view(view)
        model.seek(position)
        shown = model.record.picture(view, min(max(position, 0), 10))
        np.testing.assert_array_equal(frames[-1].images, shown)


def ticks(model: SampleViewModel, number: int) -> list[int]:
    """Where a model stands after each tick of its playing."""
    model._player._timer.stop()  # by hand from here on
    stood = []
    for _ in range(number):
        if model.state.playing:
            model._player._tick()
        stood.append(model.state.position)
    return stood


def test_that_it_plays_to_the_image_and_stops(model):
    model.seek(6)
    model.play()
    assert model.state.playing
    stood = ticks(model, 60)
    assert sorted(set(stood)) == list(range(6, 11))
    assert stood == sorted(stood)
    assert not model.state.playing
    assert not model._player._timer.isActive()


def test_that_it_plays_backwards_to_the_noise(model):
    model.seek(4)
    model.play(-1)
    stood = ticks(model, 60)
    assert sorted(set(stood)) == list(range(5))
    assert stood == sorted(stood, reverse=True)
    assert not model.state.playing


@pytest.mark.parametrize(("factor", "start", "end"), [(1, 10, 0), (-1, 0, 10)])
def test_that_it_begins_at_the_other_end_when_there_is_nothing_left(model, factor, start, end):
    model.seek(start)
    model.play(factor)
    assert model.state.position == end


@pytest.mark.parametrize("factor", [1, -1])
def test_that_a_loop_goes_round(model, factor):
    model.set_loop(True)
    model.play(factor)
    stood = ticks(model, 120)
    assert set(stood) == set(range(11))
    assert model.state.playing
    model.stop_playing()


def test_that_the_factor_of_a_key_multiplies_the_chosen_speed_and_does_not_change_it(model):
    lengths = {}
    for speed, factor in ((1.0, 1), (2.0, 1), (1.0, 2), (2.0, -2)):
        model.set_speed(speed)
        model.seek(0 if factor > 0 else 10)
        model.play(factor)
        stood = ticks(model, 200)
        lengths[speed, factor] = stood.index(10 if factor > 0 else 0)
        assert model.state.speed == speed
    assert lengths[2.0, 1] == lengths[1.0, 2] == pytest.approx(lengths[1.0, 1] / 2, abs=1)
    assert lengths[2.0, -2] == pytest.approx(lengths[1.0, 1] / 4, abs=1)


def test_that_changing_the_speed_keeps_the_direction(model):
    model.seek(9)
    model.play(-1)
    model.set_speed(4.0)
    assert ticks(model, 60)[-1] == 0


def test_that_playing_goes_on_from_where_a_person_moved(model):
    model.seek(8)
    model.play()
    ticks(model, 2)
    model.seek(2)
    assert max(ticks(model, 5)) <= 4
    model.stop_playing()


def test_that_space_plays_and_pauses(model):
    model.seek(2)
    model.toggle_playing()
    assert model.state.playing
    model.toggle_playing()
    assert not model.state.playing
    assert not model._player._timer.isActive()


def test_that_a_step_by_hand_ends_the_playing(model):
    model.seek(2)
    model.play()
    model.step(1)
    assert (model.state.playing, model.state.position) == (False, 3)


# --- while it is computed ---------------------------------------------------------------------------------


class Gate:
    """Lets chains be computed one step at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._steps = threading.Semaphore(0)
        original = Trajectory.compute

        def compute(trajectory):
            told = original(trajectory)
            while True:
                self._steps.acquire()
                try:
                    event = next(told)
                except StopIteration:
                    return
                yield event

        monkeypatch.setattr(Trajectory, "compute", compute)

    def open(self, steps: int) -> None:
        self._steps.release(steps)


@pytest.fixture
def gate(monkeypatch):
    gate = Gate(monkeypatch)
    yield gate
    gate.open(10_000)


def test_that_the_place_is_kept_while_the_chain_is_computed_again(qtbot, made, settled, monkeypatch):
    model = made(SampleParameters(DIGITS, ChainTree(spec=SPEC)))
    model.compute()
    settled(model)
    model.seek(6)
    gate = Gate(monkeypatch)
    model.edit("sampler.eta", 0.5)
    gate.open(3)
    qtbot.waitUntil(lambda: model.state.ready == 3)
    assert model.state.position == 6
    gate.open(8)
    settled(model)
    assert model.state.position == 6


def test_that_playing_waits_for_the_chain(qtbot, made, gate):
    model = made(SampleParameters(DIGITS, ChainTree(spec=SPEC)))
    model.stand_at(0.0)
    model.compute()
    gate.open(3)
    qtbot.waitUntil(lambda: model.state.ready == 3)
    model.play()
    assert max(ticks(model, 40)) == 3  # the first that is not there
    assert model.state.playing
    gate.open(20)
    qtbot.waitUntil(lambda: not model.state.busy)
    assert ticks(model, 60)[-1] == 10


def test_that_a_place_not_yet_computed_is_gone_to_when_it_is(qtbot, made, settled, gate):
    model = made(SampleParameters(DIGITS, ChainTree(spec=SPEC)))
    model.stand_at(0.0)
    model.compute()
    gate.open(2)
    qtbot.waitUntil(lambda: model.state.ready == 2)
    model.seek(8)
    assert model.state.position == 8
    gate.open(20)
    settled(model)
    assert model.state.position == 8


def test_that_only_the_last_of_many_changes_is_computed_to_the_end(model, settled):
    for eta in np.linspace(0, 1, 30):
        model.edit("sampler.eta", float(eta))
    settled(model)
    assert model.record.chain.spec.sampler == DDIM(eta=1.0)
    assert model.record.is_complete
    model.settle()
    model.undo()
    assert settled(model).parameters.spec.sampler == DDIM(eta=0.0)
    assert not model.state.can_undo


# --- parameters -------------------------------------------------------------------------------------------

CHANGES = [
    ("sampler.eta", 0.5), ("sampler.kind", "ddpm"), ("steps", 20), ("spacing.kind", "leading"), ("count", 6),
    ("label", 3), ("guidance", 2.0), ("clip.kind", "off"), ("seed", 5),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), CHANGES)
def test_that_every_parameter_computes_the_chain_again_and_keeps_the_place(model, settled, path, value):
    before, parameters = model.record, model.parameters
    model.seek(4)
    model.edit(path, value)
    assert model.state.busy
    settled(model)
    assert model.record is not before
    assert model.state.times[model.state.position] == pytest.approx(600, abs=51)
    assert model.state.errors == ()
    model.settle()
    model.undo()
    settled(model)
    assert model.parameters == parameters
    model.redo()
    settled(model)
    assert model.parameters != parameters


def test_that_a_value_that_cannot_be_gets_its_sentence_and_changes_nothing(model):
    before = model.parameters
    model.edit("sampler.eta", 2.0)
    ((path, sentence),) = model.state.errors
    assert path == "sampler.eta"
    assert "less than or equal to 1" in sentence
    assert model.parameters == before
    assert not model.state.busy
    model.edit("sampler.eta", 0.0)  # the value it has
    assert model.state.errors == ()


def test_that_undo_without_a_past_computes_nothing(model):
    model.undo()
    model.redo()
    assert not model.state.busy


def test_that_a_class_the_model_lacks_falls_back_to_none(made, settled, runs, tmp_path):
    folder = write_pictures(tmp_path / "zoo")
    model = made(SampleParameters(DIGITS, ChainTree(spec=SPEC.model_copy(update={"label": 7}))))
    model.compute()
    settled(model)
    model.choose_source(memorising_choice(str(folder)).key)
    settled(model)
    assert model.state.notice is None
    assert model.state.class_names == ("ape", "bee", "cat")
    assert model.record.chain.spec.label == -1


def test_that_more_steps_than_the_model_has_are_cut(made, settled, runs):
    model = made(SampleParameters(str(runs / "mine"), ChainTree(spec=SampleSpec(steps=400, count=1))))
    model.compute()
    assert len(settled(model).state.times) == 51  # T = 50


# --- denoisers --------------------------------------------------------------------------------------------


def test_that_another_denoiser_takes_its_place_and_undo_brings_it_back(model, settled, runs):
    model.seek(4)
    model.choose_source(str(runs / "mine"))
    settled(model)
    assert (model.state.model, model.state.model_step, model.state.total) == ("mine", 2, 50)
    assert model.state.position == 4
    model.undo()
    assert settled(model).state.model == "Digits"


def test_that_a_missing_run_is_told_and_the_shown_chain_stays(model, settled, runs):
    model.seek(4)
    frames, before = Frames(model), model.record
    model.choose_source(str(runs / "gone"))
    settled(model)
    assert model.state.notice.kind == "error"
    assert "gone" in model.state.notice.text
    assert model.record is before
    assert (model.state.model, model.state.position) == ("Digits", 4)
    model.seek(5)
    assert len(frames) == 1
    model.undo()
    settled(model)
    assert model.state.notice is None


def test_that_a_remembered_run_that_is_gone_gives_way_to_the_digits(made, settled, runs):
    model = made(SampleParameters(str(runs / "gone"), ChainTree(spec=SPEC)))
    model.compute()
    settled(model)
    assert model.state.model == "Digits"
    assert model.state.ready == 11
    assert "gone" in model.state.notice.text
    assert model.parameters == SampleParameters(DIGITS, ChainTree(spec=SPEC))
    assert not model.state.can_undo


def test_that_a_run_in_the_trash_is_missed_only_when_it_is_asked_for(model, settled, runs):
    model.choose_source(str(runs / "mine"))
    settled(model)
    move_to_trash(runs / "mine")
    model.refresh_choices()
    assert model.state.model == "mine"
    model.edit("seed", 4)
    assert "mine" in settled(model).state.notice.text


def test_that_a_newer_checkpoint_of_the_shown_run_is_computed_again(model, settled, runs):
    model.model_saved(runs / "mine")
    assert not model.state.busy
    model.choose_source(str(runs / "mine"))
    settled(model)
    model.model_saved(runs / "mine")
    assert model.state.busy
    settled(model)


def test_that_a_folder_from_elsewhere_joins_the_choices(model, settled, trained):
    model.open_folder(trained)
    settled(model)
    assert model.state.choices[-1].key == str(trained)
    assert model.state.model == "run"


# --- export -----------------------------------------------------------------------------------------------


@pytest.fixture
def exported(qtbot, model, tmp_path):
    """Exports and waits until it is told."""

    def exported(name: str) -> Path:
        model.dismiss_notice()
        model.export(tmp_path / name)
        qtbot.waitUntil(lambda: model.state.notice is not None)
        return tmp_path / name

    return exported


def test_that_png_is_the_shown_state_and_says_how_it_was_made(model, exported):
    model.seek(4)
    model.set_view("x_t")
    settings = read_settings(exported("a.png"))
    assert model.state.notice.kind == "info"
    assert "a.png" in model.state.notice.text
    assert (settings["view"], settings["position"], settings["source"]) == ("x_t", 4, DIGITS)
    assert SampleSpec.model_validate(settings["sample"]) == SPEC


def test_that_gif_is_the_whole_chain(exported):
    with Image.open(exported("a.gif")) as image:
        assert 2 <= image.n_frames <= 11


def test_that_npz_equals_the_chain_computed_again(model, exported):
    again = list(model.record.chain.steps())
    with np.load(exported("a.npz")) as found:
        for k, step in enumerate(again):
            np.testing.assert_allclose(found["x_t"][k], step.x_t, rtol=2**-10, atol=2e-3)
            np.testing.assert_allclose(found["x0_hat"][k], step.prediction.x0_hat, rtol=2**-10, atol=2e-3)


@pytest.mark.parametrize("name", ["a.txt", "file/a.png"])
def test_that_a_file_that_cannot_be_written_is_a_sentence(model, exported, tmp_path, name):
    (tmp_path / "file").touch()
    exported(name)
    assert model.state.notice.kind == "error"
    assert "Something went wrong" not in model.state.notice.text
    assert "Errno" not in model.state.notice.text


def test_that_an_export_outlasts_a_changed_parameter(qtbot, model, settled, tmp_path, monkeypatch):
    going, go = threading.Event(), threading.Event()
    original = sample_files.save_trajectory

    def slow(*arguments):
        going.set()
        go.wait()
        original(*arguments)

    monkeypatch.setattr(sample_files, "save_trajectory", slow)
    model.export(tmp_path / "a.npz")
    assert going.wait(5)
    model.edit("count", 2)
    settled(model)
    model.export(tmp_path / "b.npz")
    assert "not finished" in model.state.notice.text
    model.dismiss_notice()
    go.set()
    qtbot.waitUntil(lambda: model.state.notice is not None)
    assert "a.npz" in model.state.notice.text
    with np.load(tmp_path / "a.npz") as found:
        assert found["samples"].shape == (4, 1, 8, 8)


# --- the end ----------------------------------------------------------------------------------------------


def test_that_shutting_down_in_the_middle_leaves_nothing(qtbot, made):
    model = made(SampleParameters(DIGITS, ChainTree(spec=SampleSpec(steps=1000, count=64))))
    model.compute()
    qtbot.waitUntil(lambda: model.state.ready > 0)
    model.play()
    model.shutdown()
    assert not model._player._timer.isActive()
    assert not model._computing.busy
    model.seek(3)
    model.set_view("x_t")
    model.toggle_playing()
