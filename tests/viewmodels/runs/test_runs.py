"""The list of runs: each for itself, whatever is wrong with another."""

from __future__ import annotations

import math
import shutil

import pytest

from diffusion_studio.engine.runs import run as run_module
from diffusion_studio.engine.runs.run import list_runs
from diffusion_studio.viewmodels.runs.summary import summary_of
from support.tiny import begin, finish, tiny_config


@pytest.fixture
def runs(tmp_path):
    """Two runs in one folder."""
    finish(begin(tmp_path / "runs" / "good", tiny_config(steps=2)))
    shutil.copytree(tmp_path / "runs" / "good", tmp_path / "runs" / "bad")
    return tmp_path / "runs"


def test_that_a_database_that_is_none_costs_only_its_curves(runs):
    (runs / "bad" / "metrics.sqlite").write_bytes(b"no database" * 100)
    summaries = {summary.name: summary for summary in map(summary_of, list_runs(runs))}
    assert math.isfinite(summaries["good"].loss)
    assert math.isnan(summaries["bad"].loss)
    assert (summaries["bad"].step, summaries["bad"].problem) == (2, "")


def test_that_a_run_that_nobody_can_read_has_its_own_line(runs, monkeypatch, caplog):
    real = run_module.Run.open_as

    def breaking(path, kind):
        if path.name == "bad":
            raise KeyError("an oddity")
        return real(path, kind)

    monkeypatch.setattr(run_module.Run, "open_as", breaking)
    summaries = {path.name: summary_of(path) for path in list_runs(runs)}
    assert summaries["bad"].problem == "It cannot be read; what happened is in the log."
    assert "an oddity" in caplog.text
    assert summaries["good"].step == 2


def test_that_a_run_that_goes_meanwhile_is_no_trouble(runs):
    paths = list_runs(runs)
    shutil.rmtree(runs / "bad")
    assert {summary_of(path).name: bool(summary_of(path).problem) for path in paths} == {
        "good": False, "bad": True
    }  # fmt: skip
