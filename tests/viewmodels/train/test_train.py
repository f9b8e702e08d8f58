"""The Train page without its widgets: hand-made events, and real trainings of a second."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion_studio.core.describe import knobs, with_value
from diffusion_studio.core.objective.weights import UnitWeight
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.data.load import load
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.words import duration, length, roughly
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.creation import NewRun, begin_run
from diffusion_studio.engine.runs.quality import Quality
from diffusion_studio.engine.runs.run import Run, is_run
from diffusion_studio.engine.training import run_data
from diffusion_studio.engine.training.events import Preview, PreviewMeasured, TimestepErrors
from diffusion_studio.engine.training.forecast import Forecast
from diffusion_studio.engine.training.presets import PRESETS
from diffusion_studio.engine.training.trial import Trial
from diffusion_studio.viewmodels.train import outlook
from diffusion_studio.viewmodels.train import training as module
from diffusion_studio.viewmodels.train.comparison import comparison_with
from diffusion_studio.viewmodels.train.model import TrainViewModel
from diffusion_studio.viewmodels.train.state import (
    FIRST_STEPS,
    LENGTH,
    data_card,
    fixed_reasons,
    progress_text,
    sides_to_choose,
)
from diffusion_studio.viewmodels.train.timestep_history import MOST, TimestepHistory
from support.coded import autoencoder_of
from support.patience import look_again_soon
from support.tiny import begin, finish, tiny_config, write_pictures

FOREVER = {"steps": 0, "checkpoint_every": 10_000}


@pytest.fixture
def make(qapp, tmp_path):
    """Makes view-models and shuts them down."""
    models = []

    def make(config: RunConfig | None = None) -> TrainViewModel:
        models.append(TrainViewModel(tmp_path / "runs", config, device="cpu"))
        return models[-1]

    yield make
    for model in models:
        model.shutdown()


@pytest.fixture
def wait(qtbot):
    """Waits until a model is in a phase, or has read its images."""

    def wait(model: TrainViewModel, phase: str = "idle") -> TrainViewModel:
        qtbot.waitUntil(lambda: model.state.phase == phase and model.state.reading is None)
        return model

    return wait


def phases(model: TrainViewModel) -> list[str]:
    """Every phase in turn."""
    seen = [model.state.phase]
    model.changed.connect(lambda state: seen.append(state.phase) if seen[-1] != state.phase else None)
    return seen


# --- data -------------------------------------------------------------------------------------------------


def test_that_the_digits_are_there_at_once(make, wait):
    model = make()
    model.load_data()
    card = wait(model).state.data
    assert (card.name, card.count, card.size) == ("Digits", 1797, "8×8 grey")
    assert card.class_names == tuple("0123456789")
    assert card.thumbnails.shape == (16, 8, 8, 1)
    assert card.thumbnails.dtype == np.uint8


def test_that_a_folder_is_opened_and_undo_brings_the_data_before_back(make, wait, tmp_path):
    folder = write_pictures(tmp_path / "zoo")
    (folder / "ape" / "broken.png").write_bytes(b"no")
    model = make()
    model.load_data()
    wait(model)
    model.open_data(str(folder))
    card = wait(model).state.data
    assert (card.name, card.count, card.class_names) == ("zoo", 12, ("ape", "bee", "cat"))
    ((file, reason),) = card.skipped
    assert file.endswith("broken.png")
    assert reason
    model.undo()
    assert wait(model).state.data.name == "Digits"
    model.redo()
    assert wait(model).state.data.name == "zoo"


def test_that_a_folder_that_cannot_be_read_is_a_notice(make, wait, tmp_path):
    model = make()
    model.open_data(str(tmp_path / "gone"))
    wait(model)
    assert model.state.data is None
    assert model.state.notice.kind == "error"
    assert "gone" in model.state.notice.text
    assert "Traceback" in model.state.notice.details
    model.undo()
    assert wait(model).state.data.name == "Digits"
    assert model.state.notice is None


def test_that_of_two_folders_only_the_last_one_is_shown(make, wait, tmp_path):
    first, last = write_pictures(tmp_path / "first"), write_pictures(tmp_path / "last")
    model, names = make(), []
    model.changed.connect(lambda state: names.append(state.data.name if state.data else ""))
    model.open_data(str(first))
    model.open_data(str(last))
    wait(model)
    assert "first" not in names
    assert model.state.data.name == "last"


def test_that_cancelled_reading_shows_no_images_of_another_folder(make, wait, tmp_path, monkeypatch):
    model = make()
    model.load_data()
    wait(model)

    def endless(spec, cache, report, cancelled, known):
        while not cancelled():
            look_again_soon()
        raise Cancelled

    monkeypatch.setattr(run_data, "load", endless)
    model.open_data(str(tmp_path))
    model.images.cancel()
    wait(model)
    assert model.state.data is None
    assert "Undo" in model.state.notice.text


def test_that_images_read_before_are_shown_while_it_is_looked_whether_they_changed(
    make, wait, qtbot, tmp_path, monkeypatch
):
    read, changed = load(DataSpec(), tmp_path), threading.Event()

    def slow(spec, cache, report, cancelled, known):
        known(read)
        report(1000, 0)
        while not (changed.is_set() or cancelled()):
            look_again_soon()
        return replace(read, name="changed")

    monkeypatch.setattr(run_data, "load", slow)
    model = make()
    model.load_data()
    qtbot.waitUntil(lambda: model.state.reading == (1000, 0))
    assert model.state.data.name == "Digits"
    changed.set()
    assert wait(model).state.data.name == "changed"


# --- parameters -------------------------------------------------------------------------------------------


def test_that_one_drag_is_one_step(make):
    model = make()
    before = model.config
    for rate in (1e-3, 2e-4, 3e-4):
        model.edit("training.learning_rate", rate)
    model.settle()
    assert model.config.training.learning_rate == 3e-4
    assert model.state.can_undo
    model.undo()
    assert model.config == model.state.config == before
    assert (model.state.can_undo, model.state.can_redo) == (False, True)
    model.redo()
    assert model.config.training.learning_rate == 3e-4


def test_that_a_preset_is_one_step_and_a_changed_one_is_none(make):
    model = make()
    assert model.state.preset == PRESETS[0].key
    model.choose_preset("best")
    assert model.state.preset == "best"
    model.edit("training.batch_size", 7)
    model.settle()
    assert model.state.preset == ""
    model.undo()
    assert model.state.preset == "best"
    model.undo()
    assert model.state.preset == PRESETS[0].key


def test_that_a_value_that_cannot_be_gets_its_sentence_and_changes_nothing(make):
    model = make()
    before = model.config
    model.edit("training.batch_size", -1)
    ((path, sentence),) = model.state.errors
    assert path == "training.batch_size"
    assert "greater than or equal to 0" in sentence
    assert model.config == before
    model.edit("training.batch_size", 8)
    assert model.state.errors == ()


def test_that_another_resolution_reads_the_images_again(make, wait):
    model = make()
    model.load_data()
    wait(model)
    model.edit("data.resolution", 16)
    assert model.state.reading is not None
    assert wait(model).state.data.size == "16×16 grey"
    model.edit("seed", 3)
    assert model.state.reading is None


# --- hand-made events -------------------------------------------------------------------------------------


class Script:
    """Takes the place of a training: tells what it is given, and nothing else."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[events.Event] = []
        self.more = False  # there is more to tell, even after a stop
        self.configs: list[RunConfig] = []
        monkeypatch.setattr(module, "new_session", self._session)
        monkeypatch.setattr(
            module, "resumed_session", lambda path, _, config, *__: self._session(path, config)
        )
        monkeypatch.setattr(module, "train", self._train)

    def _session(self, place: Path | NewRun, config: RunConfig, *_: object) -> None:
        self.configs.append(config)
        if isinstance(place, NewRun) or not is_run(place):
            begin_run(place, config, {})

    def _train(self, session: object, control: Control) -> Iterator[events.Event]:
        while not control.stopped or self.told or self.more:
            if self.told:
                yield self.told.pop(0)
            else:
                look_again_soon()
        yield events.Finished("stopped", "Step 5, everything is saved.", step=5)


