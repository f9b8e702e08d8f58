"""`train-classifier` does what it says, and says in one sentence what it cannot do."""

from __future__ import annotations

import re

from diffusion_studio.core.describe import knobs
from diffusion_studio.engine.classifier.files import read_card
from diffusion_studio.engine.classifier.training import ClassifierSpec
from diffusion_studio.engine.files.pictures import read_settings
from support.commands import SETS, complaint
from support.tiny import write_pictures


def test_that_a_classifier_is_trained_and_guides(said, tmp_path, pictures):
    run = tmp_path / "zoo"
    said("train", pictures, "--run", run, "--steps", "1", "--set", "model.conditional=false", *SETS)
    out = tmp_path / "a.png"
    options = ["--steps", "4", "--count", "3", "--guidance", "2", "--classifier"]
    code, _, errors = said("sample", run, *options, "--out", out)
    assert code == 1
    assert "or with diffusion-studio train-classifier RUN" in complaint(errors)
    keys = ["--set", "width=8", "--set", "batch_size=16"]
    code, found, errors = said("train-classifier", run, "--steps", "2", "--seed", "3", *keys)
    assert code == 0
    pattern = r"Right in [\d.]+ % at t = 1, in [\d.]+ % at t = 50 \(guessing: 33.3 %\)[^\n]*\.\n"
    assert re.fullmatch(pattern, found)
    assert "10 % are kept apart" in errors
    assert read_card(run).step == 2
    for given, form in (([], "eps"), (["mean", "--eta", "1"], "mean")):
        options = ["--out", out, "--force", "--steps", "4", "--label", "cat", "--guidance", "2"]
        options += ["--classifier", *given]
        assert said("sample", run, *options)[0] == 0
        chosen = read_settings(out)["sample"]
        assert (chosen["guide"], chosen["label"]) == ({"kind": "classifier", "form": form}, 2)


def test_that_a_classifier_that_cannot_be_trained_is_refused_in_one_sentence(said, tmp_path):
    source = write_pictures(tmp_path / "plain", classes=())
    run = tmp_path / "run"
    said("train", source, "--run", run, "--steps", "1", *SETS)
    for arguments, code, part in (
        ([run], 1, "have no labels"),
        ([tmp_path], 1, "is not a run"),
        ([run, "--set", "nonsense=1"], 2, "no parameter 'nonsense'"),
        ([run, "--set", "width=12"], 1, "no labels"),
    ):
        found, out, errors = said("train-classifier", *arguments)
        assert (found, out) == (code, "")
        assert part in complaint(errors)


def test_that_help_lists_the_keys_of_a_classifier(said):
    code, out, _ = said("train-classifier", "--help")
    assert code == 0
    for knob in knobs(ClassifierSpec()):
        assert re.search(rf"^\s+{re.escape(knob.path)}\b", out, re.MULTILINE), knob.path
