"""`export`: a run as a model folder that others can use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffusion_studio.cli.options import TrainedRun, named_path, plain_app
from diffusion_studio.cli.sentences import note
from diffusion_studio.engine.evaluation.exported_model import export_model

app = plain_app()


@app.command()
def export(
    run: TrainedRun,
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", parser=named_path, help="A folder that is not there, or is empty."),
    ],
) -> None:
    """Write the model of RUN as a folder for diffusers. It holds the averaged weights, the schedule, a card
    with data, figures and an example of sampling, and the last samples; nothing of the optimizer."""
    for sentence in export_model(run, folder):
        note(sentence)
    typer.echo(folder)
