"""How late the event loop comes while a training with T = 4,000 runs and the Train page draws it.

python -m benchmarks.event_loop
"""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.lab import LATE, lateness
from benchmarks.measuring import against, say_machine, share_within, table
from benchmarks.window import built, live, started, wait

if TYPE_CHECKING:
    from diffusion_studio.app import App

STEPS, WARM, SECONDS = 4000, 8.0, 30.0


def run(app: App) -> None:
    app.shell.resize(1280, 800)
    app.show()
    studio = built(app)
    model = studio.training
    studio.show_page("train")
    wait(lambda: model.state.data is not None)
    model.edit("diffusion.steps", STEPS)
    model.settle()
    model.start()
    live(WARM)
    late = lateness(lambda: live(SECONDS))
    reached = share_within(late, 99)
    shown = [f"{1000 * share_within(late, percent):.1f}" for percent in (50, 99, 100)]
    row = ("event loop late, ms", *shown, f"p99 ≤ {1000 * LATE:.0f}", against(reached, LATE))
    table((f"digits, T = {STEPS:,}", "median", "p99", "worst", "budget", ""), [row])


if __name__ == "__main__":
    say_machine()
    with tempfile.TemporaryDirectory() as place:
        os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(place) / "home")
        started(run)
