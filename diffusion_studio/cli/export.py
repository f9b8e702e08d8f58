"""`export`: a run as a model folder that others can use, its network as ONNX, or its training as a film."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffusion_studio.cli.options import Force, TrainedRun, named_path, plain_app
from diffusion_studio.cli.sentences import note, tell, usage
from diffusion_studio.cli.target import check_target
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.evaluation.exported_run import export_run, is_file

app = plain_app()
_NO_FOLDERS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".zip", ".png", ".jpg", ".npz", ".json")


@app.command()
def export(
    run: TrainedRun,
    target: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|FILE",
            parser=named_path,
            help="A folder that is not there, or is empty; or a file: .onnx, .gif, .webp, .apng or .mp4.",
        ),
    ],
    force: Force = False,
) -> None:
    """Write the model of RUN as a folder for diffusers. It holds the averaged weights, the schedule, a card
    with data, figures and an example of sampling, and the last samples; nothing of the optimizer. A file
    that ends in .onnx holds its network alone, compared with torch (needs the extra [onnx]); one that ends
    in .gif, .webp, .apng or .mp4 (needs [video]) shows the samples that its training drew on the way."""
    with usage():
        if is_file(target):
            check_target(target, force)
        elif target.suffix.lower() in _NO_FOLDERS:
            raise Refused(
                f"{target.name} looks like a file, but a model is written as a folder, whose network is a "
                ".safetensors file inside; name a folder, or a file that ends in .onnx."
            )
    for sentence in export_run(run, target):
        note(sentence)
    tell(target)
