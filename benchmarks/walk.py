"""A person in a real window: every control, key and menu, undo, and what the log says of it.

    python -m benchmarks.walk [--page NAME] [--pictures DIR] [--here]

Opens a screen of its own (Xvfb, with openbox where it is installed) and the program in it, as
`diffusion-studio` does. The hand is xdotool: presses, drags and keys come from the X server, like those of a
mouse and a keyboard. On every page each control is touched once, each key of the sheet that holds there is
pressed (it must do what the sheet says and only that), and undo must bring the page back; then the keys of
each kind of widget are pressed on it, and each action of the menus is taken by a click. At last come the
controls of all dialogs, and everything that the palette finds (`--page none` is only these). Ctrl+Q closes
the window, and the log must be empty. Exit code 1 when something is wrong. With `--here` the screen is the
one that DISPLAY names; keep the hands off it meanwhile.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks.measuring import table

if TYPE_CHECKING:
    from PySide6.QtCore import QPoint
    from PySide6.QtWidgets import QWidget

    from diffusion_studio.app import App
    from tests.support.walk import Walk

EVERY = ("train", "sample", "plane", "autoencoder", "theory", "runs")
SCREEN = "1600x1000x24"
PATIENCE = 60.0  # seconds for whatever must come
ARRIVES = 5.0  # seconds in which a press or a key reaches the window
APART = 0.12  # seconds between two clicks that are not one double click
DOUBLE = 80  # ms within which they are
NAMES = {
    "Return": "Return", "Enter": "KP_Enter", "Space": "space", "Esc": "Escape", "Del": "Delete",
    "Backspace": "BackSpace", "PgUp": "Prior", "PgDown": "Next", "Ins": "Insert", "?": "question",
    "+": "plus", "=": "equal", "-": "minus", ",": "comma", ".": "period",
}  # fmt: skip
"""What X calls the keys that Qt calls so; the others are called the same."""
KEY, GENERIC = 3, 35  # events of X: a key is let go; what the pointer does


@contextmanager
def screen() -> Iterator[str]:
    """A screen of its own; the name that DISPLAY takes for it."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", SCREEN, "-nolisten", "tcp"],
        pass_fds=[writer], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writer)
    manager = None
    try:
        with os.fdopen(reader) as told:
            display = f":{told.readline().strip()}"
        if shutil.which("openbox"):
            manager = subprocess.Popen(["openbox"], env={**os.environ, "DISPLAY": display})
        yield display
    finally:
        for process in (manager, server):
            if process is not None:
                process.terminate()
                process.wait()


