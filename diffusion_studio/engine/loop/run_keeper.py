"""A training kept in its run folder: lock, config.json, metrics.sqlite and checkpoints."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.databases import may_pass, why_not
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.loop.keeper import LostError
from diffusion_studio.engine.loop.task import Counters, Restorable
from diffusion_studio.engine.runs.checkpoints import (
    STATE,
    CheckpointContent,
    CheckpointError,
    newest_sound,
    prune,
    read_checkpoint,
    remove_leftovers,
    save_checkpoint,
)
from diffusion_studio.engine.runs.metrics import LAST_WAIT, Metrics, TimestepRecord
from diffusion_studio.engine.runs.metrics_log import MetricsLog
from diffusion_studio.engine.runs.quality import Quality
from diffusion_studio.engine.runs.run import PAUSE, STOP, Run, RunError, ask, is_run

MOST_AWAY = 60.0  # seconds for which a folder may be away, as one on a network is now and then
WRITE_EVERY = 1.0  # seconds between transactions of the metrics database


class RunKeeper:
    """Keeps what one training learns and tells in its run folder; made by `kept_in`."""

    def __init__(self, run: Run[Any], keep: int, step: int) -> None:
        self._run = run
        self._keep = keep  # checkpoints
        self._start = step
        self.step = step or -1  # newest on disk; −1: none yet
        self.record: TimestepRecord | None = None  # written with the next that is
        self._recorded: TimestepRecord | None = None  # the newest of them
        self._unwritten: list[NDArray[np.float32]] = []
        self._notes: list[Callable[[Metrics], None]] = []  # not written yet
        self._away = 0.0  # since when the folder is not there; 0: it is
        self._told_step = step
        self._written = -math.inf
        self._trouble = ""  # with the database, not told yet
        self._troubled = False
        self._finished = events.Finished("failed")  # until it is told otherwise
        self.metrics = self._open_metrics()
        self._log = self._open_log()

    def _open_metrics(self) -> Metrics | None:
        try:
            return Metrics(self._run.metrics_path, self._start)
        except sqlite3.Error as error:
            why = why_not(error)
            self._trouble = tr(
                "metrics.sqlite cannot be written: {why}. Curves of this part are not kept.", why=why
            )
            return None

    def _open_log(self) -> MetricsLog | None:
        segment = None if self.metrics is None else self.metrics.segment
        try:
            return MetricsLog(self._run.metrics_log_path, self._start, segment)
        except OSError as error:
            self._trouble = self._trouble or tr(
                "metrics.jsonl cannot be written: {reason}.", reason=error.strerror or error
            )
            return None

    @property
    def kept(self) -> str:
        if self.step < 0:
            return tr("Nothing was saved before.")
        return tr("The checkpoint of step {step:,} is kept.", step=self.step)

    def farewell(self, step: int) -> str:
        return tr("Step {step:,}, everything is saved.", step=step)

    @property
    def is_there(self) -> bool:
        try:
            return is_run(self._run.path)
        except OSError:  # a network that does not answer
            return False

    def check(self) -> bool:
        folder = self._run.path
        if self.is_there:
            if self._away:
                self._away, self._trouble = 0.0, tr("The folder {folder} is there again.", folder=folder)
            return True
        now = time.perf_counter()
        if not self._away:
            self._away = now
            self._trouble = tr(
                "The folder {folder} is not there now. Training goes on, and is saved when it is back.",
                folder=folder,
            )
        if now - self._away < MOST_AWAY and (self._log is None or not self._log.is_deleted):
            return False
        last = (
            tr("The last step saved in it was {step:,}.", step=self.step)
            if self.step >= 0
            else tr("Nothing was saved in it.")
        )
        raise LostError(
            tr(
                "The folder {folder} was deleted or moved while it was trained, so the training was "
                "ended. {last}",
                folder=folder,
                last=last,
            )
        )

    @property
    def asked_to_stop(self) -> bool:
        return self._asked(STOP)

    @property
    def asked_to_rest(self) -> bool:
        return self._asked(PAUSE)

    def _asked(self, name: str) -> bool:
        with contextlib.suppress(OSError):
            return (self._run.path / name).exists()
        return False

    def mark_rest(self, rests: bool) -> bool:
        with contextlib.suppress(OSError):
            ask(self._run.path, "pause" if rests else "go on")
            return rests
        return False

    def heard(self, event: events.Event) -> Iterator[events.Event]:
        match event:
            case events.Started(step=step, device=device):
                self.note_device(step, device)
            case events.Progress(step=step, losses=losses):
                self._told_step = step
                self._unwritten.append(losses)
                if self._log is not None:
                    self._log.losses(event.first_loss_step, losses)
                if time.perf_counter() - self._written >= WRITE_EVERY:
                    self._write()
            case events.Warned(step=step, message=message):
                self.note(step, "warning", message)
            case events.Paused(step=step, reason=reason):
                self.note(step, "paused", reason)
                self._write()
            case events.Resumed(step=step):
                self.note(step, "resumed", "")
                self._write()
        yield event
        if self._trouble:
            yield events.Warned(self._trouble, self._told_step)
            self._trouble = ""

    def all_heard(self, told: Iterable[events.Event]) -> Iterator[events.Event]:
        """The same for several events."""
        for event in told:
            yield from self.heard(event)

    def note(self, step: int, kind: str, message: str) -> None:
        """Marks something in the metrics; the person is told all the same where that fails."""
        if self._log is not None:
            self._log.note(step, kind, message)
        self._notes.append(lambda metrics: metrics.note(step, kind, message))

    def note_device(self, step: int, device: str) -> None:
        """Says what computes from a step on, and how, to those who follow the run."""
        if self._log is not None:
            self._log.note(step, "device", device)

    def add_quality(self, step: int, quality: Quality) -> None:
        """Writes the measures of the samples drawn at a step, if that can be done."""
        if self._log is not None:
            self._log.quality(step, quality)
        self._notes.append(lambda metrics: metrics.add_quality(step, quality))

    def save(self, counters: Counters, content: CheckpointContent) -> Path:
        self.check()
        self._troubled = False  # trouble that still holds is told again
        self._write()
        counted = {"counters": asdict(counters)} | dict(content.json.get(STATE, {}))
        whole = CheckpointContent({**content.json, STATE: counted}, content.tensors)
        path = save_checkpoint(self._run.checkpoint_folder, counters.step, whole)
        prune(self._run.checkpoint_folder, self._keep, counters.step)
        self.step = counters.step
        return path

    def ended(self, finished: events.Finished) -> None:
        self._finished = finished

    def _write(self) -> None:
        """Puts what was gathered into the metrics database, and beside it."""
        self._recorded = self.record or self._recorded
        self._write_log()
        if self.metrics is None:
            self._unwritten, self._notes = [], []
            return
        try:
            self._write_losses(self.metrics)
            self._write_notes(self.metrics)
            self._troubled = False
        except sqlite3.Error as error:
            if not self._troubled:
                self._trouble = tr(
                    "The curves could not be written: {why}. Training goes on.", why=why_not(error)
                )
            self._troubled = True
            self.metrics.open_again(error)
        self._written = time.perf_counter()

    def _write_losses(self, metrics: Metrics) -> None:
        if self._unwritten or self.record is not None:  # the last one comes after the last losses
            losses = np.concatenate([np.empty(0, np.float32), *self._unwritten])
            metrics.add(self._told_step - len(losses) + 1, losses, self.record)
            self._unwritten, self.record = [], None

    def _write_notes(self, metrics: Metrics) -> None:
        """What happened, unless its table is none of ours; the person was told all the same."""
        while self._notes:
            try:
                self._notes[0](metrics)
            except sqlite3.Error as error:
                if may_pass(error):
                    raise
            self._notes.pop(0)

    def _write_log(self, last: bool = False) -> None:
        if self._log is None:
            return
        if self._recorded is not None:
            self._log.errors(self._recorded, last)
        with contextlib.suppress(OSError):  # the database says what is wrong with the disk; the lines wait
            self._log.flush()

    def close(self) -> None:
        """Writes what is left and lets the database go."""
        if self.metrics is not None:
            self.metrics.wait(LAST_WAIT)
        self._write()
        if self._log is not None:
            self._write_log(last=True)
            self._log.close(self._told_step, self._finished.outcome, self._finished.message)
        if self.metrics is not None:
            self.metrics.close()


@contextlib.contextmanager
def kept_in(run: Run[Any], keep: int, counters: Counters) -> Iterator[RunKeeper]:
    """Holds a run folder for one training.

    Args:
        keep: older checkpoints are deleted.
        counters: where the training goes on.

    Raises:
        RunError: it is gone, is being trained by another, went on meanwhile, or holds a wish for ever.
    """
    if not is_run(run.path):  # a lock would make the folder anew
        raise RunError(tr("{path} is not a run: it was deleted or moved.", path=run.path))
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(run.lock())
        except filelock.Timeout:
            busy = tr("{run} is already being trained by another window or command.", run=run.name)
            raise RunError(busy) from None
        remove_leftovers(run.checkpoint_folder)
        saved, _ = newest_sound(run.checkpoint_folder, after=counters.step)
        if saved is not None:
            raise RunError(
                tr("{run} was trained to {saved} meanwhile; open it again.", run=run.name, saved=saved.name)
            )
        for wish in (STOP, PAUSE):
            _take_away(run.path / wish)
        keeper = RunKeeper(run, keep, counters.step)
        held.callback(keeper.close)
        yield keeper


def _take_away(wish: Path) -> None:
    """It was meant for the training before.

    Raises:
        RunError: it stays, and would end every training at once or let it rest.
    """
    try:
        wish.unlink(missing_ok=True)
    except OSError as error:
        if os.path.lexists(wish):
            raise RunError(
                tr(
                    "{file} asks every training of this run to end or to rest, and cannot be removed: "
                    "{reason}.",
                    file=wish,
                    reason=error.strerror or error,
                )
            ) from None


def resume(task: Restorable, checkpoint: Path) -> Counters:
    """Lets a task go on from a checkpoint; how far it had come.

    Raises:
        CheckpointError: damaged, of another version or of something else.
    """
    content = read_checkpoint(checkpoint)
    counters = counters_of(content, checkpoint)
    task.restore(content)
    return counters


def counters_of(content: CheckpointContent, checkpoint: Path) -> Counters:
    """How far the training of a checkpoint had come.

    Raises:
        CheckpointError: another version wrote it.
    """
    try:
        return Counters(**content.json[STATE]["counters"])
    except (KeyError, TypeError):
        raise CheckpointError(
            tr(
                "{path} was written by another version and cannot be read.",
                path=checkpoint / STATE,
            )
        ) from None