@pytest.fixture
def script(monkeypatch):
    return Script(monkeypatch)


@pytest.fixture
def tell(qtbot, script):
    """Lets the training tell something and waits until the model knows."""

    def tell(model: TrainViewModel, *told: events.Event) -> None:
        known = []
        model.training.told.connect(known.append)
        script.told += told
        qtbot.waitUntil(lambda: len(known) >= len(told))
        script.more = False
        model.training.told.disconnect(known.append)

    return tell


def started(model: TrainViewModel, step: int = 0) -> events.Started:
    return events.Started(model.state.run, step, "CPU", "fp32", 1234, 10.0)


def progress(step: int, *losses: float) -> events.Progress:
    values = np.array(losses, np.float32)
    return events.Progress(step, 100, 3.0, 0.0, 500.0, step - len(losses) + 1, values)


def test_that_a_training_is_told_from_start_to_end(make, tell):
    model = make()
    seen = phases(model)
    model.start()
    assert model.state.busy
    tell(model, started(model), progress(2, 0.9, 0.8), progress(4, 0.7, 0.6))
    assert (model.state.phase, model.state.step, model.state.fraction) == ("running", 4, 0.04)
    assert model.state.device == "CPU"
    np.testing.assert_allclose(model.record.losses.values, [0.9, 0.8, 0.7, 0.6], rtol=1e-6)
    assert model.record.losses.steps.tolist() == [1, 2, 3, 4]
    tell(model, events.Paused(4))
    tell(model, events.Resumed(4))
    tell(model, events.Saved(4, Path("x")))
    assert model.state.saved_step == 4
    model.stop()
    assert model.state.phase == "stopping"
    tell(model, events.Finished("stopped", "Step 5, everything is saved."))
    assert seen == ["idle", "preparing", "running", "paused", "running", "stopping", "idle"]
    assert model.state.detail == "Step 5, everything is saved."


