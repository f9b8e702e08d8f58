"""Kills trainings with SIGKILL, half of them in the middle of a save, and goes on with each.

    python -m benchmarks.crashes [--kills 25] [--seed 0]

After each kill every checkpoint that had been complete before must still be there or have been replaced by a
later complete one, and the next `train … --resume` must begin at the newest complete checkpoint (read from
the metrics database, which notes the first step of every start). Completeness is judged here, by the sizes
and checksums of the manifest. Exit code 1 when a run was lost.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import table

KILLS_PER_RUN = 5
PATIENCE = 60.0  # seconds for the awaited moment to come
SETTINGS = {
    "model.width": 128, "training.batch_size": 4, "training.checkpoint_every": 4, "training.preview_count": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """What one kill met and what was found afterwards."""

    run: str
    moment: str  # "any" or "saving"
    second: float  # after the start
    half_saved: bool  # an unfinished checkpoint was lying there
    before: int  # newest checkpoint seen complete while the process lived, −1 for none
    after: int  # newest complete one after the kill, −1 for none
    begun_at: int  # step at which this start had begun
    expected: int  # where it had to begin, at the earliest

    @property
    def ok(self) -> bool:
        return self.after >= self.before and (self.begun_at < 0 or self.begun_at == self.expected)


def command(run: Path, steps: int = 0) -> list[str]:
    sets = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    limit = ["--steps", str(steps)] if steps else []
    going_on = ["--resume"] if (run / "config.json").exists() else sets
    return [sys.executable, "-m", "diffusion_studio", "train", "digits", "--run", str(run), *limit, *going_on]


def newest_complete(run: Path) -> int:
    """Step of the newest checkpoint whose files are all as its manifest says; −1 for none."""
    steps = [-1]
    for place in run.glob("checkpoints/step-*"):
        with contextlib.suppress(OSError, ValueError):
            manifest = json.loads((place / "manifest.json").read_bytes())
            sound = all(_matches(place / name, entry) for name, entry in manifest["files"].items())
            if sound and manifest["files"]:
                steps.append(int(place.name.removeprefix("step-")))
    return max(steps)


def _matches(path: Path, entry: dict[str, Any]) -> bool:
    data = path.read_bytes()
    return len(data) == int(entry["size"]) and hashlib.sha256(data).hexdigest() == str(entry["sha256"])


def newest_named(run: Path) -> int:
    """Step of the newest checkpoint that bears its final name."""
    return max((int(p.name.removeprefix("step-")) for p in run.glob("checkpoints/step-*")), default=-1)


def unfinished(run: Path, process: subprocess.Popen[bytes]) -> bool:
    """Whether this process has a checkpoint lying there that is not complete."""
    return any(run.glob(f"checkpoints/.saving-*-{process.pid}"))


def starts(run: Path) -> list[int]:
    """First step of every start of the training."""
    if not (run / "metrics.sqlite").exists():
        return []
    with contextlib.closing(sqlite3.connect(run / "metrics.sqlite", timeout=10)) as db:
        return [row[0] for row in db.execute("SELECT first_step FROM segments ORDER BY segment")]


def kill_once(run: Path, moment: str, chance: random.Random) -> Kill:
    expected, begun_before = max(newest_complete(run), 0), len(starts(run)) if run.exists() else 0
    start = time.monotonic()
    process = subprocess.Popen(command(run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    before = wait_for(run, moment, chance, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    second, half = time.monotonic() - start, unfinished(run, process)
    begun = starts(run)[begun_before:] if run.exists() else []
    return Kill(
        run.name, moment, second, half, before, newest_complete(run), begun[0] if begun else -1, expected
    )


def wait_for(run: Path, moment: str, chance: random.Random, process: subprocess.Popen[bytes]) -> int:
    """Waits for the moment to strike; the newest checkpoint that was complete just before it."""
    deadline, before = time.monotonic() + PATIENCE, -1
    if moment == "any":
        deadline = time.monotonic() + chance.uniform(0.5, 15)
    saves = chance.randint(1, 2)
    while time.monotonic() < deadline and process.poll() is None:
        before = newest_named(run)
        if moment == "saving" and unfinished(run, process):
            saves -= 1
            if saves == 0:
                time.sleep(chance.uniform(0, 0.25))
                return before
            while unfinished(run, process):
                time.sleep(0.002)
        time.sleep(0.002)
    return before


def finish(run: Path) -> bool:
    """Whether the run goes on to its end after the last kill."""
    steps = max(newest_complete(run), 0) + 2
    done = subprocess.run([*command(run, steps)], capture_output=True, text=True)
    if done.returncode or newest_complete(run) != steps:
        print(f"{run.name}: exit {done.returncode}, at {newest_complete(run)} of {steps}\n{done.stderr}")
    return done.returncode == 0 and newest_complete(run) == steps


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, kills, ended = random.Random(options.seed), [], []
    with tempfile.TemporaryDirectory() as place:
        os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(place) / "home")
        for number in range(options.kills):
            run = Path(place) / f"run-{number // KILLS_PER_RUN + 1}"
            kills.append(kill_once(run, "saving" if number % 2 else "any", chance))
            if number % KILLS_PER_RUN == KILLS_PER_RUN - 1 or number == options.kills - 1:
                ended.append(finish(run))
    rows = [
        (k.run, k.moment, f"{k.second:.1f} s", "yes" if k.half_saved else "", k.before, k.after,
         k.begun_at if k.begun_at >= 0 else "-", k.expected, "ok" if k.ok else "LOST") for k in kills
    ]  # fmt: skip
    headers = (
        "run",
        "killed at",
        "after",
        "half saved",
        "complete before",
        "after it",
        "begun at",
        "expected",
        "",
    )
    table(headers, rows)
    lost = sum(not k.ok for k in kills) + ended.count(False)
    print(
        f"{len(kills)} kills, {sum(k.half_saved for k in kills)} in the middle of a save; {len(ended)} runs "
        f"went on to their end: {ended.count(True)}; lost: {lost}"
    )
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
