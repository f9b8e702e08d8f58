"""`train`: a model on a folder of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from diffusion_studio.cli.bar import as_json, bar, check_event_files, watch, with_event_files
from diffusion_studio.cli.options import (
    Device,
    Moved,
    Resume,
    RunFolder,
    Seed,
    Sets,
    Steps,
    named_path,
    plain_app,
)
from diffusion_studio.cli.sentences import errors, note, tell, usage
from diffusion_studio.cli.sets import changed, check_source, note_size, write_choices
from diffusion_studio.cli.signals import leaving_signals_to_the_first, stopping_on_signals
from diffusion_studio.core.describe import with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.files.places import runs_dir
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.machine.ranks import device_here, joined, launched
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.creation import NewRun
from diffusion_studio.engine.runs.run import Run, RunError, read_config
from diffusion_studio.engine.training.moved import source_of, with_images_at
from diffusion_studio.engine.training.session import Session, new_session, resumed_session
from diffusion_studio.engine.training.together import follow, join, lead
from diffusion_studio.engine.training.trainer import train as training
from diffusion_studio.engine.training.trial import tried_soon

app = plain_app()


class _Train(TyperCommand):
    """Its help lists every key of --set; the list is made only when it is read."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_choices(formatter, RunConfig())


@dataclass(frozen=True)
class _Telling:
    """How a training is told."""

    quiet: bool = False
    json: bool = False
    event_files: bool = False

    def training(self, session: Session, control: Control) -> Iterator[events.Event]:
        """What is told of a training, beginning with what to expect of it, if anybody hears that."""
        heard = self.json or not self.quiet
        if heard and (trial := tried_soon(session, lambda: control.stopped)) is not None:
            yield trial
        yield from training(session, control)

    def told(self, stream: Iterator[events.Event], session: Session) -> Iterator[events.Event]:
        """The same events, told on the way to whoever else wants them."""
        if self.event_files:
            stream = with_event_files(stream, session.run.path, session.counters.step)
        return as_json(stream) if self.json else stream


@app.command(cls=_Train)
def train(
    data: Annotated[
        str,
        typer.Argument(metavar="[DATA]", help="A folder of images, or the word digits.", show_default=False),
    ] = "",
    run: RunFolder = None,
    steps: Steps = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.001, help="Stop after so much training time in all.")
    ] = None,
    seed: Seed = None,
    device: Device = "auto",
    sets: Sets = None,
    resume: Resume = False,
    moved: Moved = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", parser=named_path,
            help="Train as the config.json of a run says; DATA, --set and their kin change it.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but what is wrong.")] = False,
    as_lines: Annotated[
        bool, typer.Option("--json", help="Print what happens as lines of JSON, for another program.")
    ] = False,
    event_files: Annotated[
        bool, typer.Option("--tensorboard", help="Write event files for TensorBoard into the run.")
    ] = False,
) -> None:  # fmt: skip
    """Train a model on DATA. Ctrl+C stops and saves; without --steps or --seconds it trains until then."""
    with usage():
        _check(data, run, resume, moved, file)
    if not launched().is_first:
        _follow(moved or data or _start(None, file).data.source, device)
        return
    if event_files:
        check_event_files()
    config = _start(run if resume else None, file)
    before = config.data.source
    given: dict[str, float | None] = {"seed": seed}
    if steps or seconds:  # the given limit replaces the one of the config
        given |= {"training.steps": steps or 0, "training.seconds": seconds or 0}
    with usage():
        config = changed(config, [*(f"{k}={v}" for k, v in given.items() if v is not None), *(sets or [])])
        check_source(config.data.source, before)
    if resume and run:
        config = with_images_at(Run(run, config), moved or data).config
    elif data:
        config = with_value(config, "data.source", source_of(data))
    if (remark := config.diffusion.remark()) and not quiet:
        note(remark)
    place = run or NewRun(runs_dir(), Path(config.data.source).name)
    session = _train(config, place, device, resume, _Telling(quiet, as_lines, event_files))
    if not quiet:
        _tell_skipped(session)
    if not as_lines:
        tell(session.run.path)


def _check(data: str, run: Path | None, resume: bool, moved: str | None, file: Path | None) -> None:
    """
    Raises:
        Refused: options that do not go together.
    """
    if resume and run is None:
        raise Refused("--resume needs --run DIR.")
    if moved and not resume:
        raise Refused("--data goes with --resume: it says where the images of a run are now.")
    if file is not None and resume:
        raise Refused("--config begins a new run; --resume goes on with the config of DIR.")
    if not data.strip() and file is None:
        raise Refused("Name a folder of images, or the word digits; nothing is named here.")


def _start(run: Path | None, file: Path | None) -> RunConfig:
    """The config that the options change: of a run that goes on, of a file, or the plain one."""
    if run is not None:
        return Run.open(run).config
    if file is None:
        return RunConfig()
    config = read_config(file.parent, file.name)
    if not isinstance(config, RunConfig):
        raise RunError(f"{file} is of a training of the kind {config.kind}, not {RunConfig.kind}.")
    return config


def _train(
    config: RunConfig, place: Path | NewRun, device_name: str, resume: bool, telling: _Telling
) -> Session:  # fmt: skip
    control, quiet = Control(), telling.quiet
    stopping = stopping_on_signals(control, patient=launched().count > 1, quiet=quiet)
    with joined(stopping) as ranks, bar(quiet) as shown:
        device = choose_device(device_here(device_name))
        reading = shown.add_task("reading images", total=None)

        def read(done: int, total: int) -> None:
            shown.update(reading, completed=done, total=total or None)

        def encode(done: int, total: int) -> None:
            shown.update(reading, description="encoding images", completed=done, total=total)

        if resume and isinstance(place, Path):
            session = resumed_session(place, device, config, read, lambda: control.stopped, encode, ranks)
        else:
            session = new_session(place, config, device, read, lambda: control.stopped, encode, ranks)
        shown.remove_task(reading)
        if not quiet:
            note_size(config.data, session.images)
        lead(session, ranks)
        watch(telling.told(telling.training(session, control), session), shown, control)
    return session


def _follow(data: str, device_name: str) -> None:
    """What all processes but the first do of those that train together: it says what, and they compute."""
    with joined(leaving_signals_to_the_first()) as ranks:
        session = join(source_of(data), choose_device(device_here(device_name)), ranks)
        if session is not None:
            follow(session)


def _tell_skipped(session: Session) -> None:
    skipped = len(session.images.skipped)
    if skipped:
        what = "1 file was" if skipped == 1 else f"{skipped} files were"
        errors.print(f"{what} skipped; see {session.run.path / 'data.json'} for the reasons.")
