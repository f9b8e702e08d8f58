"""Denoisers open from every kind of folder, and know their classes before."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from diffusion_studio.data.load import load
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import (
    class_names_of,
    memorising_source,
    open_named,
    open_source,
    training_images,
)
from diffusion_studio.engine.runs.checkpoints import list_checkpoints
from diffusion_studio.engine.runs.config import DiffusionSpec
from support.classifiers import make_run
from support.tiny import CPU, begin, finish, tiny_config

NAMES = ("ape", "bee", "cat")


def samples(made: Chain) -> torch.Tensor:
    *_, last = made.steps()
    return last.x_s


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("sampling") / "run"
    finish(begin(path, tiny_config()))
    return path


def test_that_a_run_and_its_checkpoint_open_alike(run):
    whole = open_source(run, CPU)
    (checkpoint,) = (run / "checkpoints").iterdir()
    alone = open_source(checkpoint, CPU)
    assert (whole.kind, whole.name) == ("run", "run")
    assert whole.step == alone.step == 4
    assert whole.class_names == tuple("0123456789")
    assert whole.shape(3) == (3, 1, 8, 8)
    spec = SampleSpec(steps=3, count=2)
    assert torch.equal(samples(Chain(whole, spec, CPU)), samples(Chain(alone, spec, CPU)))


def test_that_what_cannot_be_opened_is_said(tmp_path):
    with pytest.raises(ValueError, match="There is nothing at"):
        open_source(tmp_path / "gone", CPU)
    with pytest.raises(ValueError, match="neither a run nor a model folder"):
        open_source(tmp_path, CPU)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ValueError, match=r"config\.json"):
        open_source(tmp_path, CPU)


def test_that_the_memorising_denoiser_of_the_digits_needs_no_training():
    source = memorising_source(load(DataSpec()), DiffusionSpec().tables(), CPU)
    assert source.class_names == tuple("0123456789")
    final = samples(Chain(source, SampleSpec(steps=20, count=10), CPU)).numpy()
    images = load(DataSpec()).images.astype(np.float32) / 127.5 - 1
    nearest = np.abs(images[None] - final[:, None]).max((2, 3, 4)).min(1)
    assert (nearest < 0.05).all()


@pytest.mark.parametrize("name", ["memorising:", "memorising: "])
@pytest.mark.parametrize("opened", [lambda name: open_named(name, CPU), class_names_of, training_images])
def test_that_memorising_needs_something_to_remember(name, opened):
    with pytest.raises(
        ValueError, match="memorising: needs the images behind it, a folder or the word digits"
    ):
        opened(name)


def test_that_a_checkpoint_without_its_run_is_a_model_like_any_other(run, tmp_path):
    (checkpoint,) = list_checkpoints(run / "checkpoints")
    copy = shutil.copytree(checkpoint, tmp_path / "step-00000004")
    alone = open_source(copy, CPU)
    assert (alone.kind, alone.name, alone.step) == ("folder", "step-00000004", 4)
    next((copy / "unet").glob("*.safetensors")).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="has 7 bytes instead of"):
        open_source(copy, CPU)


def test_where_the_names_of_classes_come_from(tmp_path, pictures):
    run = make_run(tmp_path / "run", pictures, conditional=False)
    assert class_names_of(str(run)) == NAMES  # of an unconditional run, for its classifier
    checkpoint = list_checkpoints(run / "checkpoints")[0]
    assert class_names_of(str(checkpoint)) == NAMES
    moved = checkpoint.rename(tmp_path / "model")
    assert class_names_of(str(moved)) == NAMES
    assert class_names_of(f"memorising:{pictures}") == NAMES
    assert class_names_of(str(tmp_path)) == ()
