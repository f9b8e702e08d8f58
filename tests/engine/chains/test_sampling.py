"""Chains know their classes and their limits; denoisers open from every kind of folder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffusion_studio.core.samplers import DDIM
from diffusion_studio.core.steps.clipping import Unclipped
from diffusion_studio.data.load import load
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.sampling import Chain, memorising_source, open_source
from diffusion_studio.engine.runs.config import DiffusionSpec
from support.chains import random_source
from support.tiny import begin, finish, tiny_config

CPU = torch.device("cpu")


def chain(classes: int = 0, **spec) -> Chain:
    return Chain(random_source(classes), SampleSpec(**{"steps": 5, "count": 7} | spec), CPU)


def samples(made: Chain) -> torch.Tensor:
    *_, last = made.steps()
    return last.x_s


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("sampling") / "run"
    finish(begin(path, tiny_config()))
    return path


def test_that_all_classes_come_in_turn_when_none_is_named():
    assert chain(3).labels().tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_that_a_named_class_is_asked_of_every_sample():
    assert chain(3, label=2).labels().tolist() == [2] * 7


def test_that_a_model_without_classes_is_asked_none():
    assert chain().labels() is None
    with pytest.raises(ValueError, match="without labels"):
        chain(label=0).labels()


def test_that_an_unknown_class_is_named_in_the_sentence():
    with pytest.raises(ValueError, match="the classes 0 … 2; there is no class 3"):
        chain(3, label=3).labels()
    with pytest.raises(ValueError, match="there is no class 3"):
        chain(3, label=3, guidance=0.0).labels()  # also where it would be ignored


def test_that_no_guidance_ignores_the_class():
    assert chain(3, guidance=0.0).labels() is None
    assert torch.equal(samples(chain(3, guidance=0.0)), samples(chain()))


def test_that_guidance_moves_along_the_difference_of_the_classes():
    x, t, labels = torch.randn(2, 1, 8, 8), 25, torch.tensor([1, 1])
    base = random_source(3).denoiser
    with_class, without = base(x, t, labels).eps_hat, base(x, t, torch.tensor([-1, -1])).eps_hat
    (step,) = chain(3, guidance=3.0, label=1, count=2, clip=Unclipped(), steps=2).steps(1, x)
    assert step.t == t
    expected = without + 3.0 * (with_class - without)
    torch.testing.assert_close(step.prediction.eps_hat, expected)


def test_that_more_steps_than_times_are_refused():
    with pytest.raises(ValueError, match="50"):
        _ = chain(steps=51).times


def test_that_a_sample_does_not_depend_on_its_neighbours():
    few, many = (chain(3, count=n, sampler=DDIM(eta=1.0)) for n in (2, 7))
    torch.testing.assert_close(samples(few), samples(many)[:2])


def test_that_the_seed_alone_decides():
    assert torch.equal(samples(chain(seed=4)), samples(chain(seed=4)))
    assert not torch.equal(samples(chain(seed=4)), samples(chain(seed=5)))


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
    with pytest.raises(ValueError, match=r"config\.json"):
        open_source(tmp_path, CPU)


def test_that_the_memorising_denoiser_of_the_digits_needs_no_training():
    source = memorising_source(load(DataSpec()), DiffusionSpec().tables(), CPU)
    assert source.class_names == tuple("0123456789")
    final = samples(Chain(source, SampleSpec(steps=20, count=10), CPU)).numpy()
    images = load(DataSpec()).images.astype(np.float32) / 127.5 - 1
    nearest = np.abs(images[None] - final[:, None]).max((2, 3, 4)).min(1)
    assert (nearest < 0.05).all()
