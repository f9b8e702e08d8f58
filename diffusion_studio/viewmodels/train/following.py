"""Follows the run that is shown while another process trains it: in a terminal, or on another machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import get_args

import filelock
from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr, trc
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.locks import is_held
from diffusion_studio.engine.machine.remote import Remote, Stop
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.metrics_log import END, MetricsTail, newest_line
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
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.mirrors import mirror, mirrored_at
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.train.seen import Line, Seen, since_start

Doing = Callable[[Remote, Stop], None]
EVERY = 1.0  # seconds between two looks
WISHES: dict[Wish, str] = {
    "stop": trc("was asked to", "save and to end"),
    "pause": trc("was asked to", "save and to rest"),
    "go on": trc("was asked to", "go on"),
}
QUIET = 20  # looks without anything new, after which it is asked whether it is trained at all
EVERY_THERE = 3.0  # the same on another machine
LONGER = 60.0  # seconds more for a run whose limit of time was reached
WISHES_THERE: dict[Wish, Doing] = {
    "stop": lambda there, stop: there.touch(STOP, stop),
    "pause": lambda there, stop: there.touch(PAUSE, stop),
    "go on": lambda there, stop: there.remove(PAUSE, stop),
}


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
class Silent(events.Event):
    """Nothing is new, and nobody can be asked whether the run is trained.

    Args:
        since: when something was written last.
    """

    step: int
    since: str


@dataclass(frozen=True)
class Replaced(events.Event):
    """Another run lies where the one lay that was followed."""

    run: Path


@dataclass(frozen=True)
class Arrived(events.Event):
    """A run on another machine is mirrored here."""

    run: Path
    host: str


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
        self.rests = False  # whether the other process is paused, as far as it said

    def look(self, run: Run, step: int) -> None:
        """Follows a run, whose losses are known up to `step`, while another process trains it."""

        remote = self.remote(run.path)

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

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            yield Arrived(mirror(remote, lambda: control.stopped), remote.host)

        self.said.emit(Notice("info", tr("Asking {host} for {name} …", host=remote.host, name=remote.name)))
        self._asking.start(stream)

    def stop(self) -> None:
        """Follows no run any more; nothing more is told of it."""
        self._slot.drop()

    def remote(self, run: Path | None) -> Remote | None:
        """Where a run lies of which this is the mirror; None for one that is here."""
        return None if run is None else mirrored_at(run)

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
        remote = self.remote(run)
        if remote is None:
            return
        try:
            opened = Run.open(run)
        except RunError as error:
            self.said.emit(Notice("warning", str(error)))
            return

        def begin(there: Remote, stop: Stop) -> None:
            longer = further(opened.config, MetricsTail(opened.metrics_log_path).new())
            words = ["train", opened.config.data.source, "--resume", "--quiet", *longer]
            there.begin(words, METRICS_LOG, stop)

        sentence = tr("{name} was begun again on {host}.", name=remote.name, host=remote.host)
        self._ask_there(remote, begin, sentence)

    def _ask_there(self, remote: Remote, do: Doing, sentence: str) -> None:
        """Does something on another machine, and says `sentence` when it is done."""

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            do(remote, lambda: control.stopped)
            yield events.Finished("done", sentence)

        self._asking.start(stream)

    def _on_answer(self, event: events.Event) -> None:
        match event:
            case Arrived(run=run, host=host):
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
            if isinstance(event.event, Replaced):
                self._show_other(event.event.run)

    def _show_other(self, run: Path) -> None:
        self.arrived.emit(run)
        self.said.emit(Notice("info", tr("Another run lies in {folder} now; it is shown.", folder=run)))


def further(config: RunConfig, told: list[Line]) -> list[str]:
    """Options that move the limits of a run which has reached them, as far as its metrics tell.

    They do not tell how long it was trained: each end in good order may have been that of its time.
    """
    steps, seconds = config.training.steps, config.training.seconds
    if not told:
        return []
    step, in_time = told[-1]["step"], seconds > 0 and told[-1]["kind"] == END
    if not in_time and not 0 < steps <= step:
        return []
    limits = {"--steps": 2 * step if steps <= step else steps, "--seconds": seconds + LONGER * in_time}
    given = {"--steps": steps, "--seconds": seconds}
    return [word for name, limit in limits.items() if given[name] for word in (name, str(limit))]


def followed(run: Run, step: int, control: Control, remote: Remote | None = None) -> Iterator[events.Event]:
    """What is added to a run by whoever trains it, until that ends; the last event is a `Finished` then.

    Args:
        step: up to which its losses are known.
        remote: where it lies, if the run is a mirror; it is followed on, as it may be begun again there.
    """
    tail, seen = MetricsTail(run.metrics_log_path), Seen(run, step)
    lines = since_start(tail.new())
    if remote is None and (not lines or not _goes_on(run.path, lines[-1])):
        return
    if (device := newest_line(run.metrics_log_path, "device")) is not None:
        lines = [device, *lines]
    apart, quiet, ended = "", 0 if remote is None else QUIET - 2, False
    while not control.stopped:
        yield from seen.told_by(lines)
        ended = ended if not lines else lines[-1]["kind"] == END
        quiet = 0 if lines else quiet + 1
        asked = not (ended or apart) and quiet % QUIET == QUIET - 1
        held = _is_held(run.path, remote, control) if asked else True
        gone = held is False
        if held is None:
            yield Silent(seen.step, _written_last(run))
        if gone or (lines and ended):
            yield _finished(lines, seen.step)
            ended = True
            if remote is None and not (gone and _is_read_only(run.path)):
                return
        control.rest(EVERY if remote is None else EVERY_THERE)
        before, apart = apart, _apart(run.path) if remote is None else _mirrored(remote, control)
        if apart and apart != before:
            yield events.Warned(tr("{problem} It is tried again.", problem=apart), seen.step)
        elif before and not apart:
            yield Reached(_reached(run.path, remote))
        lines = tail.new()
        if tail.is_other:
            yield Replaced(run.path)
            return


def _finished(lines: list[Line], step: int) -> events.Finished:
    """How a training ended, by its last line if there is one."""
    last = lines[-1] if lines else {"outcome": "failed"}
    known: tuple[events.Outcome, ...] = get_args(events.Outcome)
    outcome: events.Outcome = next((each for each in known if each == last.get("outcome")), "done")
    return events.Finished(outcome, str(last.get("message", "")), step=step)


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


def _mirrored(remote: Remote, control: Control) -> str:
    """Brings a mirror up to date; why that was not possible, as a sentence, or ""."""
    try:
        mirror(remote, lambda: control.stopped)
    except Cancelled:
        return ""
    except Refused as error:
        return str(error)
    return ""


def _is_held(path: Path, remote: Remote | None, control: Control) -> bool | None:
    """Whether a process trains a run that tells nothing new; None where nobody can be asked."""
    if remote is None:
        return _is_held_here(path)
    with contextlib.suppress(Refused, Cancelled):
        return remote.holds(LOCK, lambda: control.stopped)
    return None


def _is_held_here(path: Path) -> bool | None:
    try:
        if not is_run(path):  # it is away; a lock would make it anew
            return True
        with lock_of(path):
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return is_held(path / LOCK)


def _is_read_only(path: Path) -> bool:
    """Such a folder may lie on another machine, whose locks are not seen here."""
    return not os.access(path, os.W_OK)


def _written_last(run: Run) -> str:
    """When something was added to what a run tells."""
    with contextlib.suppress(OSError):
        return f"{datetime.fromtimestamp(run.metrics_log_path.stat().st_mtime):%Y-%m-%d %H:%M}"
    return "?"


def _goes_on(path: Path, last: Line) -> bool:
    """Whether a training may not have ended, neither in good order nor without a word."""
    return last["kind"] != END and (_is_held_here(path) is not False or _is_read_only(path))
