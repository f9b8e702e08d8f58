"""A run whose images were moved is pointed to them in the window, and to no others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.viewmodels.autoencoder.model import AutoencoderViewModel
from diffusion_studio.viewmodels.moved import CHOOSE
from diffusion_studio.viewmodels.sample.beside import NEAREST
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.sample.state import SampleParameters
from diffusion_studio.viewmodels.train.model import TrainViewModel
from support.codes import code_config
from support.tiny import begin, finish, tiny_config, write_pictures


@pytest.fixture
def gone(tmp_path: Path) -> tuple[Path, Path]:
    """A run, and the folder where its images are now."""
    zoo, run = write_pictures(tmp_path / "zoo"), tmp_path / "runs" / "mine"
    finish(begin(run, tiny_config(zoo, steps=2)))
    return run, zoo.rename(tmp_path / "far")


@pytest.fixture
def training(qapp, tmp_path) -> Iterator[TrainViewModel]:
    model = TrainViewModel(tmp_path / "runs", device="cpu")
    yield model
    model.shutdown()


def asks(model: object) -> bool:
    """Whether a page asks for the folder, in its notice."""
    notice = model.state.notice  # type: ignore[attr-defined]
    return notice is not None and notice.kind == "error" and notice.action == CHOOSE


def test_that_a_run_is_resumed_once_its_images_are_shown(qtbot, training, gone):
    run, far = gone
    training.resume_run(run)
    assert asks(training) and not training.state.busy
    assert f"{far.parent / 'zoo'} any more" in training.state.notice.text
    training.moved.point(str(far))
    assert training.state.notice.kind == "info"
    qtbot.waitUntil(lambda: Run.open(run).step == 4 and not training.state.busy)
    assert Run.open(run).config.data.source == training.config.data.source == str(far)
    assert training.state.notice is None


def test_that_other_images_are_refused_and_asked_for_again(qtbot, training, gone, tmp_path):
    run, far = gone
    others = write_pictures(tmp_path / "others", seed=9)
    training.resume_run(run)
    training.moved.point(str(others))
    qtbot.waitUntil(lambda: asks(training))
    assert "does not hold the images that mine was trained on" in training.state.notice.text
    assert Run.open(run).config.data.source == str(tmp_path / "zoo")
    training.moved.point(str(far))
    qtbot.waitUntil(lambda: Run.open(run).step == 4 and not training.state.busy)


def test_that_a_run_that_is_trained_elsewhere_is_left_alone(qtbot, training, gone, tmp_path):
    run, far = gone
    training.resume_run(run)
    with Run.open(run).lock():
        training.moved.point(str(far))
        qtbot.waitUntil(lambda: asks(training))
        assert "mine is being trained" in training.state.notice.text
    assert Run.open(run).config.data.source == str(tmp_path / "zoo")


def test_that_nothing_is_pointed_to_where_nothing_was_asked(training, gone):
    run, far = gone
    training.moved.point(str(far))
    assert training.state.notice is None
    assert not training.moved.asks_for(
        Run.open(run).__class__(run, tiny_config()), lambda: None
    )  # the digits


@pytest.mark.parametrize("act", ["open_run", "resume_run"])
def test_that_an_autoencoder_asks_too(qtbot, tmp_path, act):
    zoo = write_pictures(tmp_path / "zoo", each=8)
    model = AutoencoderViewModel(
        tmp_path / "runs", code_config(data__source=str(zoo), data__resolution=8, training__steps=2)
    )
    model.start()
    qtbot.waitUntil(lambda: not model.state.busy and not model.training.busy)
    run, far = model.state.run, zoo.rename(tmp_path / "far")
    getattr(model, act)(run)
    assert asks(model) and not model.training.busy
    model.moved.point(str(far))
    qtbot.waitUntil(lambda: Run.open_as(run, AutoencoderConfig).config.data.source == str(far))
    steps, record = 4 if act == "resume_run" else 2, model.record
    qtbot.waitUntil(lambda: record.newest is not None and record.newest.step == steps)
    qtbot.waitUntil(lambda: not model.training.busy)
    model.shutdown()


def test_that_the_nearest_images_are_found_once_they_are_shown(qtbot, gone, tmp_path):
    run, far = gone
    tree = ChainTree(spec=SampleSpec(steps=2, count=2))
    model = SampleViewModel(tmp_path / "runs", SampleParameters(str(run), tree), device="cpu")
    model.compute()
    qtbot.waitUntil(lambda: model.state.chains.complete)
    found: list[object] = []
    model.beside.nearest.found.connect(found.append)
    model.beside.follow(model.look(), NEAREST)
    qtbot.waitUntil(lambda: asks(model))
    model.beside.moved.point(str(far))
    qtbot.waitUntil(lambda: bool(found))
    model.shutdown()


@pytest.mark.parametrize("what", ["classifier", "trade"])
def test_that_what_failed_for_want_of_images_begins_again(qtbot, gone, tmp_path, what):
    run, far = gone
    tree = ChainTree(spec=SampleSpec(steps=2, count=2))
    model = SampleViewModel(tmp_path / "runs", SampleParameters(str(run), tree), device="cpu")
    model.compute()
    qtbot.waitUntil(lambda: model.state.chains.complete)
    beside = model.beside
    if what == "classifier":
        beside.classifier.show(str(run))
        beside.classifier.train(0.001)
    else:
        beside.measure_trade()
    qtbot.waitUntil(lambda: asks(model))
    beside.moved.point(str(far))
    if what == "classifier":
        qtbot.waitUntil(lambda: beside.classifier.state.trained and not beside.classifier.state.busy)
    else:
        qtbot.waitUntil(lambda: bool(beside.trade.state.trades))
    model.shutdown()
