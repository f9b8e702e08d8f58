"""`sample` does what it says, and says in one sentence what it cannot do."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_studio.engine.files.pictures import read_settings
from support.commands import SETS, complaint
from support.tiny import begin, finish, tiny_config


def test_that_samples_are_numbers_between_minus_one_and_one(said, run, tmp_path):
    out = tmp_path / "new" / "a.npz"
    code, told, _ = said("sample", run, "--out", out, "--steps", "4", "--count", "12")
    assert (code, told.strip()) == (0, str(out))
    with np.load(out) as found:
        assert sorted(found) == ["class_names", "labels", "samples"]
        assert found["samples"].shape == (12, 1, 8, 8)
        assert found["samples"].dtype == np.float32
        assert np.abs(found["samples"]).max() <= 1
        assert found["labels"].tolist() == [*range(10), 0, 1]


def test_that_a_trajectory_goes_from_noise_to_image(said, run, tmp_path):
    out = tmp_path / "a.npz"
    assert said("sample", run, "--out", out, "--steps", "4", "--count", "3", "--trajectory")[0] == 0
    with np.load(out) as found:
        assert found["t"].shape == (5,)
        assert found["t"][0] == 50
        assert found["t"][-1] == 0
        assert (np.diff(found["t"]) < 0).all()
        assert found["x_t"].shape == (5, 3, 1, 8, 8)
        assert found["x0_hat"].shape == (4, 3, 1, 8, 8)
        assert found["x_t"].dtype == found["x0_hat"].dtype == np.float32
        np.testing.assert_array_equal(found["samples"], found["x_t"][-1].clip(-1, 1))
        assert abs(found["x_t"][0].std() - 1) < 0.2


def test_that_the_same_command_gives_the_same_numbers(said, run, tmp_path):
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / f"{name}.npz"
        said("sample", run, "--out", out, "--steps", "3", "--count", "2", "--eta", "1", "--seed", seed)
        with np.load(out) as numbers:
            found.append(numbers["samples"])
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0.01


def test_that_no_more_steps_are_taken_than_there_are_unless_they_are_asked_for(said, pictures, tmp_path):
    finish(begin(tmp_path / "run", tiny_config(pictures, T=6)))
    out = tmp_path / "a.npz"
    arguments = ("sample", tmp_path / "run", "--out", out, "--count", 2, "--trajectory")
    assert said(*arguments)[0] == 0
    with np.load(out) as found:
        assert found["t"].tolist() == [6, 5, 4, 3, 2, 1, 0]
    code, _, errors = said(*arguments, "--steps", 50, "--force")
    assert code == 1 and "must lie between 1 and T = 6" in complaint(errors)


def test_that_png_holds_the_settings(said, run, tmp_path):
    out = tmp_path / "a.png"
    options = ["--steps", "3", "--count", "4", "--label", "5", "--guidance", "2", "--sampler", "ddpm"]
    assert said("sample", run, "--out", out, *options)[0] == 0
    settings = read_settings(out)
    assert (settings["model"], settings["step"]) == ("run", 3)
    chosen = settings["sample"]
    assert (chosen["steps"], chosen["count"], chosen["label"], chosen["guidance"]) == (3, 4, 5, 2.0)
    assert chosen["sampler"]["kind"] == "ddpm"


def test_that_gif_shows_the_chain(said, run, tmp_path):
    out = tmp_path / "a.GIF"
    assert said("sample", run, "--out", out, "--steps", "4", "--count", "4")[0] == 0
    with Image.open(out) as image:
        assert image.n_frames == 4  # the last estimate is the image itself


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError(), RuntimeError("CUDA error: out of memory")]
)
def test_that_samples_for_which_there_is_no_room_are_refused_in_one_sentence(
    said, run, tmp_path, monkeypatch, error
):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("diffusion_studio.engine.chains.chain.Chain.steps", fail)
    code, _, errors = said("sample", run, "--out", tmp_path / "grid.png")
    assert code == 1 and "not enough memory" in complaint(errors)
    assert not (tmp_path / "grid.png").exists()


def test_that_a_checkpoint_is_sampled_like_its_run(said, run, tmp_path):
    (checkpoint,) = (run / "checkpoints").iterdir()
    for place, name in ((run, "a"), (checkpoint, "b")):
        said("sample", place, "--out", tmp_path / f"{name}.npz", "--steps", "2", "--count", "1")
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        np.testing.assert_array_equal(a["samples"], b["samples"])


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["--out", "a.txt"], 2, "should end in"),
        (["--out", "a.png", "--sampler", "nonsense"], 2, "sampler"),
        (["--out", "a.png", "--eta", "3"], 2, "eta"),
        (["--out", "a.png", "--eta", "nan"], 2, "eta"),
        (["--out", "a.png", "--sampler", "ddpm", "--eta", "1"], 2, "sampler.eta"),
        (["--out", "a.png", "--guidance", "-1"], 2, "guidance"),
        (["--out", "a.png", "--label", "10"], 2, "There is no class '10'. The classes are 0, 1"),
        (["--out", "a.png", "--steps", "51"], 1, "50"),
        (["--out", "a.png", "--trajectory"], 2, ".npz"),
        (["--out", "file/a.png", "--steps", "2"], 2, "is a file, so"),
    ],
)
def test_that_samples_that_cannot_be_are_refused_in_one_sentence(
    said, run, tmp_path, monkeypatch, arguments, code, part
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    found, out, errors = said("sample", run, *arguments)
    assert found == code
    assert not out
    assert part in complaint(errors)
    assert "[Errno" not in errors


def test_that_a_place_without_a_model_is_named(said, tmp_path):
    for place, part in ((tmp_path / "gone", "nothing at"), (tmp_path, "neither a run nor a model folder")):
        code, _, errors = said("sample", place, "--out", tmp_path / "a.png")
        assert code == 1
        assert part in complaint(errors)


def test_that_a_damaged_model_is_one_sentence(said, run, tmp_path):
    again = shutil.copytree(run, tmp_path / "again")
    for file in again.rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:100])
    code, _, errors = said("sample", again, "--out", tmp_path / "a.png")
    assert code == 1
    assert "no usable checkpoint" in complaint(errors)


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["--guidance", "nan"], 2, "finite number"),
        (["--guidance", "inf"], 2, "finite number"),
        (["--negative", "10"], 2, "no class '10'"),
        (["--negative", "dog"], 2, "no class 'dog'. The classes are 0, 1,"),
        (["--guidance-curve", "sometimes"], 2, "an interval like 0.2-0.8"),
        (["--classifier"], 1, "no classifier of noisy images yet"),
        (["--classifier", "mean"], 1, "no classifier of noisy images yet"),
    ],
)
def test_that_guidance_that_cannot_be_is_refused_in_one_sentence(said, run, tmp_path, arguments, code, part):
    found, out, errors = said("sample", run, *arguments, "--out", tmp_path / "a.png")
    assert (found, out) == (code, "")
    assert part in complaint(errors)


def test_that_guidance_is_read(said, run, tmp_path):
    out = tmp_path / "a.png"
    options = ["--negative", "3", "--label", "-2", "--guidance-curve", "0.1-0.9", "--guidance", "3"]
    assert said("sample", run, "--out", out, "--steps", "2", *options)[0] == 0
    chosen = read_settings(out)["sample"]
    assert (chosen["label"], chosen["guide"]["negative"]) == (-2, 3)
    assert (chosen["curve"]["low"], chosen["curve"]["high"]) == (0.1, 0.9)


def test_that_help_names_every_option_of_sample(said):
    code, out, _ = said("sample", "--help")
    assert code == 0
    for option in ("--out", "--sampler", "--steps", "--eta", "--count", "--label", "--guidance", "--seed",
                   "--classifier", "--negative", "--guidance-curve"):  # fmt: skip
        assert option in out


def test_that_the_memorising_denoiser_has_a_name_on_the_command_line(said, tmp_path):
    out = tmp_path / "a.npz"
    options = ("--out", out, "--count", 2, "--steps", 3, "--sampler", "heun")
    assert said("sample", "memorising:digits", *options)[0] == 0
    with np.load(out) as found:
        assert found["samples"].shape == (2, 1, 8, 8)


def test_that_a_file_is_replaced_only_by_force(said, run, tmp_path):
    out = tmp_path / "a.png"
    out.write_text("mine")
    asked = ("sample", run, "--out", out, "--steps", "2", "--count", "2")
    code, _, errors = said(*asked)
    assert (code, out.read_text()) == (2, "mine")
    assert "is there already; --force replaces it." in errors
    assert said(*asked, "--force")[0] == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_that_a_folder_is_no_file_to_write_to(said, run, tmp_path):
    for command, name in (("sample", "a.png"), ("sample", "a.npz"), ("evaluate", "a.json")):
        (tmp_path / name).mkdir()
        code, _, errors = said(command, run, "--out", tmp_path / name)
        assert code == 2
        assert f"is a folder; name a file in it, like {tmp_path / name / name}." in errors


def test_that_brackets_in_a_name_come_out_whole(said, tmp_path):
    code, _, errors = said("sample", tmp_path / "[red]run[/red] [0]", "--out", tmp_path / "a.png")
    assert code == 1
    assert "[red]run[/red] [0]" in errors


def test_that_npz_names_the_classes(said, run, tmp_path):
    out = tmp_path / "a.npz"
    assert said("sample", run, "--out", out, "--steps", "2", "--count", "3", "--label", "7")[0] == 0
    with np.load(out) as found:
        assert [str(found["class_names"][label]) for label in found["labels"]] == ["7", "7", "7"]


def test_that_guidance_that_cannot_act_is_said(said, pictures, tmp_path):
    plain = ["--set", "model.conditional=false", "--set", "data.resolution=8"]
    assert said("train", pictures, "--run", tmp_path / "plain", "--steps", "1", *SETS, *plain)[0] == 0
    sample = (
        "sample",
        tmp_path / "plain",
        "--out",
        tmp_path / "a.npz",
        "--count",
        "2",
        "--steps",
        "2",
        "--force",
    )
    code, _, errors = said(*sample, "--guidance", "3")
    assert (code, complaint(errors)) == (0, "plain was trained without labels, so --guidance does nothing.")
    code, _, errors = said(*sample, "--negative", "ape", "--guidance", "3")
    assert code == 1
    assert complaint(errors).startswith("plain was trained without labels, so there is no class")


@pytest.mark.parametrize(("guidance", "told"), [("1", True), ("3", False)])
def test_that_a_class_to_lead_away_from_that_does_nothing_is_told(said, run, tmp_path, guidance, told):
    asked = ["--steps", "2", "--count", "1", "--label", "1", "--negative", "3", "--guidance", guidance]
    code, _, errors = said("sample", run, "--out", tmp_path / "x.png", *asked)
    assert code == 0
    assert ("--negative does nothing" in errors) == told
