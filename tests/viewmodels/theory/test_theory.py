"""The Theory page without its widgets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.describe import members
from diffusion_studio.core.objective.weights import Weight, error_scale
from diffusion_studio.core.process.schedules import LearnedSchedule, Schedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.engine.training.schedule_learner import LearnedCurve
from diffusion_studio.viewmodels.theory.model import (
    QUANTITIES,
    TheorySpec,
    TheoryViewModel,
    learned_curves,
    schedule_curves,
    weight_curves,
)
from support.families import ready
from support.tiny import begin, finish, tiny_config


@pytest.fixture
def make(qapp, tmp_path):
    models = []

    def make() -> TheoryViewModel:
        models.append(TheoryViewModel(tmp_path / "runs", device="cpu"))
        return models[-1]

    yield make
    for model in models:
        model.shutdown()


@pytest.mark.parametrize("steps", [10, 1000, 4000])
def test_that_every_schedule_has_its_curves(steps):
    found = schedule_curves(TheorySpec(steps=steps))
    assert set(found) == set(QUANTITIES)
    for curves in found.values():
        assert {curve.key for curve in curves} == set(ready(Schedule))
        assert [curve.key for curve in curves if curve.chosen] == ["linear"]
        for curve in curves:
            assert curve.x[0] == 1
            assert curve.x[-1] == steps
            assert np.isfinite(curve.y).all()


def test_that_the_schedule_of_a_run_that_learned_it_stands_among_the_others(make, tmp_path):
    path = tmp_path / "runs" / "mine"
    session = begin(path, tiny_config(T=20, schedule=LearnedSchedule(), steps=3))
    finish(session)
    finish(begin(tmp_path / "runs" / "other", tiny_config(T=20)))
    model = make()
    model.refresh(path)
    learned = model.state.learned
    assert (learned.run, learned.step) == ("mine", 3)
    curves = learned_curves(TheorySpec(steps=20), learned)
    tables = session.learner.schedule.tables()
    assert set(curves) == set(QUANTITIES)
    for quantity, curve in curves.items():
        assert curve.name == "ω of mine"
        np.testing.assert_allclose(curve.y, getattr(tables, quantity).numpy()[1:], rtol=1e-6)
    model.choose_run(str(tmp_path / "runs" / "other"))
    assert model.state.learned is None


@pytest.mark.parametrize("steps", [7, 39, 400])
def test_that_a_learned_schedule_is_cut_into_other_steps_along_its_log_snr(steps):
    """A straight line of ln SNR stays the same straight line."""
    learned = LearnedCurve("mine", 0, Tables.from_betas(LearnedSchedule().betas(20)))
    expected = Tables.from_betas(LearnedSchedule().betas(steps))
    np.testing.assert_allclose(learned.with_steps(steps).log_snr[1:], expected.log_snr[1:], atol=1e-6)
    assert learned.with_steps(20) is learned.tables


@pytest.mark.parametrize("kind", READINGS)
def test_that_weights_are_turned_exactly_to_another_error(kind):
    spec = TheorySpec(steps=100, error=kind)
    plain, turned = weight_curves(TheorySpec(steps=100)), weight_curves(spec)
    scale = error_scale(spec.tables(), kind).numpy()[1:] ** 2
    assert {curve.key for curve in turned} == {kind for kind, cls in members(Weight).items() if cls.has_shape}
    for a, b in zip(plain, turned, strict=True):
        np.testing.assert_allclose(b.y, a.y * scale, rtol=1e-12)


def test_that_over_log_snr_the_curves_run_from_noise_to_image():
    for curve in weight_curves(TheorySpec(steps=100, axis="log_snr")):
        assert (np.diff(curve.x) > 0).all()


def test_that_parameters_are_edited_refused_and_undone(make):
    model = make()
    model.edit("steps", 50)
    model.settle()
    assert model.state.spec.steps == 50
    model.edit("steps", 5)
    assert model.state.error[0] == "steps"
    assert model.state.spec.steps == 50
    model.edit("schedule", {"kind": "explicit", "values": (0.1, 0.2)})
    assert "lists 2 variances" in model.state.error[1]
    model.undo()
    assert model.state.spec.steps == 1000
    model.redo()
    assert model.state.spec.steps == 50


def test_that_the_bound_of_a_run_is_measured_and_remembered(make, qtbot, tmp_path):
    path = tmp_path / "runs" / "mine"
    finish(begin(path, tiny_config(T=4, held_out=0.1)))
    model = make()
    model.refresh()
    assert model.state.run == str(path)
    assert model.state.evaluation is None
    model.measure()
    qtbot.waitUntil(lambda: model.state.phase == "idle")
    assert len(model.state.evaluation["elbo"]["terms"]) == 4
    other = make()
    other.refresh()
    assert other.state.evaluation["elbo"]["total"] == model.state.evaluation["elbo"]["total"]


def test_that_a_chosen_run_of_another_folder_stays_in_the_list(make, tmp_path):
    finish(begin(tmp_path / "elsewhere" / "far", tiny_config()))
    finish(begin(tmp_path / "runs" / "near", tiny_config()))
    model = make()
    model.refresh(tmp_path / "elsewhere" / "far")
    assert Path(model.state.run).name == "far"
    model.refresh()
    assert Path(model.state.run).name == "far"
    assert {name for _, name in model.state.runs} == {"far", "near"}


def test_that_a_measurement_is_stopped(make, qtbot, tmp_path):
    finish(begin(tmp_path / "runs" / "mine", tiny_config(T=400)))
    model = make()
    model.refresh()
    model.measure()
    model.stop()
    assert model.state.phase == "stopping"
    qtbot.waitUntil(lambda: model.state.phase == "idle")
    assert model.state.evaluation is None
    assert model.state.notice is None


def test_that_a_run_without_a_checkpoint_gives_a_sentence(make, qtbot, tmp_path):
    begin(tmp_path / "runs" / "mine", tiny_config())
    model = make()
    model.refresh()
    model.measure()
    qtbot.waitUntil(lambda: model.state.phase == "idle")
    assert "no usable checkpoint" in model.state.notice.text


def test_that_the_plain_loss_says_of_which_error():
    names = {curve.key: curve.name for curve in weight_curves(TheorySpec(steps=100))}
    assert names["unit"] == "plain loss (v)"


def test_that_the_posterior_variance_is_drawn_from_where_it_begins():
    for curve in schedule_curves(TheorySpec(steps=4000))["beta_tilde"]:
        assert list(curve.x[:2]) == [1, 2] and curve.y[0] == 0 < curve.y[1]
