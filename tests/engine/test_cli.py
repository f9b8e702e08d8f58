"""The command line does what it says, and says in one sentence what it cannot do."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_studio import __version__, cli
from diffusion_studio.__main__ import COMMANDS
from diffusion_studio.core.describe import knobs
from diffusion_studio.engine.classifier.files import read_card
from diffusion_studio.engine.classifier.training import ClassifierSpec
from diffusion_studio.engine.files.pictures import read_settings
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.metrics import MetricsReader
from diffusion_studio.engine.runs.run import Run
from support.tiny import write_pictures

TINY = (
    "model.width=8", "model.multipliers=1,2", "model.layers=1", "model.attention=0", "diffusion.steps=50",
    "training.batch_size=16", "training.preview_count=0",
)  # fmt: skip
SETS = [word for pair in TINY for word in ("--set", pair)]

WITHOUT_QT = """
import sys
class NoQt:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("PySide6", "shiboken6", "pyqtgraph"):
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, NoQt())
from diffusion_studio.__main__ import main
sys.argv[0] = "diffusion-studio"
sys.exit(main())
"""


@pytest.fixture
def said(capsys):
    """Runs a command; gives (exit code, what it printed, what it complained)."""

    def said(*arguments: object) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return said


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny model of the digits, trained by the command line."""
    path = tmp_path_factory.mktemp("cli") / "run"
    home = pytest.MonkeyPatch()
    home.setenv("DIFFUSION_STUDIO_HOME", str(path.parent / "home"))
    assert cli.main(["train", "digits", "--run", str(path), "--steps", "3", "--seed", "7", *SETS]) == 0
    home.undo()
    return path


def complaint(errors: str) -> str:
    """The one sentence on stderr; bars are not sentences."""
    lines = [line for line in errors.splitlines() if line.strip() and "━" not in line]
    assert len(lines) == 1, errors
    assert "Traceback" not in errors
    return lines[0]


# --- train ------------------------------------------------------------------------------------------------


def test_that_training_makes_a_run_with_the_given_values(run):
    found = Run.open(run)
    assert found.step == 3
    assert found.config.seed == 7
    assert found.config.training.steps == 3
    assert found.config.model.width == 8
    assert len(MetricsReader(run / "metrics.sqlite").losses().losses) == 3


def test_that_a_run_without_a_name_gets_one_and_it_is_printed(said, isolated_home, pictures):
    code, out, _ = said("train", pictures, "--steps", "1", *SETS)
    assert code == 0
    path = Path(out.strip())
    assert path.parent == isolated_home / "runs"
    assert path.name.endswith("_zoo")
    assert Run.open(path).class_names == ("ape", "bee", "cat")


def test_that_resume_goes_on_to_the_new_limit(said, run, tmp_path):
    again = shutil.copytree(run, tmp_path / "again")
    code, out, _ = said("train", "digits", "--run", again, "--resume", "--steps", "5")
    assert (code, out.strip()) == (0, str(again))
    assert Run.open(again).step == 5
    steps = MetricsReader(again / "metrics.sqlite").losses().steps
    assert steps.tolist() == [1, 2, 3, 4, 5]


def test_that_skipped_files_are_counted(said, tmp_path):
    folder = write_pictures(tmp_path / "zoo")
    (folder / "ape" / "broken.png").write_bytes(b"no picture")
    code, _, errors = said("train", folder, "--run", tmp_path / "run", "--steps", "1", *SETS)
    assert code == 0
    assert "1 file was skipped" in errors
    assert "broken.png" in (tmp_path / "run" / "data.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["nowhere"], 1, "no folder"),
        (["digits", "--set", "training"], 2, "KEY=VALUE"),
        (["digits", "--set", "training.nonsense=1"], 2, "no parameter 'training.nonsense'"),
        (["digits", "--set", "training.batch_size=0"], 2, "greater than or equal to 1"),
        (["digits", "--set", "training.batch_size=many"], 2, "training.batch_size"),
        (["digits", "--set", "diffusion.schedule.kind=nonsense"], 2, "diffusion.schedule"),
        (["digits", "--resume"], 2, "--resume needs --run"),
        (["digits", "--resume", "--run", "gone"], 1, "not a run"),
        (["digits", "--run", "taken"], 1, "not empty"),
        (["digits", "--run", "file"], 1, "file"),
    ],
)
def test_that_a_training_that_cannot_be_is_refused_in_one_sentence(
    said, tmp_path, monkeypatch, arguments, code, part
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thing").touch()
    (tmp_path / "file").touch()
    found, out, errors = said("train", *arguments, "--steps", "1", *SETS)
    assert found == code
    assert not out
    assert part in complaint(errors)


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["elsewhere", "--resume"], 1, "was trained on digits"),
        (["digits", "--resume", "--set", "model.width=16"], 1, "model"),
        (["digits"], 1, "already holds a run"),
    ],
)
def test_that_a_run_keeps_what_it_was_made_of(said, run, arguments, code, part):
    before = (run / "config.json").read_bytes()
    found, _, errors = said("train", *arguments, "--run", run)
    assert found == code
    assert part in complaint(errors)
    assert (run / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    "arguments", [["train"], ["nonsense"], ["train", "digits", "--steps", "0"], ["train", "--nonsense"]]
)
def test_that_wrong_usage_ends_with_2_and_a_hint(said, arguments):
    code, _, errors = said(*arguments)
    assert code == 2
    assert "Usage:" in errors
    assert "Error:" in errors
    assert "Traceback" not in errors


