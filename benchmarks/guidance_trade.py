"""Classifier-free guidance on the digits: what it trades, and what it costs.

    python -m benchmarks.guidance_trade trade [--run DIR] [--count 1000]
    python -m benchmarks.guidance_trade cost

trade    after a minute of training: share that an SVM takes for the class asked for, recall, variety and
         Fréchet distance over γ.
cost     a guided chain ÷ an unguided one, at γ = 3 (budget 2.1) and γ = 1 (1.05).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.digits import command
from benchmarks.measuring import against, interleaved, paired_ratio, say_machine, table
from benchmarks.samplers import chain_loop
from benchmarks.sampling import CASES, CPU, source_for
from diffusion_studio.engine.guidance_sweep import Judge, sweep
from diffusion_studio.engine.neighbours import training_images
from diffusion_studio.engine.quality import QualitySpace
from diffusion_studio.engine.sample_spec import SampleSpec
from diffusion_studio.engine.sampling import Chain, open_source

GAMMAS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
BUDGETS = {3.0: 2.1, 1.0: 1.05}


def trade(run: Path, count: int) -> None:
    images, source = training_images(str(run)), open_source(run, CPU)
    judge, space = Judge(images), QualitySpace(images.images)
    print(f"step {source.step}, {count} samples for each γ, 50 DDIM steps; judge: {judge.accuracy:.3f}")
    rows = []
    for found in sweep(Chain(source, SampleSpec(), CPU), judge, space, count, GAMMAS):
        if found is not None:
            numbers = (found.adherence, found.recall, found.precision, found.diversity, found.frechet)
            rows.append((f"{found.gamma:g}", *(f"{number:.3f}" for number in numbers)))
    table(("γ", "as asked", "recall", "precision", "variety", "Fréchet"), rows)


def cost() -> None:
    rows = []
    for name, resolution, channels, _, count, _ in CASES:
        source = source_for(resolution, channels, 10)
        chains = {
            gamma: Chain(source, SampleSpec(count=count, steps=25, guidance=gamma), CPU)
            for gamma in (0.0, *BUDGETS)
        }
        rounds = interleaved([chain_loop(chain) for chain in chains.values()], 20 if resolution == 8 else 8)
        for values, (gamma, budget) in zip(rounds[1:], BUDGETS.items(), strict=True):
            ratio = paired_ratio(values, rounds[0])
            rows.append((name, count, f"{gamma:g}", f"{ratio:.3f}", f"≤ {budget}", against(ratio, budget)))
    table(("model", "images", "γ", "÷ unguided", "budget", ""), rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("trade", "cost"))
    parser.add_argument("--run", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    say_machine()
    if options.what == "cost":
        cost()
    elif options.run:
        trade(options.run, options.count)
    else:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            command("train", "digits", "--run", str(run), "--seconds", "60")
            trade(run, options.count)


if __name__ == "__main__":
    main()