def test_that_nothing_told_after_the_stop_changes_the_phase(make, script, tell):
    script.more = True
    model = make()
    model.start()
    model.stop()
    seen = phases(model)
    tell(
        model, started(model), progress(1, 0.5), events.Paused(1), events.Resumed(1), events.Finished("done")
    )
    assert seen == ["stopping", "idle"]


def test_that_edits_are_refused_while_it_trains_with_a_sentence(make, tell, tmp_path):
    model = make()
    model.start()
    tell(model, started(model))
    before = model.config
    for refused in (
        lambda: model.edit("seed", 9), lambda: model.choose_preset("best"), model.undo, model.redo,
        lambda: model.open_data(str(tmp_path)), lambda: model.resume_run(tmp_path),
        lambda: model.show_run(tmp_path),
    ):  # fmt: skip
        model.dismiss_notice()
        refused()
        assert model.config == before
        assert model.state.notice.kind == "info"
        assert "going on" in model.state.notice.text
    fixed = {knob.path for knob in knobs(before)} - set(fixed_reasons(model.state))
    parts = ("objective.loss.", "objective.weight.", "objective.density.", *LENGTH)
    assert fixed == {knob.path for knob in knobs(before) if knob.path.startswith(parts)}
    model.stop()
    tell(model, events.Finished("stopped"))
    assert fixed_reasons(model.state) == {}
    model.edit("seed", 9)
    assert model.config.seed == 9


def test_that_the_folder_that_a_training_was_given_is_the_one_shown(make, tell, tmp_path):
    model = make()
    model.start()
    told = events.Started(tmp_path / "runs" / "another-2", 0, "CPU", "fp32", 1234, 10.0)
    tell(model, told)
    assert model.state.run == told.run


def test_that_a_second_start_does_nothing(make, tell):
    model = make()
    model.start()
    run = model.state.run
    model.start()
    tell(model, started(model))
    assert model.state.run == run


def test_that_too_little_memory_offers_a_smaller_batch_and_begins_again_with_it(qtbot, make, tell, script):
    model = make()
    model.start()
    message = "There is not enough memory for a batch of 128 images. Try again with a batch of 64."
    tell(model, events.Finished("failed", message, "Traceback …", 0, smaller_batch=64))
    notice = model.state.notice
    assert (notice.kind, notice.text, notice.action) == ("error", message, "Try a batch of 64")
    first = model.state.run
    model.accept_notice()
    qtbot.waitUntil(lambda: len(script.configs) == 2)
    assert model.state.notice is None
    assert [config.training.batch_size for config in script.configs] == [0, 64]
    assert model.state.run != first
    model.stop()
    tell(model, events.Finished("stopped"))
    model.undo()
    assert model.config.training.batch_size == 0


