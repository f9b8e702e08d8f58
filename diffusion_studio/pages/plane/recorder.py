"""Takes pictures of a chain, state by state, without holding up the window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal

from diffusion_studio.viewmodels.plane.player import PlanePlayer

FRAMES = 90  # at most


class Recorder(QObject):
    """Walks the player through its chain and takes a picture wherever it stands."""

    done = Signal(object)  # list of (H, W, 3)

    def __init__(
        self, player: PlanePlayer, picture: Callable[[], NDArray[np.uint8]], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._player, self._picture = player, picture
        self._left: list[int] = []
        self._taken: list[NDArray[np.uint8]] = []
        self._timer = QTimer(self, interval=5)
        self._timer.timeout.connect(self._take)

    def start(self) -> None:
        """Begins at the first state of the chain; what played is stopped."""
        self._player.stop()
        chain = self._player.chain
        steps = chain.last - chain.first
        every = max(1, -(-steps // FRAMES))
        self._left = sorted({*range(chain.first, chain.last + 1, every), chain.last})
        self._taken = []
        self._player.seek(self._left[0])
        self._timer.start()

    def stop(self) -> None:
        """Gives up."""
        self._timer.stop()

    def _take(self) -> None:
        if self._player.chain.position != self._left[0]:
            if not self._player.moving:  # somebody went elsewhere
                self._player.seek(self._left[0])
            return
        self._taken.append(self._picture())
        self._left.pop(0)
        if self._left:
            self._player.seek(self._left[0])
        else:
            self._timer.stop()
            taken, self._taken = self._taken, []
            self.done.emit(taken)
