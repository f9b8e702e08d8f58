"""What else can be done about a training: the queue, its command, and to ask one in another process."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QInputDialog, QMenu, QToolButton, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.machine.remote import EXAMPLE
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
        self.setToolTip(
            tr("The queue, the command of this training, and what to ask of one in another process")
        )
        self.setAccessibleName(tr("More"))
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        menu.addAction(tr("Into the queue"), self.queue_requested.emit)
        menu.addAction(tr("Show the queue …"), self.queue_wanted.emit)
        menu.addAction(tr("Copy the command"), copy)
        menu.addAction(tr("Follow a run on another machine…"), self.ask_for_address)
        self.rest = menu.addAction("", lambda: following.ask("go on" if following.rests else "pause"))
        self.end = menu.addAction(tr("Stop the other process"), lambda: following.ask("stop"))
        self.begin = menu.addAction(tr("Begin it again there"), self._begin)
        menu.aboutToShow.connect(self._show_elsewhere)
        self.setMenu(menu)

    def _show_elsewhere(self) -> None:
        """What can be asked of the process that trains the run that is shown, if there is one."""
        following = self._following
        go_on, pause = tr("Let the other process go on"), tr("Pause the other process")
        self.rest.setText(go_on if following.rests else pause)
        for action in (self.rest, self.end):
            action.setEnabled(following.run is not None)
        self.begin.setVisible(following.remote(following.run) is not None)

    def _begin(self) -> None:
        if self._following.run is not None:
            self._following.begin_there(self._following.run)

    def ask_for_address(self) -> None:
        """Asks for the address of a run on another machine, and follows it."""
        dialog = QInputDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(tr("Follow a run on another machine"))
        dialog.setLabelText(
            tr("Its address, as ssh and rsync of this machine reach it without a password:") + f"\n{EXAMPLE}"
        )
        dialog.setTextValue("ssh://")
        dialog.textValueSelected.connect(self._following.look_at)
        dialog.open()
