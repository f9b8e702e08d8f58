"""Closes the window three hundred times, whatever it is doing.

    python -m benchmarks.closing [--times 300] [--seed 0] [--busy]

Each time the real window starts in a process of its own, with folders of its own, trains on the digits, and
is closed at a random moment: before its pages are built, while it trains, while it saves a checkpoint, while
an autoencoder trains, while chains are computed and sampled; by its close button, by SIGTERM or by SIGINT. It
must end with exit code 0 within 3 s (10 s when it is saving), leave no process and no temporary file, and
write nothing about an error, neither to stderr nor to its log. Exit code 1 when it does not.

Nine of ten processes are forks of one that has imported everything and done nothing else; each tenth begins
from nothing. Moments are counted in what the window tells, not in seconds. `--busy` is for a machine that
has other work: then the limits are of processor time, and by the clock it may take ten times as long.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measuring import table

LIMIT, LIMIT_SAVING, PATIENCE = 3.0, 10.0, 120.0  # seconds
FRESH = 10  # each so many begins from nothing
MOMENTS = {"before pages": 0, "training": 60, "saving": 0, "autoencoder": 40, "chains": 12}
"""When it is closed, after how many changes at most that the page of the moment tells."""
WAYS = ("close", "SIGTERM", "SIGINT")
NARROW = {"training.checkpoint_every": 1_000_000}
SAVING = {"model.width": 128, "training.batch_size": 8, "training.checkpoint_every": 3}


@dataclass(frozen=True)
class Plan:
    """One close: when, how, and in what kind of process.

    Args:
        after: changes that are told before it, or for the moments without any the share of a second.
    """

    moment: str
    way: str
    after: float
    fresh: bool

    @property
    def limit(self) -> float:
        return LIMIT_SAVING if self.moment == "saving" else LIMIT


@dataclass(frozen=True)
class Closing:
    plan: Plan
    code: int
    seconds: float  # from the close to the end of the process
    worked: float  # processor time of it
    left: tuple[str, ...]

    def ok(self, busy: bool) -> bool:
        limit = self.plan.limit
        in_time = self.worked <= limit and self.seconds <= 10 * limit if busy else self.seconds <= limit
        return self.code == 0 and in_time and not self.left


# --- the window, in its own process -------------------------------------------------------------------------


def window(plan: Plan, note: Path) -> int:
    """Opens the window as the product does and closes it; the time of closing goes into `note`."""
    from PySide6.QtCore import QTimer

    import diffusion_studio.app

    class Watched(diffusion_studio.app.App):
        """The window that works by itself and waits for the moment to close."""

        def __init__(self, path: str = "", crashed: str = "") -> None:
            super().__init__(path, crashed)
            self.told = 0
            if plan.moment == "before pages":
                self.shell.painted.connect(
                    lambda: self.leave_in(2 * plan.after if plan.fresh else plan.after)
                )
            self.ready.connect(self.begin)

        def begin(self) -> None:
            assert self.studio is not None
            studio = self.studio
            for key, value in (SAVING if plan.moment == "saving" else NARROW).items():
                studio.training.edit(key, value)
            match plan.moment:
                case "autoencoder":
                    studio.show_page("autoencoder")
                    studio.codes.changed.connect(self.count)
                    studio.codes.start()
                case "chains":
                    studio.show_page("sample")
                    studio.sampling.changed.connect(self.count)
                    studio.training.start()
                    self.again = QTimer(self, interval=150)
                    self.again.timeout.connect(self.compute_another)
                    self.again.start()
                case _:
                    studio.show_page("train")
                    studio.training.changed.connect(self.count)
                    studio.training.start()

        def compute_another(self) -> None:
            if self.studio is not None:
                self.studio.sampling.tree.edit("seed", self.told)
                self.studio.sampling.tree.settle()

        def count(self, state: Any) -> None:
            """One more change was told: has the moment come?"""
            self.told += 1
            if self.studio is None:
                return
            if plan.moment == "saving":
                if self.told == 1:
                    self.watch = QTimer(self, interval=1)
                    self.watch.timeout.connect(self.look)
                    self.watch.start()
            elif plan.moment != "before pages" and self.told == round(plan.after) + 1:
                self.leave_in(0)

        def look(self) -> None:
            run = self.studio.training.state.run if self.studio is not None else None
            if run is not None and any(run.glob("checkpoints/.saving-*")):
                self.watch.stop()
                self.leave_in(0.3 * plan.after)

        def leave_in(self, seconds: float) -> None:
            QTimer.singleShot(round(1000 * seconds), self, self.leave)

        def leave(self) -> None:
            note.write_text(json.dumps({"at": time.time(), "worked": time.process_time()}))
            if plan.way == "close":
                self.close()
            else:
                os.kill(os.getpid(), getattr(signal, plan.way))

    from diffusion_studio import __main__ as entrance

    vars(diffusion_studio.app)["App"] = Watched
    sys.argv[1:] = []
    return entrance.main()


def import_everything() -> None:
    """What the window imports, so that forks of this process need not; nothing of it is run."""
    from diffusion_studio.engine.machine.garbage import import_optimizers
    from diffusion_studio.engine.machine.torch_libraries import load_first
    from diffusion_studio.pages.entries import PAGES

    load_first()
    for entry in PAGES:
        entry.preload()
        entry.module()
    for name in ("app", "studio", "widgets.equations.formula"):
        importlib.import_module(f"diffusion_studio.{name}")
    importlib.import_module("diffusers.models.unets.unet_2d")  # what a training imports when it begins
    import_optimizers()
    assert psutil.Process().num_threads() == 1, "a thread would be missing in the forks"


# --- the judge ----------------------------------------------------------------------------------------------


def begun(plan: Plan, place: Path) -> int:
    """Forks the process of one window: its id, and 0 in the fork itself."""
    for folder in ("home", "tmp"):
        (place / folder).mkdir(parents=True)
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    os.environ.update(
        DIFFUSION_STUDIO_HOME=str(place / "home"), TMPDIR=str(place / "tmp"), QT_QPA_PLATFORM="offscreen"
    )
    tempfile.tempdir = None
    handle = os.open(place / "said.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    if plan.fresh:
        words = [plan.moment, plan.way, str(plan.after), str(place / "note.json")]
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.closing", "--window", *words])
    return 0


def judged(plan: Plan, pid: int, place: Path) -> Closing:
    """Waits for the end of a window, and looks at what it left."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found, status, used = os.wait4(pid, os.WNOHANG)
        if found:
            break
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    ended, note = time.time(), place / "note.json"
    told: dict[str, Any] = json.loads(note.read_text()) if note.exists() else {"at": 0.0, "worked": 0.0}
    return Closing(
        plan, os.waitstatus_to_exitcode(status), ended - told["at"],
        used.ru_utime + used.ru_stime - told["worked"], leftovers(pid, place),
    )  # fmt: skip


