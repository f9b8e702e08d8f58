"""Where nobody watches: plain lines, lines of JSON, silence, a config from a file, event files."""

from __future__ import annotations

import errno
import json
import math
import shutil
import sys
import warnings
from types import SimpleNamespace

import pytest

from diffusion_studio.cli import bar
from diffusion_studio.engine.runs.metrics import MetricsReader
from diffusion_studio.engine.runs.run import Run
from support.commands import SETS, complaint


def test_that_without_a_terminal_progress_is_lines(said, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(bar, "EVERY", 0.0)
    code, out, errors = said("train", pictures, "--run", tmp_path / "run", "--steps", "4", *SETS)
    assert (code, out.strip()) == (0, str(tmp_path / "run"))
    lines = errors.splitlines()
    assert any(line.startswith("training 100 %: step 4") and "loss" in line for line in lines), errors
    assert not any("━" in line or "\x1b" in line for line in lines)


def test_that_a_quiet_training_says_nothing_but_where_it_is(said, pictures, tmp_path):
    found = said("train", pictures, "--run", tmp_path / "run", "--steps", "3", "--quiet", *SETS)
    assert found == (0, f"{tmp_path / 'run'}\n", "")


def test_that_what_to_expect_is_said_before_the_first_step(said, pictures, tmp_path):
    _, _, errors = said("train", pictures, "--run", tmp_path / "run", "--steps", "3", *SETS)
    expected = "of memory. Perhaps too short to see something: about 3 steps in 1 s here. First shapes at 8×8"
    assert expected in errors.replace("\n", " ")


def test_that_nothing_is_tried_that_nobody_hears(said, pictures, tmp_path, monkeypatch):
    monkeypatch.delattr("diffusion_studio.cli.train.tried_soon")
    assert said("train", pictures, "--run", tmp_path / "run", "--steps", "1", "--quiet", *SETS)[0] == 0


def test_that_a_quiet_training_says_what_is_wrong(said, tmp_path):
    code, out, errors = said("train", tmp_path / "gone", "--steps", "3", "--quiet", *SETS)
    assert (code, out) == (1, "")
    assert "There is no folder" in complaint(errors)


def test_that_a_quiet_training_that_goes_on_says_what_is_wrong_with_it(said, pictures, tmp_path):
    run = tmp_path / "run"
    assert said("train", pictures, "--run", run, "--steps", "2", "--quiet", *SETS)[0] == 0
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").mkdir()
    code, _, errors = said("train", pictures, "--run", run, "--resume", "--steps", "4", "--quiet")
    assert code == 0
    assert "metrics.jsonl cannot be written" in complaint(errors)


def test_that_lines_of_json_tell_what_happens(said, pictures, tmp_path):
    run = tmp_path / "run"
    code, out, errors = said("train", pictures, "--run", run, "--steps", "3", "--quiet", "--json", *SETS)
    assert (code, errors) == (0, "")
    expected, *told = [json.loads(line) for line in out.splitlines()]
    assert expected["event"] == "trial" and expected["last_step"] == 3
    assert expected["weights"] == told[0]["parameters"] and expected["memory"] > 0
    assert expected["step_seconds"] > 0 and expected["shapes_step"] > 3
    assert told[0] | {"device": ""} == {
        "event": "started", "run": str(run), "step": 0, "device": "", "precision": "fp32",
        "parameters": told[0]["parameters"], "steps_per_epoch": 0.75,
    }  # fmt: skip
    progress = [event for event in told if event["event"] == "progress"]
    losses = dict(zip(*_known(run), strict=True))
    assert progress
    assert all(losses[event["step"]] == event["loss"] for event in progress)
    assert [event["step"] for event in told if event["event"] == "saved"] == [3]
    assert told[-1] | {"message": ""} == {
        "event": "finished", "outcome": "done", "message": "", "step": 3, "parts": 0, "smaller_batch": 0,
        "file": "",
    }  # fmt: skip


def _known(run):
    known = MetricsReader(run / "metrics.sqlite").losses()
    return known.steps.tolist(), known.losses.tolist()


def test_that_a_config_of_a_run_begins_the_same_training(said, run, tmp_path):
    code, _, errors = said("train", "--config", run / "config.json", "--run", tmp_path / "again")
    assert code == 0, errors
    assert Run.open(tmp_path / "again").config == Run.open(run).config
    assert _known(tmp_path / "again") == _known(run)


def test_that_parts_that_were_measured_for_a_run_are_not_chosen_for_another(said, run, tmp_path):
    content = json.loads((run / "config.json").read_text())
    content["config"]["training"]["parts"] = 3
    file = tmp_path / "config.json"
    for measured, parts in ((True, 1), (False, 3)):  # a single processor has nothing to measure
        file.write_text(json.dumps(content | {"parts_measured": measured}))
        again = tmp_path / str(measured)
        code, _, errors = said("train", "--config", file, "--run", again, "--steps", "1", "--quiet")
        assert code == 0, errors
        found = Run.open(again)
        assert (found.config.training.parts, found.parts_measured) == (parts, measured)


def test_that_options_change_the_config_of_a_file(said, run, pictures, tmp_path):
    options = ["--config", run / "config.json", "--run", tmp_path / "other", "--steps", "2", "--seed", "9"]
    code, _, errors = said("train", pictures, *options, "--set", "training.learning_rate=0.001")
    assert code == 0, errors
    config = Run.open(tmp_path / "other").config
    assert (config.data.source, config.seed) == (str(pictures), 9)
    assert (config.training.steps, config.training.learning_rate) == (2, 0.001)
    assert config.model.width == 8, "from the file"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("no json", "cannot be read"),
        ('{"config": {"training": {"steps": "many"}}}', "not a valid config"),
        ('{"pictures": 3}', "no config of a run"),
        ('{"schema": 1, "kind": "vae", "config": {}}', "of the kind vae, not diffusion"),
        ('{"schema": 99, "config": {}}', "newer Diffusion Studio"),
    ],
)
def test_that_a_file_that_is_no_config_is_refused(said, tmp_path, content, part):
    file = tmp_path / "mine.json"
    file.write_text(content)
    code, _, errors = said("train", "digits", "--config", file)
    assert code == 1
    assert part in complaint(errors)
    assert "mine.json" in errors


