"""What the training of an autoencoder costs beyond its bare steps, and how the window follows it.

    python -m benchmarks.autoencoder [overhead] [window]

overhead  seconds per step of the loop (events, looks, EMA) ÷ of a bare loop (forward, backward, optimizer)
          of the same network on one ready-made batch; taken in turns of some 30 ms. A round is long enough
          for a look or two.
window    how late a timer of 10 ms comes while a VAE trains and the pointer moves over the plane of codes,
          and how long after each move its picture is there.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.measuring import against, in_step, paired_ratio, pieced, say_machine, share_within, table

if TYPE_CHECKING:
    from diffusion_studio.app import App
    from diffusion_studio.engine.autoencoder.session import CodeSession

OVERHEAD, LATE, FOLLOWS = 1.05, 0.016, 0.033
ROUNDS, SECONDS = 12, 15.0
TURNS = {"mlp": (12, 40), "conv": (2, 30)}  # steps of one turn, and turns of a round
MOVES = 30  # ms between two moves of the pointer


def bare_loop(session: CodeSession, steps: int) -> Callable[[], int]:
    """Forward, backward and optimizer step of a copy of the session's network, on one ready-made batch."""
    import torch

    from diffusion_studio.engine.autoencoder.bound import bound_terms

    task = session.task
    network, x = copy.deepcopy(task.network), task._batch(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
    generator = torch.Generator().manual_seed(0)

    def run() -> int:
        for _ in range(steps):
            loss = bound_terms(network, task.decoder, x, generator).loss().mean() / x[0].numel()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
        return steps

    return run


def trainer_loop(session: CodeSession, steps: int) -> Callable[[], int]:
    """At least `steps` steps of the training, to its next event."""
    from diffusion_studio.engine.autoencoder.session import train

    stream = train(session)

    def run() -> int:
        first = session.counters.step
        while session.counters.step < first + steps:
            next(stream)
        return session.counters.step - first

    return run


def measure_overhead(folder: Path) -> None:
    import torch

    from diffusion_studio.core.describe import with_values
    from diffusion_studio.engine.autoencoder.session import new_session
    from diffusion_studio.engine.jobs.control import Control
    from diffusion_studio.engine.runs.autoencoder_config import VAEConfig

    rows = []
    for network, (steps, turns) in TURNS.items():
        changes = {"code.network": network, "training.seconds": 0, "training.checkpoint_every": 10_000_000}
        config = with_values(VAEConfig(), changes.items())
        session = new_session(folder / network, config, torch.device("cpu"), Control())
        sides = [pieced(loop(session, steps), turns) for loop in (bare_loop, trainer_loop)]
        bare, whole = in_step(sides, 0, ROUNDS)
        ratio = paired_ratio(whole, bare)
        times = (f"{1000 * median(bare):.2f}", f"{1000 * median(whole):.2f}")
        rows.append((f"digits, {network}", *times, f"{ratio:.3f}", f"≤ {OVERHEAD}", against(ratio, OVERHEAD)))
    table(("VAE, k = 16, batch 128", "bare ms", "training ms", "ratio", "budget", ""), rows)


def measure_window(app: App) -> None:
    from PySide6.QtCore import QTimer

    from benchmarks.lab import lateness
    from benchmarks.window import built, live, wait

    app.shell.resize(1280, 800)
    app.show()
    studio = built(app)
    studio.show_page("autoencoder")
    model = studio.codes
    wait(lambda: model.state.data is not None)
    model.edit("training.seconds", 0.0)
    model.settle()
    model.start()
    wait(lambda: model.record.newest is not None)
    model.show("code")
    live(2.0)
    asked: list[float] = []
    waits: list[float] = []
    model.latent.decoded.connect(lambda _: waits.append(time.perf_counter() - asked[-1]) if asked else None)
    timer = QTimer(interval=MOVES)

    def move() -> None:
        asked.append(time.perf_counter())
        model.latent.point_at(2 * (len(asked) % 40) / 40 - 1, 0.5)

    timer.timeout.connect(move)
    timer.start()
    late = lateness(lambda: live(SECONDS))
    timer.stop()
    rows = []
    for name, found, budget in (
        ("event loop late, ms", late, LATE),
        ("picture after a move, ms", waits, FOLLOWS),
    ):
        shown = [f"{1000 * share_within(found, percent):.1f}" for percent in (50, 99, 100)]
        reached = share_within(found, 99)
        rows.append((name, *shown, f"p99 ≤ {1000 * budget:.0f}", against(reached, budget)))
    table(("VAE that trains", "median", "p99", "worst", "budget", ""), rows)


def main() -> None:
    wanted = sys.argv[1:] or ["overhead", "window"]
    with tempfile.TemporaryDirectory() as place:
        os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(place) / "home")
        say_machine()
        if "overhead" in wanted:
            measure_overhead(Path(place))
        if "window" in wanted:
            from benchmarks.window import started

            started(measure_window)


if __name__ == "__main__":
    main()
