"""A learned schedule: the bound does not move with its inside, whose learning lowers the scatter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffusion_studio.core.describe import with_value
from diffusion_studio.core.objective.weights import SNRDifferenceWeight
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.model_io import load_model
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.engine.training.schedule_learner import ScheduleLearner
from diffusion_studio.models.snr import LearnedSNR
from support.coded import autoencoder_of, coded_config
from support.tiny import (
    CPU,
    begin,
    differing,
    everything,
    finish,
    resume,
    tiny_config,
    with_training,
    write_pictures,
)

LEARNED = {"first": 6.0, "last": -6.0}


def learned_config(pictures, **changes):
    config = tiny_config(pictures, **changes)
    return config.model_validate(
        config.model_dump() | {"diffusion": {"steps": 30, "schedule": {"kind": "learned", **LEARNED}}}
    )


def eps_error(omega: torch.Tensor, std: float = 0.5) -> torch.Tensor:
    """E‖ε − ε̂‖² per dimension of the exact denoiser of N(0, std²), a function of ω alone."""
    alpha_bar = torch.sigmoid(-omega)
    return alpha_bar * std**2 / (alpha_bar * std**2 + 1 - alpha_bar)


def bent(snr: LearnedSNR, seed: int) -> LearnedSNR:
    """The same ends, another inside."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in snr.inside:
            p += torch.randn(p.shape, generator=generator, dtype=p.dtype) * 2
        snr.heights += 4
    return snr


@pytest.mark.parametrize("seed", range(6))
def test_that_omega_rises_between_its_ends_whatever_its_inside(seed):
    omega = bent(LearnedSNR(500, -7.0, 6.0), seed)().detach()
    assert bool((omega.diff() > 0).all())
    assert float(omega[0]) == pytest.approx(-7)
    assert float(omega[-1]) == pytest.approx(6)


def test_that_the_continuous_time_loss_does_not_move_with_the_inside():
    """½ ∫ ω'(u) E‖ε − ε̂‖² du by quadrature, for a fixed denoiser: its relative change is below 1e-3."""

    def loss(snr: LearnedSNR) -> float:
        omega = snr().detach()
        middle = (omega[1:] + omega[:-1]) / 2
        return float((0.5 * omega.diff() * eps_error(middle)).sum())

    straight = loss(LearnedSNR(20_001, -7.0, 6.0))
    changes = [abs(loss(bent(LearnedSNR(20_001, -7.0, 6.0), seed)) / straight - 1) for seed in range(6)]
    assert max(changes) < 1e-3
    bend = bent(LearnedSNR(101, -7.0, 6.0), 0)() - LearnedSNR(101, -7.0, 6.0)()
    assert float(bend.detach().abs().max()) > 0.5
    assert abs(loss(LearnedSNR(20_001, -6.0, 6.0)) / straight - 1) > 1e-2  # the ends do move it


def test_that_learning_the_inside_lowers_the_variance_of_the_loss():
    """The exact error of a Gaussian in the place of a network: the losses of all t become alike."""
    torch.manual_seed(0)
    steps = 200
    learner = ScheduleLearner(LearnedSNR(steps, -8.0, 8.0), CPU)
    every = torch.arange(1, steps + 1)
    x_0 = 0.5 * torch.randn(64, 1, 2, 2)
    batch = Batch(x_0, every, torch.randn_like(x_0), None)

    def losses(t):
        drawn = learner.draw(t)
        return drawn, 0.5 * torch.expm1(drawn.now - drawn.before) * eps_error(drawn.now) * steps

    def scatter() -> float:
        return float(losses(every)[1].detach().std())

    before = scatter()
    for _ in range(400):
        drawn, found = losses(torch.randint(1, steps + 1, (64,)))
        found.mean().backward()
        learner.step(batch, drawn, found)
    assert scatter() < 0.5 * before


