"""Behind the Autoencoder page: one training, and what is looked at beside it."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.viewmodels.autoencoder.latent import MAP_SIDE, WAY
from diffusion_studio.viewmodels.autoencoder.memory import remembered, to_remember
from diffusion_studio.viewmodels.autoencoder.model import AutoencoderViewModel
from diffusion_studio.viewmodels.autoencoder.record import POINTS, ThinCurve
from diffusion_studio.viewmodels.autoencoder.state import as_kind, first_config
from diffusion_studio.viewmodels.autoencoder.tour import CARDS, TouredCodes
from support.codes import code_config
from support.tiny import write_pictures


@pytest.fixture
def model(qtbot, tmp_path):
    model = AutoencoderViewModel(tmp_path / "runs", code_config(code__size=2, training__steps=30))
    model.set_awake(True)
    qtbot.waitUntil(lambda: model.state.data is not None)
    yield model
    model.shutdown()


def trained(qtbot, model) -> None:
    model.start()
    qtbot.waitUntil(lambda: not model.state.busy and not model.training.busy)


def test_that_a_training_is_shown_and_kept(qtbot, model):
    trained(qtbot, model)
    assert model.state.notice is None
    assert Run.open_as(model.state.run, AutoencoderConfig).step == 30
    steps, reconstruction, kl = model.record.curves()
    assert len(steps) == len(reconstruction) == len(kl) == 30
    assert model.record.newest.step == 30


def test_that_the_images_are_shown_as_an_autoencoderkl_learns_them(qtbot, model, tmp_path):
    folder = write_pictures(tmp_path / "pictures", side=18)
    model.open_data(str(folder))
    qtbot.waitUntil(lambda: model.state.reading is None and model.state.data.size.startswith("18×18"))
    model.edit("code.network", "kl")
    qtbot.waitUntil(lambda: model.state.reading is None and model.state.data.size.startswith("16×16"))
    trained(qtbot, model)
    assert model.record.newest.model.shape[1:] == (16, 16)
    model.measure()
    qtbot.waitUntil(lambda: model.measuring.state.report is not None)


def test_that_the_place_under_the_pointer_is_decoded(qtbot, model):
    trained(qtbot, model)
    model.show("code")
    with qtbot.waitSignal(model.latent.decoded) as told:
        model.latent.point_at(0.5, -1.0)
    assert model.latent.state.code.tolist() == [0.5, -1.0]
    assert told.args[0].shape == (1, 8, 8, 1)
    with qtbot.waitSignal(model.latent.mapped) as told:
        model.latent.set_mapping(True)
    assert len(told.args[0]) == MAP_SIDE**2
    with qtbot.waitSignal(model.latent.travelled) as told:
        model.latent.travel(0, 5)
    assert len(told.args[0]) == WAY
    newest = model.record.newest.model
    assert np.array_equal(told.args[0][0], newest.decoded(model.record.newest.codes[:1])[0])


def test_that_the_weight_of_the_divergence_is_changed_while_it_trains(qtbot, model):
    model.edit("training.steps", 0)
    model.start()
    qtbot.waitUntil(lambda: model.state.phase == "running" and model.state.step > 0)
    model.edit("code.size", 4)  # refused
    assert model.config.code.size == 2
    assert "Stop it" in model.state.notice.text
    model.edit("kl_weight", 4.0)
    run = model.state.run
    qtbot.waitUntil(lambda: Run.open_as(run, AutoencoderConfig).config.kl_weight == 4.0)
    model.stop()
    qtbot.waitUntil(lambda: not model.training.busy)


def test_that_a_run_on_disk_is_opened_and_gone_on_with(qtbot, model):
    trained(qtbot, model)
    run = model.state.run
    model.choose_kind("ae")
    model.open_run(run)
    assert model.config.kind == "vae"
    qtbot.waitUntil(lambda: model.record.newest is not None and not model.training.busy)
    assert model.record.newest.step == 30
    model.resume_run(run)
    qtbot.waitUntil(lambda: not model.state.busy and not model.training.busy)
    assert Run.open_as(run, AutoencoderConfig).step == 60


def test_that_the_exact_case_follows_what_is_dragged(qtbot, model):
    qtbot.waitUntil(lambda: model.exact.state.case is not None)  # of the variance that it begins with
    state = model.exact.state
    assert state.case.size == 2
    values = state.case.values
    for variance, active in ((float(values[0]) * 1.1, 0), (float(values[1]) * 1.01, 1), (1e-3, 2)):
        model.exact.set_variance(variance)
        qtbot.waitUntil(lambda v=variance: model.exact.state.case.variance == v)
        assert model.exact.state.case.active == active


def test_that_a_turned_code_changes_nothing(qtbot, model):
    model.choose_kind("ae")
    model.edit("code.network", "linear")
    model.show("exact")
    trained(qtbot, model)
    qtbot.waitUntil(lambda: model.exact.state.learned is not None)
    model.exact.turn()
    qtbot.waitUntil(lambda: model.exact.state.turns == 1 and not model.exact._slot.busy)
    learned = model.exact.state.learned
    assert learned.turned_error == pytest.approx(learned.error, rel=1e-4)
    assert 0 <= learned.angle <= 90


@pytest.mark.parametrize("kind", ["ae", "vae", "hvae"])
def test_that_each_kind_is_measured(qtbot, model, kind):
    model.choose_kind(kind)
    trained(qtbot, model)
    model.measure()
    qtbot.waitUntil(lambda: model.measuring.state.report is not None and not model.measuring.state.doing)
    state = model.measuring.state
    assert (state.gradients is not None) == (kind == "vae")
    assert (state.scatter is not None) == (kind == "hvae")
    assert len(state.stages) == (kind != "ae")


def measured(qtbot, model) -> None:
    model.measure()
    qtbot.waitUntil(lambda: not model.measuring.state.doing)


def test_that_stages_of_other_images_or_of_two_values_stand_beside_each_other(qtbot, model, tmp_path):
    trained(qtbot, model)
    measured(qtbot, model)
    measured(qtbot, model)  # takes the place of the first
    model.open_data(str(write_pictures(tmp_path / "zoo")))
    qtbot.waitUntil(lambda: model._set.name == "zoo")
    measured(qtbot, model)
    model.edit("decoder.kind", "bernoulli")
    trained(qtbot, model)
    measured(qtbot, model)
    stages = model.measuring.state.stages
    names = ["VAE, k = 2", "VAE, k = 2", "VAE, k = 2, pixels black or white"]
    assert [stage.title for stage in stages] == names
    assert [stage.source for stage in stages] == ["Digits, 8 px", "zoo, 8 px", "zoo, 8 px"]


def test_that_it_is_said_where_no_diffusion_run_can_be_measured(qtbot, model):
    model.measure_diffusion()
    qtbot.waitUntil(lambda: not model.measuring.state.doing)
    assert "No diffusion run here can be measured" in model.state.notice.text


def test_that_the_restrictions_come_one_after_the_other(qtbot, model):
    model.restrict(2)
    spec = model.config.hierarchy
    assert (spec.same_dimension, spec.fixed_encoder, spec.standard_end) == (True, True, False)
    model.restrict(3)
    trained(qtbot, model)
    assert model.record.newest.model.network.dims == (64, 64)
    model.restrict(0)
    assert model.config.hierarchy.restrictions == 0
    model.undo()
    assert model.config.hierarchy.restrictions == 3


@pytest.mark.parametrize("choose", [lambda model: model.choose_kind("hvae"), lambda model: model.restrict(1)])
def test_that_a_network_of_one_level_makes_way_for_a_hierarchy(model, choose):
    model.edit("code.network", "kl")
    model.settle()
    choose(model)
    assert (model.config.kind, model.config.code.network) == ("hvae", "mlp")
    assert "AutoencoderKL has one level" in model.state.notice.text
    model.undo()
    assert (model.config.kind, model.config.code.network) == ("vae", "kl")


def test_that_the_weight_is_undone_while_it_trains(qtbot, model, monkeypatch):
    asked = []
    monkeypatch.setattr(model.training, "weigh", asked.append)
    model.edit("seed", 5)
    model.settle()
    before = model.config.kl_weight
    model._update(phase="running")
    model.edit("kl_weight", 3.0)
    model.settle()
    model.undo()
    assert model.config.kl_weight == before
    assert asked[0] == 3.0 and asked[-1] == before
    model.undo()
    assert model.config.seed == 5
    assert model.state.notice is not None
    model._update(phase="idle")


def test_that_another_kind_keeps_what_both_have():
    config = code_config("hvae", code__size=5, kl_weight=2.0, seed=3)
    vae = as_kind(config, "vae")
    assert (vae.kind, vae.code.size, vae.kl_weight, vae.seed) == ("vae", 5, 2.0, 3)
    assert as_kind(as_kind(config, "ae"), "vae").kl_weight == 1.0


@pytest.mark.parametrize("number", range(len(CARDS)))
def test_that_every_action_of_the_tour_can_be_taken(model, monkeypatch, number):
    started = []
    monkeypatch.setattr(model.training, "begin", lambda place, config: started.append(config))
    for action in CARDS[number].actions:
        model.state = model.state.__class__(model.config, data=model.state.data)
        TouredCodes(model).apply(action)
        assert model.state.view == action.view
        assert model.state.notice is None
    assert len(started) == sum(action.trains for action in CARDS[number].actions)
    for config in started:
        config.check_images((1, 8, 8))


def test_that_images_are_read_when_the_page_is_seen(qtbot, model, tmp_path):
    source = write_pictures(tmp_path / "zoo")
    model.set_awake(False)
    model.follow(model.config.data.model_copy(update={"source": str(source)}))
    assert model.state.reading is None
    model.set_awake(True)
    qtbot.waitUntil(lambda: model.state.data is not None and model.state.data.count == 12)


def test_that_a_long_curve_stays_short():
    curve, values = ThinCurve(1), np.random.default_rng(0).normal(size=(1, 12_345))
    for part in np.array_split(values, 77, axis=1):
        curve.add(part)
    places, (means,) = curve.points()
    assert len(places) <= POINTS
    each = round(places[1] - places[0])
    whole = values[0, : len(means) * each].reshape(-1, each).mean(1)
    assert means == pytest.approx(whole)
    assert places[0] == (each - 1) / 2


def test_that_choices_are_remembered(model):
    model.edit("code.size", 7)
    assert remembered(to_remember(model.config)) == model.config
    for nonsense in (None, {"kind": "x"}, {"kind": "vae", "config": {"code": 3}}):
        assert remembered(nonsense) is None
    assert first_config().code.size == 2


def test_that_images_that_cannot_be_read_are_told(qtbot, model, tmp_path):
    model.open_data(str(tmp_path / "gone"))
    qtbot.waitUntil(lambda: model.state.reading is None and model.state.notice is not None)
    assert "gone" in model.state.notice.text
