"""How soon the window is there, and how smoothly a chain is scrubbed.

    python -m benchmarks.window [start] [scrub]

start  seconds from the start of the interpreter to the first paint (torch must not be imported by then) and
       to the first picture on the Sample page. Each in a process of its own.
scrub  64 trajectories × 1,000 steps × 3×32×32 in the real page at 1280×800: from asking for a random state to
       its picture being painted.
"""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Protocol

from benchmarks.measuring import against, share_within, table

if TYPE_CHECKING:
    from PySide6.QtCore import QCoreApplication

    from diffusion_studio.app import App
    from diffusion_studio.engine.chains.source import Source
    from diffusion_studio.studio import Studio
    from diffusion_studio.viewmodels.sample.model import SampleViewModel

PAINTED, USABLE, SEEK = 0.5, 5.0, 0.016
STARTS, SEEKS = 6, 300
BEGUN = "BENCHMARK_BEGUN"  # when a process was asked for, on the clock that all processes share
COUNT, STEPS, SHAPE = 64, 1000, (3, 32, 32)


def built(app: App) -> Studio:
    """The pages of a window, once there are any."""
    wait(lambda: app.studio is not None)
    assert app.studio is not None
    return app.studio


def since_start() -> float:
    """Seconds since the process was asked for. The time at which it began is known to a second only."""
    return time.monotonic() - float(os.environ[BEGUN])


def wait(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Lets the window live until `condition` holds."""
    from PySide6.QtCore import QEventLoop, QTimer

    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("The awaited moment never came.")
        loop = QEventLoop()
        QTimer.singleShot(5, loop.quit)
        loop.exec()


def live(seconds: float) -> None:
    """Lets the window live for so long, without looking at anything meanwhile."""
    from PySide6.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def started(then: Callable[..., None]) -> None:
    """Opens the window as the product does, hands it to `then`, and closes it."""
    from PySide6.QtWidgets import QApplication

    application = QApplication([])
    from diffusion_studio.app import App
    from diffusion_studio.widgets.look.theme import theme

    theme()
    app = App()
    try:
        then(app)
    finally:
        app.close()
        application.processEvents()


# --- start --------------------------------------------------------------------------------------------------


def measure_one_start() -> None:
    """In a process of its own: prints JSON."""
    found: dict[str, object] = {}

    def painted() -> None:
        found["painted"] = since_start()
        found["torch"] = "torch" in sys.modules

    def run(app: App) -> None:
        app.shell.painted.connect(painted)
        app.show()
        studio = built(app)
        found["pages"] = since_start()
        wait(lambda: studio.sampling.look().pictures.frame is not None)
        found["picture"] = since_start()

    started(run)
    print(json.dumps(found))


def measure_starts() -> None:
    found = []
    for _ in range(STARTS):
        command = [sys.executable, "-m", "benchmarks.window", "one-start"]
        begun = {**os.environ, BEGUN: str(time.monotonic())}
        out = subprocess.run(command, check=True, capture_output=True, text=True, env=begun).stdout
        found.append(json.loads(out))
    rows = []
    for key, title, budget in (
        ("painted", "first paint", PAINTED),
        ("pages", "pages built", None),
        ("picture", "first picture", USABLE),
    ):
        values = [float(entry[key]) for entry in found]
        middle = median(values)
        rows.append((
            title, f"{middle:.2f}", f"{values[0]:.2f}", f"{max(values[1:]):.2f}",
            f"≤ {budget}" if budget else "", against(middle, budget) if budget else "",
        ))  # fmt: skip
    table(("seconds from the interpreter's start", "median", "first", "worst later", "budget", ""), rows)
    early = any(entry["torch"] for entry in found)
    print(f"torch imported before the first paint: {'yes' if early else 'no'}")


# --- scrubbing ----------------------------------------------------------------------------------------------


def measure_scrubbing() -> None:
    started(scrub)


def cheap_source() -> Source:
    """A denoiser that costs next to nothing: the chain only has to be long and wide."""
    from diffusion_studio.core.denoisers.denoiser import FunctionDenoiser
    from diffusion_studio.engine.chains.source import Source
    from diffusion_studio.engine.runs.config import DiffusionSpec

    denoiser = FunctionDenoiser(DiffusionSpec().tables(), lambda x_t, t: 0.9 * x_t)
    return Source("folder", "cheap", denoiser, SHAPE[1:], SHAPE[0], ())


def scrub(app: App) -> None:
    from PySide6.QtCore import QCoreApplication, QEvent, QObject

    class Painted(QObject):
        """Notes when a widget was painted."""

        count = 0

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            self.count += event.type() == QEvent.Type.Paint
            return False

    app.shell.resize(1280, 800)
    app.show()
    studio = built(app)
    model, page = studio.sampling, studio.sample_page
    wait(lambda: not model.state.chains.busy)
    source = cheap_source()
    vars(model.chains._bench.cache).update(open=lambda key: source)
    model.tree.edit("steps", STEPS)
    model.tree.edit("count", COUNT)
    model.tree.settle()
    wait(lambda: len(model.state.chains.facts.times) == STEPS + 1 and not model.state.chains.busy)
    assert page.pictures.grid.count == COUNT
    painted = Painted()
    page.pictures.grid.installEventFilter(painted)
    random.seed(0)
    rows = []
    for view in ("x0_hat", "x_t", "eps_hat"):
        model.pictures.set_view(view)
        wait(lambda: True)
        times = [one_seek(model, painted, QCoreApplication) for _ in range(SEEKS)][10:]
        p50, p99 = (share_within(times, p) for p in (50, 99))
        rows.append((
            view, f"{1000 * p50:.1f}", f"{1000 * p99:.1f}", f"{1000 * max(times):.1f}",
            f"≤ {1000 * SEEK:.0f}", against(p99, SEEK),
        ))  # fmt: skip
    grid = page.pictures.grid
    print(f"{COUNT} trajectories × {STEPS} steps, grid {grid.width()}×{grid.height()}")
    table(("view, ms from seek to paint", "median", "p99", "worst", "budget p99", ""), rows)


class Counted(Protocol):
    count: int  # how often a widget was painted


def one_seek(model: SampleViewModel, painted: Counted, application: type[QCoreApplication]) -> float:
    """From asking to the whole page being painted."""
    position = random.randrange(STEPS)
    if position == model.state.player.position:
        position += 1
    before = painted.count
    start = time.perf_counter()
    model.player.seek(position)
    while painted.count == before:
        application.processEvents()
    return time.perf_counter() - start


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["start", "scrub"]
    with tempfile.TemporaryDirectory() as place:
        if "one-start" not in wanted:
            os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(place) / "home")
        if "one-start" in wanted:
            measure_one_start()
        if "start" in wanted:
            measure_starts()
        if "scrub" in wanted:
            measure_scrubbing()
