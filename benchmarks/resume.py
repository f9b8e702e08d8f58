"""Is a training of 50 + 50 steps the same, bit by bit, as one of 100?

    python -m benchmarks.resume [--steps 100] [--set key=value ...]

Both through the command line with the default config. Compares the weights, the EMA weights and the
optimizer's state as bytes, the counters, and every loss in the metrics database. Exit code 1 on a difference.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import table

FILES = {
    "EMA weights": "unet/diffusion_pytorch_model.safetensors",
    "raw weights": "trainer/raw.safetensors",
    "optimizer": "trainer/optimizer.safetensors",
}


def train(run: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "diffusion_studio", "train", "digits", "--run", str(run), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def losses(run: Path) -> list[tuple[int, float]]:
    with contextlib.closing(sqlite3.connect(run / "metrics.sqlite")) as db:
        return db.execute("SELECT step, value FROM loss").fetchall()


def counters(checkpoint: Path) -> dict[str, int]:
    """All counters but the clock."""
    found = json.loads((checkpoint / "trainer/state.json").read_bytes())["counters"]
    return {key: value for key, value in found.items() if key != "seconds"}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    sets = [part for pair in options.set for part in ("--set", pair)]
    with tempfile.TemporaryDirectory() as place:
        os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(place) / "home")
        once, twice = Path(place) / "once", Path(place) / "twice"
        train(once, "--steps", str(options.steps), *sets)
        train(twice, "--steps", str(options.steps // 2), *sets)
        train(twice, "--resume", "--steps", str(options.steps))
        a, b = (run / f"checkpoints/step-{options.steps:08d}" for run in (once, twice))
        rows = [
            (name, f"{(a / file).stat().st_size:,} bytes", (a / file).read_bytes() == (b / file).read_bytes())
            for name, file in FILES.items()
        ]
        rows.append(("losses", f"{len(losses(once))} steps", losses(once) == losses(twice)))
        rows.append(("counters", str(len(counters(a))), counters(a) == counters(b)))
    table(("what", "size", "equal"), rows)
    return 0 if all(row[2] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
