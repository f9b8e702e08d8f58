"""Anything that is learned in steps is a task of the loop: here a straight line, fitted to points."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop.loop import train
from diffusion_studio.engine.loop.run_keeper import kept_in, resume
from diffusion_studio.engine.loop.task import Counters, Limits
from diffusion_studio.engine.runs.checkpoints import CheckpointContent
from diffusion_studio.engine.runs.config import TrainingConfig
from diffusion_studio.engine.runs.creation import create_run
from diffusion_studio.engine.runs.run import Run

SLOPE, HEIGHT = 3.0, -1.0


class LineConfig(TrainingConfig):
    """What config.json says of it."""

    kind: ClassVar[str] = "line"


@dataclass(frozen=True)
class Fitted(events.Event):
    """The line as it is now."""

    slope: float


class Line:
    """y = a x + b by gradient steps with momentum on drawn points."""

    size = 16

    def __init__(self) -> None:
        self.line, self.speed = torch.zeros(2), torch.zeros(2)

    def step(self, number: int, share: float) -> torch.Tensor:
        x = torch.rand(self.size, generator=torch.Generator().manual_seed(number))
        line = self.line.clone().requires_grad_()
        losses = (line[0] * x + line[1] - (SLOPE * x + HEIGHT)) ** 2
        (gradient,) = torch.autograd.grad(losses.mean(), line)
        self.speed = 0.8 * self.speed + gradient
        self.line = self.line - 0.2 * self.speed
        return losses.detach()

    def tell(self, progress: events.Progress, last: bool) -> Iterator[events.Event]:
        yield Fitted(float(self.line[0]))

    def state(self) -> CheckpointContent:
        return CheckpointContent({}, {"line.safetensors": {"line": self.line, "speed": self.speed}})

    def restore(self, content: CheckpointContent) -> None:
        self.line, self.speed = (content.tensors["line.safetensors"][name] for name in ("line", "speed"))


def told_by(run: Run, task: Line, counters: Counters, steps: int, control: Control) -> Iterator[events.Event]:
    with kept_in(run, 3, counters) as keeper:
        yield from train(task, control, Limits(steps, save_every=10), keeper, counters)


def fit(path: Path, steps: int, control: Control | None = None) -> tuple[Line, list[events.Event]]:
    """A line trained to its end in a run folder, and what was told; it goes on from what is kept there."""
    task = Line()
    run = Run.open_as(path, LineConfig) if path.exists() else create_run(path, LineConfig(), {})
    counters = resume(task, run.newest_checkpoint()[0]) if run.step else Counters()
    told, wish = [], control or Control()
    for event in told_by(run, task, counters, steps, wish):
        told.append(event)
        if isinstance(event, events.Paused):
            wish.resume()
    return task, told


def same(one: Line, other: Line) -> bool:
    return torch.equal(one.line, other.line) and torch.equal(one.speed, other.speed)


def test_that_a_line_is_learned_and_everything_told(tmp_path):
    task, told = fit(tmp_path / "run", 300)
    assert task.line.tolist() == pytest.approx([SLOPE, HEIGHT], abs=0.01)
    assert told[-1] == events.Finished("done", "Step 300, everything is saved.", step=300)
    losses = np.concatenate([event.losses for event in told if isinstance(event, events.Progress)])
    assert len(losses) == 300
    assert losses[-1] < 1e-4 < losses[0]
    assert [event.step for event in told if isinstance(event, events.Saved)] == [*range(10, 301, 10)]
    assert [event for event in told if isinstance(event, Fitted)][-1].slope == float(task.line[0])
    assert Run.open_as(tmp_path / "run", LineConfig).metrics.losses().steps.tolist() == [*range(1, 301)]


def test_that_a_pause_changes_nothing(tmp_path):
    control = Control()
    control.pause()
    paused, told = fit(tmp_path / "paused", 30, control)
    assert [type(event) for event in told if isinstance(event, events.Paused | events.Resumed)] == [
        events.Paused, events.Resumed,
    ]  # fmt: skip
    assert same(paused, fit(tmp_path / "plain", 30)[0])


def test_that_it_goes_on_bit_for_bit(tmp_path):
    fit(tmp_path / "run", 17)
    assert same(fit(tmp_path / "run", 40)[0], fit(tmp_path / "plain", 40)[0])


def test_that_a_killed_one_goes_on_bit_for_bit(tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, __file__, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line.startswith("Saved 20") for line in process.stdout)
        process.kill()
    kept = Run.open_as(run, LineConfig).step
    assert kept >= 20
    assert same(fit(run, kept + 15)[0], fit(tmp_path / "plain", kept + 15)[0])


if __name__ == "__main__":  # the one that is killed: it trains without an end
    for event in told_by(create_run(Path(sys.argv[1]), LineConfig(), {}), Line(), Counters(), 0, Control()):
        print(type(event).__name__, getattr(event, "step", ""), flush=True)
