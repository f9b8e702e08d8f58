"""`train-classifier`: of noisy images, on the data of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.progress import Progress
from typer.core import TyperCommand

from diffusion_studio.cli.bar import bar, watch
from diffusion_studio.cli.options import Device, Moved, Seed, Sets, TrainedRun, plain_app
from diffusion_studio.cli.sentences import tell, usage
from diffusion_studio.cli.sets import changed, write_choices
from diffusion_studio.cli.signals import stopping_on_signals
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.classifier.accuracy import accuracy_sentence
from diffusion_studio.engine.classifier.training import AccuracyMeasured, ClassifierSpec
from diffusion_studio.engine.classifier.training import train_classifier as training
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.events import Event, Preparing
from diffusion_studio.engine.machine.devices import choose_device

app = plain_app()


class _TrainClassifier(TyperCommand):
    """Its help lists every key of --set."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_choices(formatter, ClassifierSpec())


@app.command(cls=_TrainClassifier)
def train_classifier(
    run: TrainedRun,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Stop after so many steps.")] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.001, help="Stop after so much training time; 30 s.")
    ] = None,
    seed: Seed = 0,
    sets: Sets = None,
    data: Moved = None,
    device: Device = "auto",
) -> None:
    """Train a classifier of noisy images on the data of RUN, and keep it there. It can guide the chains of
    RUN to a class, even where the model itself knows none. Ctrl+C stops and saves."""
    limit = {"steps": steps or 0, "seconds": seconds or 0} if steps or seconds else {}
    given = [f"{key}={value}" for key, value in ({"seed": seed or 0} | limit).items()]
    with usage():
        spec = changed(ClassifierSpec(), [*given, *(sets or [])])
    tell(_train(run, spec, choose_device(device), data))


def _train(path: Path, spec: ClassifierSpec, device: torch.device, data: str | None) -> str:
    """What the trained classifier knows, in words."""
    control, known = Control(), ""

    def stream(shown: Progress) -> Iterator[Event]:
        nonlocal known
        beside = shown.add_task("", visible=False)  # what takes a while before and after the steps
        for event in training(path, spec, device, control, data=data):
            match event:
                case AccuracyMeasured(final=True):
                    known = accuracy_sentence(event.curve, event.classes)
                case Preparing(what=what, done=done, total=total):
                    shown.update(beside, description=what, completed=done, total=total, visible=done < total)
            yield event

    with bar() as shown, stopping_on_signals(control):
        watch(stream(shown), shown, control)
    if not known:
        raise Cancelled
    return known
