"""Windows as a person leaves them: many of one home, and one for a long time.

    python -m benchmarks.windows ten [--count 10]
    python -m benchmarks.windows soak [--minutes 60] [--notes FILE]

`ten` opens so many windows of one home at the same time; each trains a small model and is closed. All must
end well, every run must be whole and of its own name, and the memory of the windows must be sound. `soak`
keeps one window busy with everything at once (a training with previews, autoencoders one after another,
classifiers, chains that are computed anew, branched and taken back, sweeps over γ, a network of the plane,
one page and one tab after another) and reads its memory once a minute, by who holds it, and whenever it grew
by a step, with what the window did before; what it holds at the end must not be more than a twentieth above
what it held after a fifth of the time. Exit code 1 when it is not so.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.holdings import holdings, resident
from benchmarks.measuring import table

if TYPE_CHECKING:
    from diffusion_studio.studio import Studio

TINY = {
    "model.width": 8, "model.multipliers": (1, 2), "model.layers": 1, "training.batch_size": 16,
    "training.checkpoint_every": 50, "training.steps": 100, "training.seconds": 0.0,
}  # fmt: skip
BUSY = {**TINY, "training.steps": 0, "training.preview_share": 0.2, "training.checkpoint_every": 500}
GROWTH = 1.05
STEP = 8.0  # MB that memory grew by since it was last looked at, which is told by itself
PATIENCE = 600.0  # seconds for all windows to end


def window(seconds: float, note: Path) -> int:
    """One window: trains and closes (no seconds), or is kept busy for so long."""
    from PySide6.QtCore import QTimer

    import diffusion_studio.app
    from diffusion_studio.data.spec import DIGITS
    from diffusion_studio.engine.chains.source import MEMORISING
    from diffusion_studio.pages.sample.side import TABS

    class Busy(diffusion_studio.app.App):
        """The window that uses itself."""

        def __init__(self, path: str = "", crashed: str = "") -> None:
            super().__init__(path, crashed)
            self.until, self.turns = time.monotonic() + seconds, itertools.count()
            self.held: list[dict[str, Any]] = []
            self.steps: list[dict[str, Any]] = []
            self.did: deque[str] = deque(maxlen=6)
            self.most = 0.0
            self.watch = QTimer(self, interval=500 if seconds else 100)
            self.watch.timeout.connect(self.busy if seconds else self.end)
            self.ready.connect(self.begin)

        def begin(self) -> None:
            assert self.studio is not None
            for key, value in (BUSY if seconds else TINY).items():
                self.studio.training.edit(key, value)
            self.studio.show_page("train")
            self.studio.training.start()
            self.watch.start()

        def end(self) -> None:
            if self.studio is not None and self.studio.training.state.phase == "idle":
                self.watch.stop()
                state = self.studio.training.state
                notice = state.notice.text if state.notice is not None else ""
                note.write_text(json.dumps({"run": str(state.run), "said": notice or state.detail}))
                self.close()

        def busy(self) -> None:
            """Another page twice a second, another chain every third time."""
            turn = next(self.turns)
            if self.studio is None:
                return
            self.look(self.studio)
            page = list(self.studio.pages)[turn % len(self.studio.pages)]
            self.did.append(f"{turn} {page}")
            self.studio.show_page(page)
            if turn % 3 == 0:
                self.studio.sampling.tree.edit("seed", turn)
                self.studio.sampling.tree.settle()
            self.do_more(turn, self.studio)
            if time.monotonic() > self.until:
                self.watch.stop()
                self.held.append(holdings().as_dict())
                step = self.studio.training.state.step
                told = {"held": self.held, "steps": self.steps, "turns": turn, "step": step}
                note.write_text(json.dumps(told))
                self.close()

        def look(self, studio: Studio) -> None:
            """What is held: once a minute, and when it is more than it ever was."""
            minute, now = (seconds - (self.until - time.monotonic())) / 60, resident()
            if now > self.most + STEP:
                before = {"minute": minute, "from": self.most}
                did = [*self.did, f"step {studio.training.state.step}"]
                self.steps.append({**before, **holdings().as_dict(), "did": did})
                self.most = now
            if len(self.held) < minute:
                self.held.append(holdings().as_dict())
                self.most = max(self.most, now)

        def do_more(self, turn: int, studio: Studio) -> None:
            """What else a window does, each now and then; whatever is at work already goes on."""
            sampling, code, did = studio.sampling, studio.codes, self.did.append
            if turn % 10 == 4:
                studio.sample_page.side.show_tab(TABS[turn // 10 % len(TABS)][0])
                did("a tab")
            if turn % 40 == 8:
                sampling.branch()
                did("a branch")
            if turn % 40 == 28:
                sampling.tree.undo()
                did("a branch taken back")
            if turn % 120 == 14:
                studio.plane.start_learning()
                did("a network of the plane")
            if turn % 120 == 34 and not code.state.busy:
                code.edit("training.seconds", 30.0)
                code.start()
                did("an autoencoder")
            if turn % 240 == 54:
                run = studio.training.state.run
                sampling.choices.choose(MEMORISING + DIGITS if turn % 480 == 54 else str(run))
                did("another model")
            if turn % 480 == 354:
                sampling.beside.classifier.show(str(studio.training.state.run))
                sampling.beside.classifier.train(10.0)
                did("a classifier")
            if turn % 480 == 204:
                sampling.beside.measure_trade()
                did("a sweep")

    from diffusion_studio import __main__ as entrance

    vars(diffusion_studio.app)["App"] = Busy
    sys.argv[1:] = []
    return entrance.main()


def opened(home: Path, seconds: float, note: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "DIFFUSION_STUDIO_HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-m", "benchmarks.windows", "--window", str(seconds), str(note)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def complaints(home: Path) -> list[str]:
    log = home / "logs" / "studio.log"
    words = log.read_text("utf-8", "replace") if log.exists() else ""
    return [f"log: {words[-300:]!r}"] if "Traceback" in words or "ERROR" in words else []


def ten(count: int) -> int:
    from diffusion_studio.engine.runs.checkpoints import problem_with
    from diffusion_studio.engine.runs.run import Run

    with tempfile.TemporaryDirectory() as folder:
        home, notes = Path(folder) / "home", [Path(folder) / f"{n}.json" for n in range(count)]
        start = time.monotonic()
        windows = [opened(home, 0, note) for note in notes]
        said = [process.communicate(timeout=PATIENCE) for process in windows]
        found = [f"window {n}: {' '.join(words)[-300:]}" for n, words in enumerate(said) if any(words)]
        found += [f"window {n} ended with {p.returncode}" for n, p in enumerate(windows) if p.returncode]
        told: list[dict[str, Any]] = [json.loads(note.read_text()) for note in notes if note.exists()]
        runs = {Path(each["run"]) for each in told}
        for run in runs:
            checkpoint, _ = Run.open(run).newest_checkpoint()
            problem = problem_with(checkpoint)
            found += [problem] if problem else []
            found += [f"{run.name} is at {checkpoint.name}"] if Run.open(run).step != 100 else []
        found += [each["said"] for each in told if "everything is saved" not in each["said"]]
        found += [] if len(runs) == count else [f"{len(runs)} runs of {count} windows"]
        found += (
            []
            if isinstance(json.loads((home / "settings" / "window.json").read_text()), dict)
            else ["memory"]
        )
        found += complaints(home)
        seconds = time.monotonic() - start
    print("\n".join(found))
    print(f"{count} windows of one home, {len(runs)} runs, {seconds:.0f} s, {len(found)} complaints")
    return 1 if found else 0


def soak(minutes: float, notes: Path | None) -> int:
    with tempfile.TemporaryDirectory() as folder:
        home, note = Path(folder) / "home", Path(folder) / "note.json"
        process = opened(home, 60 * minutes, note)
        words = process.communicate()
        told: dict[str, Any] = json.loads(note.read_text()) if note.exists() else {}
        found = complaints(home) + ([f"said {' '.join(words)[-300:]!r}"] if any(words) else [])
    found += [] if told else ["it left no word of its memory"]
    if notes is not None:
        notes.write_text(json.dumps(told, indent=1))
    held, steps = told.get("held", []), told.get("steps", [])
    print_holdings(held, steps)
    print("\n".join(found))
    first, last = (held[len(held) // 5]["total"], held[-1]["total"]) if held else (0.0, 0.0)
    print(
        f"{minutes:g} minutes, {told.get('turns')} turns, trained to step {told.get('step')}: {first:.0f} MB "
        f"after a fifth of it, {last:.0f} MB at the end; exit code {process.returncode}"
    )
    return 1 if found or process.returncode or last > GROWTH * first else 0


def print_holdings(held: list[dict[str, Any]], steps: list[dict[str, Any]]) -> None:
    """MB by minute and by who holds them, and the steps of growth with what was done before."""
    names = ("total", "heap", "used", "free", "top", "pieces", "anonymous", "files")
    counts = ("blocks", "looked_for", "passed_over")

    def row(found: dict[str, Any]) -> list[str]:
        return [f"{found[name]:.0f}" for name in (*names, *counts)]

    table(("minute", *names, *counts), [(n, *row(found)) for n, found in enumerate(held)])
    for found in steps:
        grew = f"minute {found['minute']:.1f}: {found['from']:.0f} to {found['total']:.0f} MB"
        heap = f"heap {found['heap']:.0f}, used {found['used']:.0f}, free {found['free']:.0f}"
        print(f"{grew} ({heap}, anonymous {found['anonymous']:.0f}, files {found['files']:.0f}) after "
              f"{'; '.join(found['did'])}")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["ten", "soak"], nargs="?")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--notes", type=Path, help="where the figures of a soak are kept")
    parser.add_argument("--window", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.window:
        return window(float(options.window[0]), Path(options.window[1]))
    return ten(options.count) if options.what == "ten" else soak(options.minutes, options.notes)


if __name__ == "__main__":
    sys.exit(main())
