"""Behind the classifier panel: which classifier is shown, and its training beside the window."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from diffusion_studio.engine.classifier.accuracy import AccuracyCurve
from diffusion_studio.engine.classifier.files import CARD, FOLDER, read_card
from diffusion_studio.engine.classifier.training import AccuracyMeasured
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.runs.checkpoints import list_checkpoints
from diffusion_studio.viewmodels.sample import classifier as module
from diffusion_studio.viewmodels.sample.classifier import ClassifierModel, ClassifierState
from diffusion_studio.viewmodels.sample.sources import SourceCache
from support.classifiers import NARROW, make_run, train_on, write_two_patterns
from support.tiny import CPU, write_pictures


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run on two patterns; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    return make_run(folder / "run", write_two_patterns(folder / "two"), conditional=False)


@pytest.fixture
def run(made, tmp_path):
    return shutil.copytree(made, tmp_path / "run")


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(module, "ClassifierSpec", NARROW)


@pytest.fixture
def model(qapp):
    model = ClassifierModel("cpu")
    yield model
    model.shutdown()


def test_that_a_run_without_a_classifier_can_be_trained(model, run):
    model.show(str(run))
    assert model.state == ClassifierState(run=run)
    model.show(str(list_checkpoints(run / "checkpoints")[0]))
    assert model.state == ClassifierState(run=run)


def test_that_one_that_is_there_is_shown(model, run):
    train_on(run)
    model.show(str(run))
    card = read_card(run)
    assert model.state == ClassifierState(run=run, trained=True, classes=2, curve=card.accuracy)
    assert model.state.knowledge.startswith("Right in")
    (run / FOLDER / CARD).write_text("{")  # another program may change it
    model.show(str(run))
    assert model.state.run == run
    assert not model.state.trained
    assert "is damaged" in model.state.notice


def test_that_a_folder_that_is_no_run_gets_its_sentence(model, tmp_path):
    model.show(str(tmp_path))
    assert model.state.run is None
    assert "does not say which images" in model.state.notice


def test_that_it_is_trained_beside_the_window(qtbot, model, run):
    model.show(str(run))
    with qtbot.waitSignal(model.trained) as told:
        model.train(0.3)
        assert model.state.phase == "preparing"
        model.train(0.3)  # does nothing while it is at work
    assert told.args == [run]
    state, card = model.state, read_card(run)
    assert state == ClassifierState(run=run, trained=True, classes=2, curve=card.accuracy)
    assert len(model.losses.steps) == card.step
    model.show(str(run))
    assert len(model.losses.steps) == card.step  # the same one is still on show


def test_that_a_stop_saves_and_a_pause_keeps_it(qtbot, model, run):
    model.show(str(run))
    model.train(600)
    for phase in ("paused", "running"):
        qtbot.waitUntil(lambda: model.state.phase in ("running", "paused"))
        model.toggle_pause()
        qtbot.waitUntil(lambda phase=phase: model.state.phase == phase)
    with qtbot.waitSignal(model.trained):
        model.stop()
        assert model.state.phase == "stopping"
    assert model.state.phase == "idle"
    assert read_card(run).step == len(model.losses.steps) > 0


def test_that_another_denoiser_waits_for_the_end_of_the_training(qtbot, model, run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    model.show(str(run))
    model.train(0.2)
    model.show(str(other))
    assert model.state.run == run
    with qtbot.waitSignal(model.trained) as told:
        pass
    assert told.args == [run]
    assert model.state == ClassifierState(run=other)
    assert len(model.losses.steps) == 0


def test_that_what_cannot_be_trained_says_so_and_what_was_there_stays(qtbot, model, run, tmp_path):
    plain = make_run(tmp_path / "plain", write_pictures(tmp_path / "pictures", classes=()))
    model.show(str(plain))
    model.train(1)
    qtbot.waitUntil(lambda: not model.state.busy)
    assert "have no labels" in model.state.notice
    train_on(run)
    model.show(str(run))
    before = model.state
    model._on_training(events.Finished("failed", "The disk is full."))
    assert model.state.curve == before.curve
    assert model.state.notice == "The disk is full."


def test_that_closing_saves_what_was_learned(qtbot, model, run):
    model.show(str(run))
    model.train(600)
    qtbot.waitUntil(lambda: model.state.phase == "running")
    model.shutdown()
    assert read_card(run).step > 0


def test_that_the_exact_classifier_is_measured_and_not_trained(qtbot, model, tmp_path):
    source = write_two_patterns(tmp_path / "two")
    model.show(f"memorising:{source}")
    assert model.state.exact
    qtbot.waitUntil(lambda: model.state.trained)
    assert model.state.run is None
    assert model.state.curve.t[-1] == 1000
    assert model.state.curve.accuracy[0] == 1
    assert model.state.curve.accuracy[-1] == pytest.approx(0.5, abs=0.2)
    assert np.all(np.diff(model.state.curve.t) > 0)
    model.train(1)  # there is nothing to train
    assert not model.state.busy


def test_that_exact_images_without_classes_get_their_sentence(qtbot, model, tmp_path):
    model.show(f"memorising:{write_pictures(tmp_path / 'plain', classes=())}")
    qtbot.waitUntil(lambda: model.state.notice != "")
    assert "no classes" in model.state.notice


def test_that_events_become_a_state(model, run):
    model.show(str(run))
    model._on_training(events.Warned("A tenth is kept apart."))
    assert model.state.notice == "A tenth is kept apart."
    losses = np.array([0.7, 0.6], np.float32)
    model._on_training(events.Progress(2, 0, 3.0, 12.0, 1000.0, 1, losses))
    assert (model.state.phase, model.state.fraction) == ("running", 0.25)
    assert model.state.detail == "step 2 · 1,000 images/s · 9 s left"
    curve = AccuracyCurve(t=(1, 50), accuracy=(1.0, 0.5))
    model._on_training(AccuracyMeasured(2, curve, 2))
    assert model.state.curve == curve
    assert "halfway to guessing" in model.state.knowledge


def test_that_a_fresh_classifier_is_picked_up(run):
    cache = SourceCache(CPU)
    for key in (str(run), str(list_checkpoints(run / "checkpoints")[0])):
        before = cache.open(key)
        assert cache.open(key) is before
        train_on(run)
        after = cache.open(key)
        assert after is not before
        assert after.classifier_names == ("left", "right")
        assert cache.open(key) is after