def test_that_a_run_with_something_learned_goes_on_with_the_smaller_batch(
    qtbot, make, tell, script, tmp_path
):
    path = tmp_path / "runs" / "mine"
    finish(begin(path, tiny_config(steps=2)))
    model = make()
    model.resume_run(path)
    tell(model, events.Finished("failed", "There is not enough memory.", "", 2, smaller_batch=8))
    model.accept_notice()
    qtbot.waitUntil(lambda: len(script.configs) == 2)
    assert model.state.run == path
    assert [config.training.batch_size for config in script.configs] == [16, 8]


def test_that_too_little_memory_offers_more_parts_first_and_goes_on_with_them(
    qtbot, make, tell, script, tmp_path
):
    path = tmp_path / "runs" / "mine"
    finish(begin(path, tiny_config(steps=2)))
    model = make()
    model.resume_run(path)
    tell(model, events.Finished("failed", "There is not enough memory.", "", 2, parts=4))
    assert model.state.notice.action == "Split each step into 4"
    model.accept_notice()
    qtbot.waitUntil(lambda: len(script.configs) == 2)
    assert [config.training.parts for config in script.configs] == [1, 4]
    assert [config.training.batch_size for config in script.configs] == [16, 16]


def test_that_the_parts_of_a_run_are_its_own_where_nobody_chose_them(make, wait, script, tmp_path):
    """The next new run, which begins with what the page shows, measures them anew."""
    path, model = tmp_path / "runs" / "mine", make()
    finish(begin(path, tiny_config(steps=2, parts=2)))
    for measured, shown in ((False, 2), (True, 0)):
        replace(Run.open(path), parts_measured=measured).write_config()
        model.resume_run(path)
        assert model.config.training.parts == shown
        model.stop()
        wait(model)
    assert [config.training.parts for config in script.configs] == [2, 2]


def test_that_other_failures_offer_nothing(make, tell):
    model = make()
    model.start()
    tell(model, events.Finished("failed", "The disk is gone.", "Traceback"))
    assert (model.state.notice.text, model.state.notice.action) == ("The disk is gone.", "")
    model.accept_notice()
    assert not model.state.busy
    assert model.state.notice is None


def test_that_the_reason_of_a_pause_is_shown(make, tell):
    model = make()
    model.start()
    reason = "The loss was not a number 5 times in a row, so training was paused."
    tell(model, started(model), events.Paused(9, reason))
    assert model.state.phase == "paused"
    assert (model.state.notice.kind, model.state.notice.text) == ("warning", reason)


def test_that_a_warning_is_shown_and_dismissed(make, tell):
    model = make()
    model.start()
    tell(model, events.Warned("The disk is nearly full."))
    assert model.state.notice.text == "The disk is nearly full."
    model.dismiss_notice()
    assert model.state.notice is None


def test_that_choosing_a_prediction_proposes_its_plain_loss_and_undo_takes_back_both(make):
    model = make()
    model.edit("objective.predict", "x_0")
    model.settle()
    assert model.state.config.objective.weight == UnitWeight(error="x_0")
    model.undo()
    assert model.state.config.objective == RunConfig().objective


def test_that_weight_and_density_change_while_it_trains(make, wait, qtbot):
    """The wish goes to the training once the edit is complete; the training marks it."""
    model = make(tiny_config(steps=0, checkpoint_every=10_000))
    model.start()
    wait(model, "running")
    model.edit("objective.weight.kind", "min_snr")
    model.edit("objective.weight.gamma", 2.0)
    model.edit("objective.weight.gamma", 3.0)
    model.settle()
    qtbot.waitUntil(lambda: len(model.state.marks) == 1)
    ((step, text),) = model.state.marks
    assert text == "weight: surrogate (1) → min-SNR γ 3"
    assert 0 < step <= model.state.step + 1
    model.edit("objective.density.kind", "importance")
    model.settle()
    qtbot.waitUntil(lambda: len(model.state.marks) == 2)
    model.stop()
    wait(model)
    run = Run.open(model.state.run)
    assert run.config.objective == model.config.objective
    assert tuple(run.metrics.marks()) == model.state.marks
    other = make()
    other.show_run(run.path)
    assert other.state.marks == model.state.marks
    assert comparison_with(run.path).total == 50


