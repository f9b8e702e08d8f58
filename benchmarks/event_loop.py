"""How late the event loop comes on every page while a training goes on, and how soon the palette is there.

    python -m benchmarks.event_loop [--page NAME] [--seconds 12] [--why] [palette]

While the digits are trained (T = 4,000, no end), each page is used: the losses are drawn on Train, a chain is
scrubbed on Sample, particles play on 2-D, a code is dragged on Autoencoder, Theory is scrolled, runs are
sorted and chosen on Runs; at last one page after another is shown. A timer of 10 ms says how late it comes.
"Own work" is the processor time that the window's thread takes between two of its beats: what else runs on
the machine changes it little. With `--why` it says where the window's thread was when a beat was overdue.

palette: from the key to its painting, while the same training goes on.
"""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import argparse
import itertools
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import against, say_machine, share_within, table
from benchmarks.window import built, live, started, wait

if TYPE_CHECKING:
    from diffusion_studio.app import App
    from diffusion_studio.studio import Studio

LATE, SOON = 0.016, 0.050
BEAT = 0.010
STEPS, WARM, RUNS = 4000, 8.0, 12
OPENINGS = 30
Turn = Callable[[int], object]  # what is done at a moment of use, by its number


class Beats:
    """A timer of 10 ms on the window's thread: how late it comes, and what that thread does in between."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self.late: list[float] = []
        self.work: list[float] = []  # seconds of the processor
        self.last = (time.perf_counter(), time.thread_time())
        self._timer = QTimer(interval=round(1000 * BEAT), timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

    def during(self, seconds: float) -> None:
        self.last = (time.perf_counter(), time.thread_time())
        self._timer.start()
        live(seconds)
        self._timer.stop()

    def _beat(self) -> None:
        now, spent = time.perf_counter(), time.thread_time()
        self.late.append(max(0.0, now - self.last[0] - BEAT))
        self.work.append(spent - self.last[1])
        self.last = (now, spent)


class Why(threading.Thread):
    """Looks where the window's thread is whenever a beat is overdue."""

    def __init__(self, beats: Beats) -> None:
        super().__init__(daemon=True)
        self.found: Counter[str] = Counter()
        self._beats, self._ended = beats, threading.Event()
        self._window = threading.get_ident()

    def run(self) -> None:
        while not self._ended.wait(0.002):
            if time.perf_counter() - self._beats.last[0] > BEAT + LATE / 2:
                frames = traceback.extract_stack(sys._current_frames()[self._window])
                ours = [f"{Path(f.filename).stem}.{f.name}:{f.lineno}" for f in frames]
                self.found[" < ".join(reversed(ours[-7:]))] += 1

    def end(self) -> None:
        self._ended.set()
        self.join()
        for where, times in self.found.most_common(8):
            print(f"    {times:4d} × {where}")


# --- what is done on each page ------------------------------------------------------------------------------


def watch_training(studio: Studio) -> Turn:
    return lambda number: None


def scrub(studio: Studio) -> Turn:
    model = studio.sampling
    wait(lambda: not model.state.chains.busy)
    last = len(model.state.chains.facts.times) - 1
    return lambda number: model.player.seek(abs(number % (2 * last) - last))


def play(studio: Studio) -> Turn:
    studio.plane.player.play()
    return lambda number: None


def drag_code(studio: Studio) -> Turn:
    studio.codes.show("code")
    return lambda number: studio.codes.latent.point_at(2 * (number % 40) / 40 - 1, 0.5)


