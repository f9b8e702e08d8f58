"""`train` does what it says, and says in one sentence what it cannot do."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion_studio.cli import sentences
from diffusion_studio.cli.sets import note_size
from diffusion_studio.core.describe import knobs
from diffusion_studio.data.load import load
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.metrics import MetricsReader
from diffusion_studio.engine.runs.run import Run
from support.commands import SETS, complaint, without_qt
from support.patience import look_again_soon
from support.tiny import write_pictures


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


def test_that_the_device_is_told_with_the_parts_that_it_works_on(said, pictures, tmp_path):
    sets = [*SETS, "--set", "training.parts=2"]
    code, _, errors = said("train", pictures, "--run", tmp_path / "run", "--steps", "1", *sets)
    assert code == 0 and "Trains on CPU · 2 parts × 1 thread." in errors


def test_that_betas_that_are_cut_are_told(said, pictures, tmp_path):
    sets = [*SETS, "--set", "diffusion.steps=10", "--set", "diffusion.schedule.kind=linear"]
    code, _, errors = said("train", pictures, "--run", tmp_path / "run", "--steps", "1", *sets)
    assert code == 0
    assert "5 of the 10 β_t are cut to 0.999" in errors


def test_that_it_is_told_how_pictures_become_squares(said, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.new("L", (90, 70), 40 * number).save(folder / f"{number}.png")
    sets = [part for part in SETS if "resolution" not in str(part)]
    code, _, errors = said("train", folder, "--run", tmp_path / "run", "--steps", "1", *sets)
    assert code == 0
    how = "Pictures of 90×70 are learned at 64×64: cut to squares, made smaller."
    assert f"{how} --set data.resolution=70 learns them larger." in errors
    *_, errors = said("train", folder, "--run", tmp_path / "run", "--resume", "--steps", "2")
    assert how in errors and "larger" not in errors
    *_, errors = said("train", folder, "--run", tmp_path / "quiet", "--quiet", "--steps", "1", *sets)
    assert errors == ""


@pytest.mark.parametrize(("side", "own", "larger"), [(20, 24, False), (64, 80, True)])
def test_that_a_larger_size_is_named_above_64_px_alone(side, own, larger, capsys):
    """Of a large folder some headers alone are read, so the usual picture may be another one than of all."""
    images = replace(
        load(DataSpec()), images=np.zeros((3, 1, side, side), np.uint8), sizes=np.full((3, 2), own, np.int32)
    )
    note_size(DataSpec(), images)
    assert (f"data.resolution={own} learns them larger" in capsys.readouterr().err) == larger


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
        (["digits", "--set", "training.batch_size=-1"], 2, "greater than or equal to 0"),
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
    found, out, errors = said("train", "--steps", "1", *SETS, *arguments)
    assert found == code
    assert not out
    assert part in complaint(errors)


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["elsewhere", "--resume"], 1, "There is no folder"),
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


def test_that_help_lists_every_key_with_its_default(said):
    code, out, _ = said("train", "--help")
    assert code == 0
    words = re.sub(r"\s+", " ", out)
    for knob in knobs(RunConfig()):
        assert re.search(rf"^\s+{re.escape(knob.path)}\b", out, re.MULTILINE), knob.path
    assert "default 1000]" in words
    for option in ("--run", "--steps", "--seconds", "--seed", "--device", "--set", "--resume"):
        assert option in out


def test_that_it_works_where_qt_is_not_installed(tmp_path):
    done = subprocess.run(
        without_qt("train", "digits", "--run", tmp_path / "run", "--steps", "2", *SETS),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Run.open(tmp_path / "run").step == 2


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "more"), [(signal.SIGINT, []), (signal.SIGTERM, ["--quiet"])])
def test_that_a_signal_saves_and_ends_well(tmp_path, number, more):
    path = tmp_path / "run"
    process = subprocess.Popen(
        without_qt("train", "digits", "--run", path, *more, *SETS), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    with process:
        while not len(MetricsReader(path / "metrics.sqlite").losses().losses):
            assert process.poll() is None, process.stderr.read()
            look_again_soon()
        process.send_signal(number)
        out, errors = process.communicate()
    assert process.returncode == 0
    assert out.strip() == str(path)
    assert "Stopping and saving" in errors if not more else not errors
    assert "Traceback" not in errors
    step = Run.open(path).step
    assert step > 0
    assert MetricsReader(path / "metrics.sqlite").losses().steps[-1] == step


@pytest.mark.skipif(os.name == "nt", reason="terminals of POSIX")
@pytest.mark.parametrize("reader", ["pipe", "terminal"])
def test_that_a_training_that_nobody_reads_any_more_is_saved(tmp_path, reader):
    path = tmp_path / "run"
    ours, theirs = os.pipe() if reader == "pipe" else os.openpty()
    log = (tmp_path / "log").open("w")
    streams = {"stdout": theirs, "stderr": log if reader == "pipe" else theirs}
    more = ["--json"] if reader == "pipe" else []
    process = subprocess.Popen(
        without_qt("train", "digits", "--run", path, *SETS, *more), env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL, **streams,
    )  # fmt: skip
    os.close(theirs)
    with process, log:
        while not len(MetricsReader(path / "metrics.sqlite").losses().losses):
            assert process.poll() is None
            look_again_soon()
        os.close(ours)
        if reader == "terminal":
            process.send_signal(signal.SIGHUP)  # as the system does to what runs in it
        assert process.wait() == 0
    step = Run.open(path).step
    assert step > 0
    assert MetricsReader(path / "metrics.sqlite").losses().steps[-1] == step
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file of Linux on a disk that is full")
def test_that_a_training_goes_on_where_what_it_says_has_no_room(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            without_qt("train", "digits", "--run", tmp_path / "run", "--steps", "5", "--json", *SETS),
            env=os.environ | {"OMP_NUM_THREADS": "1"}, stdin=subprocess.DEVNULL, stdout=full, stderr=full,
        )  # fmt: skip
    assert done.returncode == 0
    assert Run.open(tmp_path / "run").step == 5


@pytest.mark.skipif(os.name == "nt", reason="terminals of POSIX")
@pytest.mark.parametrize("reader", ["pipe", "terminal"])
def test_that_a_training_does_not_wait_for_who_takes_nothing(tmp_path, reader):
    """As after Ctrl+S, or in `less`: nobody reads, and the system keeps no more than a few lines."""
    ours, theirs = os.pipe() if reader == "pipe" else os.openpty()
    os.set_blocking(theirs, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(theirs, b"." * 4096)
    os.set_blocking(theirs, True)
    done = subprocess.run(
        without_qt("train", "digits", "--run", tmp_path / "run", "--steps", "5", *SETS),
        env=os.environ | {"OMP_NUM_THREADS": "1"}, stdin=subprocess.DEVNULL, stderr=theirs,
        stdout=theirs if reader == "terminal" else subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0
    assert Run.open(tmp_path / "run").step == 5


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_that_a_program_that_reads_slowly_has_each_line_and_a_person_whole_ones(monkeypatch):
    (from_out, to_out), (from_err, to_err) = os.pipe(), os.pipe()
    lines = [f"{number} {'.' * 99}" for number in range(4000)]
    with os.fdopen(to_out, "w") as out, os.fdopen(to_err, "w") as err, monkeypatch.context() as streams:
        streams.setattr("sys.stdout", out)
        streams.setattr("sys.stderr", err)
        streams.setattr(sentences, "PATIENCE", 0.0)
        for line in lines:
            sentences.note(line)
        telling = threading.Thread(target=lambda: [sentences.tell(line) for line in lines])
        telling.start()
        with os.fdopen(from_out) as reader:
            assert [next(reader).rstrip("\n") for _ in lines] == lines
        telling.join()
    with os.fdopen(from_err) as reader:
        seen = reader.read().splitlines()
    assert seen == lines[: len(seen)] and 0 < len(seen) < len(lines)
