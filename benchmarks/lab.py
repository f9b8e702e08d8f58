"""How soon the reverse-chain laboratory answers.

    python -m benchmarks.lab

In the real Sample page at 1280×800 with 16 digits and 50 steps of an untrained network of the default size:
η is moved 30 times, then γ; from the edit to the first new picture and to the whole new chain. Then each is
moved thirty times a second for some seconds, as a held slider does, while a timer of 10 ms says how late the
event loop comes. At last there are three branches and 300 random states are sought, each until it is painted.
"""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import against, say_machine, share_within, table
from benchmarks.window import built, live, one_seek, started, wait

if TYPE_CHECKING:
    from diffusion_studio.app import App
    from diffusion_studio.viewmodels.sample.model import SampleViewModel

LATE, SEEK = 0.050, 0.016
MOVED = {  # the control, from where to where, and the budgets of the first picture and of the whole chain
    "sampler.eta": ("η", 0.0, 1.0, 0.100, 1.0),
    "guidance": ("γ", 1.5, 8.0, 0.150, 2.0),
}
MOVES, SEEKS, HELD = 30, 300, 4.0


def lateness(during: Callable[[], None]) -> list[float]:
    """Seconds by which each beat of a 10 ms timer comes too late while `during` runs."""
    from PySide6.QtCore import Qt, QTimer

    late: list[float] = []
    clock = [time.perf_counter()]
    timer = QTimer(interval=10, timerType=Qt.TimerType.PreciseTimer)

    def tick() -> None:
        now = time.perf_counter()
        late.append(max(0.0, now - clock[0] - 0.010))
        clock[0] = now

    timer.timeout.connect(tick)
    timer.start()
    during()
    timer.stop()
    return late


def moves(model: SampleViewModel, path: str, low: float, high: float) -> tuple[list[float], list[float]]:
    """Seconds from an edit to the first picture and to the complete chain, for each move."""
    from PySide6.QtCore import QCoreApplication

    first: list[float] = []
    whole: list[float] = []
    for k in range(MOVES):
        before = model.state.pictures.frame
        start = time.perf_counter()
        model.tree.edit(path, low + (high - low) * (k + 1) / (MOVES + 1))
        while model.state.pictures.frame is before:
            QCoreApplication.processEvents()
            time.sleep(0.0005)
        first.append(time.perf_counter() - start)
        while model.state.chains.busy:
            QCoreApplication.processEvents()
            time.sleep(0.0005)
        whole.append(time.perf_counter() - start)
        model.tree.settle()
    return first, whole


def held(model: SampleViewModel, path: str, low: float, high: float) -> None:
    """A slider that is dragged: thirty values a second."""
    end = time.perf_counter() + HELD
    k = 0
    while time.perf_counter() < end:
        k += 1
        model.tree.edit(path, low + (high - low) * (k % 50) / 50)
        live(0.033)


def run(app: App) -> None:
    from PySide6.QtCore import QCoreApplication, QEvent, QObject

    from benchmarks.sampling import source_for

    class Painted(QObject):
        count = 0

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            self.count += event.type() == QEvent.Type.Paint
            return False

    app.shell.resize(1280, 800)
    app.show()
    studio = built(app)
    model, page = studio.sampling, studio.sample_page
    studio.show_page("sample")
    wait(lambda: not model.state.chains.busy)
    source = source_for(8, 1, 10)
    vars(model.chains._bench.cache).update(open=lambda key: source)
    model.compute()
    wait(lambda: not model.state.chains.busy)
    found = []
    for path, (symbol, low, high, first_budget, whole_budget) in MOVED.items():
        first, whole = moves(model, path, low, high)
        late = lateness(partial(held, model, path, low, high))
        wait(lambda: not model.state.chains.busy)
        found += [
            (f"{symbol} moved: first picture", first, 50, first_budget),
            (f"{symbol} moved: whole chain", whole, 50, whole_budget),
            (f"{symbol} held: event loop late", late, 99, LATE),
        ]
    model.tree.edit("guidance", 1.0)
    model.tree.settle()
    wait(lambda: not model.state.chains.busy)
    for place in (10, 20, 30):
        model.player.seek(place)
        model.branch()
        model.tree.edit("sampler.eta", place / 40)
        model.tree.settle()
        wait(lambda: not model.state.chains.busy)
    painted = Painted()
    page.pictures.grid.installEventFilter(painted)
    import benchmarks.window as window

    window.STEPS = 50
    seeks = [one_seek(model, painted, QCoreApplication) for _ in range(SEEKS)][10:]
    rows = []
    found.append(("seek with three branches", seeks, 99, SEEK))
    for name, values, percent, budget in found:
        reached = share_within(values, percent)
        rows.append((
            name, *(f"{1000 * share_within(values, p):.1f}" for p in (50, 99)), f"{1000 * max(values):.1f}",
            f"{'median' if percent == 50 else 'p99'} ≤ {1000 * budget:.0f}", against(reached, budget),
        ))  # fmt: skip
    table(("ms", "median", "p99", "worst", "budget", ""), rows)


if __name__ == "__main__":
    say_machine()
    with tempfile.TemporaryDirectory() as place:
        os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(place) / "home")
        started(run)
