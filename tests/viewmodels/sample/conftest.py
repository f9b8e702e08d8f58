"""View-models of the Sample page, made and shut down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.sample.state import SampleParameters
from support.sample_page import START, Gate, Make, Settled
from support.tiny import begin, finish, tiny_config


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A run of the digits; not to be changed."""
    path = tmp_path_factory.mktemp("trained") / "run"
    finish(begin(path, tiny_config(steps=2)))
    return path


@pytest.fixture
def runs(tmp_path, trained) -> Path:
    """The folder of runs, with one that is called "mine"."""
    shutil.copytree(trained, tmp_path / "runs" / "mine")
    return tmp_path / "runs"


@pytest.fixture
def made(qapp, tmp_path) -> Iterator[Make]:
    """Makes view-models and shuts them down."""
    models = []

    def make(parameters: SampleParameters | None = START) -> SampleViewModel:
        models.append(SampleViewModel(tmp_path / "runs", parameters, device="cpu"))
        return models[-1]

    yield make
    for model in models:
        model.shutdown()


@pytest.fixture
def settled(qtbot) -> Settled:
    """Waits until a model has computed all it was asked for."""

    def settled(model: SampleViewModel) -> SampleViewModel:
        qtbot.waitUntil(lambda: not model.state.chains.busy)
        return model

    return settled


@pytest.fixture
def model(made, settled) -> SampleViewModel:
    """A short chain of the digits, standing at the image."""
    model = made()
    model.choices.refresh()
    model.compute()
    return settled(model)


@pytest.fixture
def branched(model, settled) -> SampleViewModel:
    """With a branch that leaves at state 4, of another seed, on show."""
    model.player.seek(4)
    model.branch()
    model.tree.edit("seed", 3)
    model.tree.settle()
    return settled(model)


@pytest.fixture
def gate(monkeypatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.open(10_000)


@pytest.fixture
def picture(tmp_path) -> Path:
    Image.fromarray(np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "real.png")
    return tmp_path / "real.png"