class Hand:
    """Mouse and keyboard of the screen; called as those of pytest-qt are."""

    def __init__(self) -> None:
        from PySide6.QtCore import QAbstractNativeEventFilter, QCoreApplication
        from PySide6.QtWidgets import QApplication

        class Arrivals(QAbstractNativeEventFilter):
            """Counts what the X server sends of keys and pointer."""

            def __init__(self) -> None:
                super().__init__()
                self.count = {KEY: 0, GENERIC: 0}

            def nativeEventFilter(self, kind: Any, message: Any) -> tuple[bool, int]:
                sent = ctypes.cast(int(message), ctypes.POINTER(ctypes.c_uint8))[0] & 0x7F
                if sent in self.count:
                    self.count[sent] += 1
                return False, 0

        self.arrivals, self.lost = Arrivals(), list[str]()
        self._application = QCoreApplication.instance()
        assert self._application is not None
        self._application.installNativeEventFilter(self.arrivals)
        QApplication.setDoubleClickInterval(DOUBLE)
        self._last = 0.0  # when a button was pressed

    # --- the mouse ----------------------------------------------------------------------------------------

    def mouseClick(self, widget: QWidget, button: Any, pos: QPoint | None = None) -> None:
        self._press(widget, pos, "click", "1")

    def mouseDClick(self, widget: QWidget, button: Any, pos: QPoint | None = None) -> None:
        self._press(widget, pos, "click", "--repeat", "2", "--delay", "10", "1")

    def mousePress(self, widget: QWidget, button: Any, pos: QPoint | None = None) -> None:
        self._press(widget, pos, "mousedown", "1")

    def mouseRelease(self, widget: QWidget, button: Any, pos: QPoint | None = None) -> None:
        self._do(GENERIC, *self._to(widget, pos), "mouseup", "1")

    def mouseMove(self, widget: QWidget, pos: QPoint | None = None) -> None:
        self._do(GENERIC, *self._to(widget, pos))

    def _press(self, widget: QWidget, pos: QPoint | None, *how: str) -> None:
        self.rest(max(0.0, self._last + APART - time.monotonic()))
        self._do(GENERIC, *self._to(widget, pos), *how)
        self._last = time.monotonic()

    def _to(self, widget: QWidget, pos: QPoint | None) -> tuple[str, ...]:
        there = widget.mapToGlobal(widget.rect().center() if pos is None else pos)
        return "mousemove", str(max(0, there.x())), str(max(0, there.y()))

    # --- the keyboard -------------------------------------------------------------------------------------

    def keyClick(self, widget: QWidget, key: Any) -> None:
        from PySide6.QtGui import QKeySequence

        self.key(QKeySequence(key).toString())

    def keyClicks(self, widget: QWidget, text: str) -> None:
        """What no key of this keyboard writes is pasted."""
        if text and text.isascii():
            self._do(KEY, "type", "--delay", "5", text)
        elif text:
            from PySide6.QtGui import QGuiApplication

            QGuiApplication.clipboard().setText(text)
            self.key("Ctrl+V")

    def key(self, key: str) -> None:
        """A key as Qt writes it: "Ctrl+Shift+Z", "?", "Esc"."""
        *held, last = key.split("+") if key != "+" else ["+"]
        pressed = NAMES.get(last, last.lower() if len(last) == 1 else last)
        self._do(KEY, "key", "--clearmodifiers", "+".join([*(part.lower() for part in held), pressed]))

    # --- what becomes of it -------------------------------------------------------------------------------

    def _do(self, sent: int, *command: str) -> None:
        """By xdotool; returns when the window has got it."""
        before = self.arrivals.count[sent]
        subprocess.run(["xdotool", *command], check=True)
        end = time.monotonic() + ARRIVES
        while self.arrivals.count[sent] == before:
            if time.monotonic() > end:
                self.lost.append(" ".join(command))
                return
            self.rest(0.002)
        self.rest(0.03)

    def rest(self, seconds: float) -> None:
        """Lets the window live for so long."""
        from PySide6.QtTest import QTest

        QTest.qWait(round(1000 * seconds))

    def patiently(self, walk: Walk, do: Callable[[], object]) -> None:
        """What takes for ever is a fault, and ends this part of the walk."""
        try:
            do()
        except TimeoutError as error:
            last = next(reversed(walk.touched), "nothing touched yet")
            walk.faults.append(f"{last}: {error}")

    def waitUntil(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError(f"What {holds.__qualname__} awaits never came.")
            self.rest(0.01)


def walk_over(app: App, page: str, pictures: Path | None) -> list[object]:
    """One page: its name, how many of what was touched, and what went wrong.

    At first every control and key, which undo brings back; then menus and the keys of single widgets.
    """
    from benchmarks.walk_ways import Keys, Menus, WidgetKeys
    from tests.support.walk import Walk, parts_of, value_of

    hand = Hand()
    walk = Walk(hand, app)
    keys, menus, widgets, studio = Keys(walk, hand), Menus(walk, hand), WidgetKeys(walk, hand), walk.studio
    studio.show_page(page)
    walk.come_to_rest()
    before = value_of(studio, page)

    def undone(after: str) -> None:
        studio.show_page(page)
        while studio.pages[page].can_undo and value_of(studio, page) != before:
            hand.key("Ctrl+Z")
            walk.come_to_rest()
        try:
            hand.waitUntil(
                lambda: value_of(studio, page) == before
            )  # a run comes back from the trash in a job
        except TimeoutError:
            walk.faults.append(f"undo does not bring the page back after its {after}")
        picture(pictures, f"{page}-{after}-undone")

    for number, show in enumerate(parts_of(studio, page)):
        show()
        walk.come_to_rest()
        hand.patiently(walk, lambda: walk.over(studio.pages[page]))
        picture(pictures, f"{page}-{number}")
    hand.patiently(walk, lambda: keys.over(page))
    undone("controls and keys")
    for show in parts_of(studio, page):
        studio.show_page(page)  # from which the keys of the rail lead away
        show()
        walk.come_to_rest()
        hand.patiently(walk, lambda: widgets.over(page))
    hand.patiently(walk, lambda: menus.over(page))
    undone("menus")
    ways = (keys, widgets, menus)
    faults = [*walk.faults, *(fault for way in ways for fault in way.faults)]
    lost = [f"{command} did not arrive" for command in hand.lost]
    return [page, len(walk.touched), *(way.count for way in ways), *faults, *lost]


def walk_beside(app: App, pictures: Path | None) -> list[list[object]]:
    """The dialogs, and everything that the palette finds."""
    from benchmarks.walk_ways import Dialogs, Finder
    from tests.support.walk import Walk

    found: list[list[object]] = []
    for kind in (Dialogs, Finder):
        hand = Hand()
        walk = Walk(hand, app)
        way = kind(walk, hand)
        hand.patiently(walk, way.over)
        picture(pictures, kind.__name__.lower())
        lost = [f"{command} did not arrive" for command in hand.lost]
        counts = [way.count, 0, 0, 0] if kind is Dialogs else [0, way.count, 0, 0]
        found.append([kind.title, *counts, *walk.faults, *way.faults, *lost])
    return found


def picture(folder: Path | None, name: str) -> None:
    """What stands on the screen now."""
    from PySide6.QtGui import QGuiApplication

    if folder is not None:
        QGuiApplication.primaryScreen().grabWindow(0).save(str(folder / f"{name}.png"))


def prepared(app: App) -> None:
    """Whatever is begun in this window is small; two runs are there already; no folder is opened."""
    from PySide6.QtGui import QDesktopServices

    from diffusion_studio.engine.files import places
    from diffusion_studio.engine.runs.trash import move_to_trash
    from diffusion_studio.viewmodels.train import outlook, training
    from tests.support.tiny import begin, finish, tiny_config
    from tests.support.walk import shortened

    config, begun = tiny_config(steps=2, preview_count=4), vars(training)["new_session"]
    for name in ("one", "two", "three"):
        finish(begin(places.runs_dir() / name, config))
    move_to_trash(places.runs_dir() / "three")
    vars(outlook)["WAIT"] = 10**8  # nothing of what is set on the way is tried
    vars(training)["new_session"] = lambda place, _, *more, **named: begun(place, config, *more, **named)
    patch.object(QDesktopServices, "openUrl", lambda url: True).start()
    studio = app.studio
    assert studio is not None
    studio.plane.player.stop()
    studio.training.editor.set(config)
    studio.training.show_run(places.runs_dir() / "one")
    shortened(studio)
    studio.queue.add(config)


def inside(pages: list[str], pictures: Path | None) -> int:
    """The program on this screen, and the walk in it."""
    from PySide6.QtCore import QTimer

    from diffusion_studio.widgets.look.language import take_up

    take_up("en")  # but for what the environment says, and before anything with sentences is imported

    import diffusion_studio.app

    found: list[list[object]] = []

    def tell(row: list[object]) -> None:
        found.append(row)
        print("".join(f"{row[0]}: {fault}\n" for fault in row[5:]), end="", flush=True)

    class Walked(diffusion_studio.app.App):
        """The window that is walked over."""

        def __init__(self, path: str = "", crashed: str = "") -> None:
            super().__init__(path, crashed)
            self.ready.connect(lambda: QTimer.singleShot(0, self, self.walk))

        def walk(self) -> None:
            try:
                prepared(self)
                for page in pages:
                    tell(walk_over(self, page, pictures))
                for row in walk_beside(self, pictures) if len(pages) in (0, len(EVERY)) else ():
                    tell(row)
                Hand().key("Ctrl+Q")  # the window ends here
            except BaseException:
                self.close()
                raise

    from diffusion_studio import __main__ as entrance
    from diffusion_studio.engine.files.log import WINDOW, last_of

    vars(diffusion_studio.app)["App"] = Walked
    sys.argv[1:] = []
    code = entrance.main()
    logged = last_of(WINDOW)
    heads = ("page", "controls", "keys", "keys of widgets", "menus", "faults")
    table(heads, [[*row[:5], len(row) - 5] for row in found])
    print(f"Log: {logged or 'empty'}")
    return code or int(bool(logged) or len(found) < len(pages) or any(len(row) > 5 for row in found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--page", action="append", choices=(*EVERY, "none"))
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--here", action="store_true")
    chosen = parser.parse_args()
    if chosen.pictures is not None:
        chosen.pictures.mkdir(parents=True, exist_ok=True)
    if chosen.here:
        return inside([page for page in chosen.page or EVERY if page in EVERY], chosen.pictures)
    with tempfile.TemporaryDirectory() as home, screen() as display:
        there = {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "DIFFUSION_STUDIO_HOME": home}
        command = [sys.executable, "-m", "benchmarks.walk", "--here", *sys.argv[1:]]
        return subprocess.run(command, env={**os.environ, **there}).returncode


if __name__ == "__main__":
    sys.exit(main())