def test_that_the_schedule_sums_one_matching_term_less_than_there_are_steps():
    """The step to the image is the reconstruction's: its loss at t = 1 moves no end and no inside."""

    def moved(share: float) -> list[torch.Tensor]:
        learner = ScheduleLearner(LearnedSNR(20, -6.0, 6.0), CPU)
        x_0 = torch.full((4, 1, 2, 2), 0.5)
        drawn = learner.draw(torch.ones(4, dtype=torch.int64))
        found = share * torch.expm1(drawn.now - drawn.before)
        found.mean().backward()
        learner.step(Batch(x_0, torch.ones(4, dtype=torch.int64), torch.zeros_like(x_0), None), drawn, found)
        return [p.detach().clone() for p in learner.snr.parameters()]

    for small, large in zip(moved(1.0), moved(1000.0), strict=True):
        assert torch.equal(small, large)


def test_that_in_a_code_the_end_near_the_data_stays_and_all_else_moves(tmp_path):
    pictures = write_pictures(tmp_path / "zoo", each=8)
    config = coded_config(pictures, autoencoder_of(pictures, tmp_path / "autoencoder"))
    config = config.model_copy(update={"diffusion": learned_config(pictures).diffusion})
    session = begin(tmp_path / "run", config)
    snr = session.learner.schedule.snr
    before = {name: p.detach().clone() for name, p in snr.named_parameters()}
    finish(session)
    moved = {name: (p.detach() != before[name]).tolist() for name, p in snr.named_parameters()}
    assert moved["ends"] == [False, True]
    assert any(moved["heights"])


def test_that_a_learned_schedule_is_trained_frozen_and_resumed_exactly(pictures, tmp_path):
    config = learned_config(pictures, steps=8, checkpoint_every=1000)
    whole = begin(tmp_path / "whole", config)
    start = whole.learner.tables.alpha_bar.clone()
    finish(whole)
    assert not torch.equal(whole.learner.tables.alpha_bar, start)
    model = load_model(whole.run.newest_checkpoint()[0], CPU)
    torch.testing.assert_close(model.denoiser.tables.alpha_bar, whole.learner.tables.alpha_bar)
    expected = SNRDifferenceWeight().on_eps(whole.learner.tables)
    expected[1] = expected[2]  # what stands for the step from the image
    np.testing.assert_allclose(whole.run.metrics.timesteps().weight, expected[1:].numpy(), rtol=1e-9)

    finish(begin(tmp_path / "parts", with_training(config, steps=4)))
    again = resume(tmp_path / "parts", with_training(Run.open(tmp_path / "parts").config, steps=8))
    finish(again)
    assert differing(everything(whole), everything(again)) == []
    assert torch.equal(whole.learner.tables.beta, again.learner.tables.beta)


@pytest.mark.parametrize("kind", ["eps", "x_0", "v"])
def test_that_the_loss_is_the_one_of_the_frozen_schedule(kind, pictures, tmp_path):
    """What is drawn with gradients is what the tables say, at every t."""
    config = learned_config(pictures, steps=2)
    config = config.model_copy(update={"objective": config.objective.model_copy(update={"predict": kind})})
    session = begin(tmp_path / kind, config)
    batch = session.batches.batch(0, 0, 24)
    learner = session.learner
    plain = learner._result(batch).losses.detach()
    drawn = learner._result(batch, learner.schedule.draw(batch.t)).losses.detach()
    assert bool((batch.t == 1).any())
    torch.testing.assert_close(drawn, plain, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("path", "value"),
    [("objective.loss.kind", "l1"), ("objective.variance", "vlb"), ("diffusion.zero_terminal", True)],
)
def test_that_a_learned_schedule_says_what_it_needs(path, value):
    config = with_value(RunConfig(), "diffusion.schedule.kind", "learned")
    config = with_value(config, "objective.predict", "v")
    with pytest.raises(ValueError, match=r"learned schedule|needs the L2 loss"):
        with_value(config, path, value)
