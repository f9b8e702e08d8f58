"""What the cards of the Train page's tour say is so, and that the page is what it was afterwards.

Oracles: the exact denoiser of the digits, and the best linear one, whose errors are known in closed form:
with the eigenvalues e of the data's covariance, ᾱe/(ᾱe + 1 − ᾱ) on ε.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch

from diffusion_studio.core.denoisers.exact import MemorisingDenoiser
from diffusion_studio.core.objective.weights import weight_on
from diffusion_studio.core.process.tables import diffuse
from diffusion_studio.data.imageset import to_model_range
from diffusion_studio.engine.chains.source import training_images
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.viewmodels.tours import train
from diffusion_studio.viewmodels.tours.tour import TourCard
from diffusion_studio.viewmodels.tours.train import Lesson, TouredTraining
from diffusion_studio.viewmodels.train.model import TrainViewModel

TABLES = Lesson("").config().diffusion.tables()
T = TABLES.steps


@lru_cache(maxsize=1)
def pixels() -> torch.Tensor:
    return torch.from_numpy(to_model_range(training_images("memorising:digits").images)).double()


@lru_cache(maxsize=1)
def exact_errors() -> np.ndarray:
    """‖ε − ε̂‖²/d of the exact denoiser for one image each, at random times: (time, image)."""
    generator = torch.Generator().manual_seed(0)
    denoiser, found = MemorisingDenoiser(TABLES, pixels()), []
    for t in torch.randperm(T, generator=generator)[:256].add(1).tolist():
        chosen = torch.randint(0, len(pixels()), (32,), generator=generator)
        noise = torch.randn(32, 1, 8, 8, generator=generator, dtype=torch.float64)
        x_t = diffuse(pixels()[chosen], noise, TABLES.alpha_bar_at(t))
        found.append((denoiser(x_t, t).eps_hat - noise).square().flatten(1).mean(1).numpy())
    return np.array(found)


@lru_cache(maxsize=1)
def linear_parts() -> np.ndarray:
    """Error on ε of the best linear denoiser, for each t and each principal component. (T, d)"""
    data = pixels().flatten(1).numpy()
    spread = np.linalg.eigvalsh(np.cov(data.T, bias=True)).clip(0)
    kept = TABLES.alpha_bar.numpy()[1:, None]
    return kept * spread / (kept * spread + 1 - kept)


def weight(lesson: Lesson) -> np.ndarray:
    return lesson.config().objective.weight_for(TABLES).numpy()[1:]


def test_that_a_network_that_says_nothing_errs_by_what_it_is_asked_for():
    for lesson, size in zip(train.BEGINS.actions, (1.0, float(pixels().square().mean())), strict=True):
        objective = lesson.config().objective
        own = weight_on(TABLES, objective.weight_for(TABLES), objective.predict).numpy()[1:]
        np.testing.assert_allclose(own, 1)  # so the loss is the plain mean square
        assert size == pytest.approx(1.0 if objective.predict == "eps" else 0.72, abs=0.005)


def test_that_the_loss_of_a_denoiser_that_stands_still_jumps_by_one_over_the_root_of_b():
    few, many = (lesson.config().training.batch_size for lesson in train.JUMPS.actions)
    assert many == 16 * few
    errors = np.random.default_rng(0).choice(exact_errors().ravel(), (400, many))
    assert errors.std() > errors.mean()
    ratio = errors[:, :few].mean(1).std() / errors.mean(1).std()
    assert ratio == pytest.approx(4, rel=0.15)


def test_that_the_best_denoisers_are_left_with_what_the_card_says():
    assert exact_errors().mean() == pytest.approx(0.024, abs=0.003)
    assert linear_parts().mean() == pytest.approx(0.12, abs=0.005)


def test_that_near_the_data_eps_is_hard_and_near_the_noise_x_0():
    on_eps = linear_parts().mean(1)
    kept = TABLES.alpha_bar.numpy()[1:]
    on_x_0 = on_eps * (1 - kept) / kept
    assert on_eps[[0, T // 2, T - 1]] == pytest.approx([0.88, 0.02, 0.0], abs=0.005)
    assert (np.diff(on_eps) < 0).all() and (np.diff(on_x_0) > 0).all()
    spread = float(pixels().var(0, correction=0).mean())
    assert on_x_0[[0, T - 1]] == pytest.approx([0, spread], abs=1e-3)


def test_that_the_weight_says_how_much_the_first_tenth_counts():
    shares = []
    for lesson in train.COUNT.actions:
        parts = weight(lesson) * linear_parts().mean(1)
        shares.append(parts[: T // 10].sum() / parts.sum())
    assert shares[0] == pytest.approx(1 / 2, abs=0.02)
    assert shares[1] == pytest.approx(0.9, abs=0.02)
    assert shares[2] == pytest.approx(1 / 7, abs=0.01)


def test_that_drawing_by_importance_keeps_the_mean_and_scatters_less():
    """With a normal error in each component the loss at t has the variance 2 Σ e²/d²."""
    evenly, importance = (lesson.config().objective.density for lesson in train.DRAWN.actions)
    assert not evenly.corrects and importance.corrects
    parts, scale = linear_parts(), weight(train.DRAWN.actions[0])
    mean = scale * parts.mean(1)
    square = mean**2 + 2 * scale**2 * (parts**2).sum(1) / parts.shape[1] ** 2
    jumps = []
    for density in (evenly, importance):
        p = density.probabilities(TABLES, torch.from_numpy(square)).numpy()
        ratio = 1 / (T * p)
        assert (p * ratio * mean).sum() == pytest.approx(mean.mean())
        jumps.append(np.sqrt((p * ratio**2 * square).sum() / mean.mean() ** 2 - 1))
    assert jumps[0] == pytest.approx(8, abs=0.5)
    assert jumps[1] < jumps[0] / 5


@pytest.mark.parametrize("card", train.CARDS, ids=lambda card: card.title)
def test_that_every_lesson_is_a_short_training_on_the_digits(card: TourCard[Lesson]):
    for lesson in card.actions:
        config = lesson.config()
        assert RunConfig.model_validate(config.model_dump()) == config
        assert (config.data.source, config.training.seconds) == ("digits", train.SECONDS)


# --- the page ---------------------------------------------------------------------------------------------


@pytest.fixture
def model(qtbot, tmp_path, monkeypatch):
    made = TrainViewModel(tmp_path / "runs", device="cpu")
    begun: list[RunConfig] = []
    monkeypatch.setattr(made.training, "begin", lambda place, config: begun.append(config))
    monkeypatch.setattr(made.training, "follow", begun.append)
    monkeypatch.setattr(made, "stop", lambda: begun.append(None))
    made.begun = begun
    yield made
    made.shutdown()


def end(model: TrainViewModel) -> None:
    model._on_told(events.Finished("stopped"))


def test_that_a_weight_is_changed_while_it_trains_and_another_prediction_begins_anew(qtbot, model):
    toured = TouredTraining(model)
    plain, bound, _ = train.COUNT.actions
    toured.apply(plain)
    toured.apply(bound)
    assert model.begun == [plain.config(), bound.config()]
    toured.apply(train.BEGINS.actions[1])
    assert model.begun[2:] == [None]  # the present one is saved first
    end(model)
    qtbot.waitUntil(lambda: len(model.begun) == 4)
    assert model.begun[3] == train.BEGINS.actions[1].config()
    end(model)


def test_that_the_page_becomes_what_it_was_when_the_training_is_saved(qtbot, model):
    toured = TouredTraining(model)
    before = model.config
    kept = toured.kept()
    toured.apply(train.FLOOR.actions[0])
    toured.put_back(kept)
    assert model.config != before
    end(model)
    qtbot.waitUntil(lambda: model.config == before)
    model.undo()
    assert model.config == train.FLOOR.actions[0].config()


def test_that_a_training_of_ones_own_is_not_stopped(model):
    toured = TouredTraining(model)
    kept = toured.kept()
    model.start()
    before = model.config
    toured.apply(train.FLOOR.actions[0])
    assert model.state.notice.text == train.BUSY
    toured.put_back(kept)
    assert (model.config, model.begun) == (before, [before])
    end(model)