def test_that_a_weight_that_was_changed_while_it_trains_is_undone_while_it_trains(make, tell, monkeypatch):
    model, asked = make(), []
    monkeypatch.setattr(model.training, "follow", lambda config: asked.append(config.objective.weight.kind))
    model.edit("seed", 5)
    model.settle()
    model.start()
    tell(model, started(model))
    before = model.config.objective.weight
    model.edit("objective.weight.kind", "min_snr")
    model.settle()
    model.undo()
    assert model.config.objective.weight == before
    model.redo()
    assert asked == ["min_snr", before.kind, "min_snr"]
    model.undo()
    assert model.state.notice is None
    model.undo()  # the seed, which the training runs with
    assert model.config.seed == 5
    assert "going on" in model.state.notice.text


def test_that_a_weight_that_cannot_be_gets_its_sentence_while_it_trains(make, wait):
    model = make(tiny_config(steps=0, checkpoint_every=10_000))
    model.start()
    wait(model, "running")
    model.edit("objective.weight.kind", "curve")
    model.edit("objective.weight.points", (1.0, -2.0))
    ((path, sentence),) = model.state.errors
    assert path == "objective.weight.points"
    assert "point 2 is -2" in sentence
    model.stop()
    wait(model)


def test_that_a_long_history_of_errors_is_thinned_out_and_keeps_its_ends():
    history, numbers = TimestepHistory(), np.ones(4)
    for step in range(1, 3000):
        history.add(TimestepErrors(step, numbers, numbers, numbers, np.ones(4, np.int64)))
        assert history.newest.step == step
    assert history.steps[0] == 1
    assert len(history) <= MOST
    assert history.steps == sorted(set(history.steps))


def test_that_previews_and_timesteps_are_passed_on(make, tell):
    model, told = make(), []
    model.record.timesteps_changed.connect(told.append)
    model.start()
    numbers = np.ones(4)
    errors = TimestepErrors(3, numbers, numbers, numbers, np.ones(4, np.int64))
    preview = Preview(3, np.zeros((2, 8, 8, 1), np.uint8), ("0", "1"), None)
    tell(model, errors, preview)
    assert model.record.timesteps.newest is errors
    assert told[-1] is model.record.timesteps
    assert model.record.previews.step(0) == 3
    assert model.record.previews.images(0).shape == (2, 8, 8, 1)
    shown = []
    model.record.previews_changed.connect(shown.append)
    quality = Quality(2, *[0.5] * 9)
    tell(model, PreviewMeasured(3, quality))
    assert (model.record.previews.quality, len(shown)) == ({3: quality}, 1)


# --- real trainings ---------------------------------------------------------------------------------------


def test_that_a_real_training_runs_pauses_goes_on_and_stops(qtbot, make, wait):
    model = make(tiny_config(**FOREVER))
    seen, saved = phases(model), []
    model.saved.connect(saved.append)
    model.start()
    wait(model, "running")
    qtbot.waitUntil(lambda: model.state.step > 0)
    model.pause()
    wait(model, "paused")
    step = model.state.step
    assert Run.open(model.state.run).step == step == model.state.saved_step
    model.resume()
    qtbot.waitUntil(lambda: model.state.step > step)
    model.stop()
    wait(model)
    run = Run.open(model.state.run)
    assert seen == ["idle", "preparing", "running", "paused", "running", "stopping", "idle"]
    assert run.step == model.state.saved_step == len(model.record.losses.values)
    assert set(saved) == {run.path}
    assert model.record.losses.segments == (0,)
    with run.lock():
        pass


def test_that_a_run_is_resumed_with_its_curve_and_config(make, wait, tmp_path):
    path = tmp_path / "runs" / "mine"
    finish(begin(path, tiny_config(steps=3, preview_count=4, preview_share=0.5)))
    model = make()
    model.resume_run(path)
    assert model.record.losses.steps.tolist() == [1, 2, 3]
    wait(model)
    run = Run.open(path)
    assert run.step == 6  # its limit was reached, so it gets as much again
    assert model.config.training.steps == 6
    assert model.record.losses.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert model.state.data.name == "Digits"
    assert len(model.record.previews) >= 1


