"""The end of long work, told where the window is not in front; and how far it is, on the rail."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QSystemTrayIcon

from diffusion_studio.core.words import tr
from diffusion_studio.pages.shell import Shell
from diffusion_studio.viewmodels.page_model import Work
from diffusion_studio.viewmodels.settings import SettingsModel

LONG = 20.0  # seconds of work whose end somebody waits for elsewhere


class Bell(QObject):
    """Follows the work of every page.

    Args:
        clock: seconds.
    """

    def __init__(
        self, shell: Shell, settings: SettingsModel, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(shell)
        self._shell, self._settings, self._clock = shell, settings, clock
        self._begun: dict[str, float] = {}
        self._tray: QSystemTrayIcon | None = None  # there while something is told
        shell.activated.connect(self._be_silent)

    def follow(self, key: str, title: str, work: Work | None) -> None:
        """What a page works at now; None for nothing. `title` is that of the page."""
        self._shell.rail.set_progress(key, None if work is None or work.ended else work.share)
        if work is not None and not work.ended:
            self._begun.setdefault(key, self._clock())
        elif key in self._begun:
            seconds = self._clock() - self._begun.pop(key)
            if seconds >= LONG and not self._shell.isActiveWindow():
                self.ring(title, work.words if work is not None else "")

    def ring(self, title: str, words: str) -> None:
        """Tells that something has ended."""
        settings = self._settings.state
        if settings.sound:
            QApplication.beep()
        if not settings.notify:
            return
        QApplication.alert(self._shell)
        if QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages():
            self._tray = self._tray or QSystemTrayIcon(QApplication.windowIcon(), self)
            self._tray.messageClicked.connect(self._shell.activateWindow)
            self._tray.show()
            self._tray.showMessage(tr("{title} has ended", title=title), words, QApplication.windowIcon())

    def _be_silent(self) -> None:
        if self._tray is not None:
            self._tray.hide()
            self._tray.deleteLater()
            self._tray = None
