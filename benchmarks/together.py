"""Is a training in several processes, or in parts of a step, the one of a single process?

    python -m benchmarks.together [--steps 400] [--processes 2 4] [--parts 2 4 8] [--cases Muon ...] [--bit]
        [--split 1]

The digits, batches of 32, a network of 16 and 32 channels in single precision. For every density of t, a
learned schedule, learned variances and Muon: ‖θ − θ₁‖ / ‖θ₁‖ of weights and averages together after so many
steps, and whether all processes of a training have the same bits. Processes are started by torchrun (gloo).
`--bit` adds one process on whole batches that begins with the next number in place of one weight: how far
rounding alone is carried. `--split 4` splits every batch in four parts, in one process as among several:
with 2 or 4 of them no difference at all is left, but with a learned schedule. Exit code 1 where a difference
is above 10⁻⁵, and above three times that, or the processes differ among each other.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from benchmarks.measuring import table
from diffusion_studio.core.describe import members, with_values
from diffusion_studio.core.objective.time_density import TimeDensity
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.ranks import Ranks, joined
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.training.session import Session, new_session
from diffusion_studio.engine.training.together import follow, join, lead
from diffusion_studio.engine.training.trainer import train

CPU = torch.device("cpu")
MOST = 1e-5  # relative difference
CHANGED = 5  # number of the weights of which one is changed
PLAIN: dict[str, Any] = {
    "model.width": 16, "model.multipliers": (1, 2), "model.layers": 1, "model.attention": 0,
    "training.batch_size": 32, "training.preview_count": 0, "training.precision": "fp32",
    "training.optimizer": "adamw", "training.learning_rate": 3e-3, "training.parts": 1,
    "data.resolution": 8, "diffusion.steps": 100,
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    **{f"density: {kind}": {"objective.density.kind": kind} for kind in members(TimeDensity)},
    "density: curve, of other heights": {
        "objective.density.kind": "curve",
        "objective.density.points": (1.0, 3.0, 0.5),
    },
    "learned schedule": {"diffusion.schedule.kind": "learned"},
    "learned variance, L_hybrid": {"objective.variance": "hybrid"},
    "learned variance, L_vlb": {"objective.variance": "vlb"},
    "Muon": {"training.optimizer": "muon"},
}


def config_of(case: str, steps: int, parts: int) -> RunConfig:
    changes = PLAIN | CASES[case] | {"training.steps": steps, "training.parts": parts}
    return with_values(RunConfig(), changes.items())


def work(place: Path, steps: int, parts: int, bit: bool) -> None:
    """Trains every case, as one of the processes that are started together, and keeps what it has learned."""
    with joined() as ranks:
        for number, case in enumerate(CASES):
            session = trained(ranks, place / f"run-{number}", config_of(case, steps, parts), bit)
            weights = {f"raw.{k}": x for k, x in session.learner.unet.state_dict().items()}
            weights |= {f"ema.{k}": x for k, x in session.learner.ema_unet.state_dict().items()}
            safetensors.torch.save_file(
                {name: x.contiguous() for name, x in weights.items()}, place / f"{number}-{ranks.number}"
            )
        if not ranks.is_first:
            ranks.hear()  # that the first one ends


def trained(ranks: Ranks, run: Path, config: RunConfig, bit: bool) -> Session:
    if ranks.is_first:
        session = new_session(run, config, CPU, ranks=ranks)
        if bit:
            first = session.learner.descent.weights[CHANGED].detach().view(-1)[:1]
            first.copy_(torch.nextafter(first, torch.full_like(first, math.inf)))
        lead(session, ranks)
        for _ in train(session, Control()):
            pass
        ranks.tell({"end": True})
        return session
    joining = join("digits", CPU, ranks)
    assert joining is not None
    follow(joining)
    return joining


def learned(place: Path, steps: int, processes: int, parts: int, bit: bool = False) -> list[list[Tensor]]:
    """For each case, what each process has learned."""
    place.mkdir()
    words = [sys.executable]
    if processes > 1:
        words += ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone"]
    words += ["-m", "benchmarks.together", f"--steps={steps}", f"--parts={parts}", f"--worker={place}"]
    words += ["--cases", *CASES, *(["--bit"] if bit else [])]
    subprocess.run(words, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    return [
        [_flat(safetensors.torch.load_file(place / f"{number}-{rank}")) for rank in range(processes)]
        for number in range(len(CASES))
    ]


def _flat(weights: dict[str, Tensor]) -> Tensor:
    return torch.cat([weights[name].flatten() for name in sorted(weights)])


def compare(steps: int, processes: Sequence[int], parts: Sequence[int], split: int, bit: bool) -> int:
    ways = {"one bit": (1, split, True)} if bit else {}
    ways |= {f"{count} processes": (count, split, False) for count in processes}
    ways |= {f"{count} parts": (1, count, False) for count in parts}
    sound = True
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(folder) / "home")
        alone = learned(Path(folder) / "alone", steps, 1, split)
        found: dict[str, list[str]] = {case: [] for case in CASES}
        bound = dict.fromkeys(CASES, MOST)
        for way, (count, number, nudged) in ways.items():
            learned_so = learned(Path(folder) / way, steps, count, number, nudged)
            for case, one, all_ in zip(CASES, alone, learned_so, strict=True):
                apart = float((all_[0].double() - one[0].double()).norm() / one[0].double().norm())
                alike = all(torch.equal(all_[0], other) for other in all_[1:])
                bound[case] = max(bound[case], 3 * apart) if nudged else bound[case]
                sound = sound and alike and (nudged or apart <= bound[case])
                found[case].append(f"{apart:.1e}" + ("" if alike else " (not alike)"))
    table(["", *ways], [[case, *cells] for case, cells in found.items()])
    return 0 if sound else 1


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--processes", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--parts", type=int, nargs="*", default=[2, 4, 8])
    parser.add_argument("--split", type=int, default=1)
    parser.add_argument("--cases", nargs="*", default=list(CASES), help="words in their names")
    parser.add_argument("--bit", action="store_true")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for case in [case for case in CASES if not any(word in case for word in options.cases)]:
        del CASES[case]
    if options.worker is not None:
        work(options.worker, options.steps, options.parts[0], options.bit)
        return 0
    return compare(options.steps, options.processes, options.parts, options.split, options.bit)


if __name__ == "__main__":
    sys.exit(main())
