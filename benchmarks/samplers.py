"""Every sampler: what it costs beyond its network calls, and how good its digits are at equal calls.

    python -m benchmarks.samplers cost
    python -m benchmarks.samplers quality [--run DIR] [--count 500]

cost     chain ÷ (its network calls × a bare call), in turns step by step, on digits (budget 1.10) and
         32×32 RGB (1.03).
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

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks.digits import command, frechet
from benchmarks.measuring import against, in_step, paired_ratio, say_machine, table
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

CASES = (("digits", 8, 1, 10, 16, 50, 20, 1.10), ("32×32 RGB", 32, 3, 0, 16, 25, 15, 1.03))
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


def chain_in_pieces(chain: Chain) -> Iterator[int]:
    """The chain step by step, with the network calls that each is counted as."""
    steps = len(chain.times) - 1
    for index, _ in enumerate(chain.steps()):
        yield calls_of(chain, index, steps)


def bare_calls(chain: Chain) -> Iterator[int]:
    """The network alone, as often as the sampler asks it, its inputs made before."""
    network, steps = network_of(chain.source), len(chain.times) - 1
    x, labels = chain.start(), chain.labels()
    times = [torch.full((len(x),), t - 1) for t in chain.times]

    def pieces() -> Iterator[int]:
        for index in range(steps):
            calls = calls_of(chain, index, steps)
            with torch.inference_mode():
                for _ in range(calls):
                    with autocast(CPU, network.precision):
                        network.unet(x, times[index], labels, return_dict=False)
            yield calls

    return pieces()


def calls_of(chain: Chain, index: int, steps: int) -> int:
    """Network calls of one step; those of all steps sum to what the sampler says."""
    calls = chain.spec.sampler.calls(steps)
    return calls * (index + 1) // steps - calls * index // steps


def cost() -> None:
    for name, resolution, channels, classes, count, steps, rounds, budget in CASES:
        source = source_for(resolution, channels, classes)
        rows = []
        for kind in members(Sampler):
            chain = Chain(source, with_value(SampleSpec(count=count, steps=steps), "sampler.kind", kind), CPU)
            ours, bare = in_step((partial(chain_in_pieces, chain), partial(bare_calls, chain)), rounds)
            ratio = paired_ratio(ours, bare)
            times = [f"{1000 * median(values):.2f}" for values in (ours, bare)]
            rows.append((kind, *times, f"{ratio:.3f}", f"≤ {budget}", against(ratio, budget)))
        table((name, "chain ms/call", "bare ms/call", "ratio", "budget", ""), rows)


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
    options = parser.parse_args()
    say_machine()
    if options.what == "cost":
        cost()
    elif options.run:
        quality(options.run, options.count)
    else:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            command("train", "digits", "--run", str(run), "--seconds", "60")
            quality(run, options.count)


if __name__ == "__main__":
    main()
