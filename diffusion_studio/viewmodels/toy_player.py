"""The clock of the 2-D page: it moves along a chain, frame by frame, in both directions."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from diffusion_studio.engine.toy_chain import ToyChain

FRAME = 15  # ms
PATIENCE = 0.010  # seconds of one frame that may go into catching up


class ToyPlayer(QObject):
    """Stands at a state of a chain, and goes to others; runs only while something moves and is seen."""

    moved = Signal()  # the chain stands at another state
    rested = Signal()  # nothing moves any more
    changed = Signal()  # playing, loop or speed

    def __init__(self, chain: ToyChain, renew: Callable[[], None], parent: QObject | None = None) -> None:
        """`renew` makes the chain again, to begin anew at the end of it."""
        super().__init__(parent)
        self.chain = chain
        self.playing, self.loop, self.speed = True, True, 1.0
        self._renew = renew
        self._target = chain.position
        self._place = float(chain.position)  # where playing stands, between two states
        self._factor = 1.0
        self._awake = False
        self._timer = QTimer(self, interval=FRAME, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)

    @property
    def moving(self) -> bool:
        """Whether the clock runs."""
        return self._timer.isActive()

    @property
    def target(self) -> int:
        """The state that is on its way."""
        return self._target

    def begin(self, chain: ToyChain, target: int) -> None:
        """Another chain, to stand at state `target`; told by nobody else than the caller."""
        self.chain = chain
        self._target = min(max(target, chain.first), chain.last)
        self._place = float(self._target)
        chain.go(self._target, PATIENCE)
        self._wake()

    def set_awake(self, awake: bool) -> None:
        """Whether anybody looks."""
        self._awake = awake
        self._wake()

    def seek(self, position: int) -> None:
        """Goes to a state; what is not computed yet is computed over the next frames."""
        self._target = min(max(position, self.chain.first), self.chain.last)
        self._place = float(self._target)
        self._approach()
        self._wake()
        if not self.moving and self._awake:
            self.rested.emit()

    def seek_level(self, t: int) -> None:
        """Goes to the state of a walk that is nearest to a noise level, on the leg where one stands."""
        times, here = self.chain.times, self.chain.position
        top = times.index(max(times))
        leg = range(top, len(times)) if here >= top and top < len(times) - 1 else range(top + 1)
        self.seek(min(leg, key=lambda k: abs(times[k] - t)))

    def step(self, by: int) -> None:
        self.stop()
        self.seek(self.chain.position + by)

    def toggle(self) -> None:
        if self.playing:
            self.stop()
        else:
            self.play()

    def play(self, factor: float = 1.0) -> None:
        """Plays at `factor` times the speed, backwards when negative; begins anew at an end."""
        self._factor = factor
        if factor > 0 and self.chain.position >= self.chain.last:
            self._renew()
        elif factor < 0 and self.chain.position <= self.chain.first:
            self.seek(self.chain.last)
        self._place = float(self._target)
        self.playing = True
        self.changed.emit()
        self._wake()

    def stop(self) -> None:
        self.playing = False
        self._target = self.chain.position
        self.changed.emit()
        self._wake()

    def set_loop(self, loop: bool) -> None:
        self.loop = loop
        self.changed.emit()

    def set_speed(self, speed: float) -> None:
        self.speed = speed
        self.changed.emit()

    def _wake(self) -> None:
        moving = self.playing or self.chain.position != self._target
        if moving and self._awake:
            if not self._timer.isActive():
                self._timer.start()
        elif self._timer.isActive():
            self._timer.stop()
            self.rested.emit()

    def _tick(self) -> None:
        if self.playing and self.chain.position == self._target:
            self._place += (
                self._factor * self.speed
            )  # one step a frame: with less, some frames would stand still
            if not self.chain.first <= self._place <= self.chain.last:
                self._at_an_end()
                return
            self._target = int(self._place)
        self._approach()

    def _at_an_end(self) -> None:
        if not self.loop:
            self._place = min(max(self._place, self.chain.first), self.chain.last)
            self._target = int(self._place)
            self._approach()
            self.stop()
        elif self._factor > 0:
            self._renew()
        else:
            self.seek(self.chain.last)

    def _approach(self) -> None:
        before = self.chain.position
        there = self.chain.go(self._target, PATIENCE)
        if self.chain.position != before:
            self.moved.emit()
        if there and not self.playing:
            self._wake()
