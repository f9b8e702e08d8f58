"""What a step in parts costs beside the same step on the whole batch, where that fits.

    python -m benchmarks.accumulation [--parts 2 4 8] [--batch 128] [--rounds 8] [--cases "8 px" …]

Steps of one learner (forward, backward, adding of gradients, optimizer, average) on one batch, whole and in
parts in turns, so that a disturbance hits all alike; the median of their ratios. Once with all processors,
where parts are worked on side by side and whole batches with helper threads, and once in a process with one,
where they come one after the other. Exit code 1 where the parts take more than 1.03 of the time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import against, interleaved, paired_ratio, say_machine, table

BOUND = 1.03
STEPS = {"8 px": 6, "16 px": 2, "32 px": 1}  # of a turn
CASES: dict[str, dict[str, Any]] = {
    "8 px": {"model.width": 32, "data.resolution": 8},
    "16 px": {"model.width": 32, "data.resolution": 16},
    "32 px": {"model.width": 32, "data.resolution": 32},
}


def measured(case: str, batch_size: int, parts: Sequence[int], rounds: int) -> list[float]:
    """Time in so many parts ÷ time whole, each."""
    import torch

    from diffusion_studio.core.describe import with_values
    from diffusion_studio.engine.runs.config import RunConfig
    from diffusion_studio.engine.training.session import new_session

    fixed = {"training.batch_size": batch_size, "training.parts": 1, "training.precision": "fp32"}
    with tempfile.TemporaryDirectory() as place:
        os.environ["DIFFUSION_STUDIO_HOME"] = f"{place}/home"
        config = with_values(RunConfig(), (CASES[case] | fixed).items())
        session = new_session(Path(place) / "run", config, torch.device("cpu"))
        learner, batch = session.learner, session.batches.batch(0, 0, batch_size)

        def side(count: int) -> Callable[[], int]:
            def run() -> int:
                learner.spec = learner.spec.model_copy(update={"parts": count})
                for number in range(STEPS[case]):
                    learner.step(batch, number)
                return STEPS[case]

            return run

        whole, *others = interleaved([side(count) for count in (1, *parts)], rounds)
    return [paired_ratio(other, whole) for other in others]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", type=int, nargs="*", default=[2, 4, 8])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.alone:
        say_machine()
    who = "one processor" if options.alone else "all processors"
    rows, sound = [], True
    for case in options.cases:
        found = measured(case, options.batch, options.parts, options.rounds)
        sound &= max(found) <= BOUND
        rows.append((f"{case}, {who}", *(f"{x:.3f}" for x in found), against(max(found), BOUND)))
    table(("time ÷ whole", *(f"{count} parts" for count in options.parts), f"≤ {BOUND}"), rows)
    if options.alone:
        return 0 if sound else 1
    again = [sys.executable, "-m", "benchmarks.accumulation", *sys.argv[1:], "--alone"]
    one = subprocess.run(again, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return 0 if sound and one.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
