"""How few calls are as good as fifty: kept for the denoiser that was measured, and for no other one."""

from __future__ import annotations

import gc

import pytest

from diffusion_studio.core.samplers import DDPM
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.evaluation.few_calls import Fare, FewCalls
from diffusion_studio.viewmodels.sample import side_models
from diffusion_studio.viewmodels.sample.side_models import CallsModel
from support.chains import random_source
from support.tiny import CPU

FOUND = FewCalls(64, Fare("DDIM", 50, 0.5), 0.01, (Fare("DPM++ (2M)", 8, 0.505),))


@pytest.fixture
def model(qapp, monkeypatch):
    """Whose measuring ends at once, in `FOUND`."""
    monkeypatch.setattr(side_models, "training_images", lambda key: random_images())
    monkeypatch.setattr(side_models, "QualitySpace", lambda images: None)
    monkeypatch.setattr(side_models, "few_calls", lambda *_: iter([None, FOUND]))
    made = CallsModel()
    yield made
    made.shutdown()


def random_images():
    class Images:
        images = None

    return Images()


def chain(source, **spec) -> Chain:
    return Chain(source, SampleSpec(count=2, steps=5, **spec), CPU)


def test_that_what_was_measured_is_known_again_whatever_the_rule_of_the_steps(model, qtbot):
    source = random_source(3)
    model.look(chain(source))
    assert model.state.found is None
    model.measure("key", chain(source))
    qtbot.waitUntil(lambda: model.state.complete)
    model.look(chain(source, sampler=DDPM()))
    assert model.state.found == FOUND and model.state.complete
    model.look(chain(source, guidance=3.0))
    assert model.state.found is None and not model.state.complete
    model.look(chain(source))
    assert model.state.found == FOUND


@pytest.fixture
def frozen():
    """What was there before is not looked through again and again."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("frozen")
def test_that_another_denoiser_never_gets_the_numbers_of_one_that_is_gone(model, qtbot):
    """Nor where it lies in the same place of memory."""
    for seed in range(20):
        source = random_source(seed)
        model.look(chain(source))
        assert model.state.found is None
        model.measure("key", chain(source))
        qtbot.waitUntil(lambda: model.state.complete)
        del source
        gc.collect()


def test_that_what_a_dropped_measuring_still_says_is_not_told_of_another_denoiser(model, qtbot, monkeypatch):
    one, other = random_source(1), random_source(2)
    model.measure("key", chain(one))
    model.look(chain(other))
    qtbot.waitUntil(lambda: not model._slot.busy)
    assert model.state.found is None and not model.state.measuring
    model.look(chain(one))
    assert model.state.found is None  # it was not measured to its end
