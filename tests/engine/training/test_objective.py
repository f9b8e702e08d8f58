"""What is minimised: against its definition, changed on the way, and the same after a stop."""

from __future__ import annotations

import copy
import json
import sqlite3

import numpy as np
import pytest
import torch

from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.core.describe import members, with_value, with_values
from diffusion_studio.core.objective.elbo import bits_per_dim, continuous_term, discretised_term, term
from diffusion_studio.core.objective.losses import L1Loss
from diffusion_studio.core.objective.time_density import CurveDensity, ImportanceDensity, UniformDensity
from diffusion_studio.core.objective.weights import (
    CurveWeight,
    MinSNRWeight,
    SurrogateWeight,
    Weight,
    plain_weight,
)
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.config import ObjectiveSpec, RunConfig
from diffusion_studio.engine.runs.model_io import load_model
from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.engine.training.events import ObjectiveChanged, TimestepErrors, change_text
from diffusion_studio.engine.training.minimised import Minimised
from diffusion_studio.engine.training.run_data import split
from diffusion_studio.engine.training.session import DENSITY
from diffusion_studio.engine.training.trainer import train
from diffusion_studio.models.network import Output
from support.coded import autoencoder_of, coded_config
from support.tiny import (
    CPU,
    begin,
    differing,
    everything,
    finish,
    only,
    resume,
    tiny_config,
    with_training,
    write_pictures,
)

CHANGED = ObjectiveSpec(predict="eps", weight=MinSNRWeight(gamma=2.0), density=ImportanceDensity())


def codes(learner, batch) -> torch.Tensor:
    """Classes as the network itself counts them: ∅ is the last one."""
    return torch.where(batch.labels == -1, learner.classes, batch.labels)


def own_target(kind, batch, a, b):
    """What a network that predicts `kind` is compared with; the score counts as the noise in it."""
    x_0, noise = batch.x_0.double(), batch.noise.double()
    return {
        "eps": noise, "x_0": x_0, "v": a * noise - b * x_0, "score": -noise / b, "velocity": noise - x_0,
        "edm": (b * x_0 - 0.25 * a * noise) / (0.5 * (0.25 * a**2 + b**2) ** 0.5),
    }[kind]  # fmt: skip


@pytest.mark.parametrize("kind", READINGS)
def test_that_choosing_a_prediction_alone_trains_its_plain_loss(kind, pictures):
    """Course algorithm 1 for x₀: the mean square of its own error, and nothing else."""
    config = with_value(tiny_config(pictures), "objective.predict", kind)
    tables = config.diffusion.tables()
    generator = torch.Generator().manual_seed(1)
    x_0, noise, value = torch.randn(3, 64, 1, 4, 4, generator=generator)
    t = torch.randint(1, tables.steps + 1, (64,), generator=generator)
    batch = Batch(x_0, t, noise, None)
    minimised = Minimised(config.objective, tables, CPU)
    found = minimised(batch, minimised.noisy(batch), Output(value, None)).minimised
    alpha_bar = tables.alpha_bar[t][:, None, None, None]
    a, b = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    error = (value - own_target(kind, batch, a, b)) * (b if kind == "score" else 1)
    np.testing.assert_allclose(found, error.square().flatten(1).mean(1), rtol=1e-4)


def test_that_a_weight_that_was_chosen_stays_when_the_prediction_changes():
    given = [("objective.predict", "x_0"), ("objective.weight.kind", "surrogate")]
    chosen = with_values(RunConfig(), given)
    assert chosen.objective.weight == SurrogateWeight()
    before = with_value(RunConfig(), "objective.weight.kind", "min_snr")
    assert with_value(before, "objective.predict", "v").objective.weight == MinSNRWeight()


def test_that_the_plain_loss_follows_from_one_prediction_to_the_next():
    config = RunConfig()
    for kind in (*READINGS, *reversed(READINGS)):
        config = with_value(config, "objective.predict", kind)
        assert config.objective.weight == plain_weight(kind)


