"""What else can be done about a training: the queue, its command, and to ask one in another process."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from diffusion_studio.viewmodels.train.following import Following
from diffusion_studio.widgets.look.icons import set_icon


class More(QToolButton):
    """A button with a menu.

    Args:
        following: the run that is shown, while another process trains it.
        copy: puts the command on the clipboard.
    """

    queue_requested = Signal()  # the parameters of now, for later
    queue_wanted = Signal()  # to be seen

    def __init__(self, following: Following, copy: Callable[[], None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._following = following
        set_icon(self, "more")
        self.setToolTip("The queue, the command of this training, and what to ask of one in another process")
        self.setAccessibleName("More")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        menu.addAction("Into the queue", self.queue_requested.emit)
        menu.addAction("Show the queue …", self.queue_wanted.emit)
        menu.addAction("Copy the command", copy)
        self.rest = menu.addAction("", lambda: following.ask("go on" if following.rests else "pause"))
        self.end = menu.addAction("Stop the other process", lambda: following.ask("stop"))
        menu.aboutToShow.connect(self._show_elsewhere)
        self.setMenu(menu)

    def _show_elsewhere(self) -> None:
        """What can be asked of the process that trains the run that is shown, if there is one."""
        following = self._following
        self.rest.setText("Let the other process go on" if following.rests else "Pause the other process")
        for action in (self.rest, self.end):
            action.setEnabled(following.run is not None)
