"""Follows the run that is shown while another process trains it: in a terminal, or on another machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.files.pictures import read_grid
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.runs.checkpoints import checkpoint_step, list_checkpoints
from diffusion_studio.engine.runs.metrics_log import END, MetricsTail
from diffusion_studio.engine.runs.run import PAUSE, Run, Wish, ask, lock_of
from diffusion_studio.engine.training.events import ObjectiveChanged, Preview, TimestepErrors
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.notice import Notice

EVERY = 1.0  # seconds between two looks
WISHES: dict[Wish, str] = {"stop": "save and to end", "pause": "save and to rest", "go on": "go on"}
COLUMNS = ("t", "error", "spread", "count", "weight", "density", "share", "log_snr")
Line = dict[str, Any]


@dataclass(frozen=True)
class Followed(events.Event):
    """What another process told of the run that is shown here."""

    event: events.Event


def told_by_any(event: events.Event) -> events.Event:
    """What was told, whether by the training here or by another process."""
    return event.event if isinstance(event, Followed) else event


class Following(QObject):
    """Looks into the folder of one run at a time, beside the window."""

    told = Signal(object)  # Followed
    said = Signal(object)  # Notice

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_told)
        self._run: Path | None = None
        self.rests = False  # whether the other process is paused, as far as it said

    def look(self, run: Run, step: int) -> None:
        """Follows a run, whose losses are known up to `step`, while another process trains it."""

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            yield from (Followed(event) for event in followed(run, step, control))

        self._run, self.rests = run.path, (run.path / PAUSE).exists()
        self._slot.start(stream)

    def stop(self) -> None:
        """Follows no run any more; nothing more is told of it."""
        self._slot.drop()

    @property
    def run(self) -> Path | None:
        """The run that another process trains, if one is followed."""
        return self._run if self._slot.busy else None

    def ask(self, wish: Wish) -> None:
        """Asks the process that trains it for something, and says so."""
        if self.run is None:
            self.said.emit(Notice("info", "No other process trains the run that is shown."))
            return
        try:
            ask(self.run, wish)
        except OSError as error:
            why = f"{self.run} cannot be written, so nobody can be asked: {error.strerror or error}."
            self.said.emit(Notice("warning", why))
        else:
            self.said.emit(Notice("info", f"The other process was asked to {WISHES[wish]}."))

    def shutdown(self) -> None:
        self._slot.finish()

    def _on_told(self, event: events.Event) -> None:
        if isinstance(event, Followed):
            if isinstance(event.event, (events.Paused, events.Resumed)):
                self.rests = isinstance(event.event, events.Paused)
            self.told.emit(event)


def followed(run: Run, step: int, control: Control) -> Iterator[events.Event]:
    """What is added to a run by whoever trains it, until that ends; the last event is a `Finished` then.

    Args:
        step: up to which its losses are known.
    """
    tail, seen = MetricsTail(run.metrics_log_path), _Seen(run, step)
    lines = _since_start(tail.new())
    if not lines or not _goes_on(run.path, lines[-1]):
        return
    while not control.stopped:
        yield from seen.told_by(lines)
        if lines and lines[-1]["kind"] == END:
            yield events.Finished("done", step=seen.step)
            return
        control.rest(EVERY)
        lines = tail.new()


def _since_start(lines: list[Line]) -> list[Line]:
    """Those of the training that goes on; what came before it is known."""
    starts = [number for number, line in enumerate(lines, start=1) if line["kind"] == "start"]
    return (lines[starts[-1] :] or [{"kind": "waiting", "step": 0}]) if starts else lines


def _goes_on(path: Path, last: Line) -> bool:
    """Whether a training has not ended: neither in good order nor without a word."""
    if last["kind"] == END:
        return False
    try:
        with lock_of(path):
            return False
    except filelock.Timeout:
        return True
    except OSError:  # a folder that may only be read says nothing of who holds it
        return True


class _Seen:
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
        if (picture := self._newest_picture()) != self._pictures:
            self._pictures = picture
            yield from self._preview(picture)
        if (saved := self._newest_checkpoint()) != self._saved and saved is not None:
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
            case "paused":
                return events.Paused(line["step"], str(line.get("message", "")))
            case "resumed":
                return events.Resumed(line["step"])
            case "warning":
                return events.Warned(str(line.get("message", "")), line["step"])
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


def _errors(line: Line) -> TimestepErrors | None:
    """Errors by timestep; null stands for what was not seen yet. None, where they are no such numbers."""
    try:
        found: dict[str, Any] = {name: np.array(line[name], np.float64) for name in COLUMNS if name in line}
        found["count"] = found["count"].astype(np.int64)
        alike = {values.shape for values in found.values()} == {(len(found["t"]),)}
        return TimestepErrors(line["step"], **found) if alike else None
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
