"""`torchrun … -m diffusion_studio train`: real processes, what they write, and how they end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from diffusion_studio.engine.runs.checkpoints import newest_sound, problem_with, read_tensors
from diffusion_studio.engine.runs.run import Run
from support.commands import SETS
from support.patience import look_again_soon
from support.ranks import free_port, start_process, start_processes

SMALL = [
    *SETS, "--set", "model.width=16", "--set", "training.optimizer=adamw", "--device", "cpu",
]  # fmt: skip
"""Two channels in each group of the normalisation: of one alone what lies before it has no gradient."""


def weights(run: Path) -> Tensor:
    checkpoint, _ = newest_sound(run / "checkpoints")
    assert checkpoint is not None
    found = read_tensors(checkpoint, "trainer/raw.safetensors")
    return torch.cat([found[name].double().flatten() for name in sorted(found)])


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, errors = process.communicate()
    return process.returncode, out, errors


def torchrun(count: int, *arguments: str) -> list[str]:
    """The arguments of Python that start the program so many times."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(count)]
    launcher += ["--master-port", str(free_port())]
    return [*launcher, "-m", "--", "diffusion_studio", *arguments]  # or it takes --run for its --run-path


def test_that_torchrun_trains_one_run_as_one_process_would(said, isolated_home, pictures, tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert said("train", pictures, "--run", alone, "--steps", "4", *SMALL)[0] == 0
    arguments = ["train", str(pictures), "--run", str(together), "--steps", "4", *SMALL]
    started = subprocess.run([sys.executable, *torchrun(2, *arguments)], capture_output=True, text=True)
    assert started.returncode == 0, started.stderr
    assert started.stdout.strip() == str(together), "one process speaks"
    assert Run.open(together).metrics.losses().steps.tolist() == [1, 2, 3, 4]
    difference = weights(alone) - weights(together)
    assert float(difference.norm() / weights(alone).norm()) < 1e-5


def wait_for_checkpoint(run: Path, process: subprocess.Popen[str]) -> None:
    while not any((run / "checkpoints").glob("step-*")):
        assert process.poll() is None, process.communicate()
        look_again_soon()


def test_that_of_two_processes_one_that_is_killed_ends_the_other_with_a_sound_checkpoint(pictures, tmp_path):
    run = tmp_path / "run"
    arguments = ["train", str(pictures), "--run", str(run), *SMALL, "--set", "training.checkpoint_every=3"]
    first, second = start_processes(2, free_port(), "-m", "diffusion_studio", *arguments)
    wait_for_checkpoint(run, first)
    second.send_signal(signal.SIGKILL)
    code, _, errors = ended(first)
    second.communicate()
    assert code == 1
    assert re.search(r"Training stopped after step \d+\. Another process of this training ended", errors)
    assert "Traceback" not in errors
    sound, complaints = newest_sound(run / "checkpoints")
    assert sound is not None
    assert (problem_with(sound), complaints) == ("", ())


WITHOUT_ROOM = """
import os
import sys
from diffusion_studio.cli.program import main
from diffusion_studio.engine.training.learner import Learner
step, number = Learner.step, sys.argv.pop(1)
def without_room(self, batch, n):
    if n == 2 and os.environ["RANK"] == number:
        raise MemoryError
    return step(self, batch, n)
Learner.step = without_room
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [0, 1])
def test_that_too_little_memory_in_one_process_is_said_by_the_first(number, pictures, tmp_path):
    run = tmp_path / "run"
    arguments = ["train", str(pictures), "--run", str(run), *SMALL, "--set", "training.parts=1"]
    processes = start_processes(2, free_port(), "-c", WITHOUT_ROOM, str(number), *arguments)
    (code, _, first), (other_code, _, other) = map(ended, processes)
    assert (code, other_code) == (1, 1)
    assert ("Process 2 of 2 has run out of memory." in first) == (number == 1)
    assert "not enough memory for a batch of 16 images. Try again with each step in" in first
    assert ("has run out of memory" if number else "ended or cannot be reached") in other
    assert Run.open(run).step == 2


def test_that_a_signal_to_all_saves_once_and_ends_all(pictures, tmp_path):
    run = tmp_path / "run"
    arguments = ["train", str(pictures), "--run", str(run), *SMALL, "--set", "training.checkpoint_every=3"]
    processes = start_processes(2, free_port(), "-m", "diffusion_studio", *arguments)
    wait_for_checkpoint(run, processes[0])
    for _ in range(2):  # the terminal's, and the one that the launcher passes on
        for process in processes:
            process.send_signal(signal.SIGTERM)
    found = [ended(process) for process in processes]
    assert [code for code, _, _ in found] == [0, 0], found
    assert "everything is saved" in found[0][2]
    assert found[1][1:] == ("", "")


def test_that_only_training_is_for_several_processes(said, monkeypatch, run):
    for name, value in {
        "RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    code, _, errors = said("sample", run)
    assert code == 1
    assert "Several processes can only train together" in errors


def test_that_a_process_without_its_folder_ends_all_in_one_sentence(isolated_home, pictures, tmp_path):
    port, run = free_port(), tmp_path / "run"
    options = ["--run", str(run), "--steps", "2", *SMALL]
    first = start_process(0, 2, port, "-m", "diffusion_studio", "train", str(pictures), *options)
    second = start_process(1, 2, port, "-m", "diffusion_studio", "train", str(tmp_path / "gone"), *options)
    for process in (first, second):
        code, _, errors = ended(process)
        assert code == 1
        assert "Process 2 of 2: There is no folder" in errors
    assert not run.exists()
