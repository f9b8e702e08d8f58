"""What is new in the folder of a run that another process trains, as events."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.files.pictures import read_grid
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.runs.checkpoints import checkpoint_step, list_checkpoints
from diffusion_studio.engine.runs.quality import Quality
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.events import (
    ObjectiveChanged,
    Preview,
    PreviewMeasured,
    TimestepErrors,
)

Line = dict[str, Any]
COLUMNS = ("t", "error", "spread", "count", "weight", "density", "share", "log_snr")


@dataclass(frozen=True)
class ComputedBy(events.Event):
    """What computes from a step on, and how."""

    step: int
    device: str


def since_start(lines: list[Line]) -> list[Line]:
    """Those of the training that goes on; what came before it is known."""
    starts = [number for number, line in enumerate(lines, start=1) if line["kind"] == "start"]
    return (lines[starts[-1] :] or [{"kind": "waiting", "step": 0}]) if starts else lines


class Seen:
    """What was told of a run, so that only what is new is told."""

    def __init__(self, run: Run, step: int) -> None:
        self._run, self.step, self._measured = run, step, step
        self._pictures, self._saved = self._newest_picture(), self._newest_checkpoint()

    def told_by(self, lines: list[Line]) -> Iterator[events.Event]:
        """What these lines say, and what lies in the folder since the last time."""
        for kind, group in itertools.groupby(lines, lambda line: line["kind"]):
            for line in [self._losses([*group])] if kind == "loss" else map(self._event, group):
                if line is not None:
                    yield line
        with contextlib.suppress(OSError):  # it is away, and looked into again
            yield from self._files()

    def _files(self) -> Iterator[events.Event]:
        picture, saved = self._newest_picture(), self._newest_checkpoint()
        if picture not in (self._pictures, None):
            self._pictures = picture
            yield from self._preview(picture)
        if saved not in (self._saved, None) and saved is not None:
            self._saved = saved
            yield events.Saved(checkpoint_step(saved), saved)

    def _losses(self, lines: list[Line]) -> events.Event | None:
        """Those that are not known; a training that goes on from before begins again there."""
        new = [line for line in lines if line["step"] > self.step]
        if not new:
            return None
        losses = [np.nan if line["loss"] is None else line["loss"] for line in new]
        self.step = new[-1]["step"]
        limit = self._run.config.training.steps
        return events.Progress(
            self.step, limit, 0.0, 0.0, 0.0, self.step - len(new) + 1, np.array(losses, np.float32)
        )

    def _event(self, line: Line) -> events.Event | None:
        match line["kind"]:
            case "start":
                self.step = self._measured = min(self.step, line["step"])
            case "errors" if line["step"] > self._measured:
                self._measured = line["step"]
                return _errors(line)
            case "quality":
                return _measured(line)
            case "paused":
                return events.Paused(line["step"], str(line.get("message", "")))
            case "resumed":
                return events.Resumed(line["step"])
            case "warning":
                return events.Warned(str(line.get("message", "")), line["step"])
            case "device":
                return ComputedBy(line["step"], str(line.get("message", "")))
            case "objective":
                message, objective = str(line.get("message", "")), self._run.config.objective
                return ObjectiveChanged(line["step"], message, objective)
        return None

    def _newest_picture(self) -> Path | None:
        return max(self._run.sample_folder.glob("step-*.png"), default=None)

    def _newest_checkpoint(self) -> Path | None:
        return next(reversed(list_checkpoints(self._run.checkpoint_folder)), None)

    def _preview(self, path: Path | None) -> Iterator[events.Event]:
        side = self._run.config.data.resolution
        number = "" if path is None else path.stem.removeprefix("step-")
        if path is None or not number.isdecimal():
            return
        try:
            images = read_grid(path, side, side)
        except (OSError, Refused):  # half copied; the next one comes
            return
        yield Preview(int(number), images, (), path)


def _measured(line: Line) -> PreviewMeasured | None:
    """How good the samples of a step are; None, where some of it is no number."""
    values = {field.name: line[field.name] for field in fields(Quality) if field.name in line}
    if not all(isinstance(value, int | float) for value in values.values()):
        return None
    with contextlib.suppress(TypeError):  # there are too few of them
        return PreviewMeasured(line["step"], Quality(**values))
    return None


def _errors(line: Line) -> TimestepErrors | None:
    """Errors by timestep; null stands for what was not seen yet. None, where they are no such numbers."""
    try:
        found: dict[str, Any] = {name: np.array(line[name], np.float64) for name in COLUMNS if name in line}
        found["count"] = found["count"].astype(np.int64)
        alike = {values.shape for values in found.values()} == {(len(found["t"]),)}
        return TimestepErrors(line["step"], **found) if alike else None
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