def leftovers(group: int, place: Path) -> tuple[str, ...]:
    """What should not be there after the window is gone, in words."""
    home, words = place / "home", (place / "said.txt").read_text("utf-8", "replace")
    found = [f"file {path.name}" for path in (place / "tmp").iterdir()]
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


def plans(times: int, seed: int) -> list[Plan]:
    """Every moment with every way, and all of them both from nothing and not."""
    chance, found = random.Random(seed), []
    for number in range(times):
        moment = list(MOMENTS)[number % len(MOMENTS)]
        way = WAYS[number // len(MOMENTS) % len(WAYS)]
        found.append(Plan(moment, way, chance.uniform(0, MOMENTS[moment] or 1), chance.randrange(FRESH) == 0))
    return found


def report(closings: list[Closing], busy: bool) -> int:
    kinds = Counter((c.plan.moment, c.plan.way) for c in closings)
    rows = []
    for moment, way in kinds:
        those = [c for c in closings if (c.plan.moment, c.plan.way) == (moment, way)]
        slowest, worked = max(c.seconds for c in those), max(c.worked for c in those)
        failed = sum(not c.ok(busy) for c in those)
        fresh = sum(c.plan.fresh for c in those)
        rows.append((moment, way, len(those), fresh, f"{slowest:.2f} s", f"{worked:.2f} s", failed))
    heads = ("closed while", "by", "times", "from nothing", "slowest", "most processor time", "failed")
    table(heads, rows)
    failed = sum(not c.ok(busy) for c in closings)
    slowest, worked = max(c.seconds for c in closings), max(c.worked for c in closings)
    print(f"{len(closings)} times, slowest {slowest:.2f} s ({worked:.2f} s of work), failed {failed}")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--busy", action="store_true", help="count processor time: there is other work")
    parser.add_argument("--window", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.window:
        moment, way, after, note = options.window
        return window(Plan(moment, way, float(after), True), Path(note))
    import_everything()
    closings, folder = [], Path(tempfile.mkdtemp(prefix="closing-"))
    for number, plan in enumerate(plans(options.times, options.seed)):
        place = folder / str(number)
        pid = begun(plan, place)
        if not pid:  # this is the window's process: it goes all the way that a program goes at its end
            return window(plan, place / "note.json")
        closings.append(judged(plan, pid, place))
        if not closings[-1].ok(options.busy):
            print(closings[-1], flush=True)
        shutil.rmtree(place)
    folder.rmdir()
    return report(closings, options.busy)


if __name__ == "__main__":
    sys.exit(main())