def test_that_a_file_that_is_not_there_is_refused(said, tmp_path):
    code, _, errors = said("train", "digits", "--config", tmp_path / "gone.json")
    assert code == 1
    assert "gone.json cannot be read" in complaint(errors)


def test_that_a_config_does_not_go_with_a_run_that_has_one(said, run):
    code, _, errors = said("train", "digits", "--run", run, "--resume", "--config", run / "config.json")
    assert code == 2
    assert "--config begins a new run" in complaint(errors)


def test_that_event_files_need_tensorboard(said, tmp_path, pictures, monkeypatch):
    monkeypatch.setattr("diffusion_studio.cli.bar.find_spec", lambda name: None)
    code, _, errors = said("train", pictures, "--run", tmp_path / "run", "--tensorboard", *SETS)
    assert code == 1
    assert "pip install 'diffusion-studio[tensorboard]'" in complaint(errors)
    assert not (tmp_path / "run").exists()


def _event_files_of(said, run, *arguments):
    """What TensorBoard's own reader finds after a training."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own libraries
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        assert said("train", *arguments, "--run", run, "--tensorboard")[0] == 0
        return EventAccumulator(str(run / "tensorboard")).Reload()


def _check_losses(found, run, last):
    steps, losses = _known(run)
    written = found.Scalars("loss")
    assert [event.step for event in written] == steps == list(range(1, last + 1))
    assert all(math.isclose(event.value, loss) for event, loss in zip(written, losses, strict=True))


def test_that_tensorboard_reads_the_event_files(said, tmp_path, pictures):
    previews = ["--set", "training.preview_count=4", "--set", "training.preview_share=0.5"]
    found = _event_files_of(said, tmp_path / "run", pictures, "--steps", "4", *SETS, *previews)
    _check_losses(found, tmp_path / "run", 4)
    assert [event.step for event in found.Images("samples")] == [4]


class FullDisk:
    """Stands in for the writer of event files; `room` is how many losses it takes."""

    room = 0

    def __init__(self, folder, purge_step=None):
        self.left = self.room
        self.write()

    def write(self):
        if not self.left:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.left -= 1

    def add_scalar(self, *_):
        self.write()

    def flush(self):
        self.write()

    close = flush


@pytest.mark.parametrize("room", [0, 3, 9999])
def test_that_a_training_goes_on_without_event_files_where_there_is_no_room(
    said, tmp_path, pictures, monkeypatch, room
):
    monkeypatch.setattr(FullDisk, "room", room)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=FullDisk))
    monkeypatch.setattr("diffusion_studio.cli.bar.find_spec", lambda name: name)
    run = tmp_path / "run"
    code, _, errors = said("train", pictures, "--run", run, "--tensorboard", "--steps", "4", *SETS)
    assert code == 0
    assert errors.count("tensorboard cannot be written: No space left on device.") == (room < 100)
    assert Run.open(run).step == 4


def test_that_steps_that_were_lost_are_none_for_tensorboard(said, tmp_path, pictures):
    run = tmp_path / "run"
    every = ["--set", "training.checkpoint_every=2"]
    _event_files_of(said, run, pictures, "--steps", "4", *SETS, *every)
    shutil.rmtree(run / "checkpoints" / "step-00000004")
    found = _event_files_of(said, run, "--resume", pictures, "--steps", "6", *SETS)
    _check_losses(found, run, 6)
