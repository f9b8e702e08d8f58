"""The one notice that the page shows, and the one that waits for the next chains."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject

from diffusion_studio.viewmodels.notice import Notice


class Notices(QObject):
    """What is said to the person.

    Args:
        told: called when something else is said.
    """

    def __init__(self, told: Callable[[], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._told = told
        self.state: Notice | None = None
        self.waiting: Notice | None = None  # said beside the next chains

    def say(self, notice: Notice | None) -> None:
        self.state = notice
        self._told()

    def dismiss(self) -> None:
        self.say(None)

    def begin(self, notes: tuple[str, ...], *, first: bool) -> None:
        """Other chains are on show: says what is to be known of their denoiser; tells nobody.

        Args:
            first: whether there were none before; then what was said is why it is not the wanted denoiser.
        """
        before = self.state if first else None
        self.state = Notice("warning", " ".join(notes)) if notes else before or self.waiting
