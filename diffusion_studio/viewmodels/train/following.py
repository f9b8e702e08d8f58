"""Follows the run that is shown while another process trains it: in a terminal, or on another machine."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr, trc
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.files.pictures import read_grid
from diffusion_studio.engine.files.places import cache_dir
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.remote import Remote, Stop
from diffusion_studio.engine.runs.checkpoints import checkpoint_step, list_checkpoints
from diffusion_studio.engine.runs.metrics_log import END, MetricsTail
from diffusion_studio.engine.runs.run import (
    LOCK,
    METRICS_LOG,
    PAUSE,
    STOP,
    Run,
    RunError,
    Wish,
    ask,
    is_run,
    lock_of,
)
from diffusion_studio.engine.training.events import ObjectiveChanged, Preview, TimestepErrors
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.notice import Notice

Doing = Callable[[Remote, Stop], None]
Line = dict[str, Any]
EVERY = 1.0  # seconds between two looks
WISHES: dict[Wish, str] = {
    "stop": trc("was asked to", "save and to end"),
    "pause": trc("was asked to", "save and to rest"),
    "go on": trc("was asked to", "go on"),
}
QUIET = 20  # looks without anything new, after which it is asked whether it is trained at all
NOTHING: Line = {"kind": "waiting"}
EVERY_THERE = 3.0  # the same on another machine
LEFT_OUT = (
    "checkpoints", "classifier", "tensorboard", "code", "metrics.sqlite*", LOCK, PAUSE, STOP,
)  # fmt: skip
"""Of a mirror."""
WISHES_THERE: dict[Wish, Doing] = {
    "stop": lambda there, stop: there.touch(STOP, stop),
    "pause": lambda there, stop: there.touch(PAUSE, stop),
    "go on": lambda there, stop: there.remove(PAUSE, stop),
}
COLUMNS = ("t", "error", "spread", "count", "weight", "density", "share", "log_snr")


@dataclass(frozen=True)
class Followed(events.Event):
    """What another process told of the run that is shown here."""

    event: events.Event


def told_by_any(event: events.Event) -> events.Event:
    """What was told, whether by the training here or by another process."""
    return event.event if isinstance(event, Followed) else event


@dataclass(frozen=True)
class Reached(events.Event):
    """The folder, or the other machine, is there again; what was said of it does not hold any more."""

    message: str


@dataclass(frozen=True)
class Arrived(events.Event):
    """A run on another machine is mirrored here."""

    run: Path


class Following(QObject):
    """Looks into the folder of one run at a time, beside the window; one on another machine is mirrored.

    What is asked of another machine takes its time, so it is asked in a job.
    """

    told = Signal(object)  # Followed
    said = Signal(object)  # Notice
    arrived = Signal(object)  # Path of the mirror of a run

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_told)
        self._asking = Slot(self)
        self._asking.told.connect(self._on_answer)
        self._run: Path | None = None
        self._mirrors: dict[Path, Remote] = {}
        self.rests = False  # whether the other process is paused, as far as it said

    def look(self, run: Run, step: int) -> None:
        """Follows a run, whose losses are known up to `step`, while another process trains it."""

        remote = self._mirrors.get(run.path)

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            yield from (Followed(event) for event in followed(run, step, control, remote))

        self._run, self.rests = run.path, (run.path / PAUSE).exists()
        self._slot.start(stream)

    def look_at(self, address: str) -> None:
        """Mirrors a run on another machine, and tells where to."""
        try:
            remote = Remote.at(address)
        except Refused as error:
            self.said.emit(Notice("warning", str(error)))
            return
        place = mirror_of(remote)
        self._mirrors[place] = remote

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            remote.mirror(place, LEFT_OUT, lambda: control.stopped)
            yield Arrived(place)

        self.said.emit(Notice("info", tr("Asking {host} for {name} …", host=remote.host, name=remote.name)))
        self._asking.start(stream)

    def stop(self) -> None:
        """Follows no run any more; nothing more is told of it."""
        self._slot.drop()

    def remote(self, run: Path | None) -> Remote | None:
        """Where a run lies of which this is the mirror; None for one that is here."""
        return None if run is None else self._mirrors.get(run)

    @property
    def run(self) -> Path | None:
        """The run that another process trains, if one is followed."""
        return self._run if self._slot.busy else None

    def ask(self, wish: Wish) -> None:
        """Asks the process that trains it for something, and says so."""
        if self.run is None:
            self.said.emit(Notice("info", tr("No other process trains the run that is shown.")))
            return
        remote = self.remote(self.run)
        if remote is not None:
            sentence = tr("The process on {host} was asked to {wish}.", host=remote.host, wish=WISHES[wish])
            self._ask_there(remote, WISHES_THERE[wish], sentence)
            return
        try:
            ask(self.run, wish)
        except OSError as error:
            why = tr(
                "{run} cannot be written, so nobody can be asked: {reason}.",
                run=self.run,
                reason=error.strerror or error,
            )
            self.said.emit(Notice("warning", why))
        else:
            self.said.emit(Notice("info", tr("The other process was asked to {wish}.", wish=WISHES[wish])))

    def begin_there(self, run: Path) -> None:
        """Lets the training of a run on another machine go on there."""
        remote = self._mirrors[run]
        try:
            source = Run.open(run).config.data.source
        except RunError as error:
            self.said.emit(Notice("warning", str(error)))
            return
        words = ["train", source, "--resume", "--quiet"]
        sentence = tr("{name} was begun again on {host}.", name=remote.name, host=remote.host)
        self._ask_there(remote, lambda there, stop: there.begin(words, METRICS_LOG, stop), sentence)

    def _ask_there(self, remote: Remote, do: Doing, sentence: str) -> None:
        """Does something on another machine, and says `sentence` when it is done."""

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            do(remote, lambda: control.stopped)
            yield events.Finished("done", sentence)

        self._asking.start(stream)

    def _on_answer(self, event: events.Event) -> None:
        match event:
            case Arrived(run=run):
                host = self._mirrors[run].host
                self.said.emit(Notice("info", tr("{name} on {host} is followed.", name=run.name, host=host)))
                self.arrived.emit(run)
            case events.Finished(outcome="failed", message=message):
                self.said.emit(Notice("warning", message))
            case events.Finished(message=message) if message:
                self.said.emit(Notice("info", message))

    def shutdown(self) -> None:
        self._asking.finish()
        self._slot.finish()

    def _on_told(self, event: events.Event) -> None:
        if isinstance(event, Followed):
            if isinstance(event.event, (events.Paused, events.Resumed)):
                self.rests = isinstance(event.event, events.Paused)
            self.told.emit(event)


def mirror_of(remote: Remote) -> Path:
    """Where a run on another machine is mirrored to."""
    key = hashlib.sha256(repr((remote.host, remote.port, remote.path)).encode()).hexdigest()[:12]
    return cache_dir() / "mirrors" / key / remote.name


def followed(run: Run, step: int, control: Control, remote: Remote | None = None) -> Iterator[events.Event]:
    """What is added to a run by whoever trains it, until that ends; the last event is a `Finished` then.

    Args:
        step: up to which its losses are known.
        remote: where it lies, if the run is a mirror; it is followed on, as it may be begun again there.
    """
    tail, seen = MetricsTail(run.metrics_log_path), _Seen(run, step)
    lines = _since_start(tail.new())
    if remote is None and (not lines or not _goes_on(run.path, lines[-1])):
        return
    apart, quiet, ended = "", 0 if remote is None else QUIET - 2, False
    while not control.stopped:
        yield from seen.told_by(lines)
        ended = ended if not lines else lines[-1]["kind"] == END
        quiet = 0 if lines else quiet + 1
        gone = not (ended or apart) and quiet % QUIET == QUIET - 1 and not _is_held(run.path, remote, control)
        if gone or (lines and ended):
            yield events.Finished("failed" if gone else "done", step=seen.step)
            ended = True
            if remote is None:
                return
        control.rest(EVERY if remote is None else EVERY_THERE)
        before, apart = apart, _apart(run.path) if remote is None else _mirrored(remote, run.path, control)
        if apart and apart != before:
            yield events.Warned(tr("{problem} It is tried again.", problem=apart), seen.step)
        elif before and not apart:
            yield Reached(_reached(run.path, remote))
        lines = tail.new()


def _apart(folder: Path) -> str:
    """Why a folder of this machine cannot be looked into, as a sentence, or ""; a network may be away."""
    with contextlib.suppress(OSError):
        if is_run(folder):
            return ""
    return tr("The folder {folder} is not there now.", folder=folder)


def _reached(folder: Path, remote: Remote | None) -> str:
    """That the folder of a run, or the machine on which it lies, can be looked at again."""
    if remote is None:
        return tr("The folder {folder} is reached again.", folder=folder)
    return tr("{host} is reached again.", host=remote.host)


def _mirrored(remote: Remote, to: Path, control: Control) -> str:
    """Brings a mirror up to date; why that was not possible, as a sentence, or ""."""
    try:
        remote.mirror(to, LEFT_OUT, lambda: control.stopped)
    except Cancelled:
        return ""
    except Refused as error:
        return str(error)
    return ""


def _is_held(path: Path, remote: Remote | None, control: Control) -> bool:
    """Whether a process trains a run that tells nothing new."""
    if remote is None:
        return _goes_on(path, NOTHING)
    with contextlib.suppress(Refused, Cancelled):
        return remote.holds(LOCK, lambda: control.stopped)
    return True


def _since_start(lines: list[Line]) -> list[Line]:
    """Those of the training that goes on; what came before it is known."""
    starts = [number for number, line in enumerate(lines, start=1) if line["kind"] == "start"]
    return (lines[starts[-1] :] or [{"kind": "waiting", "step": 0}]) if starts else lines


def _goes_on(path: Path, last: Line) -> bool:
    """Whether a training has not ended: neither in good order nor without a word."""
    if last["kind"] == END:
        return False
    try:
        if not is_run(path):  # it is away; a lock would make it anew
            return True
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
