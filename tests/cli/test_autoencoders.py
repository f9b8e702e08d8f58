"""`train-autoencoder`, and `sample` and `evaluate` of what it trains."""

from __future__ import annotations

import json

import numpy as np
import pytest

from diffusion_studio.core.describe import knobs
from diffusion_studio.engine.files.pictures import read_settings
from diffusion_studio.engine.runs.autoencoder_config import HVAEConfig
from support.commands import complaint

SMALL = ["--set", "code.size=4", "--set", "code.width=16", "--set", "training.batch_size=32"]


@pytest.fixture
def trained(said, tmp_path):
    def trained(kind: str, *options: str):
        run = tmp_path / kind
        code, out, errors = said("train-autoencoder", "digits", "--run", run, "--kind", kind, "--steps", "3",
                                 *SMALL, *options)  # fmt: skip
        assert code == 0, errors
        assert out == f"{run}\n"
        return run

    return trained


@pytest.mark.parametrize("kind", ["ae", "vae", "hvae"])
def test_that_each_kind_is_trained_sampled_and_evaluated(said, trained, tmp_path, kind):
    run = trained(kind)
    assert said("sample", run, "--out", tmp_path / "a.png", "--count", "5", "--seed", "2")[0] == 0
    assert read_settings(tmp_path / "a.png")["count"] == 5
    assert said("sample", run, "--out", tmp_path / "a.npz", "--count", "5")[0] == 0
    with np.load(tmp_path / "a.npz") as numbers:
        assert numbers["samples"].shape == (5, 1, 8, 8)
    out = tmp_path / "all.json"
    options = ["--images", "10", "--draws", "4", "--samples", "64", "--out", out]
    code, lines, _ = said("evaluate", run, *options)
    assert code == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert (found["kind"], found["step"], found["bound"]["dims"]) == (kind, 3, 64)
    assert "Fréchet distance" in lines
    assert ("gap" in lines) == (kind != "ae")


def test_that_it_goes_on(said, trained):
    run = trained("vae")
    code, _, errors = said("train-autoencoder", "digits", "--run", run, "--resume", "--steps", "5")
    assert code == 0
    assert "Step 5, everything is saved." in errors
    code, _, errors = said("train-autoencoder", "digits", "--run", run, "--resume", "--kind", "ae")
    assert code == 1
    assert "of the kind vae, not ae" in complaint(errors)


@pytest.mark.parametrize(
    ("options", "code", "part"),
    [
        (["--set", "code.size=100"], 1, "larger than the images"),
        (["--set", "decoder.variance=0"], 2, "greater than 0"),
        (
            ["--kind", "hvae", "--set", "hierarchy.levels=3", "--set", "hierarchy.sizes=8"],
            2,
            "3 levels but one",
        ),
        (["--kind", "hvae", "--set", "hierarchy.fixed_encoder=true"], 2, "the image's dimension"),
        (["--resume"], 2, "--resume needs --run"),
    ],
)
def test_that_what_cannot_be_is_refused_in_a_sentence(said, options, code, part):
    found, out, errors = said("train-autoencoder", "digits", "--steps", "1", *options)
    assert (found, out) == (code, "")
    assert part in complaint(errors)


def test_that_options_of_a_chain_are_refused(said, trained, tmp_path):
    run = trained("vae")
    for options, part in (
        (["--sampler", "ddim"], "--sampler means nothing"),
        (["--guidance", "2"], "--guidance"),
        (["--steps", "20"], "--steps means nothing"),
    ):
        code, _, errors = said("sample", run, "--out", tmp_path / "a.png", *options)
        assert code == 2
        assert part in complaint(errors)
    code, _, errors = said("sample", run, "--out", tmp_path / "a.gif")
    assert code == 2
    assert "no chain to be animated" in complaint(errors)


def test_that_the_other_commands_say_what_the_run_holds(said, trained):
    run = trained("vae")
    code, _, errors = said("train", "digits", "--run", run, "--resume")
    assert code == 1
    assert "holds a training of the kind vae, not diffusion" in complaint(errors)


def test_that_help_lists_every_key(said):
    code, out, _ = said("train-autoencoder", "--help")
    assert code == 0
    for knob in knobs(HVAEConfig()):
        assert knob.path in out