@pytest.mark.parametrize("weight", ["surrogate", "min_snr", "ddpm_elbo"])
@pytest.mark.parametrize("kind", READINGS)
def test_that_the_loss_is_the_weighted_eps_error_of_any_prediction(kind, weight, pictures, tmp_path):
    """λ_t ‖ε − ε̂‖² per element, ε̂ read from the network's output in float64."""
    config = tiny_config(pictures, objective={"predict": kind, "weight": {"kind": weight}})
    session = begin(tmp_path / "run", config)
    batch = session.batches.batch(0, 0, 32)
    learner, tables = session.learner, session.learner.tables
    unet = copy.deepcopy(learner.unet).double()
    on_eps = members(Weight)[weight]().on_eps(tables)
    errors, losses = [], []
    for i in range(32):
        t = int(batch.t[i])
        alpha_bar, noise = tables.alpha_bar_at(t), batch.noise[i : i + 1].double()
        x_t = alpha_bar**0.5 * batch.x_0[i : i + 1].double() + (1 - alpha_bar) ** 0.5 * noise
        with torch.no_grad():
            shown = x_t / (alpha_bar / 4 + 1 - alpha_bar) ** 0.5 if kind == "edm" else x_t  # c_in
            value = unet(shown, torch.tensor([t - 1]), codes(learner, batch)[i : i + 1]).sample
        errors.append(float((noise - Prediction(kind, value, x_t, alpha_bar).eps_hat).square().mean()))
        losses.append(float(on_eps[t]) * errors[-1])
    result = learner.step(batch, 0)
    np.testing.assert_allclose(result.errors.numpy(), errors, rtol=2e-4, atol=1e-5)
    np.testing.assert_allclose(result.minimised.numpy(), losses, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["eps", "x_0", "v"])
def test_that_the_loss_of_l_vlb_is_the_bound_term_by_term(kind, pictures, tmp_path):
    config = tiny_config(pictures, T=6, objective={"predict": kind, "variance": "vlb"})
    is_the_bound(begin(tmp_path / "run", config), kind, discretised_term)


def test_that_the_bound_of_codes_is_one_of_numbers_and_not_of_pixels(tmp_path):
    """−ln N(x_0; x̂_0, σ²) at t = 1, also far outside [−1, 1], where the outermost bins of pixels lie."""
    pictures = write_pictures(tmp_path / "zoo", each=8)
    code = autoencoder_of(pictures, tmp_path / "autoencoder")
    config = coded_config(pictures, code, T=6, objective={"predict": "v", "variance": "vlb"})
    session = begin(tmp_path / "run", config)
    assert float(session.batches.batch(0, 0, 24).x_0.abs().max()) > 1.5
    is_the_bound(session, "v", continuous_term)


def is_the_bound(session, kind, first):
    """Each loss of L_vlb is its term of the bound, with this L_0."""
    batch, learner = session.batches.batch(0, 0, 24), session.learner
    losses = learner._result(batch).minimised.detach()
    tables, unet = learner.tables, copy.deepcopy(learner.unet).double()
    small = tables.beta_tilde.clone()
    small[1] = small[2]
    assert {int(t) for t in batch.t} == {1, 2, 3, 4, 5, 6}
    for i in range(24):
        t = int(batch.t[i])

        def model(x_t, t, i=i):
            with torch.no_grad():
                output = unet(x_t, torch.tensor([t - 1]), codes(learner, batch)[i : i + 1]).sample
            value, raw = output.chunk(2, dim=1)
            v = (raw + 1) / 2
            variance = torch.exp(v * tables.beta[t].log() + (1 - v) * small[t].log())
            return Prediction(kind, value, x_t, tables.alpha_bar_at(t)).x0_hat, variance

        x_0, noise = batch.x_0[i : i + 1].double(), batch.noise[i : i + 1].double()
        expected = 6 * bits_per_dim(term(model, tables, t, x_0, noise, first), x_0.numel())
        assert float(losses[i]) == pytest.approx(float(expected), rel=2e-3, abs=1e-5)


def test_that_l_hybrid_moves_the_mean_as_l_simple_does(pictures, tmp_path):
    """The bound's gradient reaches the variance half of the last layer, and only that."""
    session = begin(tmp_path / "run", tiny_config(pictures, objective={"variance": "hybrid"}))
    batch, learner = session.batches.batch(0, 0, 24), session.learner
    learner._result(batch).minimised.mean().backward()
    hybrid = learner.unet.conv_out.weight.grad.clone()
    learner.unet.zero_grad()
    learner._result(batch).errors.mean().backward()
    simple = learner.unet.conv_out.weight.grad
    torch.testing.assert_close(hybrid[:1], simple[:1])
    assert float(hybrid[1:].abs().max()) > 0
    assert float(simple[1:].abs().max()) == 0


