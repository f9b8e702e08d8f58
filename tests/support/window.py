"""The whole window, as a person has it before them, on no screen."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget

from diffusion_studio.app import App
from diffusion_studio.pages.shell import COMFORTABLE
from diffusion_studio.widgets.look.theme import theme

Opener = Callable[..., App]
COLLECTED_EVERY = 8
_windows = itertools.count()


def apps() -> Iterator[Callable[[], App]]:
    """The body of a fixture: makes windows, and closes them."""
    made: list[App] = []

    def make_app(path: str | Path = "") -> App:
        if next(_windows) % COLLECTED_EVERY == 0:
            gc.collect()  # the windows of tests before, which takes a fifth of the time of opening one
        made.append(App(str(path)))
        return made[-1]

    yield make_app
    for app in made:
        app.close()
    theme().set_mode("system")


def windows(qtbot: Any, make_app: Callable[..., App]) -> Opener:
    """Opens windows and waits until their pages are there; each as large as on a common screen at first.

    With `page` at that page: the first one, which nobody asks for then, takes most of the time of opening.
    """

    def open_app(path: str | Path = "", *, computed: bool = True, page: str = "") -> App:
        app = make_app(path)
        if page:
            app.memory.set("page", page)
        if app.memory.get("geometry") is None:
            app.shell.resize(COMFORTABLE)  # whatever the screen is that there is without one
        with qtbot.waitSignal(app.ready), qtbot.waitActive(app.shell):
            app.show()
            app.shell.activateWindow()
        if computed:
            settle(qtbot, app)
        return app

    return open_app


def settle(qtbot: Any, app: App) -> None:
    """Waits until the chain is computed and the images are read."""
    studio = app.studio
    assert studio is not None
    qtbot.waitUntil(lambda: not studio.sampling.state.chains.busy and studio.training.state.reading is None)


def drop(target: QWidget, *paths: Path) -> bool:
    """Drags files over a window and lets them go; whether the window would take them."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(9, 9), Qt.DropAction.CopyAction, data, left, none)
    enter.ignore()
    QApplication.sendEvent(target, enter)
    if enter.isAccepted():
        QApplication.sendEvent(target, QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, data, left, none))
    return enter.isAccepted()
