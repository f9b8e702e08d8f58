"""A classifier of noisy images: what it learns, from which images, and how it is kept with the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_studio.core.guidance.guides import ByClassifier
from diffusion_studio.core.process.schedules import CosineSchedule
from diffusion_studio.core.samplers import DDIM
from diffusion_studio.data.load import load
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import memorising_source, open_source
from diffusion_studio.engine.classifier import files as classifier_files
from diffusion_studio.engine.classifier import keeper
from diffusion_studio.engine.classifier import training as classifier_training
from diffusion_studio.engine.classifier.accuracy import IMAGES, AccuracyCurve, accuracies, measured_times
from diffusion_studio.engine.classifier.data import classifier_data
from diffusion_studio.engine.classifier.files import CARD, FOLDER, load_classifier, read_card, version_of
from diffusion_studio.engine.classifier.learner import ClassifierLearner
from diffusion_studio.engine.classifier.training import AccuracyMeasured, ClassifierSpec, train_classifier
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.checkpoints import list_checkpoints
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.run_data import split
from support import hostile
from support.chains import tables
from support.classifiers import QUICK, best_accuracy, make_run, train_on, write_two_patterns
from support.tiny import CPU, losses_told, only, write_pictures


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    """Where accuracy itself is not what counts it is measured on few."""
    monkeypatch.setattr(classifier_training, "IMAGES", 40)


@pytest.fixture(scope="module")
def patterns(tmp_path_factory):
    """A run on two patterns that a classifier can tell apart; not to be changed."""
    folder = tmp_path_factory.mktemp("patterns")
    even = next(seed for seed in range(99) if np.count_nonzero(split(40, 0.1, seed)[1] < 20) == 2)
    return make_run(folder / "run", write_two_patterns(folder / "two"), conditional=False, seed=even)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pictures):
    """A run on three classes with a classifier; not to be changed."""
    run = make_run(tmp_path_factory.mktemp("trained") / "zoo", pictures)
    assert train_on(run)[-1].outcome == "done"
    return run


@pytest.fixture
def run(trained, tmp_path):
    """A copy that may be changed."""
    return shutil.copytree(trained, tmp_path / "zoo")


def weights(run: Path) -> dict[str, torch.Tensor]:
    found = load_classifier(Run.open(run), CPU)
    assert found is not None
    return found.classifier.network.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# --- what it learns ---------------------------------------------------------------------------------------


def test_that_it_comes_near_the_best_possible_accuracy_at_every_t(patterns, tmp_path, monkeypatch):
    """On an unconditional run: of two patterns m and −m the exact posterior is known."""
    monkeypatch.setattr(classifier_training, "IMAGES", IMAGES)
    copy = shutil.copytree(patterns, tmp_path / "run")
    told = train_on(copy, ClassifierSpec(steps=120, seconds=0, width=8, batch_size=64))
    (curve,) = [event.curve for event in only(told, AccuracyMeasured) if event.final]
    found = load_classifier(Run.open(copy), CPU)
    best = [best_accuracy(found.classifier.tables, t) for t in curve.t]
    assert curve.t[0] == 1 and curve.t[-1] == 50
    assert curve.accuracy[0] == 1
    np.testing.assert_allclose(curve.accuracy, best, atol=0.06)  # σ of 1,000 answers is 0.016
    assert found.card.accuracy == curve
    assert found.card.class_names == ("left", "right")


def test_that_accuracy_of_the_exact_posterior_is_the_best_possible(patterns):
    images = load(Run.open(patterns).config.data)
    source = memorising_source(images, tables(), CPU)
    times = measured_times(50, 6)
    found = list(accuracies(source.classifier, tables(), images, np.arange(images.count), times, CPU, 4000))
    np.testing.assert_allclose(found, [best_accuracy(tables(), t) for t in times], atol=0.04)


def test_where_it_stops_knowing():
    curve = AccuracyCurve(t=(1, 21, 41), accuracy=(1.0, 0.9, 0.5))
    assert curve.known_until(2) == pytest.approx(21 + 20 * 0.15 / 0.4)
    assert curve.known_until(10) == pytest.approx(21 + 20 * 0.35 / 0.4)
    assert AccuracyCurve(t=(1, 9), accuracy=(0.1, 0.1)).known_until(10) == 0
    assert AccuracyCurve(t=(1, 9), accuracy=(1, 1)).known_until(10) == 9


@pytest.mark.parametrize("steps", [2, 5, 21, 50, 1000])
def test_that_accuracy_is_measured_at_both_ends(steps):
    times = measured_times(steps)
    assert (times[0], times[-1]) == (1, steps)
    assert list(times) == sorted(set(times))


def test_that_every_loss_is_told_once_and_the_same_seed_gives_the_same_weights(trained, run):
    told = train_on(run)
    assert len(losses_told(told)) == told[-1].step == QUICK.steps
    assert same(weights(run), weights(trained))
    train_on(run, QUICK.model_copy(update={"seed": 1}))
    assert not same(weights(run), weights(trained))


# --- from which images ------------------------------------------------------------------------------------


def test_that_the_runs_own_split_is_kept(tmp_path):
    source = write_pictures(tmp_path / "zoo", each=8)
    data = classifier_data(Run.open(make_run(tmp_path / "run", source, held_out=0.25, seed=4)))
    learned, kept = split(24, 0.25, 4)
    assert data.trained.tolist() == learned.tolist()
    assert data.measured.tolist() == kept.tolist()
    assert data.held_out and not data.notes


def test_that_a_run_without_a_split_keeps_a_tenth_from_its_classifier(patterns):
    data = classifier_data(Run.open(patterns))
    assert len(data.measured) == 4
    assert sorted([*data.trained, *data.measured]) == list(range(40))
    assert "10 % are kept apart" in data.notes[0]


def test_that_images_without_a_label_take_no_part(tmp_path):
    source = labelled(write_pictures(tmp_path / "zoo", classes=(), each=30), *("ab" * 10), *[""] * 10)
    run = Run.open(make_run(tmp_path / "run", source))
    data = classifier_data(run)
    used = np.concatenate([data.trained, data.measured])
    assert len(used) == 20
    assert (data.images.labels[used] >= 0).all()
    assert train_on(run)[-1].outcome == "done"


def labelled(folder: Path, *labels: str) -> Path:
    """Names the classes of the first pictures in a folder."""
    names = sorted(path.name for path in folder.glob("*.png"))
    rows = [f"{name},{label}" for name, label in zip(names, labels, strict=False)]
    if rows:
        (folder / "metadata.csv").write_text("\n".join(["file_name,label", *rows]) + "\n")
    return folder


def refused(run: Path) -> str:
    told = train_on(run)
    assert len(told) == 1
    assert told[0].outcome == "failed"
    assert not (run / FOLDER).exists()
    return told[0].message


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ("", "have no labels"),
        ("aaa", "only one class; a classifier needs two"),
        ("ab" + 20 * "b", "too few images with labels"),
    ],
)
def test_that_images_of_one_class_are_refused(tmp_path, labels, sentence):
    source = labelled(write_pictures(tmp_path / "zoo", classes=(), each=30), *labels)
    alone = next(seed for seed in range(999) if 0 in split(30, 0.1, seed)[1])  # the only image of class a
    assert sentence in refused(make_run(tmp_path / "run", source, seed=alone))


def test_that_data_that_is_gone_or_changed_is_refused(tmp_path):
    source = write_pictures(tmp_path / "zoo")
    run = make_run(tmp_path / "run", source, conditional=False)
    (source / "bee").rename(source / "wasp")
    assert "began with the classes ape, bee, cat" in refused(run)
    shutil.rmtree(source)
    assert str(source) in refused(run)


def test_that_a_run_without_a_checkpoint_is_refused(tmp_path, pictures):
    run = make_run(tmp_path / "run", pictures)
    shutil.rmtree(run / "checkpoints")
    assert "no usable checkpoint" in refused(run)
    assert "is not a run" in refused(tmp_path)


def test_that_two_trainings_at_once_are_refused(run):
    first = train_classifier(run, QUICK, CPU, Control())
    next(first)
    assert "already being trained" in train_on(run)[-1].message
    with Run.open(run).lock():  # the run itself may be trained meanwhile
        assert list(first)[-1].outcome == "done"


# --- stop, pause, failure ---------------------------------------------------------------------------------


def test_that_a_stop_saves_and_one_before_the_first_step_writes_nothing(patterns, tmp_path):
    run, control = shutil.copytree(patterns, tmp_path / "run"), Control()
    control.stop()
    assert train_on(run, control=control)[-1].outcome == "stopped"
    assert read_card(run) is None
    control, told = Control(), []
    for event in train_classifier(run, ClassifierSpec(seconds=0, width=8), CPU, control):
        told.append(event)
        if isinstance(event, events.Progress):
            control.stop()
    assert told[-1].outcome == "stopped"
    assert read_card(run).step == told[-1].step > 0


def test_that_a_pause_is_told_and_ends(patterns, tmp_path):
    run, control, told = shutil.copytree(patterns, tmp_path / "run"), Control(), []
    control.pause()
    for event in train_classifier(run, QUICK, CPU, control):
        told.append(type(event))
        if isinstance(event, events.Paused):
            control.resume()
    assert told.index(events.Resumed) == told.index(events.Paused) + 1
    assert told[-1] is events.Finished


def test_that_it_is_measured_and_saved_on_the_way(patterns, tmp_path, monkeypatch):
    for name in ("MEASURE_FIRST", "SAVE_EVERY"):
        monkeypatch.setattr(classifier_training, name, 0.0)
    told = train_on(shutil.copytree(patterns, tmp_path / "run"), QUICK)
    saved = [event.step for event in only(told, events.Saved)]
    assert saved[0] == 1
    assert saved[-1] == 3
    assert [event.final for event in only(told, AccuracyMeasured)][-1]


def test_that_a_loss_that_is_no_number_keeps_what_was_saved(trained, run, monkeypatch):
    monkeypatch.setattr(ClassifierLearner, "step", lambda *_: torch.tensor(torch.nan))
    assert "not a number" in train_on(run)[-1].message
    assert same(weights(run), weights(trained))


def test_that_a_full_disk_gets_its_sentence(run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keeper, "save_classifier", full)
    told = train_on(run)
    assert told[-1].outcome == "failed"
    assert told[-1].message == (
        "Step 3 could not be saved: No space left on device. The classifier from before is kept. "
        "Free some disk space."
    )


def test_that_too_little_memory_gets_its_sentence(run, monkeypatch):
    def large(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(ClassifierLearner, "step", large)
    assert "memory for a batch of 16 images" in train_on(run)[-1].message


# --- how it is kept ---------------------------------------------------------------------------------------


def test_that_a_save_that_is_cut_off_leaves_the_one_before(trained, run, monkeypatch):
    before = version_of(run)
    with monkeypatch.context() as patch:
        patch.setattr(classifier_files, "write_atomically", lambda *_: exec("raise KeyboardInterrupt"))
        with pytest.raises(KeyboardInterrupt):
            train_on(run, QUICK.model_copy(update={"seed": 1}))
    assert len(list((run / FOLDER).glob("weights-*"))) == 2  # complete, but not named by the card
    assert version_of(run) == before
    assert same(weights(run), weights(trained))
    train_on(run, QUICK.model_copy(update={"seed": 2}))
    assert len(list((run / FOLDER).iterdir())) == 2
    assert version_of(run) != before


def test_that_what_is_loaded_gives_the_same_numbers(trained):
    found, again = (load_classifier(Run.open(trained), CPU) for _ in range(2))
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.classifier.log_probs(x, 30), again.classifier.log_probs(x, 30))
    assert found.classifier.classes == 3
    assert found.card.class_names == ("ape", "bee", "cat")
    assert not any(p.requires_grad for p in found.classifier.network.parameters())


def edit_card(run: Path, **values: object) -> None:
    path = run / FOLDER / CARD
    path.write_text(json.dumps(json.loads(path.read_bytes()) | values))


def damage(run: Path, what: str) -> None:
    (weights,) = (run / FOLDER).glob("weights-*")
    match what:
        case "no weights":
            weights.unlink()
        case "other weights":
            weights.write_bytes(weights.read_bytes()[:-1] + b"x")
        case "no JSON":
            (run / FOLDER / CARD).write_text("{")
        case "no card":
            (run / FOLDER / CARD).write_text("[1]")
        case "no numbers":
            edit_card(run, accuracy={"t": [1], "accuracy": [float("nan")]})
        case "another network":
            edit_card(run, width=16)
        case "odd version":
            edit_card(run, version="two")
        case "newer":
            edit_card(run, version=99)
        case "other sides":
            edit_card(run, resolution=16)
        case "other channels":
            edit_card(run, channels=3)
        case "other classes":
            edit_card(run, class_names=["ape", "bee", "cow"])
        case "other data":
            edit_card(run, data="0" * 64)
        case "other steps":
            edit_card(run, steps=51)
        case "other schedule":
            cosine = CosineSchedule().betas(50)
            edit_card(run, alpha_bar=torch.cumprod(1 - cosine, 0)[:9].tolist())


DAMAGES = {
    "no weights": "is damaged", "other weights": "checksum is wrong", "no JSON": "not valid JSON",
    "no card": "is damaged", "no numbers": "is damaged", "another network": "do not fit",
    "odd version": "is damaged", "newer": "newer Diffusion Studio",
    "other sides": "another data set: it takes images of 16×16×1",
    "other channels": "another data set", "other classes": "one of another data set",
    "other data": "one of another data set", "other steps": "another noise schedule",
    "other schedule": "another noise schedule",
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGES)
def test_that_one_that_cannot_be_used_gets_its_sentence_and_the_run_opens(run, what):
    damage(run, what)
    with pytest.raises(ValueError, match=DAMAGES[what]):
        load_classifier(Run.open(run), CPU)
    source = open_source(run, CPU)
    assert source.classifier is None and source.classifier_names == ()
    assert DAMAGES[what] in source.notes[-1]


@pytest.mark.parametrize("kind", [kind for kind in hostile.KINDS if kind != "circle"])
@pytest.mark.parametrize("name", [CARD, "weights"])
def test_that_only_a_regular_file_of_its_own_is_opened(run, name, kind):
    (path,) = (run / FOLDER).glob(f"{name}*")
    hostile.put(path, kind)
    with pytest.raises(ValueError, match="is damaged"):
        load_classifier(Run.open(run), CPU)
    assert open_source(run, CPU).classifier is None


def test_that_a_run_without_one_opens_without_a_note(patterns):
    source = open_source(patterns, CPU)
    assert source.classifier is None and not source.notes
    assert version_of(patterns) == ""


def test_that_it_guides_the_chains_of_an_unconditional_run(patterns, tmp_path):
    run = shutil.copytree(patterns, tmp_path / "run")
    train_on(run)
    for path in (run, list_checkpoints(run / "checkpoints")[0]):
        source = open_source(path, CPU)
        assert source.class_names == () and source.classifier_names == ("left", "right")
        for form, eta in (("eps", 0.0), ("mean", 1.0)):
            guide = ByClassifier(form=form)
            spec = SampleSpec(steps=5, count=4, guide=guide, guidance=3.0, sampler=DDIM(eta=eta))
            free = spec.model_copy(update={"guidance": 0.0})
            ends = [[step.x_s for step in Chain(source, s, CPU).steps()][-1] for s in (spec, free)]
            assert bool(ends[0].isfinite().all())
            assert not torch.allclose(*ends)


def test_that_the_data_may_lie_in_a_folder_of_any_name(tmp_path):
    """Names that UTF-8 cannot hold are compared as they are written."""
    source = write_pictures(tmp_path / "zoo", classes=("ape", "b\udcff"))
    run = make_run(tmp_path / "run", source)
    assert train_on(run)[-1].message.startswith("The classifier of run is saved")
    assert load_classifier(Run.open(run), CPU).card.class_names == Run.open(run).class_names


def test_that_measuring_tells_how_far_it_is(run):
    told = train_on(run)
    found = [event for event in told if isinstance(event, events.Preparing)]
    (last,) = (k for k, event in enumerate(told) if isinstance(event, AccuracyMeasured) and event.final)
    assert {event.what for event in found} == {classifier_training.MEASURING}
    assert [event.done for event in found] == list(range(1, found[0].total + 1))
    assert told[last - 1] is found[-1]
