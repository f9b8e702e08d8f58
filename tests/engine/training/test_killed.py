"""A process killed at any moment loses at most what came after its last checkpoint."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from diffusion_studio.engine.runs.checkpoints import checkpoint_step, list_checkpoints, problem_with
from diffusion_studio.engine.runs.run import Run, is_run
from support import train_until_killed
from support.tiny import begin, differing, everything, finish, resume, tiny_config, with_training

KILLS = 5
STEPS = 8


@pytest.fixture
def trainer(pictures: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that trains one run in a child, each time that it is told to."""
    script = str(Path(train_until_killed.__file__))
    paths = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(
        [sys.executable, script, str(tmp_path / "run"), str(pictures)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip
    yield process
    process.communicate()


def killed(trainer: subprocess.Popen[str], events: int, way: int) -> int:
    """Lets a process train and kills it `way` rounds after so many events; the last step seen saved."""
    assert trainer.stdin is not None
    assert trainer.stdout is not None
    print("go", file=trainer.stdin, flush=True)
    _, pid, _, step = trainer.stdout.readline().split()
    assert trainer.stdout.readline().startswith("Started")
    seen = [trainer.stdout.readline() for _ in range(events)]
    for _ in range(way):  # somewhere in the next step
        pass
    os.kill(int(pid), signal.SIGKILL)
    lines = [*seen, *iter(trainer.stdout.readline, "gone\n")]
    return max([int(step), *(int(line.split()[1]) for line in lines if line.startswith("Saved "))])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_that_kill_9_loses_at_most_the_steps_since_the_last_checkpoint(
    trainer: subprocess.Popen[str], pictures: Path, tmp_path: Path
) -> None:
    moments = random.Random(3)
    path = tmp_path / "run"
    last = 0
    for _ in range(KILLS):
        reached = killed(trainer, moments.randrange(10), moments.randrange(500_000))
        assert is_run(path)
        session = resume(path)
        assert session.counters.step >= reached >= last
        assert session.counters.position == 16 * session.counters.step
        found = list_checkpoints(session.run.checkpoint_folder)
        assert all(problem_with(checkpoint) == "" for checkpoint in found[-1:])
        assert session.counters.step == (checkpoint_step(found[-1]) if found else 0)
        stored = session.run.metrics.losses().steps
        assert stored.tolist() == list(range(1, len(stored) + 1))
        assert len(stored) >= session.counters.step
        with Run.open(path).lock():
            pass
        last = session.counters.step
    goal = last + STEPS
    session = resume(path, with_training(resume(path).config, steps=goal))
    finish(session)
    whole = begin(tmp_path / "whole", tiny_config(pictures, steps=goal))
    finish(whole)
    assert differing(everything(whole), everything(session)) == []
    assert np.array_equal(whole.run.metrics.losses().losses, session.run.metrics.losses().losses)