def test_that_a_run_on_disk_is_shown_without_training(make, tmp_path):
    path = tmp_path / "runs" / "mine"
    finish(begin(path, tiny_config(steps=3, preview_count=4, preview_share=0.5)))
    model, told = make(), []
    model.record.timesteps_changed.connect(told.append)
    before = model.config
    model.show_run(path)
    assert (model.state.run, model.state.step, model.state.run_steps) == (path, 3, 50)
    assert model.record.losses.steps.tolist() == [1, 2, 3]
    assert model.record.previews.images(len(model.record.previews) - 1).shape == (4, 8, 8, 1)
    assert len(told) == 1
    assert np.isfinite(model.record.log_snr(told[0].newest.t)).all()
    assert model.config == before
    assert not model.state.busy


@pytest.mark.parametrize("method", ["resume_run", "show_run"])
def test_that_a_run_that_is_gone_does_no_harm(make, tmp_path, method):
    model = make()
    getattr(model, method)(tmp_path / "gone")
    assert model.state.run is None
    assert not model.state.busy


def test_that_a_training_that_could_not_begin_leaves_no_run_behind(make, wait, tmp_path):
    model = make(tiny_config(tmp_path / "gone"))
    model.start()
    wait(model)
    assert model.state.notice.kind == "error"
    assert "gone" in model.state.notice.text
    assert model.state.run is None


def test_that_a_failure_in_the_training_is_told_with_its_traceback(make, wait, monkeypatch):
    def broken(*_):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(module, "new_session", broken)
    model = make(tiny_config())
    model.start()
    wait(model)
    assert "Something went wrong in the program" in model.state.notice.text
    assert "device-side assert" not in model.state.notice.text
    assert "RuntimeError: CUDA error: device-side assert" in model.state.notice.details


def test_that_shutting_down_saves(qtbot, make):
    model = make(tiny_config(**FOREVER))
    model.start()
    qtbot.waitUntil(lambda: model.state.step > 0)
    model.shutdown()
    assert not model.state.busy
    assert Run.open(model.state.run).step == model.state.saved_step > 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.6, "1 h 00 min"), (3900, "1 h 05 min")],
)
def test_that_durations_are_words(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(12, "12 s"), (180, "3 min"), (200, "3 min 20 s"), (7200, "2 h")]
)
def test_that_round_lengths_have_no_rest(seconds, words):
    assert length(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(44.6, "45 s"), (131, "2 min 10 s"), (598, "10 min"), (2396, "40 min"), (11_900, "3 h 20 min")],
)
def test_that_estimates_are_as_fine_as_they_are_worth(seconds, words):
    assert roughly(seconds) == words


def test_that_progress_is_a_sentence():
    assert progress_text(progress(4, 0.5)) == "step 4 of 100 · 500 images/s · 1 min 12 s left"


# --- what to expect -----------------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch):
    """Trainings are tried without a wait."""
    monkeypatch.setattr(outlook, "WAIT", 0)


def test_that_what_to_expect_is_found_out_before_a_training_begins(make, wait, at_once, qtbot, tmp_path):
    model = make(tiny_config(write_pictures(tmp_path / "zoo"), steps=40))
    model.outlook.watch(True)
    model.load_data()
    qtbot.waitUntil(lambda: model.state.trial is not None)
    assert model.state.expected is model.state.trial.forecast
    assert model.state.expected.last_step == 40 and model.state.expected.resolution == 8
    model.edit("training.steps", 90)
    assert model.state.trial is None  # it was of another training
    qtbot.waitUntil(lambda: model.state.trial is not None)
    assert model.state.expected.last_step == 90
    model.start()
    assert model.state.trial is None
    wait(model)
    qtbot.waitUntil(lambda: model.state.trial is not None)


