"""Closes the window thirty times, whatever it is doing.

    python -m benchmarks.closing [--times 30] [--seed 0]

Each time the real window starts in a process of its own, with folders of its own, trains on the digits, and
is closed at a random moment: before its pages are built, while it trains, while it saves a checkpoint; by its
close button, by SIGTERM or by SIGINT. It must end with exit code 0 within 3 s (10 s when it is saving), leave
no process and no temporary file, and write nothing about an error, neither to stderr nor to its log.
Exit code 1 when it does not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measuring import table

LIMIT, LIMIT_SAVING, PATIENCE = 3.0, 10.0, 60.0  # seconds
MOMENTS = ("before pages", "training", "saving")
WAYS = ("close", "SIGTERM", "SIGINT")
NARROW = {"training.checkpoint_every": 1_000_000}
SAVING = {"model.width": 128, "training.batch_size": 8, "training.checkpoint_every": 3}


@dataclass(frozen=True)
class Closing:
    moment: str
    way: str
    after: float  # seconds from the awaited moment to the close
    code: int
    seconds: float  # from the close to the end of the process
    left: tuple[str, ...]
    steps: str  # what the training had reached

    @property
    def limit(self) -> float:
        return LIMIT_SAVING if self.moment == "saving" else LIMIT

    @property
    def ok(self) -> bool:
        return self.code == 0 and self.seconds <= self.limit and not self.left


# --- the window, in its own process -------------------------------------------------------------------------


def window(moment: str, way: str, after: float, note: Path) -> int:
    """Opens the window as the product does and closes it; the time of closing goes into `note`."""
    from PySide6.QtCore import QTimer

    import diffusion_studio.app

    class Watched(diffusion_studio.app.App):
        """The window that trains by itself and waits for the moment to close."""

        def __init__(self, path: str = "") -> None:
            super().__init__(path)
            if moment == "before pages":
                self.shell.painted.connect(lambda: QTimer.singleShot(round(1000 * after), self, self.leave))
            self.ready.connect(self.begin)

        def begin(self) -> None:
            assert self.studio is not None
            for key, value in (SAVING if moment == "saving" else NARROW).items():
                self.studio.training.edit(key, value)
            self.studio.show_page("train")
            self.studio.training.start()
            self.watch = QTimer(self, interval=1)
            self.watch.timeout.connect(self.look)
            self.watch.start()

        def look(self) -> None:
            if self.studio is None:
                return
            training = self.studio.training
            if moment == "training":
                come = training.state.phase != "idle"
            else:
                run = training.state.run
                come = run is not None and any(run.glob("checkpoints/.saving-*"))
            if come:
                self.watch.stop()
                QTimer.singleShot(round(1000 * after), self, self.leave)

        def leave(self) -> None:
            step = self.studio.training.state.step if self.studio is not None else None
            note.write_text(json.dumps({"at": time.time(), "step": step}))
            if way == "close":
                self.close()
            else:
                os.kill(os.getpid(), getattr(signal, way))

    from diffusion_studio import __main__ as entrance

    vars(diffusion_studio.app)["App"] = Watched
    sys.argv[1:] = []
    return entrance.main()


# --- the judge ----------------------------------------------------------------------------------------------


def close_once(moment: str, way: str, after: float, place: Path) -> Closing:
    home, temporary, note = place / "home", place / "tmp", place / "note.json"
    for folder in (home, temporary):
        folder.mkdir(parents=True)
    environment = {**os.environ, "DIFFUSION_STUDIO_HOME": str(home), "TMPDIR": str(temporary)}
    environment["QT_QPA_PLATFORM"] = "offscreen"
    command = [sys.executable, "-m", "benchmarks.closing", "--window", moment, way, str(after), str(note)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
    ended = time.time()
    told: dict[str, Any] = json.loads(note.read_text()) if note.exists() else {"at": 0.0, "step": None}
    left = leftovers(process.pid, home, temporary, output + errors)
    step = "-" if told["step"] is None else str(told["step"])
    return Closing(
        moment, way, after, process.returncode, ended - told["at"], left, f"{step} → {saved(home)}"
    )


def leftovers(group: int, home: Path, temporary: Path, words: str) -> tuple[str, ...]:
    """What should not be there after the window is gone, in words."""
    found = [f"file {path.name}" for path in temporary.iterdir()]
    found += [f"unfinished {path.name}" for path in home.glob("runs/*/checkpoints/.saving-*")]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == group:
                found.append(f"process {process.pid}")
    if words.strip():
        found.append(f"output {words.strip()[-300:]!r}")
    log = home / "logs" / "studio.log"
    if log.exists() and any(word in log.read_text() for word in ("ERROR", "Traceback")):
        found.append(f"log {log.read_text()[-300:]!r}")
    return tuple(found)


def saved(home: Path) -> str:
    """Step of the newest checkpoint."""
    names = sorted(path.name for path in home.glob("runs/*/checkpoints/step-*"))
    return str(int(names[-1].removeprefix("step-"))) if names else "-"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--window", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.window:
        moment, way, after, note = options.window
        return window(moment, way, float(after), Path(note))
    chance, closings = random.Random(options.seed), []
    for number in range(options.times):
        moment, way = MOMENTS[number % 3], WAYS[number // 3 % 3]
        after = chance.uniform(0, {"before pages": 2.0, "training": 4.0, "saving": 0.3}[moment])
        with tempfile.TemporaryDirectory() as place:
            closings.append(close_once(moment, way, after, Path(place)))
    rows = [
        (c.moment, c.way, f"{c.after:.2f} s", c.steps, c.code, f"{c.seconds:.2f} s", f"≤ {c.limit:.0f} s",
         "ok" if c.ok else "FAILED") for c in closings
    ]  # fmt: skip
    headers = ("closed while", "by", "after", "step → saved", "exit code", "ended in", "budget", "")
    table(headers, rows)
    for c in closings:
        if c.left:
            print(f"{c.moment}, {c.way}: left behind {'; '.join(c.left)}")
    failed = sum(not c.ok for c in closings)
    print(f"{len(closings)} times, slowest {max(c.seconds for c in closings):.2f} s, failed {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
