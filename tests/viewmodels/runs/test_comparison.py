"""Runs over each other: what each has told, read once, under names that tell them apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffusion_studio.engine.runs.creation import create_run
from diffusion_studio.engine.runs.metrics import Metrics, TimestepRecord
from diffusion_studio.engine.runs.quality import Quality
from diffusion_studio.viewmodels.runs import comparison
from diffusion_studio.viewmodels.runs.comparison import Comparing, read
from diffusion_studio.viewmodels.runs.summary import summary_of
from support.tiny import tiny_config


def trained(path: Path, losses: list[float]) -> Path:
    """A run whose training told something."""
    run = create_run(path, tiny_config(), {})
    metrics = Metrics(run.metrics_path, 0)
    t = np.array([10.0, 40.0])
    record = TimestepRecord(len(losses), t, np.array([0.5, 0.2]), np.ones(2), np.array([3, 3]))
    metrics.add(1, np.array(losses, np.float32), record)
    metrics.add_quality(1, Quality(64, 2.0, 1.0, 0.1, 0.5, 0.9, 0.5, 0.9, 1.0, 1.0))
    metrics.add_quality(2, Quality(8, 2.0, 1.0, 0.1, 0.5, 0.9, 0.5, 0.9, 1.0, 1.0))
    metrics.close()
    for step in (1, 20):
        (run.sample_folder / f"step-{step:08d}.png").touch()
    return path


@pytest.fixture
def runs(tmp_path):
    return [trained(tmp_path / place / "run", [1.0, n]) for n, place in enumerate(("here", "there"))]


def test_that_a_run_tells_losses_errors_measures_and_samples(runs):
    found = read(runs[0])
    assert found.losses.losses.tolist() == [1.0, 0.0]
    assert found.errors.errors.error.tolist() == [0.5, 0.2] and found.errors.total == 50
    assert [step for step, _ in found.quality] == [1]  # of eight samples a number says nothing
    assert [step for step, _ in found.previews] == [1, 20]


def test_that_what_was_read_is_not_read_again_until_it_is_forgotten(qtbot, runs, monkeypatch):
    asked = []
    monkeypatch.setattr(comparison, "read", lambda path: asked.append(path) or read(path))
    comparing, told = Comparing(), []
    comparing.changed.connect(lambda found: told.append([run.path for run in found]))
    summaries = [summary_of(path) for path in runs]
    for shown in (summaries[:1], summaries, summaries[::-1]):
        comparing.look(shown)
        qtbot.waitUntil(lambda: not comparing.busy)
    assert asked == runs
    assert told == [runs[:1], runs, runs[::-1]]
    comparing.forget()
    qtbot.waitUntil(lambda: not comparing.busy)
    assert asked == [*runs, *runs[::-1]]
    comparing.look([])
    assert told[-1] == [] and comparing.runs == ()


def test_that_runs_that_are_called_alike_get_their_place(qtbot, runs):
    comparing = Comparing()
    comparing.look([summary_of(path) for path in runs])
    qtbot.waitUntil(lambda: len(comparing.runs) == 2)
    assert [run.name for run in comparing.runs] == [f"run ({path})" for path in runs]


def test_that_a_run_that_cannot_be_read_is_left_out_until_it_can(qtbot, runs):
    comparing = Comparing()
    summaries = [summary_of(path) for path in runs]
    config = (runs[0] / "config.json").read_text()
    (runs[0] / "config.json").write_text("{")
    comparing.look(summaries)
    qtbot.waitUntil(lambda: not comparing.busy)
    assert [run.path for run in comparing.runs] == runs[1:]
    (runs[0] / "config.json").write_text(config)
    comparing.look(summaries[:1])
    qtbot.waitUntil(lambda: not comparing.busy)
    assert [run.path for run in comparing.runs] == runs[:1]