def test_that_nothing_is_tried_while_nobody_looks(make, wait, at_once, qapp, qtbot, tmp_path, monkeypatch):
    """A trial takes all processors; on another page it would be felt, and seen by nobody."""
    model = make(tiny_config(write_pictures(tmp_path / "zoo"), steps=40))
    begun = []
    start = model.outlook._slot.start
    monkeypatch.setattr(model.outlook._slot, "start", lambda stream: (begun.append(True), start(stream)))
    model.load_data()
    wait(model)
    qapp.processEvents()
    assert not begun and not model.outlook._timer.isActive()
    model.outlook.watch(True)
    qtbot.waitUntil(lambda: model.state.trial is not None)
    found = model.state.trial
    model.outlook.watch(False)
    model.outlook.watch(True)  # what is known is not tried again
    qapp.processEvents()
    assert model.state.trial is found and len(begun) == 1
    model.outlook.watch(False)
    model.edit("training.steps", 50)
    qapp.processEvents()
    assert len(begun) == 1 and not model.outlook._timer.isActive()


def test_that_a_training_that_is_too_short_can_be_made_longer_while_it_goes_on(make, wait, qtbot, tmp_path):
    model = make(tiny_config(write_pictures(tmp_path / "zoo"), **FOREVER))
    model.load_data()
    wait(model)
    model.start()
    wait(model, "running")
    model.edit("training.steps", 1_000_000)
    model.settle()
    short = Forecast(5, 2.0, 1.0, 20, 17.0, 64, 3)
    model._on_told(short)
    assert model.state.expected.too_short
    model.train_longer()
    asked = model.config.training
    assert (asked.steps, asked.seconds) == (0, short.long_enough)
    path = model.state.run
    qtbot.waitUntil(lambda: Run.open(path).config.training.seconds == asked.seconds)
    assert Run.open(path).config.training.steps == 0
    model.edit("training.steps", 1)  # less than it has done: it ends
    model.settle()
    wait(model)
    assert "everything is saved" in model.state.detail


def test_that_a_training_can_begin_anew_with_smaller_pictures(make, wait, qtbot, tmp_path):
    folder = tmp_path / "zoo"
    folder.mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    config = tiny_config(folder, **FOREVER)
    model = make(with_value(config, "data.resolution", 64))
    model.load_data()
    wait(model)
    model.start()
    wait(model, "running")
    first = model.state.run
    model.edit("training.seconds", 150.0)
    model.settle()
    model._on_told(Forecast(1, 2.0, 1.0, 20, 17.0, 64, 3))
    assert model.state.smaller_resolution == 48
    model.train_smaller()
    qtbot.waitUntil(lambda: model.state.phase == "running" and model.state.run != first)
    assert Run.open(model.state.run).config.data.resolution == 48
    model.stop()
    wait(model)
    assert Run.open(first).step > 0  # what there was is kept


@pytest.mark.parametrize(
    ("side", "own", "multiple", "asked"),
    [
        (20, 24, 1, None),
        (64, 80, 1, (64, 80)),
        (64, 64, 1, None),
        (64, 70, 1, (64, 70)),
        (64, 70, 4, (64, 68)),
        (64, 66, 4, None),
    ],
)
def test_that_a_size_is_asked_for_above_64_px_alone(side, own, multiple, asked):
    """Of a large folder some headers alone are read, so the usual picture may be another one than of all."""
    pixels = np.zeros((3, 1, side, side), np.uint8)
    images = replace(load(DataSpec()), images=pixels, sizes=np.full((3, 2), own, np.int32))
    assert sides_to_choose(data_card(images, DataSpec(), multiple), DataSpec()) == asked


def test_that_in_a_code_the_images_are_shown_as_they_are_learned(make, wait, at_once, qtbot, tmp_path):
    folder = write_pictures(tmp_path / "pictures", side=18)
    code = autoencoder_of(folder, tmp_path / "autoencoder")
    model = make(with_value(tiny_config(folder), "data.resolution", 0))
    model.outlook.watch(True)
    model.load_data()
    assert wait(model).state.data.size == "18×18 grey"
    model.edit("model.code", str(code))
    assert model.state.trial is None
    assert wait(model).state.data.size == "16×16 grey"
    assert "multiples of 4" in " ".join(model.state.data.notes)
    qtbot.waitUntil(lambda: model.state.trial is not None)
    assert model.state.expected.resolution == 16
    model.settle()
    model.edit("data.resolution", 18)
    qtbot.waitUntil(lambda: "does not divide the resolution 18" in model.state.outlook)
    assert model.state.trial is None
    model.undo()
    assert wait(model).state.data.size == "16×16 grey"


