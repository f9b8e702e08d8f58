"""What a training says of its own length, and a trial before it begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffusion_studio.core.describe import with_value
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.data.load import load
from diffusion_studio.engine.files.places import cache_dir
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.words import roughly
from diffusion_studio.engine.loop import loop
from diffusion_studio.engine.loop.task import Limits
from diffusion_studio.engine.machine.ranks import Ranks
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training import trial
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.engine.training.events import Preview
from diffusion_studio.engine.training.forecast import (
    Forecast,
    Forecaster,
    first_shapes,
    forecast,
    is_fitted,
)
from diffusion_studio.engine.training.learner import Learner
from diffusion_studio.engine.training.minimised import StepResult
from diffusion_studio.engine.training.previews import Previewer
from diffusion_studio.engine.training.session import batch_size_for, resolve
from diffusion_studio.engine.training.trainer import train
from diffusion_studio.engine.training.trial import tried, tried_soon
from diffusion_studio.models.side_by_side import at_once, parts_for
from support.clock import Clock
from support.tiny import CPU, begin, only, tiny_config


def progress(step: int, seconds: float, total_seconds: float = 60.0) -> events.Progress:
    return events.Progress(step, 0, seconds, total_seconds, 64.0, step, np.zeros(1, np.float32))


def test_that_steps_to_come_are_the_time_left_by_the_time_of_one() -> None:
    found = forecast(0.5, (8, 1), Limits(seconds=60), step=20, seconds=12)
    assert (found.last_step, found.last_seconds) == (20 + 96, 60)
    assert found.shapes_seconds == 12 + (first_shapes(8, 1) - 20) * 0.5


def test_that_whichever_limit_comes_first_ends_it() -> None:
    assert forecast(0.5, (8, 1), Limits(steps=50, seconds=60)).last_step == 50
    assert forecast(0.5, (8, 1), Limits(steps=500, seconds=60)).last_step == 120
    endless = forecast(0.5, (8, 1), Limits())
    assert (endless.last_step, endless.last_seconds, endless.too_short) == (0, 0, False)


def test_that_a_step_longer_than_the_time_is_made_all_the_same() -> None:
    """It is no training without a limit."""
    found = forecast(200.0, (64, 3), Limits(seconds=60))
    assert (found.last_step, found.last_seconds, found.too_short) == (1, 200, True)
    later = forecast(200.0, (64, 3), Limits(seconds=60), step=1, seconds=61)
    assert (later.last_step, later.last_seconds) == (1, 61)


def test_that_it_is_too_short_where_it_ends_before_the_first_shapes() -> None:
    needed = first_shapes(64, 1)
    assert forecast(1.0, (64, 1), Limits(steps=needed - 1)).too_short
    assert not forecast(1.0, (64, 1), Limits(steps=needed)).too_short


def test_that_larger_pictures_take_more_steps() -> None:
    found = [first_shapes(side, 1) for side in (8, 16, 28, 32, 64, 128)]
    assert found == sorted(found) and found[0] < found[-1]
    assert first_shapes(32, 3) > first_shapes(32, 1)


def test_that_it_is_told_once_it_is_known_and_when_it_has_changed() -> None:
    forecaster = Forecaster((8, 1), 0.0, 0, 0.0)
    assert forecaster.after(progress(1, 7.0)) is None  # the first step, which takes long
    assert forecaster.after(progress(2, 7.5)) is None  # too few steps
    assert forecaster.after(progress(6, 9.5)) is None  # too short a time
    first = forecaster.after(progress(11, 12.0))
    assert first is not None and first.step_seconds == 0.5 and first.last_step == 11 + 96
    assert forecaster.after(progress(12, 12.5)) is None
    slower = forecaster.after(progress(13, 15.0))
    assert slower is not None and slower.step_seconds == 8 / 12
    assert forecaster.after(progress(14, 15.6, 17.0)) is not None  # another length, which is too short


def test_that_it_is_told_after_ten_seconds_or_a_sixth_of_the_time() -> None:
    def told(total_seconds: float) -> float:
        forecaster = Forecaster((8, 1), 0.0, 0, 0.0)
        return next(s / 4 for s in range(1, 100) if forecaster.after(progress(s, s / 4, total_seconds)))

    assert [told(seconds) for seconds in (0.0, 6000.0, 60.0, 30.0)] == [10, 10, 10, 5]
    assert told(1.0) == 0.75  # three steps at least


def test_that_a_fast_moment_at_the_beginning_is_not_told() -> None:
    forecaster = Forecaster((8, 1), 0.0, 100, 30.0)
    assert forecaster.after(progress(101, 30.1)) is None
    assert forecaster.after(progress(109, 30.9)) is None
    found = forecaster.after(progress(121, 40.1))
    assert found is not None and found.step_seconds == pytest.approx(0.5)


def test_that_the_speed_is_that_of_the_last_half_minute() -> None:
    forecaster = Forecaster((8, 1), 0.0, 0, 0.0)
    fast = [forecaster.after(progress(step, step / 10, 1000.0)) for step in range(1, 1001)]
    slow = [forecaster.after(progress(1000 + step, 100.0 + step, 1000.0)) for step in range(1, 41)]
    assert len([each for each in fast if each]) == 1
    told = [each.step_seconds for each in slow if each]
    assert told == sorted(told) and 0.95 < told[-1] <= 1.0 + 1e-9
    assert slow[-1] is None


def test_that_time_for_previews_is_no_time_for_steps() -> None:
    forecaster = Forecaster((8, 1), 0.2, 0, 0.0)
    forecaster.after(progress(2, 1.0, 36.0))
    forecaster.set_aside(3.0)  # the share of the whole time is what counts
    found = forecaster.after(progress(6, 6.0, 36.0))
    assert found is not None and found.step_seconds == 0.5 / 0.8
    assert found.last_step == 6 + round(30 / (0.5 / 0.8))


def test_that_a_training_tells_its_forecast(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TELL_EVERY", 0.0)
    monkeypatch.setattr("diffusion_studio.engine.training.forecast.SOON", 0.0)
    session = begin(tmp_path / "run", tiny_config(pictures, steps=12))
    told = list(train(session, Control()))
    first, *_ = only(told, Forecast)
    assert first.step >= 3 and first.last_step == 12 and first.step_seconds > 0


def test_that_a_preview_counts_with_the_step_after_it() -> None:
    """What is asked of a training is heeded before its next step, whose time is the first to have it."""
    forecaster = Forecaster((8, 1), 0.0, 0, 0.0)
    forecaster.after(progress(1, 1.0))
    first = forecaster.after(progress(11, 6.0, 30.0))
    assert first is not None and first.step_seconds == 0.5
    forecaster.set_aside(100.0)
    shorter = forecaster.after(progress(11, 6.0, 7.0))
    assert shorter is not None and shorter.step_seconds == 0.5 and shorter.last_step == 13
    later = forecaster.after(progress(12, 106.5, 7.0))
    assert later is None or later.step_seconds == 0.5


def test_that_a_training_sets_its_previews_aside(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, aside, draw = Clock(monkeypatch), [], Previewer._drawn

    def drawn(*given: Any) -> Preview | None:
        clock.seconds += 100
        return draw(*given)

    monkeypatch.setattr(Previewer, "_drawn", drawn)
    monkeypatch.setattr(Forecaster, "set_aside", lambda _, seconds: aside.append(seconds))
    session = begin(tmp_path / "run", tiny_config(pictures, steps=4, preview_count=4))
    previews = only(list(train(session, Control())), Preview)
    assert len(aside) == 2 * len(previews) > 0  # drawn, and measured
    assert all(100 < seconds < 101 for seconds in aside[::2]) and all(0 < s < 1 for s in aside[1::2])


@pytest.mark.parametrize(("asked", "expected"), [(9, 9), (2, 3)])
def test_that_a_running_training_goes_on_to_another_limit(
    asked: int, expected: int, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TELL_EVERY", 0.0)
    session, control = begin(tmp_path / "run", tiny_config(pictures, steps=6)), Control()
    for event in train(session, control):
        if isinstance(event, events.Progress) and event.step == 3:
            control.ask(Limits(steps=asked))
    assert event == events.Finished("done", f"Step {expected}, everything is saved.", step=expected)
    assert Run.open(session.run.path).config.training.steps == asked


def test_that_it_is_put_into_words() -> None:
    shapes = first_shapes(64, 1)
    after = f"about {roughly(shapes / 2)} (step {shapes:,})."
    enough = forecast(0.5, (64, 1), Limits(seconds=3600))
    assert enough.sentence == f"About 7,200 steps in 1 h. First shapes at 64×64 usually after {after}"
    assert forecast(0.5, (64, 1), Limits()).sentence == f"First shapes at 64×64 usually after {after}"
    short = forecast(0.5, (64, 1), Limits(seconds=30))
    assert short.sentence == (
        "Too short to see something: about 60 steps in 30 s here. "
        f"First shapes at 64×64 usually after {after}"
    )
    assert short.long_enough >= shapes and short.long_enough % 60 == 0


def test_that_a_single_step_is_not_told_as_several() -> None:
    short = forecast(50.0, (64, 1), Limits(seconds=60))
    assert short.sentence.startswith("Too short to see something: about 1 step in 1 min here. First")
    assert replace(short, usual=False).sentence.startswith(
        "Perhaps too short to see something: about 1 step in"
    )


def test_that_a_time_is_never_nothing() -> None:
    assert forecast(0.001, (8, 1), Limits(steps=4)).sentence.startswith(
        "Too short to see something: about 4 steps in 1 s"
    )


def test_that_what_was_not_measured_is_not_usual() -> None:
    found = forecast(0.5, (64, 1), Limits(seconds=3600), usual=False)
    assert "First shapes at 64×64 perhaps after about" in found.sentence


def test_that_shapes_that_are_there_are_not_announced() -> None:
    found = forecast(0.5, (8, 1), Limits(seconds=3600), step=400, seconds=200.0)
    assert found.sentence == "About 7,200 steps in 1 h."
    assert forecast(0.5, (8, 1), Limits(), step=400, seconds=200.0).sentence == ""


def test_that_no_time_is_offered_where_a_day_is_too_short() -> None:
    assert forecast(3600.0, (64, 3), Limits(seconds=60)).long_enough == 0


@pytest.mark.parametrize(
    ("took", "side", "limits", "offered"),
    [
        (0.46, 64, Limits(seconds=120), 56),  # the largest that comes, not the smallest
        (0.46, 64, Limits(seconds=60), 40),
        (0.46, 64, Limits(seconds=1), 0),  # none comes
        (0.46, 64, Limits(seconds=120, steps=150), 32),  # fewer steps than those of 40 px
        (0.46, 64, Limits(steps=250), 48),
        (1.8, 128, Limits(seconds=300), 48),  # a batch at 64 px has as many pixels as one at 128
        (0.2, 28, Limits(seconds=60), 24),
        (0.2, 24, Limits(seconds=1), 0),  # below are other networks
    ],
)
def test_that_the_largest_resolution_whose_shapes_come_is_offered(
    took: float, side: int, limits: Limits, offered: int
) -> None:
    found = forecast(took, (side, 3), limits)
    assert found.smaller(limits) == offered
    if offered and limits.seconds:
        assert first_shapes(offered, 3) * took * (min(offered, 64) / min(side, 64)) ** 2 < limits.seconds


@pytest.mark.parametrize(
    ("path", "value", "fitted"),
    [
        ("seed", 3, True),
        ("training.ema_decay", 0.9, True),
        ("training.learning_rate", 1e-3, False),
        ("training.batch_size", 16, False),
        ("model.width", 64, False),
        ("objective.predict", "eps", False),
    ],
)
def test_that_only_the_usual_training_was_measured(
    path: str, value: object, fitted: bool, pictures: Path
) -> None:
    config = RunConfig(data=tiny_config(pictures).data)
    images = load(config.data, cache_dir())
    chosen = resolve(with_value(config, path, value), images, CPU)
    assert is_fitted(chosen, images, CPU) is fitted
    assert not is_fitted(chosen, images, torch.device("cuda"))


def test_that_shapes_are_announced_until_they_are_there() -> None:
    shapes, limits = first_shapes(8, 1), Limits(steps=10_000)
    assert "First shapes" in forecast(0.1, (8, 1), limits, shapes - 1, 1.0).sentence
    assert forecast(0.1, (8, 1), limits, shapes, 1.0).sentence.startswith("About 10,000 steps in")
    assert "First" not in forecast(0.1, (8, 1), limits, shapes, 1.0).sentence
    assert "First shapes" in forecast(0.1, (8, 1), Limits(steps=shapes - 1), shapes - 1, 1.0).sentence


def test_that_the_number_of_steps_that_is_told_stays_true() -> None:
    """A speed that creeps away from the one that was told ends at another step."""
    forecaster, said = Forecaster((8, 1), 0.0, 0, 0.0), 0
    steps, seconds, length = 0, 0.0, 1000.0
    while seconds < length:
        steps, seconds = steps + 1, seconds + 0.5 * (1 + seconds / length / 5)
        if found := forecaster.after(progress(steps, seconds, length)):
            said = found.last_step
    assert said == pytest.approx(steps, rel=0.02)


# --- before it begins ---------------------------------------------------------------------------------------


def test_that_a_trial_says_what_the_training_will_be(pictures: Path, tmp_path: Path) -> None:
    config = tiny_config(pictures, steps=50, parts=2)
    images = load(config.data, cache_dir())
    state = torch.get_rng_state()
    found = tried(config, images, CPU, lambda: False)
    assert torch.equal(state, torch.get_rng_state())
    learner = begin(tmp_path / "run", config).learner
    assert found.weights == learner.parameter_count and found.forecast.resolution == 8
    assert found.forecast.last_step == 50 and found.forecast.step_seconds > 0


def test_that_its_memory_is_what_a_step_keeps(pictures: Path, tmp_path: Path) -> None:
    """Twice the images keep twice as much, and no less than the input of every convolution."""
    config = tiny_config(pictures, batch_size=64, parts=1)
    images = load(config.data, cache_dir())
    one, two = (
        tried(tiny_config(pictures, batch_size=size, parts=1), images, CPU, lambda: False)
        for size in (64, 128)
    )
    kept = (one.memory - trial.TRAINED * one.weights) / trial.IN_FLIGHT
    assert (two.memory - trial.TRAINED * two.weights) / trial.IN_FLIGHT == pytest.approx(2 * kept, rel=1e-3)
    inputs = []
    session = begin(tmp_path / "run", config)
    for module in session.learner.unet.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(lambda module, given: inputs.append(given[0].numel()))
    batch = session.batches.batch(0, 0, 64)
    session.learner.network.predict(batch.x_0, batch.t, batch.labels)
    assert sum(inputs) * 4 < kept < 8 * sum(inputs) * 4


@pytest.mark.parametrize("built", [0, 1])
def test_that_a_trial_that_is_given_up_goes_no_further_than_what_it_is_at(
    built: int, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first network imports a library, which takes seconds, or minutes of a machine that is busy."""
    build, networks = trial.learner_for, []

    def learner_for(*of: Any) -> Learner:
        networks.append(build(*of))
        return networks[-1]

    monkeypatch.setattr(trial, "learner_for", learner_for)
    monkeypatch.delattr(trial, "_kept_by_a_step")
    config = tiny_config(pictures)
    with pytest.raises(Cancelled):
        tried(config, load(config.data, cache_dir()), CPU, lambda: len(networks) == built)
    assert len(networks) == built