def test_that_a_model_with_learned_variance_comes_back(pictures, tmp_path):
    session = begin(tmp_path / "run", tiny_config(pictures, objective={"predict": "v", "variance": "hybrid"}))
    finish(session)
    place, _ = session.run.newest_checkpoint()
    scheduler = json.loads((place / "scheduler/scheduler_config.json").read_text())
    assert scheduler["variance_type"] == "learned_range"
    assert scheduler["prediction_type"] == "v_prediction"
    model = load_model(place, CPU)
    assert model.denoiser.kind == "v"
    prediction = model.denoiser(torch.randn(2, 1, 8, 8), 5)
    assert prediction.x0_hat.shape == prediction.fraction.shape == (2, 1, 8, 8)


# --- drawing t ---------------------------------------------------------------------------------------------


def test_that_t_follows_a_drawn_density(pictures, tmp_path):
    density = {"kind": "curve", "points": (0.0, 1.0, 3.0)}
    session = begin(tmp_path / "run", tiny_config(pictures, T=21, objective={"density": density}))
    drawn = torch.cat([session.batches.batch(n, 0, 2000).t for n in range(5)])
    share = torch.bincount(drawn, minlength=22)[1:].double() / len(drawn)
    expected = CurveDensity(points=(0.0, 1.0, 3.0)).probabilities(session.learner.tables)
    torch.testing.assert_close(share, expected, atol=2e-3, rtol=0)
    assert session.batches.batch(0, 0, 10).correction is None


def test_that_importance_keeps_the_sum_unbiased(pictures, tmp_path):
    """E[L_t / (T p_t)] over drawn t is the mean of L_t, once t follows the losses."""
    config = tiny_config(pictures, T=20, objective={"density": {"kind": "importance"}})
    batches = begin(tmp_path / "run", config).batches
    losses = torch.linspace(0.1, 4, 20) ** 2
    for n in range(40):
        t = batches.batch(n, 0, 64).t
        batches.learn(t, losses[t - 1])
    p = batches.probabilities()
    torch.testing.assert_close(p, 0.999 * (losses / losses.sum()).double() + 0.001 / 20)
    drawn = [batches.batch(100 + n, 0, 1000) for n in range(20)]
    estimate = torch.stack([(losses[b.t - 1] * b.correction).mean() for b in drawn])
    assert float(estimate.mean()) == pytest.approx(float(losses.mean()), rel=1e-3)
    assert float(estimate.std()) < 0.02 * float(losses.mean())


# --- changing it on the way -----------------------------------------------------------------------------


def change_at(session, step: int, objective: ObjectiveSpec) -> list[events.Event]:
    """Every event of a training whose objective is changed once `step` steps are done."""
    control, told = Control(), []
    original = session.learner.step

    def counted(batch, number):
        result = original(batch, number)
        if number + 1 == step:
            control.ask(objective)
        return result

    session.learner.step = counted
    told += train(session, control)
    return told


def test_that_a_change_takes_effect_at_the_next_step_and_is_marked(pictures, tmp_path):
    config = tiny_config(pictures, steps=8)
    session = begin(tmp_path / "run", config)
    told = change_at(session, 5, CHANGED)
    (changed,) = only(told, ObjectiveChanged)
    assert changed.step == 5
    assert "surrogate (1) → min-SNR γ 2" in changed.message
    assert "uniform → by importance" in changed.message
    assert session.run.metrics.marks() == [(5, changed.message)]
    assert Run.open(session.run.path).config.objective == CHANGED

    plain = begin(tmp_path / "plain", with_training(config, steps=5))  # the same, changed by hand
    finish(plain)
    plain.set_objective(CHANGED)
    for n in range(5, 8):
        batch = plain.batches.batch(n, 16 * n, 16)
        plain.batches.learn(batch.t, plain.learner.step(batch, n).losses)
    assert differing(everything(session), everything(plain)) == []