def test_that_it_is_said_that_a_training_is_tried_and_why_nothing_is_known(
    make, wait, at_once, qtbot, tmp_path, monkeypatch
):
    may_end = threading.Event()

    def refused(config, images, device, cancelled):
        while not (may_end.is_set() or cancelled()):
            look_again_soon()
        raise Refused("There is no room.")

    monkeypatch.setattr(outlook, "tried", refused)
    model = make(tiny_config(write_pictures(tmp_path / "zoo"), **FOREVER))
    model.outlook.watch(True)
    assert model.state.outlook == ""  # there are no images yet
    model.load_data()
    qtbot.waitUntil(lambda: model.outlook._slot.busy)
    assert model.state.outlook == outlook.TRYING
    may_end.set()
    qtbot.waitUntil(lambda: model.state.outlook.endswith("cannot be said. There is no room."))
    model.edit("seed", 3)
    assert model.state.outlook == outlook.TRYING
    model.start()
    assert model.state.outlook == FIRST_STEPS
    wait(model, "running")
    model._on_told(found := Forecast(5, 2.0, 1.0, 60, 60.0, 8, 1))
    assert model.state.outlook == found.sentence


def test_that_what_was_tried_stands_until_it_is_measured(make, wait, at_once, qtbot, tmp_path, monkeypatch):
    trial = Trial(Forecast(0, 0.0, 2.0, 30, 60.0, 8, 1), weights=9, memory=10**6, free=10**9)
    monkeypatch.setattr(outlook, "tried", lambda *_: trial)
    model = make(tiny_config(write_pictures(tmp_path / "zoo"), **FOREVER | {"seconds": 60.0}))
    model.outlook.watch(True)
    model.load_data()
    qtbot.waitUntil(lambda: model.state.trial is trial)
    model.start()
    wait(model, "running")
    assert model.state.outlook.startswith(trial.forecast.sentence + " That was tried before the start")
    assert model.state.expected == trial.forecast
    model.edit("training.seconds", 90.0)
    assert model.state.expected.last_step == 45 and "45 steps" in model.state.outlook
    assert "First shapes" in replace(model.state, step=44).outlook
    assert "First shapes" not in replace(model.state, step=45).outlook
    endless = with_value(model.state.config, "training.seconds", 0.0)
    assert replace(model.state, step=45, config=endless).outlook == FIRST_STEPS
    model._on_told(found := Forecast(5, 2.0, 1.0, 60, 60.0, 8, 1))
    assert model.state.outlook == found.sentence and model.state.expected is found


def test_that_no_smaller_pictures_are_offered_where_they_do_not_help(make):
    model = make()
    short = Forecast(1, 2.0, 1.0, 60, 60.0, 64, 3)
    state = replace(model.state, config=PRESETS[1].applied_to(model.config), phase="running", forecast=short)
    assert state.smaller_resolution == 56
    assert replace(state, forecast=replace(short, last_step=600)).smaller_resolution == 0  # long enough
    assert replace(state, forecast=replace(short, step_seconds=30.0)).smaller_resolution == 0  # none comes
    in_a_code = with_value(state.config, "model.code", "/there")
    assert replace(state, config=in_a_code).smaller_resolution == 0
    before = model.config
    model.train_smaller()
    assert model.config == before and not model.state.busy


def test_that_nothing_is_tried_once_the_window_closes(
    make, wait, at_once, qapp, qtbot, tmp_path, monkeypatch
):
    """The end of a training asks what to expect of the next one; not on the way out."""
    model = make(tiny_config(write_pictures(tmp_path / "zoo"), **FOREVER))
    model.load_data()
    wait(model)
    model.outlook.watch(True)
    model.start()
    wait(model, "running")
    begun = []
    monkeypatch.setattr(model.outlook, "_try", lambda: begun.append(True))
    monkeypatch.setattr(model.outlook._slot, "start", lambda stream: begun.append(True))
    model.shutdown()
    assert not model.outlook._timer.isActive()
    qapp.processEvents()
    assert not begun
