"""How often each t is drawn where that is left to the program, and where a network begins."""

from __future__ import annotations

import math

import pytest
import torch

from diffusion_studio.core.describe import with_value
from diffusion_studio.core.objective.time_density import ImportanceDensity, LogNormalDensity, UniformDensity
from diffusion_studio.core.process.schedules import GeometricSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.engine.runs.config import ObjectiveSpec, RunConfig
from diffusion_studio.engine.runs.run import Run
from support.tiny import begin, finish, resume, tiny_config, with_training


@pytest.mark.parametrize(("side", "mean"), [(8, -0.9), (16, -0.9 + math.log(2)), (28, -0.9 + math.log(3.5))])
def test_that_usual_times_are_drawn_around_the_level_that_hides_images_of_their_side(side, mean):
    density = RunConfig().density_for(side)
    tables = RunConfig().diffusion.tables()
    p, levels = density.probabilities(tables), tables.noise_level[1:].log()
    assert float((p - density.floor / tables.steps).clamp(min=0).sum()) == pytest.approx(0.9, abs=1e-9)
    inner = (p - density.floor / tables.steps) / 0.9
    assert float((inner * levels).sum()) == pytest.approx(mean, abs=0.01)
    assert float(p.min()) >= 0.1 / tables.steps  # no t is forgotten


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("objective.predict", "eps"), ("objective.weight.kind", "min_snr"), ("objective.loss.kind", "l1"),
        ("objective.variance", "hybrid"), ("model.code", "somewhere"), ("diffusion.schedule.kind", "learned"),
    ],
)  # fmt: skip
def test_that_times_are_drawn_evenly_where_something_else_is_learned(path, value):
    assert with_value(RunConfig(), path, value).density_for(8) == UniformDensity()


def test_that_the_bound_draws_times_by_importance_unless_another_density_is_chosen():
    config = with_value(RunConfig(), "objective.variance", "vlb")
    assert config.density_for(8) == ImportanceDensity()
    evenly = with_value(config, "objective.density.kind", "uniform")
    assert evenly.density_for(8) == UniformDensity()


def test_that_a_density_of_one_s_own_stays():
    config = with_value(RunConfig(), "objective.density.kind", "importance")
    assert config.density_for(28) == ImportanceDensity()


def test_that_a_run_keeps_what_was_chosen_and_another_choice_while_it_trains(pictures, tmp_path):
    config = tiny_config(pictures, objective=ObjectiveSpec().model_dump())
    session = begin(tmp_path / "run", config)
    assert session.config.objective.density == config.density_for(8) == session.batches.density
    assert Run.open(tmp_path / "run").config == session.config
    session.set_objective(with_value(session.config.objective, "density.kind", "uniform"))
    assert session.batches.density == UniformDensity()
    session.set_objective(ObjectiveSpec())
    assert session.config.objective.density == config.density_for(8) == session.batches.density


def test_that_a_run_that_goes_on_with_the_choice_left_open_makes_it_again(pictures, tmp_path):
    config = tiny_config(pictures, objective=ObjectiveSpec().model_dump())
    finish(begin(tmp_path / "run", with_value(config, "objective.density.kind", "uniform")))
    run = Run.open(tmp_path / "run")
    asked = with_training(with_value(run.config, "objective.density.kind", "auto"), steps=6)
    session = resume(run.path, asked)
    assert session.config.objective.density == config.density_for(8) == session.batches.density
    finish(session)
    assert Run.open(run.path).config.objective.density == config.density_for(8)


def test_that_levels_which_a_schedule_has_not_leave_the_even_share():
    tables = Tables.from_betas(GeometricSchedule().betas(100))
    p = LogNormalDensity(mean=8, std=0.1, floor=0.2).probabilities(tables)
    torch.testing.assert_close(p, UniformDensity().probabilities(tables))


def test_that_a_training_begins_with_a_network_that_says_0(pictures, tmp_path):
    session = begin(tmp_path / "run", tiny_config(pictures))
    x_t = torch.randn(2, 1, 8, 8)
    assert not session.learner.network.predict(x_t, torch.tensor([3, 9])).value.any()
    assert all(bool(w.any()) for w in session.learner.unet.conv_in.parameters())
