"""Every sampler: what it costs beyond its network calls, and how good its digits are at equal calls.

    python -m benchmarks.samplers cost [--only lms] [--seconds 5] [--on RGB]
    python -m benchmarks.samplers quality [--run DIR] [--count 500]

cost     chain ÷ (its network calls × a bare call), in turns step by step: chains of ten steps for five
         seconds a sampler, of which the median and the middle half of all chains are told. On digits
         (budget 1.10, two and a half minutes), or on 32×32 RGB (1.03); --seconds 0 to see that all run.
quality  Fréchet distance in pixel space (as in benchmarks/digits.py) of class-conditional samples, for
         5 … 1000 network calls, from a run that is trained for a minute first when none is given.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks.digits import command, frechet
from benchmarks.measuring import against, in_step, paired_ratio, say_machine, share_within, table
from benchmarks.sampling import CPU, network_of, source_for
from diffusion_studio.core.describe import members, with_value
from diffusion_studio.core.samplers import (
    DDIM,
    DDPM,
    DPMSolver2M,
    EulerAncestral,
    Heun,
    Sampler,
)
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.export import run_chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import open_source
from diffusion_studio.models.unet import autocast

CASES = {"digits": (8, 1, 10, 1.10), "RGB": (32, 3, 0, 1.03)}  # resolution, channels, classes, budget
COUNT, STEPS, LEAST = 16, 10, 3  # images, steps of a chain, chains; short ones, for a median over many
CALLS = (5, 10, 20, 50, 100, 1000)
COMPARED: dict[str, Sampler] = {
    "DDIM η = 0": DDIM(),
    "η = 0.2": DDIM(eta=0.2),
    "η = 0.5": DDIM(eta=0.5),
    "η = 1": DDIM(eta=1),
    "σ̂": DDPM(variance="fixed_large"),
    "Euler a": EulerAncestral(),
    "Heun": Heun(),
    "DPM++(2M)": DPMSolver2M(),
}


def calls_of(chain: Chain) -> list[int]:
    """Network calls of each step, counted: where ς falls very far a step takes fewer than it may."""
    network, found = network_of(chain.source), [0]
    with patch.object(network, "predict", wraps=network.predict) as asked:
        for _ in chain.steps():
            found.append(asked.call_count)
    return np.diff(found).tolist()


def chain_in_pieces(chain: Chain, calls: list[int]) -> Iterator[int]:
    """The chain step by step, with the network calls of each."""
    for index, _ in enumerate(chain.steps()):
        yield calls[index]


def bare_calls(chain: Chain, calls: list[int]) -> Iterator[int]:
    """The network alone, as often as the sampler asks it, its inputs made before."""
    network = network_of(chain.source)
    x, labels = chain.start(), chain.labels()
    times = [torch.full((len(x),), t - 1) for t in chain.times]

    def pieces() -> Iterator[int]:
        for index, asked in enumerate(calls):
            with torch.inference_mode():
                for _ in range(asked):
                    with autocast(CPU, network.precision):
                        network.unet(x, times[index], labels, return_dict=False)
            yield asked

    return pieces()


def cost(case: str, only: str, seconds: float) -> None:
    *kind_of_images, budget = CASES[case]
    source, rows = source_for(*map(int, kind_of_images)), []
    for kind in members(Sampler):
        if only not in kind:
            continue
        chain = Chain(source, with_value(SampleSpec(count=COUNT, steps=STEPS), "sampler.kind", kind), CPU)
        calls = calls_of(chain)
        sides = partial(chain_in_pieces, chain, calls), partial(bare_calls, chain, calls)
        ours, bare = in_step(sides, seconds, LEAST)
        ratio, each = paired_ratio(ours, bare), [a / b for a, b in zip(ours, bare, strict=True)]
        times = [f"{1000 * median(values):.2f}" for values in (ours, bare)]
        half = f"{share_within(each, 25):.3f}–{share_within(each, 75):.3f}"
        rows.append(
            (kind, str(sum(calls)), str(len(each)), *times, f"{ratio:.3f}", half, against(ratio, budget))
        )
    table((case, "calls", "chains", "chain ms/call", "bare ms/call", "ratio", "half", f"≤ {budget}"), rows)


def steps_for(sampler: Sampler, calls: int) -> int:
    """The most steps that `calls` network calls allow."""
    return max(s for s in range(1, calls + 1) if sampler.calls(s) <= calls)


def quality(run: Path, count: int) -> None:
    real = load_digits().data / 16
    source = open_source(run, CPU)
    print(f"{source.name}, step {source.step}; {count} samples each", flush=True)
    halves = np.random.default_rng(0).permutation(len(real))
    print(f"two halves of the real set: {frechet(real[halves[::2]], real[halves[1::2]]):.3f}", flush=True)
    print("| calls | " + " | ".join(COMPARED) + " |\n|" + "---|" * (len(COMPARED) + 1), flush=True)
    for calls in CALLS:
        found = []
        for sampler in COMPARED.values():
            spec = SampleSpec(sampler=sampler, steps=steps_for(sampler, calls), count=count)
            samples = run_chain(Chain(source, spec, CPU), keep=False)
            assert samples is not None
            found.append(frechet((samples.samples.reshape(count, -1) + 1) / 2, real))
        print(f"| {calls} | " + " | ".join(f"{value:.3f}" for value in found) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("cost", "quality"))
    parser.add_argument("--run", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--only", default="", help="only samplers whose name holds this")
    parser.add_argument("--on", choices=tuple(CASES), default="digits")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each sampler")
    options = parser.parse_args()
    say_machine()
    if options.what == "cost":
        cost(options.on, options.only, options.seconds)
    elif options.run:
        quality(options.run, options.count)
    else:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            command("train", "digits", "--run", str(run), "--seconds", "60")
            quality(run, options.count)


if __name__ == "__main__":
    main()
