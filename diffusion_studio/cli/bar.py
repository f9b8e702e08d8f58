"""The bar on stderr, and a training that it shows."""

from __future__ import annotations

from collections.abc import Iterator

from rich.progress import BarColumn, Progress, Task, TextColumn
from rich.text import Text

from diffusion_studio.cli.sentences import errors, note
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.training.forecast import Forecast


def bar() -> Progress:
    """A bar with what is done before it, and details behind it."""
    return Progress(TextColumn("{task.description}"), BarColumn(), _Detail(), console=errors)


class _Detail(TextColumn):
    """What stands behind the bar; empty for tasks that have none."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("detail", "")))


def watch(stream: Iterator[events.Event], shown: Progress, control: Control) -> None:
    """Shows the events of a training.

    Raises:
        Refused: the sentence of a failure.
    """
    task = shown.add_task("training", total=None)
    failure, told = "", False
    for event in stream:
        match event:
            case events.Progress():
                total = 1.0 if event.fraction else None
                shown.update(task, completed=event.fraction, total=total, detail=_detail(event))
            case Forecast() if not told:
                note(event.sentence)
                told = True
            case events.Warned(message=message):
                note(message)
            case events.Paused(reason=reason) if reason:
                failure = reason
                control.stop()
            case events.Finished(outcome="failed", message=message):
                failure = message
            case events.Finished(message=message):
                errors.print(message)
    if failure:
        raise Refused(failure)


def _detail(event: events.Progress) -> str:
    left = event.seconds_left
    ending = f"{left:.0f} s left" if left is not None else ""
    loss = f"loss {float(event.losses[-1]):.4f}"
    return " · ".join(part for part in (f"step {event.step}", event.speed, loss, ending) if part)
