"""Do TensorBoard and pandas read the numbers that the database of a run holds?

    python -m benchmarks.readers [--steps 60]          needs tensorboard and pandas

The digits, trained by the command line with event files and previews until the process is killed, and then
from its newest checkpoint on to its end. Compared are each loss, what was measured of each preview, and the
newest errors by timestep; event files hold single precision. Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import table
from diffusion_studio.engine.runs.metrics import MetricsReader
from diffusion_studio.engine.runs.quality import FEWEST

EVERY = 15  # steps between checkpoints
SETS = {
    "model.width": 16, "model.multipliers": "1,2", "model.layers": 1, "training.batch_size": 16,
    "training.preview_count": FEWEST, "training.preview_share": 0.5, "training.checkpoint_every": EVERY,
}  # fmt: skip
Losses = Mapping[int, float]  # by step


def train(run: Path, *words: str) -> subprocess.Popen[bytes]:
    sets = [word for pair in SETS.items() for word in ("--set", "{}={}".format(*pair))]
    command = ["train", "digits", "--run", str(run), "--quiet", "--tensorboard", *sets, *words]
    return subprocess.Popen([sys.executable, "-m", "diffusion_studio", *command], stdout=subprocess.DEVNULL)


def killed_and_ended(run: Path, steps: int) -> int:
    """Trains until steps after a checkpoint are in the file, kills, and goes on; the step to go on from."""
    first = train(run, "--steps", "1000000")
    while _newest(run) < (saved := _saved(run)) + EVERY // 3 or not saved:
        assert first.poll() is None
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    saved = _saved(run)
    assert train(run, "--resume", "--steps", str(saved + steps)).wait() == 0
    return saved


def _saved(run: Path) -> int:
    return max((int(path.name[5:]) for path in (run / "checkpoints").glob("step-*")), default=0)


def _newest(run: Path) -> int:
    try:
        lines = (run / "metrics.jsonl").read_text("ascii").splitlines()
        return max((json.loads(line)["step"] for line in lines), default=0)
    except (OSError, ValueError):  # not yet, or a line that is being written
        return 0


def by_pandas(run: Path) -> tuple[Losses, int, dict[int, dict[str, float]], dict[str, list[float]]]:
    """(losses, how many lines of losses there are, measures of previews, newest errors)."""
    import pandas as pd

    lines = pd.read_json(run / "metrics.jsonl", lines=True, precise_float=True)
    loss = lines[lines.kind == "loss"]
    first = lines[lines.kind == "start"].set_index("segment").step
    later = first[::-1].cummin()[::-1].shift(-1, fill_value=lines.step.max())
    counted = loss[loss.step <= loss.segment.map(later)].set_index("step").loss
    quality = lines[(lines.kind == "quality") & (lines.step <= lines.segment.map(later))].set_index("step")
    errors = lines[lines.kind == "errors"].iloc[-1]
    names = ("t", "error", "spread", "count", "weight", "density", "share")
    measures = {int(step): {str(k): float(v) for k, v in row.items() if isinstance(v, float | int)}
                for step, row in quality.iterrows()}  # fmt: skip
    return dict(counted.items()), len(loss), measures, {name: errors[name] for name in names}


def by_tensorboard(run: Path) -> tuple[Losses, dict[str, Losses], list[int]]:
    """(losses, measures of previews by name, steps that have pictures)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own libraries
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        found = EventAccumulator(str(run / "tensorboard"), {"scalars": 0, "images": 0}).Reload()

    def scalars(tag: str) -> Losses:
        events = [(event.step, event.value) for event in found.Scalars(tag)]
        assert len(dict(events)) == len(events), f"{tag} has two values at one step"
        return dict(events)

    tags = [tag for tag in found.Tags()["scalars"] if tag.startswith("quality/")]
    pictures = [event.step for event in found.Images("samples")]
    return scalars("loss"), {tag.removeprefix("quality/"): scalars(tag) for tag in tags}, pictures


def apart(found: Mapping[Any, float], wanted: Mapping[Any, float]) -> float:
    """The largest relative difference; ∞ where the steps are others."""
    if list(found) != list(wanted):
        return math.inf
    return max((abs(found[k] - x) / abs(x) for k, x in wanted.items() if math.isfinite(x) and x), default=0.0)


def rows_of(run: Path) -> list[tuple[str, str, float, float]]:
    """(what, how many, the largest relative difference, how much it may be)."""
    single = float(np.finfo(np.float32).eps)
    reader = MetricsReader(run / "metrics.sqlite")
    losses = dict(zip(reader.losses().steps.tolist(), reader.losses().losses.tolist(), strict=True))
    quality = {step: asdict(measures) for step, measures in reader.quality()}
    record = reader.timesteps()
    assert record is not None
    mine, lines, measures, errors = by_pandas(run)
    theirs, tags, pictures = by_tensorboard(run)
    flat = {(step, name): x for step, row in quality.items() for name, x in row.items() if math.isfinite(x)}
    counts = f"{len(losses)} of {lines} lines", f"{len(quality)} previews"
    same = [
        max(apart(dict(enumerate(errors[name])), dict(enumerate(getattr(record, name)))) for name in errors)
    ]
    return [
        ("losses, pandas", counts[0], apart(mine, losses), 0.0),
        ("previews, pandas", counts[1], apart({k: measures[k[0]][k[1]] for k in flat}, flat), 0.0),
        ("errors by timestep, pandas", f"{len(record.t)} bins", same[0], 0.0),
        ("losses, TensorBoard", str(len(theirs)), apart(theirs, losses), single),
        ("previews, TensorBoard", counts[1], apart({k: tags[k[1]][k[0]] for k in flat}, flat), single),
        (
            "pictures, TensorBoard",
            str(len(pictures)),
            0.0 if set(quality) <= set(pictures) else math.inf,
            0.0,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["DIFFUSION_STUDIO_HOME"] = f"{place}/home"
        saved = killed_and_ended(Path(place) / "run", options.steps)
        print(f"killed, and gone on from step {saved}")
        rows = rows_of(Path(place) / "run")
    table(("what", "how many", "apart"), [(what, many, f"{found:.1e}") for what, many, found, _ in rows])
    return 0 if all(found <= most for _, _, found, most in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
