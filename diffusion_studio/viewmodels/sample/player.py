"""Plays through the states of a chain."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal

STEPS_PER_SECOND = 12.0  # of playing at speed 1
PLAY_TICK = 33  # ms


class Player(QObject):
    """A clock that says which state comes next.

    Args:
        place: gives (position, last state that can be shown, whether the chain has to be waited for).
    """

    moved = Signal(int)
    stopped = Signal()

    def __init__(self, place: Callable[[], tuple[int, int, bool]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._place = place
        self._exact = 0.0  # the position with its fraction
        self._factor = 1.0  # times the speed; negative is backwards
        self.speed = 1.0
        self.loop = False
        self._timer = QTimer(self, interval=PLAY_TICK)
        self._timer.timeout.connect(self._tick)

    def play(self, factor: float) -> None:
        """Plays from here, backwards when `factor` is negative; from the other end when nothing is left."""
        self._factor = factor
        position, last, _ = self._place()
        if factor > 0 and position >= last:
            self.moved.emit(0)
        elif factor < 0 and position == 0:
            self.moved.emit(last)
        self._exact = float(self._place()[0])
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def _tick(self) -> None:
        position, last, waiting = self._place()
        if waiting:
            return
        if round(self._exact) != position:  # moved by hand meanwhile
            self._exact = float(position)
        speed = self.speed * self._factor
        self._exact += speed * STEPS_PER_SECOND * PLAY_TICK / 1000
        if not 0 <= self._exact <= last:
            if self.loop:
                self._exact = 0.0 if speed > 0 else float(last)
            else:
                self._exact = min(max(self._exact, 0.0), float(last))
                self.stop()
                self.stopped.emit()
        if round(self._exact) != position:
            self.moved.emit(round(self._exact))
