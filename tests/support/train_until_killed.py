"""Trains a run in a child process for each line that comes, so that the child can be killed.

The parent imports everything once; a child is a fork of it, fresh but for that.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import diffusers.models.unets.unet_2d  # noqa: F401 - takes its time
import torch

from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.run import is_run
from diffusion_studio.engine.training.trainer import train
from support.tiny import begin, resume, tiny_config


def main(path: Path, pictures: str) -> None:
    torch.set_num_threads(1)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            train_on(path, pictures)
            os._exit(0)
        os.waitpid(child, 0)
        print("gone", flush=True)


def train_on(path: Path, pictures: str) -> None:
    """Begins the run, or goes on from its newest checkpoint, without an end."""
    config = tiny_config(pictures, steps=1_000_000, checkpoint_every=2, keep_checkpoints=2)
    session = resume(path) if is_run(path) else begin(path, config)
    print(f"process {os.getpid()} at {session.counters.step}", flush=True)
    for event in train(session, Control()):
        print(type(event).__name__, getattr(event, "step", ""), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
