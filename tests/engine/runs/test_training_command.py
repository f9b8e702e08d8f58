"""The command that begins a training says all that is not as by default, and nothing else."""

from __future__ import annotations

import shlex

import pytest

from diffusion_studio.cli.sets import changed
from diffusion_studio.core.describe import variants, with_values
from diffusion_studio.engine.runs.command import training_command
from diffusion_studio.engine.runs.config import RunConfig

FLAGS = {"--steps": "training.steps", "--seconds": "training.seconds", "--seed": "seed"}


def understood(command: str) -> RunConfig:
    """The config that the command line makes of the words."""
    program, verb, source, *words = shlex.split(command)
    assert (program, verb) == ("diffusion-studio", "train")
    pairs = [f"data.source={source}"]
    for flag, value in zip(words[::2], words[1::2], strict=True):
        pairs.append(value if flag == "--set" else f"{FLAGS[flag]}={value}")
    return changed(RunConfig(), pairs)


CHANGES = {
    "nothing": {},
    "plain values": {"training.steps": 500, "seed": 7, "training.learning_rate": 1.7e-4, "data.flip": True},
    "time": {"training.seconds": 90.5, "data.source": "/home/ada/my pictures"},
    "another prediction with its own weight": {"objective.predict": "x_0"},
    "another prediction with the weight of before": {
        "objective.predict": "x_0",
        "objective.weight.kind": "surrogate",
    },
    "a network by hand": {"model.width": 24, "model.multipliers": (1, 2, 3), "model.conditional": False},
    "an odd share": {"data.held_out": 0.1 + 0.2},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=list(CHANGES))
def test_that_the_command_makes_the_same_config(changes: dict[str, object]) -> None:
    config = with_values(RunConfig(), changes.items())
    assert understood(training_command(config)) == config


def test_that_every_member_of_every_family_can_be_said() -> None:
    for config in variants(RunConfig()):
        assert understood(training_command(config)) == config


def test_that_what_is_as_by_default_is_left_out() -> None:
    assert training_command(RunConfig()) == "diffusion-studio train digits"
