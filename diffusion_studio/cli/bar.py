"""The bar on stderr, and a training that it shows; and what other programs are told of it."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn
from rich.text import Text

from diffusion_studio.cli.sentences import errors, nobody_reads, note, plain, tell
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.training.events import PartsChanged, Preview, PreviewMeasured, TimestepErrors
from diffusion_studio.engine.training.forecast import Forecast
from diffusion_studio.engine.training.trial import Trial

Stream = Iterator[events.Event]
EVERY = 10.0  # seconds between two lines, where there is no terminal
TELL_EVERY = 1.0  # seconds of training between two lines of JSON about its progress
FOLDER = "tensorboard"  # of the event files, in the run


class Bar(Progress):
    """A bar, what is done before it, and details behind it; where nobody sees it move, a line now and then.

    Args:
        quiet: no progress is shown at all.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self._in_lines = not quiet and not errors.is_terminal
        self._said = time.monotonic()  # when there was a line
        columns = TextColumn("{task.description}"), BarColumn(), _Detail()
        super().__init__(*columns, console=errors, disable=quiet or self._in_lines)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        if self._in_lines and time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            errors.print(plain(_line(self._tasks[task_id])))


def bar(quiet: bool = False) -> Bar:
    return Bar(quiet)


def _line(task: Task) -> str:
    """ "training 12 %: step 60 · 35 images/s · loss 0.0912 · 220 s left" """
    done = f" {task.percentage:.0f} %" if task.total else ""
    detail = str(task.fields.get("detail", ""))
    return f"{task.description}{done}" + (f": {detail}" if detail else "")


class _Detail(TextColumn):
    """What stands behind the bar; empty for tasks that have none."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("detail", "")))


def watch(stream: Iterator[events.Event], shown: Bar, control: Control) -> None:
    """Shows the events of a training, which stops in good order where nobody reads them any more.

    Raises:
        Refused: the sentence of a failure.
    """
    task = shown.add_task("training", total=None)
    failure, told = "", False
    for event in stream:
        if nobody_reads():
            control.stop()
        match event:
            case events.Progress():
                total = 1.0 if event.fraction else None
                shown.update(task, completed=event.fraction, total=total, detail=_detail(event))
            case events.Started(device=device) if not shown.quiet:
                errors.print(plain(f"Trains on {device}."))
            case PartsChanged(device=device, message=message) if not shown.quiet:
                note(f"{message} {device}.")
            case Trial() if not shown.quiet:
                note(event.sentence)
            case Forecast() if event.sentence and not told and not shown.quiet:
                note(event.sentence)
                told = True
            case events.Warned(message=message):
                note(message)
            case events.Paused(reason=reason) if reason:
                failure = reason
                control.stop()
            case events.Paused(step=step) if not shown.quiet:
                shown.update(task, detail=f"step {step} · paused")
                note(f"Paused at step {step}: its folder holds a file called pause; it goes on without it.")
            case events.Resumed(step=step) if not shown.quiet:
                note(f"Goes on from step {step}.")
            case events.Finished(outcome="failed", message=message):
                failure = message
            case events.Finished(message=message) if not shown.quiet:
                errors.print(message)
    if failure:
        raise Refused(failure)


def _detail(event: events.Progress) -> str:
    left = event.seconds_left
    ending = f"{left:.0f} s left" if left is not None else ""
    loss = f"loss {float(event.losses[-1]):.4f}"
    return " · ".join(part for part in (f"step {event.step}", event.speed, loss, ending) if part)


def as_json(stream: Stream) -> Stream:
    """Passes events on, and prints a line of JSON for each that is no array of numbers.

    Of progress at most one a second, with the newest loss; all losses stand in metrics.jsonl.
    """
    told = -math.inf
    for event in stream:
        seldom = isinstance(event, events.Progress) and event.seconds - told < TELL_EVERY
        if not seldom and not isinstance(event, TimestepErrors):
            tell(json.dumps({"event": _name(event)} | _plain(event)))
        if isinstance(event, events.Progress) and not seldom:
            told = event.seconds
        yield event


def _name(event: events.Event) -> str:
    return type(event).__name__.lower()


def _plain(event: events.Event) -> dict[str, Any]:
    """What can be said in a word; a traceback is for the log."""
    found = {field.name: getattr(event, field.name) for field in fields(event)}
    if isinstance(event, events.Progress):
        found = {"loss": float(event.losses[-1]), "seconds_left": event.seconds_left} | found
    if isinstance(event, Forecast):
        found |= {"shapes_step": event.shapes_step, "shapes_seconds": event.shapes_seconds}
    if isinstance(event, Trial):
        found |= _plain(event.forecast)
    kinds = (bool, int, float, str, Path)
    return {k: _word(v) for k, v in found.items() if isinstance(v, kinds) and k != "traceback"}


def _word(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def check_event_files() -> None:
    """
    Raises:
        Refused: TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise Refused(
            "Event files need TensorBoard, which is not installed: "
            "pip install 'diffusion-studio[tensorboard]' adds it."
        )


def with_event_files(stream: Stream, run: Path, step: int) -> Stream:
    """Passes events on, and writes losses, speed, quality and samples into RUN/tensorboard.

    Args:
        step: where the training begins or goes on: what a killed one wrote of later steps counts no more.
    """
    files = _EventFiles(run / FOLDER, step)
    try:
        for event in stream:
            files.write(event)
            yield event
    finally:
        files.close()


class _EventFiles:
    """Event files until they cannot be written any more (a full disk), which is said once."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        self._writer: Any = None
        with self._as_far_as_it_goes():
            self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def write(self, event: events.Event) -> None:
        if self._writer is not None:
            with self._as_far_as_it_goes():
                _write(self._writer, event)

    def close(self) -> None:
        if self._writer is not None:
            with self._as_far_as_it_goes():
                self._writer.close()

    @contextlib.contextmanager
    def _as_far_as_it_goes(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer = None
            note(
                f"{self._folder} cannot be written: {error.strerror or error}. Training goes on without its "
                "event files."
            )


def _write(writer: Any, event: events.Event) -> None:
    match event:
        case events.Progress():
            for step, loss in enumerate(event.losses.tolist(), start=event.first_loss_step):
                writer.add_scalar("loss", loss, step)
            writer.add_scalar("images per second", event.images_per_second, event.step)
        case Preview(step=step, images=images):
            writer.add_images("samples", images, step, dataformats="NHWC")
        case PreviewMeasured(step=step, quality=quality):
            for field in fields(quality):
                writer.add_scalar(f"quality/{field.name}", getattr(quality, field.name), step)
        case events.Warned(step=step, message=message):
            writer.add_text("warnings", message, step)
        case events.Saved():
            writer.flush()
