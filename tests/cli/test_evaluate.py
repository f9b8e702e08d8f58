"""`evaluate` prints what it measured, and writes it when asked to."""

from __future__ import annotations

import json

from support.coded import autoencoder_of
from support.commands import complaint
from support.tiny import begin, finish, tiny_config


def test_that_a_run_is_evaluated(said, pictures, tmp_path):
    finish(begin(tmp_path / "run", tiny_config(pictures, T=4)))
    out = tmp_path / "found.json"
    code, printed, _ = said("evaluate", tmp_path / "run", "--elbo", "--images", 2, "--out", out)
    assert code == 0
    assert "reconstruction" in printed
    content = json.loads(out.read_text())
    assert content["quality"] is None
    assert len(content["elbo"]["terms"]) == 4


def test_that_an_evaluation_that_cannot_be_is_refused_in_one_sentence(said, tmp_path):
    for arguments, code, part in (
        ([tmp_path / "nothing"], 1, "is not a run"),
        ([tmp_path / "nothing", "--out", "found.txt"], 2, "should end in .json"),
        ([tmp_path / "nothing", "--flow", "--tolerance", "1e-9"], 2, "tolerance of 1e-09 cannot be met"),
    ):
        found, out, errors = said("evaluate", *arguments)
        assert (found, out) == (code, "")
        assert part in complaint(errors)


def test_that_the_fewest_calls_are_found(said, pictures, tmp_path):
    finish(begin(tmp_path / "run", tiny_config(pictures, T=8)))
    out = tmp_path / "found.json"
    code, printed, _ = said("evaluate", tmp_path / "run", "--calls", "--samples", 64, "--out", out)
    assert code == 0
    content = json.loads(out.read_text())
    assert content["elbo"] is content["quality"] is None
    calls = content["calls"]
    assert calls["count"] == 64 and calls["reference"]["steps"] == 8
    assert printed.count(" calls, ") == 1 + len(calls["fares"])
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["calls"] == calls


def test_that_an_autoencoder_has_no_calls_to_count(said, pictures, tmp_path):
    autoencoder_of(pictures, tmp_path / "code")
    code, out, errors = said("evaluate", tmp_path / "code", "--calls")
    assert (code, out) == (1, "")
    assert "take one call of its decoder" in complaint(errors)


def test_that_draws_beyond_all_memory_are_refused_by_their_name(said, tmp_path):
    code, _, errors = said("evaluate", tmp_path, "--draws", 10_000_000_000)
    assert code == 2 and "--draws" in errors and "100000" in errors