def test_that_a_trial_can_be_given_up(pictures: Path) -> None:
    config = tiny_config(pictures)
    with pytest.raises(Cancelled):
        tried(config, load(config.data, cache_dir()), CPU, lambda: True)


@pytest.mark.parametrize(("each", "asked"), [(0.001, [8, 16, 128]), (0.1, [8, 16])])
def test_that_a_step_of_no_images_takes_time_too(each: float, asked: list[int]) -> None:
    """A long step is read off the line through two shorter ones; a short one is tried itself."""
    sizes = []

    def took(size: int) -> float:
        sizes.append(size)
        return 0.02 + each * size

    assert trial._whole(took, 8, 128, 128) == pytest.approx(0.02 + each * 128)
    assert sizes == asked


@pytest.mark.parametrize(
    ("size", "most", "asked", "expected"),
    [(128, 8, [8], 128 * 0.18 / 8), (128, 16, [8, 16], 0.02 + 0.02 * 128), (12, 8, [8], 12 * 0.18 / 8)],
)
def test_that_no_step_is_tried_that_has_no_room(
    size: int, most: int, asked: list[int], expected: float
) -> None:
    sizes = []

    def took(size: int) -> float:
        sizes.append(size)
        return 0.02 + 0.02 * size

    assert trial._whole(took, 8, size, most) == pytest.approx(expected)
    assert sizes == asked


