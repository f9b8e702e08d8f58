"""The composition root: the only place that builds the window and connects its parts.

The window paints first; torch and everything that needs it is imported on a thread of its own, and only then
are the pages built.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QSocketNotifier, QThread, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication
from shiboken6 import isValid

from diffusion_studio import __version__
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files import places
from diffusion_studio.engine.files.crash import crash_kept
from diffusion_studio.engine.files.log import WINDOW, kept_log
from diffusion_studio.engine.files.places import at_home, is_something
from diffusion_studio.engine.machine.garbage import look_at_all, nothing_looked_for, pass_over_what_stays
from diffusion_studio.engine.machine.memory import keep_freed_memory
from diffusion_studio.pages.entries import FIRST_PAGE, PAGES
from diffusion_studio.pages.shell import Shell
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.widgets.look.language import translate_qt
from diffusion_studio.widgets.look.resources import resource
from diffusion_studio.widgets.look.theme import MODES, TEXT_SIZES, theme

if TYPE_CHECKING:
    from diffusion_studio.studio import Studio

log = logging.getLogger(__name__)
MOST_THREADS = 256


class Imports(QThread):
    """Imports what is heavy, beside the window."""

    failed = Signal(str)  # the name of what could not be loaded, if it has one

    def run(self) -> None:
        try:
            with nothing_looked_for():
                for entry in PAGES:
                    entry.preload()
                import diffusion_studio.widgets.equations.formula  # noqa: F401
        except Exception as error:
            log.exception("A library could not be loaded")
            self.failed.emit(str(getattr(error, "name", None) or ""))


class App(QObject):
    """The window and its life: shown, filled with pages, closed."""

    ready = Signal()

    def __init__(self, path: str = "", crashed: str = "") -> None:
        super().__init__()
        keep_freed_memory()  # before there are other threads
        pass_over_what_stays()  # and later what is imported from here on
        self.shell = Shell([(entry.key, entry.title, entry.icon) for entry in PAGES])
        self.memory = Memory(places.settings_dir() / "window.json", self.shell)
        self.studio: Studio | None = None
        self._path, self._crashed = path, crashed
        self._take_up()
        self._failed = False
        self._imports = Imports()
        self._imports.failed.connect(self._fail)
        self._imports.finished.connect(self._fill)
        self.shell.painted.connect(self._imports.start)
        self.shell.closing.connect(self.shutdown)
        self.shell.rail.theme_requested.connect(theme().set_mode)

    def _take_up(self) -> None:
        """Colours, place on the screen and page as they were left, before anything is painted."""
        mode = self.memory.get("theme")
        if mode in MODES:
            theme().set_mode(mode)
        self._take_up_numbers()
        self.shell.stand(self.memory.get("geometry"))
        left = self.memory.get("page")
        titles = {entry.key: entry.title for entry in PAGES}
        page = left if isinstance(left, str) and left in titles else FIRST_PAGE
        self.shell.announce(page, titles[page])

    def _take_up_numbers(self) -> None:
        """The size of all text; and how many threads compute, which must be said before torch is there."""
        size, threads = self.memory.get("text_size"), self.memory.get("threads")
        if type(size) is int and size in TEXT_SIZES:
            theme().set_text_size(size)
        if type(threads) is int and 0 < threads <= MOST_THREADS:
            os.environ.setdefault("OMP_NUM_THREADS", str(threads))

    def show(self) -> None:
        self.shell.show()

    def _fail(self, library: str) -> None:
        self._failed = True
        named = f": {library}" if library else ""
        self.shell.say(
            tr(
                "Diffusion Studio could not load a library it needs{named}.\n\nRun “diffusion-studio doctor” "
                "in a terminal; it says what is missing. The log is in {folder}.",
                named=named,
                folder=places.log_dir(),
            )
        )

    def _fill(self) -> None:
        if self._failed or self._imports.isRunning():
            return
        with nothing_looked_for():
            from diffusion_studio.studio import Studio

        self.studio = Studio(self.shell, self.memory, self._path, self._crashed)
        self.ready.emit()

    def build_ahead(self) -> None:
        """Builds the pages that nobody has asked for yet, beside what a person does."""
        from diffusion_studio.pages.pages import Ahead

        if self.studio is not None:
            ahead = Ahead(self.studio.pages, self.studio)
            self.shell.closing.connect(ahead.stop)

    def close(self) -> None:
        """Closes the window as a person does, once."""
        if isValid(self.shell):
            self.shell.close()

    def shutdown(self) -> None:
        """The one way out: closing the window, Ctrl+C and SIGTERM all end here.

        Qt deletes the window and its pages afterwards; what only refers to each other is left to Python.
        """
        self.shell.closing.disconnect(self.shutdown)  # a second signal finds nothing left to do
        self._imports.finished.disconnect(self._fill)
        self._imports.wait()
        if self.studio is not None:
            self.studio.shutdown()
            self.studio = None
        look_at_all()


USAGE = "Usage: diffusion-studio [PATH | --state FILE], or diffusion-studio --help for the commands."


def run(arguments: list[str]) -> int:
    """Opens the window; returns the exit code."""
    if len(arguments) == 2 and arguments[0] == "--state":
        arguments = arguments[1:]  # which is found out by itself
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print(USAGE, file=sys.stderr)
        return 2
    if arguments and not is_something(at_home(arguments[0])):
        print(
            f"There is nothing at {arguments[0]}. diffusion-studio --help lists the commands.",
            file=sys.stderr,
        )
        return 2
    if not _has_screen():
        print(
            "This machine shows no screen (neither DISPLAY nor WAYLAND_DISPLAY is set). Open it on a "
            "desktop, over ssh -X or under xvfb-run; training and sampling work without a screen: see "
            "diffusion-studio --help.",
            file=sys.stderr,
        )
        return 1
    with kept_log(WINDOW), crash_kept() as crashed:
        return _open(arguments, crashed)


def _open(arguments: list[str], crashed: str) -> int:
    sys.excepthook = _log_exception
    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    translate_qt(application)
    _introduce(application)
    theme()
    app = App(arguments[0] if arguments else "", crashed)
    app.ready.connect(app.build_ahead)
    with _Signals(app.close):
        app.show()
        return application.exec()


def _introduce(application: QApplication) -> None:
    """Tells the system who this is: for the task bar, the dock and the list of windows."""
    application.setApplicationName("Diffusion Studio")
    application.setApplicationVersion(__version__)
    application.setDesktopFileName("diffusion-studio")
    application.setWindowIcon(QIcon(str(resource("icon.svg"))))
    if sys.platform == "win32":  # or the task bar shows the icon of Python
        ctypes.windll.shell32.SetCurrentProcessExplicitAppUserModelID("DiffusionStudio.DiffusionStudio")


def _has_screen() -> bool:
    """Whether a window can be shown; without one Qt would end the program on the spot."""
    variables = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in variables)


def _log_exception(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    log.error("An error nobody caught", exc_info=(kind, error, trace))
    sys.__excepthook__(kind, error, trace)


class _Signals:
    """SIGINT and SIGTERM close the window, through a socket that wakes the event loop; one that whoever
    started it lets it ignore stays ignored.
    """

    def __init__(self, close: Callable[[], Any]) -> None:
        self._close = close

    def __enter__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        self._before = signal.set_wakeup_fd(self._writer.fileno())
        numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
        self._handlers = {n: signal.signal(n, lambda *_: None) for n in numbers}
        self._notifier = QSocketNotifier(self._reader.fileno(), QSocketNotifier.Type.Read)
        self._notifier.activated.connect(self._wake)

    def _wake(self) -> None:
        self._reader.recv(64)
        self._close()

    def __exit__(self, *_: object) -> None:
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._before)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()