# --- sample -----------------------------------------------------------------------------------------------


def test_that_samples_are_numbers_between_minus_one_and_one(said, run, tmp_path):
    out = tmp_path / "new" / "a.npz"
    code, told, _ = said("sample", run, "--out", out, "--steps", "4", "--count", "12")
    assert (code, told.strip()) == (0, str(out))
    with np.load(out) as found:
        assert sorted(found) == ["labels", "samples"]
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


def test_that_a_shape_error_is_a_fault_with_its_traceback_in_the_log(
    said, run, tmp_path, monkeypatch, isolated_home
):
    def fail(*_: object) -> None:
        np.zeros(3) + np.zeros(4)

    monkeypatch.setattr("diffusion_studio.engine.chains.chain.Chain.steps", fail)
    code, _, errors = said("sample", run, "--out", tmp_path / "grid.png")
    assert code == 1
    assert complaint(errors) == (
        f"Something went wrong in the program; what happened is in the log, in {isolated_home / 'logs'}."
    )
    log = (isolated_home / "logs" / "commands.log").read_text(encoding="utf-8")
    assert "Traceback" in log and "ValueError: operands could not be broadcast together" in log


def test_that_a_refusal_needs_no_log(said, tmp_path, isolated_home):
    code, _, errors = said("sample", tmp_path / "nowhere", "--out", tmp_path / "grid.png")
    assert code == 1 and "There is nothing at" in complaint(errors)
    assert not (isolated_home / "logs" / "commands.log").exists()


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
        (["--out", "a.png", "--label", "10"], 1, "no class 10"),
        (["--out", "a.png", "--steps", "51"], 1, "50"),
        (["--out", "a.png", "--trajectory"], 2, ".npz"),
        (["--out", "file/a.png", "--steps", "2"], 1, "file"),
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


# --- guidance and its classifier --------------------------------------------------------------------------


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
        options = ["--out", out, "--steps", "4", "--label", "cat", "--guidance", "2", "--classifier", *given]
        assert said("sample", run, *options)[0] == 0
        chosen = read_settings(out)["sample"]
        assert (chosen["guide"], chosen["label"]) == ({"kind": "classifier", "form": form}, 2)


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["--guidance", "nan"], 2, "finite number"),
        (["--guidance", "inf"], 2, "finite number"),
        (["--negative", "10"], 1, "no class 10"),
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


# --- the rest ---------------------------------------------------------------------------------------------


def test_that_help_lists_every_key_with_its_default(said):
    code, out, _ = said("train", "--help")
    assert code == 0
    words = re.sub(r"\s+", " ", out)
    for knob in knobs(RunConfig()):
        assert re.search(rf"^\s+{re.escape(knob.path)}\b", out, re.MULTILINE), knob.path
    assert "default 128]" in words
    for option in ("--run", "--steps", "--seconds", "--seed", "--device", "--set", "--resume"):
        assert option in out


def test_that_help_names_every_option_of_sample(said):
    code, out, _ = said("sample", "--help")
    assert code == 0
    for option in ("--out", "--sampler", "--steps", "--eta", "--count", "--label", "--guidance", "--seed",
                   "--classifier", "--negative", "--guidance-curve"):  # fmt: skip
        assert option in out


def test_that_help_lists_the_keys_of_a_classifier(said):
    code, out, _ = said("train-classifier", "--help")
    assert code == 0
    for knob in knobs(ClassifierSpec()):
        assert re.search(rf"^\s+{re.escape(knob.path)}\b", out, re.MULTILINE), knob.path


def test_that_no_command_is_taken_for_a_path():
    names = {each.name or each.callback.__name__ for each in cli.app.registered_commands}
    assert "train-classifier" in names
    assert names <= set(COMMANDS)


def test_that_the_version_is_printed(said):
    assert said("--version") == (0, f"{__version__}\n", "")


def test_that_doctor_reports_this_machine(said):
    code, out, _ = said("doctor")
    assert code in (0, 1)
    assert "torch" in out


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", WITHOUT_QT, *map(str, arguments)]


def test_that_it_works_where_qt_is_not_installed(tmp_path):
    done = subprocess.run(
        command("train", "digits", "--run", tmp_path / "run", "--steps", "2", *SETS),
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Run.open(tmp_path / "run").step == 2


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_that_a_signal_saves_and_ends_well(tmp_path, number):
    path = tmp_path / "run"
    process = subprocess.Popen(
        command("train", "digits", "--run", path, *SETS), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    with process:
        deadline = time.monotonic() + 60
        while not len(MetricsReader(path / "metrics.sqlite").losses().losses):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
        process.send_signal(number)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.strip() == str(path)
    assert "Stopping and saving" in errors
    assert "Traceback" not in errors
    step = Run.open(path).step
    assert step > 0
    assert MetricsReader(path / "metrics.sqlite").losses().steps[-1] == step


def test_that_the_memorising_denoiser_has_a_name_on_the_command_line(said, tmp_path):
    out = tmp_path / "a.npz"
    options = ("--out", out, "--count", 2, "--steps", 3, "--sampler", "heun")
    assert said("sample", "memorising:digits", *options)[0] == 0
    with np.load(out) as found:
        assert found["samples"].shape == (2, 1, 8, 8)