def test_that_no_further_step_is_tried_for_which_there_is_no_time() -> None:
    sizes: list[int] = []

    def took(size: int) -> float:
        sizes.append(size)
        return 0.02 + 0.001 * size

    room = iter((True, False))
    assert trial._whole(took, 8, 128, 128, lambda seconds: next(room)) == pytest.approx(0.148)
    assert sizes == [8, 16]
    assert trial._whole(took, 8, 128, 128, lambda seconds: False) == pytest.approx(128 / 8 * 0.028)
    assert sizes == [8, 16, 8]


def test_that_what_the_device_counted_is_what_a_step_takes(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the images that are worked on at the same time."""
    config = tiny_config(pictures, batch_size=64, parts=4)
    images = load(config.data, cache_dir())
    monkeypatch.setattr(trial, "_taken", lambda device: 1000)
    monkeypatch.setattr(trial, "_timed", lambda learner, batch: trial.LONG)  # of a few alone
    found = tried(config, images, CPU, lambda: False)
    few = min(trial.FEW * parts_for(64, CPU), 64)
    at_work = -(-few // 4) * at_once(4, CPU)
    assert found.memory - trial.TRAINED * found.weights == round(1000 / at_work * 16 * at_once(4, CPU))


def test_that_a_training_that_waits_is_tried_with_few_steps(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, steps=70, parts=1, batch_size=64))
    session.counters.step, session.counters.seconds = 20, 5.0
    before = {name: value.clone() for name, value in session.learner.unet.state_dict().items()}
    sizes: list[int] = []

    def timed(learner: Learner, batch: Batch) -> float:
        sizes.append(len(batch.x_0))
        learner.step(batch, 0)
        now.append(now[-1] + 0.5)
        return 0.5

    now = [100.0]
    monkeypatch.setattr(trial, "_now", lambda: now[-1])
    monkeypatch.setattr(trial, "_timed", timed)
    found = tried_soon(session, lambda: False)
    assert found is not None and found.forecast.step == 20
    assert found.forecast.last_step == 70 and found.forecast.seconds == 5.0
    assert len(sizes) == 4 and now[-1] - now[0] <= trial.SOON
    after = session.learner.unet.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_that_a_trial_ends_no_training(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures))
    assert tried_soon(session, lambda: True) is None  # somebody asked for the end

    def fails(learner: Learner, batch: Batch) -> float:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(trial, "_timed", fails)
        assert tried_soon(session, lambda: False) is None
    late = iter(range(0, 1000, 10))
    for name, value in (
        ("MANY", 10), ("free_memory", lambda device: 10_000), ("_now", lambda: float(next(late))),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(trial, name, value)
            assert tried_soon(session, lambda: False) is None


def test_that_of_a_training_at_its_end_nothing_is_expected(pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures, steps=2))
    session.counters = replace(session.counters, step=1)
    assert tried_soon(session, lambda: False) is not None
    session.counters = replace(session.counters, step=2)
    assert tried_soon(session, lambda: False) is None


def test_that_one_of_several_processes_tries_nothing(pictures: Path, tmp_path: Path) -> None:
    session = begin(tmp_path / "run", tiny_config(pictures))
    session.learner.ranks = Ranks(0, 2)
    assert tried_soon(session, lambda: False) is None


def test_that_a_long_step_is_tried_once(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A forecast of hours does not take minutes."""
    config = tiny_config(pictures, batch_size=64, parts=1)
    images, sizes = load(config.data, cache_dir()), []

    def timed(learner: Learner, batch: Batch) -> float:
        sizes.append(len(batch.x_0))
        return trial.LONG * len(batch.x_0) / 4

    monkeypatch.setattr(trial, "_timed", timed)
    found = tried(config, images, CPU, lambda: False)
    assert len(sizes) == 1 and found.forecast.step_seconds == pytest.approx(trial.LONG * 64 / 4)


def test_that_short_steps_are_timed_for_half_a_second(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside other programs one step takes longer than the next."""
    config = tiny_config(pictures, batch_size=64, parts=1)
    images, took = load(config.data, cache_dir()), iter((1.0, *([0.05, 0.1] * 4)))
    few = trial.FEW * parts_for(64, CPU)

    def timed(learner: Learner, batch: Batch) -> float:
        return next(took) if len(batch.x_0) == 64 else 0.001 * len(batch.x_0) / few

    monkeypatch.setattr(trial, "_timed", timed)
    found = tried(config, images, CPU, lambda: False)
    assert list(took) == [0.1] and found.forecast.step_seconds == pytest.approx(0.05)


def test_that_little_free_memory_is_not_exhausted_by_a_trial(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is tried fits into half of it, and the trial says that the training will not."""
    config = tiny_config(pictures, batch_size=64)
    images, sizes, step = load(config.data, cache_dir()), [], Learner.step
    enough = tried(config, images, CPU, lambda: False)
    each = (enough.memory - trial.TRAINED * enough.weights) / 64
    assert "More memory than" not in enough.sentence

    def noted(self: Learner, batch: Batch, number: int) -> StepResult:
        sizes.append(batch.t.numel())
        return step(self, batch, number)

    monkeypatch.setattr(Learner, "step", noted)
    monkeypatch.setattr(trial, "free_memory", lambda device: int(7 * each))
    found = tried(config, images, CPU, lambda: False)
    assert found.memory == pytest.approx(enough.memory, rel=0.05)
    assert sizes and max(sizes) <= 3
    assert found.sentence.startswith("More memory than the")


def test_that_parts_one_after_the_other_take_less_memory(pictures: Path) -> None:
    """Of 64 images in 16 parts no more are worked on at a time than there are processors for."""
    whole, split = (tiny_config(pictures, batch_size=64, parts=parts) for parts in (1, 16))
    images = load(whole.data, cache_dir())
    found, less = (tried(config, images, CPU, lambda: False) for config in (whole, split))
    kept = found.memory - trial.TRAINED * found.weights
    rows = 4 * at_once(16, CPU)
    assert less.memory - trial.TRAINED * less.weights == pytest.approx(kept * rows / 64, rel=0.2)


@pytest.mark.parametrize(
    ("side", "size"), [(8, 128), (16, 128), (28, 32), (64, 32), (96, 14), (128, 8), (256, 4), (512, 4)]
)
def test_that_batches_of_large_pictures_are_small(side: int, size: int) -> None:
    assert batch_size_for(side, CPU) == size
