"""`train`: a model on a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from diffusion_studio.cli.bar import bar, watch
from diffusion_studio.cli.options import Device, Moved, Seed, Sets, named_path, plain_app
from diffusion_studio.cli.sentences import errors, note, usage
from diffusion_studio.cli.sets import changed, check_source, write_choices
from diffusion_studio.cli.signals import stopping_on_signals
from diffusion_studio.core.describe import with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.files.places import runs_dir
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.creation import NewRun
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.moved import source_of, with_images_at
from diffusion_studio.engine.training.session import Session, new_session, resumed_session
from diffusion_studio.engine.training.trainer import train as training

app = plain_app()


class _Train(TyperCommand):
    """Its help lists every key of --set; the list is made only when it is read."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_choices(formatter, RunConfig())


@app.command(cls=_Train)
def train(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder of images, or the word digits.")],
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", parser=named_path, help="The run folder; a new one by default."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Stop after so many steps in all.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.001, help="Stop after so much training time in all.")
    ] = None,
    seed: Seed = None,
    device: Device = "auto",
    sets: Sets = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in DIR.")] = False,
    moved: Moved = None,
) -> None:
    """Train a model on DATA. Ctrl+C stops and saves; without --steps or --seconds it trains until then."""
    with usage():
        if resume and run is None:
            raise Refused("--resume needs --run DIR.")
        if moved and not resume:
            raise Refused("--data goes with --resume: it says where the images of a run are now.")
        if not data.strip():
            raise Refused("Name a folder of images, or the word digits; nothing is named here.")
    config = Run.open(run).config if resume and run else RunConfig()
    before = config.data.source
    given = {"training.steps": steps, "training.seconds": seconds, "seed": seed}
    with usage():
        config = changed(config, [*(f"{k}={v}" for k, v in given.items() if v is not None), *(sets or [])])
        if resume and (steps or seconds):  # the given limit replaces the earlier one
            config = changed(config, [f"training.steps={steps or 0}", f"training.seconds={seconds or 0}"])
    with usage():
        check_source(config.data.source, before)
    if resume and run:
        config = with_images_at(Run(run, config), moved or data).config
    else:
        config = with_value(config, "data.source", source_of(data))
    if remark := config.diffusion.schedule.remark(config.diffusion.steps):
        note(remark)
    session = _train(config, run or NewRun(runs_dir(), Path(config.data.source).name), device, resume)
    _tell_skipped(session)
    typer.echo(session.run.path)


def _train(config: RunConfig, place: Path | NewRun, device_name: str, resume: bool) -> Session:
    control, device = Control(), choose_device(device_name)
    with bar() as shown, stopping_on_signals(control):
        reading = shown.add_task("reading images", total=None)

        def read(done: int, total: int) -> None:
            shown.update(reading, completed=done, total=total)

        def encode(done: int, total: int) -> None:
            shown.update(reading, description="encoding images", completed=done, total=total)

        if resume and isinstance(place, Path):
            session = resumed_session(place, device, config, read, lambda: control.stopped, encode)
        else:
            session = new_session(place, config, device, read, lambda: control.stopped, encode)
        shown.remove_task(reading)
        watch(training(session, control), shown, control)
    return session


def _tell_skipped(session: Session) -> None:
    skipped = len(session.images.skipped)
    if skipped:
        what = "1 file was" if skipped == 1 else f"{skipped} files were"
        errors.print(f"{what} skipped; see {session.run.path / 'data.json'} for the reasons.")
