"""The training of an autoencoder made ready, new or resumed, and carried through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from diffusion_studio.core.describe import get_value
from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.autoencoder.events import Looked, WeightChanged
from diffusion_studio.engine.autoencoder.task import AutoencoderTask
from diffusion_studio.engine.files.pictures import save_grid
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop.loop import Training, finishing, trained
from diffusion_studio.engine.loop.run_keeper import kept_in, resume
from diffusion_studio.engine.loop.task import Counters, Limits
from diffusion_studio.engine.machine.devices import device_name
from diffusion_studio.engine.machine.helper_threads import work_as_is_fastest
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig, FitSpec
from diffusion_studio.engine.runs.creation import NewRun, begin_run
from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.engine.training.moved import with_images_at
from diffusion_studio.engine.training.run_data import (
    Reading,
    RunData,
    images_of,
    kept_apart,
    load_run_data,
    manifest_of,
)

FIXED = ("data", "code", "decoder", "hierarchy", "seed")
"""What a run keeps for its whole life."""


@dataclass
class CodeSession:
    """One training in memory."""

    run: Run[AutoencoderConfig]
    data: RunData
    task: AutoencoderTask
    control: Control
    counters: Counters = field(default_factory=Counters)
    notes: tuple[str, ...] = ()  # sentences about what was found while making ready

    @property
    def images(self) -> ImageSet:
        return self.data.images


def new_session(
    place: Path | NewRun, config: AutoencoderConfig, device: torch.device, control: Control,
    reading: Reading | None = None,
) -> CodeSession:  # fmt: skip
    """Reads the images and makes the run folder.

    Args:
        place: the run folder, or the folder in which it gets a name of its own.

    Raises:
        Cancelled: the control was stopped; there is no run folder then.
        Refused: data, config or folder that cannot be used; the message is a sentence for a person.
    """
    cancelled = _stopped(control)
    images = images_of(config.data, config.code.multiple, reading, cancelled)
    shape = (images.channels, images.resolution, images.resolution)
    config.check_images(shape)
    data = config.data.model_copy(update={"resolution": images.resolution, "channels": images.channels})
    resolved = config.model_copy(update={"data": data, "code": config.code.resolved(shape)})
    numbers, apart = kept_apart(images, resolved.data.held_out, resolved.seed)
    task = AutoencoderTask(resolved, images, numbers, device, control)
    if cancelled():
        raise Cancelled
    run = begin_run(place, resolved, manifest_of(images, apart))
    return CodeSession(run, RunData(images, numbers, apart), task, control, notes=images.notes)


def resumed_session(
    path: Path, device: torch.device, control: Control, config: AutoencoderConfig | None = None,
    reading: Reading | None = None,
) -> CodeSession:  # fmt: skip
    """Goes on from the newest sound checkpoint of a run, or from the start when there is none yet.

    Args:
        config: the run's config with other training parameters, or None for its own.

    Raises:
        Cancelled: the control was stopped.
        Refused: a run that cannot be resumed; the message is a sentence for a person.
    """
    run = _reconfigured(Run.open_as(path, AutoencoderConfig), config)
    data = load_run_data(run, reading, _stopped(control))
    task = AutoencoderTask(run.config, data.images, data.trained, device, control)
    session = CodeSession(run, data, task, control, notes=data.notes)
    try:
        checkpoint, complaints = run.newest_checkpoint()
    except RunError as error:
        session.notes += (tr("{error} Training begins again at step 0.", error=error),)
        return session
    session.notes += complaints
    session.counters = resume(task, checkpoint)
    return session


def _stopped(control: Control) -> Callable[[], bool]:
    return lambda: control.stopped


def _reconfigured(run: Run[AutoencoderConfig], config: AutoencoderConfig | None) -> Run[AutoencoderConfig]:
    if config is None or config == run.config:
        return run
    if config.kind != run.config.kind:
        raise RunError(
            tr(
                "{run} is of the kind {kind}, not {wanted}: start a new run.",
                run=run.name,
                kind=run.config.kind,
                wanted=config.kind,
            )
        )
    here = with_images_at(run, config.data.source)  # checked when they are read
    for name in FIXED:
        if name in type(config).model_fields and get_value(config, name) != get_value(here.config, name):
            raise RunError(
                tr(
                    "The {name} of {run} cannot change after its first step; start a new run for that.",
                    name=name,
                    run=run.name,
                )
            )
    return Run(run.path, config)


def train(session: CodeSession) -> Iterator[events.Event]:
    """Trains until the config's limit, a stop or a failure; `Finished` is always the last event."""
    return finishing(_training(session))


def _training(session: CodeSession) -> Training:
    spec, counters, task = session.run.config.training, session.counters, session.task
    with kept_in(session.run, spec.keep_checkpoints, counters) as keeper:
        session.run.update_config()
        yield from keeper.all_heard(_opening(session))
        seen, training = None, trained(task, session.control, limits_of(spec), keeper, counters)
        while True:
            if task.device.type == "cpu":  # other programs come and go; looked at once a second
                work_as_is_fastest()
            try:
                event = next(training)
            except StopIteration as end:
                finished: events.Finished = end.value
                break
            yield event
            if isinstance(event, WeightChanged):
                yield from keeper.all_heard(_kept_weight(session, event))
            seen = event if isinstance(event, Looked) else seen
        if seen is not None and finished.outcome != "failed":
            yield from keeper.all_heard(_kept_picture(session, seen))
        return finished


def _kept_weight(session: CodeSession, event: WeightChanged) -> Iterator[events.Event]:
    """Keeps a changed weight of the KL in config.json."""
    session.run = Run(session.run.path, session.run.config.model_copy(update={"kl_weight": event.kl_weight}))
    try:
        session.run.write_config()
    except OSError as error:
        why = tr(
            "The changed weight could not be written: {reason}. Training goes on.",
            reason=error.strerror or error,
        )
        yield events.Warned(why, event.step)


def _kept_picture(session: CodeSession, seen: Looked) -> Iterator[events.Event]:
    """Keeps the last samples beside the run."""
    path = session.run.sample_folder / f"step-{seen.step:08d}.png"
    settings = {"step": seen.step, "count": len(seen.samples), "kind": session.run.config.kind}
    try:
        save_grid(path, seen.samples, settings)
    except OSError as error:
        yield events.Warned(
            tr("The samples could not be saved: {reason}.", reason=error.strerror or error), seen.step
        )


def limits_of(spec: FitSpec) -> Limits:
    """When a training ends and how often it is saved."""
    return Limits(spec.steps, spec.seconds, spec.checkpoint_every, 60 * spec.checkpoint_minutes)


def _opening(session: CodeSession) -> Iterator[events.Event]:
    """What is told before the first step."""
    task, step = session.task, session.counters.step
    yield events.Started(
        session.run.path, step, device_name(task.device), "fp32", task.weights,
        len(session.data.trained) / task.size,
    )  # fmt: skip
    for note in session.notes:
        yield events.Warned(note, step)
