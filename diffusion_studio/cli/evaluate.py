"""`evaluate`: the bound on −log p and the quality of samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from diffusion_studio.cli.bar import bar
from diffusion_studio.cli.codes import evaluate_shown, holds_code
from diffusion_studio.cli.options import Device, Force, Moved, Seed, TrainedRun, named_path, plain_app
from diffusion_studio.cli.sentences import note, tell, usage
from diffusion_studio.cli.signals import stopping_on_signals
from diffusion_studio.cli.target import check_target
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.engine.evaluation.codes import CodeEvaluated, code_lines
from diffusion_studio.engine.evaluation.evaluation import Evaluated, EvaluationSpec
from diffusion_studio.engine.evaluation.evaluation import evaluate as evaluating
from diffusion_studio.engine.evaluation.flow_bits import LEAST_TOLERANCE, TOLERANCE
from diffusion_studio.engine.evaluation.text import lines
from diffusion_studio.engine.files.figures import finite
from diffusion_studio.engine.files.files import to_json, write_atomically
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.events import Preparing
from diffusion_studio.engine.machine.devices import choose_device

app = plain_app()
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", parser=named_path, help="Write every number to this .json file."),
]
Draws = Annotated[
    int,
    typer.Option(
        "--draws",
        min=1,
        max=100_000,
        help="Draws of noise for each of them; of an autoencoder, K weighted draws of z.",
    ),
]
Samples = Annotated[
    int,
    typer.Option("--samples", min=2, max=4096, help="Samples of the quality and of each rule, 64 at least."),
]
Tolerance = Annotated[
    float,
    typer.Option(
        "--tolerance",
        help="Largest error of following the flow, in bits per dimension of the number; "
        f"{LEAST_TOLERANCE:g} at least.",
    ),
]


@app.command()
def evaluate(
    run: TrainedRun,
    elbo: Annotated[bool, typer.Option("--elbo", help="Measure the bound on −log p, term by term.")] = False,
    quality: Annotated[
        bool, typer.Option("--quality", help="Draw samples and compare them with the training images.")
    ] = False,
    calls: Annotated[
        bool, typer.Option("--calls", help="Find the fewest calls of the network that are as good as 50.")
    ] = False,
    flow: Annotated[
        bool, typer.Option("--flow", help="Measure −log p along the probability flow, beside the bound.")
    ] = False,
    out: Out = None,
    images: Annotated[int, typer.Option("--images", min=2, help="Images of the bound, at most.")] = 64,
    draws: Draws = 2,
    samples: Samples = 500,
    tolerance: Tolerance = TOLERANCE,
    seed: Seed = 0,
    data: Moved = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Measure a trained model. Without --elbo, --quality, --calls or --flow, the first two. The run keeps
    images apart for the bound if it was trained with --set data.held_out=0.1. Of an autoencoder the bound is
    compared with log p by importance weights."""
    with usage():
        _check_tolerance(tolerance)
        if out is not None and out.suffix.lower() != ".json":
            raise Refused(f"{out} should end in .json.")
        if out is not None:
            check_target(out, force)
    both = not (elbo or quality or calls or flow)
    spec = EvaluationSpec(
        elbo=elbo or both, quality=quality or both, calls=calls, flow=flow, tolerance=tolerance,
        images=images, draws=draws, samples=samples, seed=seed or 0, data=data,
    )  # fmt: skip
    of_code = holds_code(run)
    if of_code and flow:
        raise Refused(f"{run} holds an autoencoder, which has no probability flow; --elbo measures log p.")
    if of_code and calls:
        raise Refused(f"{run} holds an autoencoder; its samples take one call of its decoder.")
    measured = evaluate_shown if of_code else _evaluate
    found = measured(run, spec, choose_device(device))
    for sentence in found.notes:
        note(sentence)
    for line in _lines(found):
        tell(line)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, to_json(finite(found.evaluation.to_dict())))
        tell(out)


def _check_tolerance(tolerance: float) -> None:
    if not LEAST_TOLERANCE <= tolerance <= 1:  # NaN too
        raise Refused(
            f"A tolerance of {tolerance:g} cannot be met: a network in single precision tells no finer than "
            f"{LEAST_TOLERANCE:g} bits per dimension, and more than 1 would say nothing."
        )


def _lines(found: Evaluated | CodeEvaluated) -> list[str]:
    return code_lines(found.evaluation) if isinstance(found, CodeEvaluated) else lines(found.evaluation)


def _evaluate(path: Path, spec: EvaluationSpec, device: torch.device) -> Evaluated:
    """Raises Cancelled when it was stopped."""
    control, found = Control(), None
    with bar() as shown, stopping_on_signals(control):
        task = shown.add_task("opening", total=None)
        for event in evaluating(path, spec, device, control):
            match event:
                case Preparing(what=what, done=done, total=total):
                    shown.update(task, description=what, completed=done, total=total or None)
                case Evaluated():
                    found = event
    if found is None:
        raise Cancelled
    return found
