"""Names that are empty, in another encoding, or of folders that were moved."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys

import numpy as np
import pytest

from diffusion_studio.cli.program import main
from diffusion_studio.engine.files.pictures import read_settings
from diffusion_studio.engine.runs.run import Run
from support.commands import SETS, complaint
from support.tiny import write_pictures

SMALL = [*SETS, "--set", "data.resolution=8"]
EMPTY = [
    ("train", ""), ("train", " "), ("train", "digits", "--run", ""), ("sample", "", "--out", "a.png"),
    ("sample", "memorising:digits", "--out", ""), ("evaluate", ""), ("evaluate", "run", "--out", ""),
    ("evaluate", "run", "--data", ""), ("train-classifier", ""), ("train-autoencoder", ""),
]  # fmt: skip


def test_that_a_name_cannot_act_on_the_terminal(said, tmp_path):
    code, _, errors = said("sample", tmp_path / "\x1b[31mred\x07\tx", "--out", tmp_path / "a.png")
    assert code == 1
    assert "\\x1b[31mred\\x07 x" in errors
    assert "\x07" not in errors


@pytest.mark.parametrize("arguments", EMPTY)
def test_that_an_empty_name_is_not_the_folder_one_stands_in(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(write_pictures(tmp_path / "zoo"))
    before = sorted(tmp_path.rglob("*"))
    code, out, errors = said(*arguments)
    assert (code, out) == (2, "")
    assert "nothing is named here." in errors
    assert [path for path in sorted(tmp_path.rglob("*")) if "home" not in path.parts] == before


def printed(*arguments: object) -> str:
    """What a command that succeeds prints, whose names are in no encoding."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out):
        assert main([str(argument) for argument in arguments]) == 0
        out.flush()
    return os.fsdecode(out.buffer.getvalue()).rstrip("\n")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_that_names_in_another_encoding_are_trained_on_resumed_measured_and_sampled(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    ape, zurich = classes = ("ape", os.fsdecode(b"z\xfcrich"))
    write_pictures(folder, classes)
    (folder / ape / "0.png").rename(folder / ape / os.fsdecode(b"bild\xff.png"))
    run = tmp_path / os.fsdecode(b"l\xe4uf")
    previews = ["--set", "training.preview_count=4", "--set", "training.preview_share=0.5"]
    assert printed("train", folder, "--run", run, "--steps", "2", *SMALL, *previews) == str(run)
    assert Run.open(run).config.data.source == str(folder)
    assert Run.open(run).class_names == ("ape", "z\\udcfcrich")
    (preview,) = run.glob("samples/*.png")
    assert read_settings(preview)["config"]["data"]["source"] == str(folder)
    printed("train", folder, "--run", run, "--resume", "--steps", "3")
    printed("evaluate", run, "--elbo", "--images", "2", "--out", tmp_path / "e.json")
    assert json.loads((tmp_path / "e.json").read_bytes())["run"] == run.name
    out = tmp_path / os.fsdecode(b"aus\xe9.npz")
    assert printed("sample", run, "--out", out, "--count", "2", "--steps", "2", "--label", zurich) == str(out)
    with np.load(out) as found:
        assert found["labels"].tolist() == [1, 1]


def test_that_data_says_where_the_images_of_a_run_are_now(said, tmp_path):
    zoo, run = write_pictures(tmp_path / "zoo"), tmp_path / "run"
    assert said("train", zoo, "--run", run, "--steps", "1", *SMALL)[0] == 0
    zoo.rename(tmp_path / "far")
    for command in (["evaluate", run, "--elbo"], ["train", zoo, "--run", run, "--resume", "--steps", "2"]):
        code, _, errors = said(*command)
        assert code == 1
        assert "were moved, --data on the command line says where they are, or" in complaint(errors)
    far = ["--data", tmp_path / "far"]
    assert said("evaluate", run, "--elbo", "--images", "2", *far)[0] == 0
    assert said("train-classifier", run, "--steps", "1", "--set", "width=8", *far)[0] == 0
    assert said("train", zoo, "--run", run, "--resume", "--steps", "2", *far)[0] == 0
    assert Run.open(run).config.data.source == str(tmp_path / "far")
    code, _, errors = said("train", zoo, "--run", tmp_path / "new", *far)
    assert (code, complaint(errors).startswith("--data goes with --resume")) == (2, True)
