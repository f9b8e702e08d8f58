"""A training on the command line: the command that begins it, and what `--set` takes for a value."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from diffusion_studio.core.describe import Knob, get_value, knobs, with_values
from diffusion_studio.engine.runs.config import RunConfig

_ROUNDS = 8  # a value may propose others, which are then said too
_OPTIONS = {"training.steps": "--steps", "training.seconds": "--seconds", "seed": "--seed"}
_BY_ARGUMENT = "data.source"


def training_command(config: RunConfig) -> str:
    """The command line that begins a training with this config; what is as by default is left out."""
    words = ["diffusion-studio", "train", config.data.source]
    for path, text in _said(config).items():
        words += [_OPTIONS[path], text] if path in _OPTIONS else ["--set", f"{path}={text}"]
    return shlex.join(words)


def _said(config: RunConfig) -> dict[str, str]:
    """The parameters that must be said, and what `--set` takes for each."""
    said: dict[str, str] = {}
    for _ in range(_ROUNDS):
        more = dict(_unsaid(config, with_values(RunConfig(), said.items())))
        if not more:
            break
        said |= more
    return said


def _unsaid(config: RunConfig, reached: RunConfig) -> Iterator[tuple[str, str]]:
    for knob in knobs(config):
        if knob.path != _BY_ARGUMENT and not _is_same(config, reached, knob.path):
            yield knob.path, text_of(knob, get_value(config, knob.path))


def _is_same(config: RunConfig, reached: RunConfig, path: str) -> bool:
    try:
        return bool(get_value(reached, path) == get_value(config, path))
    except KeyError:
        return False


def text_of(knob: Knob, value: Any) -> str:
    """What `--set` takes for a value."""
    match knob.type:
        case "files":
            return os.pathsep.join(value)
        case "points":
            return points_text(value)
        case "numbers":
            return ",".join(map(str, value))
        case _:
            return str(value)


def points_text(points: Sequence[tuple[float, float]]) -> str:
    return ",".join(f"{number_text(x)}:{number_text(y)}" for x, y in points)


def number_text(value: float) -> str:
    """As short as can be without a loss."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