def test_that_what_was_measured_before_a_change_counts_as_it_was_drawn(pictures, tmp_path, monkeypatch):
    every = "diffusion_studio.engine.training.trainer.TELL_TIMESTEPS_EVERY"
    monkeypatch.setattr(every, 1e9)  # not on its own
    monkeypatch.setattr("diffusion_studio.engine.loop.loop.TELL_EVERY", 0.0)
    session, control = begin(tmp_path / "run", tiny_config(pictures, steps=8)), Control()
    seen, original = {}, session.set_objective

    def changed(objective):
        seen[session.counters.step] = session.averages.count.sum()
        original(objective)

    session.set_objective = changed
    for event in train(session, control):
        if isinstance(event, events.Progress) and event.step >= 3 and not seen:
            control.ask(CHANGED)
    assert seen == {step: 16 * step for step in seen}
    assert len(seen) == 1
    assert session.averages.count.sum() == 16 * 8


def test_that_a_change_survives_resuming(pictures, tmp_path):
    config = tiny_config(pictures, steps=12, T=5)
    whole = begin(tmp_path / "whole", config)
    change_at(whole, 3, CHANGED)
    parts = begin(tmp_path / "parts", with_training(config, steps=7))
    change_at(parts, 3, CHANGED)
    assert (parts.run.newest_checkpoint()[0] / DENSITY).is_file()
    again = resume(tmp_path / "parts", with_training(Run.open(tmp_path / "parts").config, steps=12))
    assert again.config.objective == CHANGED
    told = finish(again)
    assert only(told, ObjectiveChanged) == []
    assert differing(everything(whole), everything(again)) == []
    assert torch.equal(whole.batches.history.losses, again.batches.history.losses)
    assert [step for step, _ in again.run.metrics.marks()] == [3]


def test_that_another_objective_on_resuming_is_marked(pictures, tmp_path):
    finish(begin(tmp_path / "run", tiny_config(pictures, steps=3)))
    config = with_training(Run.open(tmp_path / "run").config, steps=5)
    again = resume(tmp_path / "run", config.model_copy(update={"objective": CHANGED}))
    (changed,) = only(finish(again), ObjectiveChanged)
    assert changed.step == 3
    assert again.run.metrics.marks() == [(3, changed.message)]


def test_that_what_the_network_says_stays_for_the_life_of_a_run(pictures, tmp_path):
    session = begin(tmp_path / "run", tiny_config(pictures, steps=4))
    before = session.config.objective
    told = change_at(session, 2, ObjectiveSpec(predict="v"))
    assert any("predict" in event.message for event in only(told, events.Warned))
    assert session.config.objective == before
    other = session.config.model_copy(update={"objective": ObjectiveSpec(predict="v")})
    with pytest.raises(RunError, match="predict of run cannot change"):
        resume(tmp_path / "run", other)


def test_that_another_loss_begins_the_errors_anew(pictures, tmp_path):
    session = begin(tmp_path / "run", tiny_config(pictures, steps=6))
    change_at(session, 4, ObjectiveSpec(predict="eps", loss=L1Loss()))
    assert session.averages.count.sum() == 2 * 16


# --- the panel's unit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [10, 100])
def test_that_error_weight_density_and_share_are_the_closed_forms(steps, pictures, tmp_path):
    """A network whose error at t is known: shifting any array by one makes this fail."""
    curve, density = (1.0, 0.2, 2.0), (1.0, 3.0)
    objective = {
        "weight": {"kind": "curve", "points": curve}, "density": {"kind": "curve", "points": density},
    }  # fmt: skip
    config = tiny_config(pictures, T=steps, batch_size=1000, steps=6, objective=objective)
    session = begin(tmp_path / "run", config)
    known = 0.5 + np.sin(np.arange(1, steps + 1)) ** 2  # ‖ε − ε̂‖² at t = 1 … T
    minimised = session.learner.minimised

    class Known(torch.nn.Module):
        """Says ε plus an offset of the known size; it counts 0 … T − 1."""

        def forward(self, x_t, index, labels, return_dict):
            offset = torch.from_numpy(known).float().sqrt()[index][:, None, None, None]
            anchor = sum(p.sum() for p in session.learner.descent.weights) * 0
            return (session.noise + offset + anchor,)

    original = session.batches.batch

    def batch(*arguments):
        made = original(*arguments)
        session.noise = made.noise
        return made

    session.batches.batch, session.learner.network.unet = batch, Known()
    session.state = lambda: None
    session.run.checkpoint_folder.rmdir()
    record = None
    told = train(session, Control())
    for event in told:
        record = event if isinstance(event, TimestepErrors) else record
    assert record is not None
    weight = CurveWeight(points=curve).on_eps(session.learner.tables).numpy()[1:]
    p = CurveDensity(points=density).probabilities(session.learner.tables).numpy()
    seen = record.count > 0
    assert record.t.tolist() == list(range(1, steps + 1))
    np.testing.assert_allclose(record.error[seen], known[seen], rtol=1e-4)
    np.testing.assert_allclose(record.weight, weight, rtol=1e-12)
    np.testing.assert_allclose(record.density, p, rtol=1e-12)
    product = np.where(seen, known * weight * p, 0)
    np.testing.assert_allclose(record.share, product / product.sum(), rtol=1e-4)
    assert minimised.spec == session.config.objective
    for shifted in (np.roll(known, 1), np.roll(known, -1)):
        assert not np.allclose(record.error[seen], shifted[seen], rtol=1e-2)


