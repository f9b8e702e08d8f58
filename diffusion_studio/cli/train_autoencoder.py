"""`train-autoencoder`: an AE, a VAE or a hierarchy of latents on a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from diffusion_studio.cli.bar import bar, watch
from diffusion_studio.cli.options import (
    Device,
    Moved,
    Resume,
    RunFolder,
    Seed,
    Sets,
    Steps,
    plain_app,
)
from diffusion_studio.cli.sentences import tell, usage
from diffusion_studio.cli.sets import changed, check_source, note_size, write_choices
from diffusion_studio.cli.signals import stopping_on_signals
from diffusion_studio.core.describe import with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.autoencoder.session import new_session, resumed_session, train
from diffusion_studio.engine.files.places import runs_dir
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.runs.autoencoder_config import BY_KIND, AutoencoderConfig, HVAEConfig
from diffusion_studio.engine.runs.creation import NewRun
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.moved import source_of, with_images_at

app = plain_app()
Kind = Literal["ae", "vae", "hvae"]


class _TrainAutoencoder(TyperCommand):
    """Its help lists every key of --set."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_choices(formatter, HVAEConfig())


@app.command(cls=_TrainAutoencoder)
def train_autoencoder(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder of images, or the word digits.")],
    run: RunFolder = None,
    kind: Annotated[
        Kind | None, typer.Option("--kind", help="A plain autoencoder, a VAE (the default), or a hierarchy.")
    ] = None,
    steps: Steps = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.001, help="Stop after so much training time; 30 s.")
    ] = None,
    seed: Seed = None,
    device: Device = "auto",
    sets: Sets = None,
    resume: Resume = False,
    moved: Moved = None,
) -> None:
    """Train an autoencoder on DATA. Ctrl+C stops and saves. Keys of decoder and KL are those of vae and
    hvae, keys of hierarchy those of hvae."""
    with usage():
        if resume and run is None:
            raise Refused("--resume needs --run DIR.")
        if moved and not resume:
            raise Refused("--data goes with --resume: it says where the images of a run are now.")
        if not data.strip():
            raise Refused("Name a folder of images, or the word digits; nothing is named here.")
    config = _begun(run, kind) if resume and run else BY_KIND[kind or "vae"]()
    before = config.data.source
    limits = {"training.steps": steps or 0, "training.seconds": seconds or 0} if steps or seconds else {}
    given = limits | ({} if seed is None else {"seed": seed})
    with usage():
        config = changed(config, [*(f"{k}={v}" for k, v in given.items()), *(sets or [])])
    with usage():
        check_source(config.data.source, before)
    if resume and run:
        config = with_images_at(Run(run, config), moved or data).config
    else:
        config = with_value(config, "data.source", source_of(data))
    place = run or NewRun(runs_dir(), f"{Path(config.data.source).name}-{config.kind}")
    tell(_train(config, place, device, resume))


def _begun(run: Path, kind: Kind | None) -> AutoencoderConfig:
    """The config of a run that goes on."""
    config = Run.open_as(run, AutoencoderConfig).config
    if kind is not None and kind != config.kind:
        raise Refused(f"{run.name} is of the kind {config.kind}, not {kind}.")
    return config


def _train(config: AutoencoderConfig, place: Path | NewRun, device_name: str, resume: bool) -> Path:
    """The run folder."""
    control, device = Control(), choose_device(device_name)
    with bar() as shown, stopping_on_signals(control):
        reading = shown.add_task("reading images", total=None)

        def read(done: int, total: int) -> None:
            shown.update(reading, completed=done, total=total or None)

        if resume and isinstance(place, Path):
            session = resumed_session(place, device, control, config, read)
        else:
            session = new_session(place, config, device, control, read)
        shown.remove_task(reading)
        note_size(config.data, session.images)
        watch(train(session), shown, control)
    return session.run.path
