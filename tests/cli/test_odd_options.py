"""Options of odd forms do what they look like, or are refused before any work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diffusion_studio.cli.target import LONGEST
from diffusion_studio.engine.files.files import draft_of
from support.commands import SETS, complaint
from support.tiny import write_pictures

QUICK = ("--steps", "2", "--count", "2")


def test_that_of_one_key_the_last_value_counts_whatever_its_form(said, tmp_path):
    keys = ["--set", "model.multipliers=1,2,3", "--set", "model.multipliers=1", "--set", "data.resolution=8"]
    folder = write_pictures(tmp_path / "zoo")
    assert said("train", folder, "--run", tmp_path / "run", "--steps", "1", *SETS, *keys)[0] == 0


@pytest.mark.parametrize(
    ("pair", "part"),
    [
        ("training.steps.more=1", "no parameter 'training.steps.more'"),
        ("diffusion.schedule.kind.more=1", "no parameter 'diffusion.schedule.kind.more'"),
        ("training=1", "training: it has parameters of its own"),
        ("diffusion.schedule=linear", "it has parameters of its own"),
        ("model.width=8.5", "model.width: a whole number is needed"),
        ("data.held_out=0,5", "data.held_out: a number is needed, like 0.5"),
        ("data.flip=perhaps", "data.flip: true or false is needed"),
        ("data.source=elsewhere", "DATA says which images"),
    ],
)
def test_that_a_value_that_cannot_be_is_refused_in_words_of_ours(said, tmp_path, pair, part):
    for command in ("train", "train-autoencoder"):
        if command == "train" or pair.startswith("data."):
            code, _, errors = said(command, "digits", "--run", tmp_path / "run", "--set", pair)
            assert code == 2
            assert part in complaint(errors)
            assert not any(word in errors for word in ("dictionary", "tuple", "unable", "instance"))


def test_that_the_sign_that_the_help_prints_is_understood(said, run, tmp_path):
    for label in ("−2", "-2"):
        out = tmp_path / f"{label}.png"
        assert said("sample", run, "--out", out, *QUICK, "--label", label)[0] == 0


def test_that_the_home_is_meant_where_the_shell_leaves_its_sign(said, run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert said("sample", run, *QUICK, "--out=~/x.png")[0] == 0
    assert (tmp_path / "x.png").exists()
    assert not (tmp_path / "~").exists()
    assert said("sample", run, *QUICK, "--out=~nobody-here/x.png")[0] == 0  # a folder of that name
    code, *words = said("train", "~nobody-here/pictures", "--run", "new", "--steps", "1")
    assert code == 1 and "There is no folder" in "".join(words)


def test_that_a_name_that_is_too_long_is_refused_before_the_work(said, run, tmp_path):
    room = LONGEST - len(os.fsencode(draft_of(Path("x")).name))
    fits = tmp_path / ("n" * (room - 3) + ".png")
    assert said("sample", run, *QUICK, "--out", fits)[0] == 0
    for command, ending in (("sample", ".png"), ("evaluate", ".json")):
        code, _, errors = said(command, run, "--out", tmp_path / ("n" * (room - 2) + ending))
        assert code == 2
        assert "is too long for the name of a file." in complaint(errors)


@pytest.mark.parametrize("out", [".", "/", "x", ".png"])
def test_that_a_file_of_no_kind_is_named_as_it_was_given(said, run, out):
    code, _, errors = said("sample", run, "--out", out)
    assert code == 2
    assert complaint(errors).startswith(f"{out} should end in .png")


def test_that_an_evaluation_makes_the_folder_of_its_file(said, pictures, tmp_path):
    where, small = tmp_path / "run", ["--set", "data.resolution=8", "--set", "data.held_out=0.5"]
    assert said("train", pictures, "--run", where, "--steps", "1", *SETS, *small)[0] == 0
    out = tmp_path / "new" / "deep" / "found.json"
    assert said("evaluate", where, "--elbo", "--images", "2", "--draws", "1", "--out", out)[0] == 0
    assert out.exists()


def test_that_more_samples_than_can_be_drawn_are_wrong_usage(said, run):
    code, _, errors = said("evaluate", run, "--samples", "5000")
    assert code == 2
    assert "--samples" in errors


def test_that_a_run_is_not_trained_on(said, run, tmp_path):
    code, _, errors = said("train", run, "--run", tmp_path / "new", "--steps", "1")
    assert code == 1
    assert "is a run, not a folder of images" in complaint(errors)


@pytest.mark.parametrize(("name", "part"), [("", "nothing is named"), ("file/model", "is a file")])
def test_that_an_export_has_a_place(said, run, tmp_path, monkeypatch, name, part):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    code, _, errors = said("export", run, name)
    assert code in (1, 2)
    assert part in errors


def test_that_an_export_fills_the_empty_folder_one_stands_in(said, run, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "model")
    assert said("export", run, ".")[0] == 0
    assert (tmp_path / "model" / "README.md").exists()


@pytest.mark.parametrize("out", ["chain.npz", "chain.gif"])
def test_that_states_for_which_there_is_no_room_are_refused_before_the_work(
    said, run, tmp_path, monkeypatch, out
):
    monkeypatch.setattr("diffusion_studio.engine.chains.export.free_memory", lambda: 1_000)
    more = ["--trajectory"] if out.endswith("npz") else []
    code, _, errors = said("sample", run, "--out", tmp_path / out, *QUICK, *more)
    assert code == 1
    assert "To keep every state of 2 images takes 0.0 GB" in complaint(errors)
    assert said("sample", run, "--out", tmp_path / "grid.png", *QUICK)[0] == 0
