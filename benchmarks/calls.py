"""How long samples as good as those of fifty DDIM steps take, beside diffusers' fifty with the same network.

    python -m benchmarks.calls RUN [--samples 500] [--rounds 5]
    python -m benchmarks.calls FOLDER --seconds 180 [--samples 500] [--set KEY=VALUE ...]

A run, or one that is trained on the pictures of FOLDER for so long. The product finds by itself the fewest
calls that are as good as fifty (`evaluate --calls`); then so many samples are drawn with them, and as many by
diffusers' DDIMScheduler with fifty steps through the same network, taken in turns. Both are measured in the
same space.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from diffusers import DDIMScheduler
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.measuring import against, interleaved, paired_ratio, say_machine, table
from benchmarks.sampling import network_of
from diffusion_studio.core.denoisers.readings import READINGS
from diffusion_studio.data.imageset import to_uint8
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import Source, open_source
from diffusion_studio.engine.evaluation.few_calls import FewCalls, few_calls, rule_of
from diffusion_studio.engine.runs.quality import QualitySpace
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.run_data import load_run_data
from diffusion_studio.models.unet import autocast

CPU, STEPS, BUDGET = torch.device("cpu"), 50, 1 / 3

Drawn = list[Tensor]
"""The last pictures that were drawn, one batch (n, C, H, W)."""


def trained(data: str, seconds: float, sets: list[str], folder: Path) -> Path:
    run = folder / "run"
    pairs = [part for value in sets for part in ("--set", value)]
    command = [sys.executable, "-m", "diffusion_studio", "train", data, "--run", str(run)]
    subprocess.run([*command, "--seconds", str(seconds), *pairs], check=True, capture_output=True)
    return run


def product(chain: Chain, drawn: Drawn) -> Callable[[], int]:
    """The chain of the product, to its pictures."""

    def run() -> int:
        for step in chain.steps():
            x = step.x_s
        drawn[:] = [x]
        return 1

    return run


def diffusers_ddim(source: Source, kind: str, count: int, drawn: Drawn) -> Callable[[], int]:
    """Fifty steps of diffusers' scheduler through the same network, from the same first noise."""
    network, tables = network_of(source), source.tables
    scheduler = DDIMScheduler(
        tables.steps, trained_betas=tables.beta[1:].numpy(), timestep_spacing="trailing",
        prediction_type=kind,
    )  # fmt: skip
    scheduler.set_timesteps(STEPS)
    chain = Chain(source, SampleSpec(count=count), CPU)
    start, labels = chain.start(), chain.labels()

    def run() -> int:
        x = start
        with torch.inference_mode():
            for t in scheduler.timesteps:
                with autocast(CPU, network.precision):
                    (value,) = network.unet(x, t, labels, return_dict=False)
                x = scheduler.step(value.to(x.dtype), t, x, return_dict=False)[0]
        drawn[:] = [x]
        return 1

    return run


def training_set(run: Path) -> NDArray[np.uint8]:
    data = load_run_data(Run.open(run), None)
    found: NDArray[np.uint8] = data.images.images[data.trained]
    return found


def found_for(source: Source, space: QualitySpace, count: int) -> FewCalls:
    chain = Chain(source, SampleSpec(count=count), CPU)
    found = [told for told in few_calls(chain, space, count) if told is not None]
    return found[-1]


def compare(run: Path, count: int, rounds: int) -> None:
    kind = READINGS[Run.open(run).config.objective.predict].prediction_type
    source, space = open_source(run, CPU), QualitySpace(training_set(run))
    found = found_for(source, space, count)
    for fare in (found.reference, *found.fares):
        print(f"  {fare.steps:3} calls, {fare.rule:28} {fare.frechet:.4f}", flush=True)
    best = found.best
    rule = None if best is None else rule_of(best)
    if best is None or rule is None:
        print(f"Nothing with fewer calls is as good ({found.as_good:.4f}).")
        return
    spec = SampleSpec(sampler=rule.sampler, spacing=rule.spacing, steps=best.steps, count=count)
    ours: Drawn = []
    theirs: Drawn = []
    sides = (product(Chain(source, spec, CPU), ours), diffusers_ddim(source, kind, count, theirs))
    mine, other = interleaved(sides, rounds)
    ratio = paired_ratio(mine, other)
    distances = [space.frechet(to_uint8(x.float().numpy())) for (x,) in (ours, theirs)]
    rows = [
        (f"product, {best.steps} calls, {rule.name}", f"{median(mine):.2f}", f"{distances[0]:.4f}"),
        (f"diffusers, {STEPS} DDIM steps", f"{median(other):.2f}", f"{distances[1]:.4f}"),
    ]
    table(("samples", "s", "Fréchet distance"), rows)
    print(f"{count} samples; time ÷ time {ratio:.3f}, budget ≤ {BUDGET:.3f} {against(ratio, BUDGET)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", help="a run, or what is trained on")
    parser.add_argument("--seconds", type=float, default=0.0, help="train for so long first")
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], dest="sets", metavar="KEY=VALUE")
    options = parser.parse_args()
    say_machine()
    with tempfile.TemporaryDirectory() as place:
        run = Path(options.source)
        if options.seconds:
            run = trained(options.source, options.seconds, options.sets, Path(place))
        compare(run, options.samples, options.rounds)


if __name__ == "__main__":
    main()