# --- what was there before ---------------------------------------------------------------------------------


def test_that_a_run_from_before_objectives_opens_and_goes_on(pictures, tmp_path):
    finish(begin(tmp_path / "run", tiny_config(pictures, steps=3)))
    path = tmp_path / "run" / "config.json"
    content = json.loads(path.read_text())
    del content["config"]["objective"], content["config"]["data"]["held_out"]
    del content["config"]["diffusion"]["zero_terminal"]
    path.write_text(json.dumps(content))
    with sqlite3.connect(tmp_path / "run" / "metrics.sqlite") as db:
        for name in ("weight", "density", "share"):
            db.execute(f"ALTER TABLE timesteps DROP COLUMN {name}")
    db.close()
    run = Run.open(tmp_path / "run")
    plain = ObjectiveSpec(predict="eps", weight=SurrogateWeight(), density=UniformDensity())
    assert run.config.objective == plain
    assert run.metrics.timesteps().weight is None
    assert len(run.metrics.timestep_history()) >= 1
    again = resume(tmp_path / "run", with_training(run.config, steps=5))
    assert only(finish(again), events.Finished)[0].step == 5
    assert again.run.metrics.timesteps().weight.tolist() == [1.0] * 50


def test_that_held_out_images_are_never_trained_on(pictures, tmp_path):
    session = begin(tmp_path / "run", tiny_config(pictures, held_out=0.25))
    trained, kept = split(session.images.count, 0.25, session.config.seed)
    assert len(kept) == round(0.25 * session.images.count)
    assert sorted([*trained, *kept]) == list(range(session.images.count))
    allowed = {bytes(image) for image in session.images.images[trained]}
    for n in range(4):
        for image in session.batches.batch(n, 16 * n, 16).x_0:
            assert bytes(((image + 1) * 127.5).round().to(torch.uint8).numpy()) in allowed


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("objective.weight.kind", "nothing", "weight"),
        ("diffusion.steps", 1, "greater than or equal to 2"),
        ("diffusion.steps", 4001, "less than or equal to 4000"),
    ],
)
def test_that_what_cannot_be_trained_gets_its_sentence(path, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        with_value(RunConfig(), path, value)


def test_that_pure_noise_at_the_end_asks_for_another_prediction_than_of_the_noise():
    config = with_value(RunConfig(), "objective.predict", "eps")
    with pytest.raises(ValueError, match="predict x₀ or v"):
        with_value(config, "diffusion.zero_terminal", True)


def test_that_a_learned_variance_needs_the_squared_loss():
    config = with_value(RunConfig(), "objective.variance", "hybrid")
    with pytest.raises(ValueError, match="needs the L2 loss"):
        with_value(config, "objective.loss.kind", "l1")


def test_that_changes_are_told_in_words():
    before = ObjectiveSpec(weight=SurrogateWeight())
    assert change_text(before, before) == ""
    after = with_value(with_value(before, "weight.kind", "min_snr"), "weight.gamma", 3.0)
    assert change_text(before, after) == "weight: surrogate (1) → min-SNR γ 3"
    assert change_text(after, with_value(after, "weight.gamma", 5.0)) == "weight: min-SNR γ 3 → min-SNR γ 5"
    drawn = with_value(before, "density.kind", "curve")
    assert change_text(before, drawn) == "draw t: auto → by hand"  # a parameter that is off is not spelt out
    kept = with_value(drawn, "density.unbiased", True)
    assert change_text(drawn, kept) == "draw t: by hand → by hand keep the sum"