def scroll(studio: Studio) -> Turn:
    """Each part of the theory down and up, a part after the other."""
    from PySide6.QtWidgets import QScrollArea

    from diffusion_studio.pages.theory.page import PARTS

    page = studio.theory_page

    def turn(number: int) -> None:
        if number % 60 == 0:
            page.show_part(PARTS[number // 60 % len(PARTS)][0])
        for area in page.findChildren(QScrollArea):
            bar = area.verticalScrollBar()
            if area.isVisible() and bar.maximum():
                bar.setValue(bar.maximum() * abs(number % 60 - 30) // 30)

    return turn


def sort_and_choose(studio: Studio) -> Turn:
    model = studio.runs
    wait(lambda: len(model.state.runs) >= RUNS)
    orders = itertools.cycle(("name", "loss", "step", "size", "saved"))

    def turn(number: int) -> None:
        if number % 10 == 0:
            model.sort(next(orders))
        elif number % 5 == 0:
            first = number // 5 % RUNS
            model.choose([run.path for run in model.state.shown[first : first + 1 + number // 5 % 4]])

    return turn


def leaf(studio: Studio) -> Turn:
    """One page after the other, a look of half a second each."""
    pages = itertools.cycle(studio.pages)
    return lambda number: studio.show_page(next(pages)) if number % 15 == 0 else None


USES: dict[str, tuple[str, Callable[[Studio], Turn]]] = {
    "train": ("the training is drawn", watch_training),
    "sample": ("a chain is scrubbed", scrub),
    "plane": ("particles play", play),
    "autoencoder": ("a code is dragged", drag_code),
    "theory": ("scrolled", scroll),
    "runs": ("sorted and chosen", sort_and_choose),
    "": ("one after another", leaf),
}


# --- what is measured ---------------------------------------------------------------------------------------


def made_runs() -> None:
    """Runs to sort and to choose, as small as can be."""
    from diffusion_studio.engine.files import places
    from tests.support.tiny import begin, finish, tiny_config

    for number in range(RUNS):
        finish(begin(places.runs_dir() / f"run {number}", tiny_config(steps=6, seed=number, preview_count=4)))


def trained_code(studio: Studio) -> None:
    """A code to drag through."""
    model = studio.codes
    studio.show_page("autoencoder")  # which reads its images when it is seen
    wait(lambda: model.state.data is not None)
    model.edit("training.steps", 200)
    model.settle()
    model.start()
    wait(lambda: model.state.busy)
    wait(lambda: not model.state.busy)


def opened(app: App) -> Studio:
    """The window with all its pages, while a training with no end goes on."""
    app.shell.resize(1280, 800)
    app.show()
    studio = built(app)
    studio.plane.player.stop()
    wait(lambda: studio.training.state.data is not None)
    trained_code(studio)
    for page in studio.pages.values():
        page.settle()
    model = studio.training
    for path, value in (("diffusion.steps", STEPS), ("training.seconds", 0.0), ("training.steps", 0)):
        model.edit(path, value)
    model.settle()
    model.start()
    wait(lambda: model.state.step > 0)
    live(WARM)
    return studio


def used(studio: Studio, page: str, seconds: float, why: bool) -> list[object]:
    """One row of the table."""
    from PySide6.QtCore import QTimer

    title, use = USES[page]
    studio.show_page(page or "train")
    turn, numbers, beats = use(studio), itertools.count(), Beats()
    clock = QTimer(interval=33)
    clock.timeout.connect(lambda: turn(next(numbers)))
    live(1.0)
    watcher, first = Why(beats) if why else None, studio.training.state.step
    clock.start()
    if watcher is not None:
        watcher.start()
    beats.during(seconds)
    clock.stop()
    studio.plane.player.stop()
    if watcher is not None:
        print(f"{page}: {title}")
        watcher.end()
    late, work = (
        [f"{1000 * share_within(x, p):.1f}" for p in (50, 99, 100)] for x in (beats.late, beats.work)
    )
    work.append(str(sum(spent > LATE for spent in beats.work)))
    told = against(share_within(beats.late, 99), LATE)
    return [f"{page or 'all'}: {title}", *late, *work, studio.training.state.step - first, told]


def measure_pages(app: App, pages: list[str], seconds: float, why: bool) -> None:
    made_runs()
    studio = opened(app)
    rows = [used(studio, page, seconds, why) for page in pages]
    heads = ("late, ms: median", "p99", "worst", "own work, ms: median", "p99", "worst", "> 16", "steps")
    table(("", *heads, f"p99 ≤ {1000 * LATE:.0f}"), rows)


def measure_palette(app: App) -> None:
    """From Ctrl+K to the palette being painted, first and later."""
    from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt
    from PySide6.QtTest import QTest

    class Painted(QObject):
        count = 0

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            self.count += event.type() == QEvent.Type.Paint
            return False

    made_runs()
    studio = opened(app)
    palette, painted = studio.commands.palette, Painted()
    palette.list.viewport().installEventFilter(painted)
    control, soon, work = Qt.KeyboardModifier.ControlModifier, list[float](), list[float]()
    for _ in range(OPENINGS):
        live(0.2)
        before, begun, spent = painted.count, time.perf_counter(), time.thread_time()
        QTest.keyClick(app.shell, Qt.Key.Key_K, control)
        while painted.count == before:
            QCoreApplication.processEvents()
        soon.append(time.perf_counter() - begun)
        work.append(time.thread_time() - spent)
        QTest.keyClick(palette.line, Qt.Key.Key_Escape)
    rows = [
        [name, f"{1000 * x[0]:.1f}", *(f"{1000 * share_within(x[1:], p):.1f}" for p in (50, 99)), told]
        for name, x, told in (
            ("from the key to the paint", soon, against(share_within(soon, 100), SOON)),
            ("own work", work, ""),
        )
    ]
    table(("palette, ms", "first", "later: median", "worst", f"≤ {1000 * SOON:.0f}"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("pages", "palette"), default="pages")
    parser.add_argument("--page", action="append", choices=[page for page in USES if page])
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--why", action="store_true")
    chosen = parser.parse_args()
    say_machine()
    with tempfile.TemporaryDirectory() as place:
        os.environ["DIFFUSION_STUDIO_HOME"] = str(Path(place) / "home")
        if chosen.what == "palette":
            started(measure_palette)
        else:
            pages = chosen.page or list(USES)
            started(lambda app: measure_pages(app, pages, chosen.seconds, chosen.why))


if __name__ == "__main__":
    main()
