"""Chains know their classes and their limits."""

from __future__ import annotations

import pytest
import torch

from diffusion_studio.core.samplers import DDIM
from diffusion_studio.core.steps.clipping import Unclipped
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from support.chains import random_source

CPU = torch.device("cpu")


def chain(classes: int = 0, **spec) -> Chain:
    return Chain(random_source(classes), SampleSpec(**{"steps": 5, "count": 7} | spec), CPU)


def samples(made: Chain) -> torch.Tensor:
    *_, last = made.steps()
    return last.x_s


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
