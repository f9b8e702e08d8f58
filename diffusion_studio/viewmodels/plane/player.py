"""The clock of the 2-D page: it moves along a chain, frame by frame, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from diffusion_studio.engine.machine.helper_threads import work_alone
from diffusion_studio.engine.plane.chain import Make, PlaneChain

FRAME, CALM = 15, 33  # ms between two pictures, and beside a training
PATIENCE = 0.010  # seconds of one frame that may go into catching up
LITTLE = 100_000  # steps of particles that are worth trying at once
SOON = 2  # ms until the next look at a state that is late


class PlanePlayer(QObject):
    """Stands at a state of a chain, and goes to others; runs only while something moves and is seen."""

    moved = Signal()  # the chain stands at another state
    rested = Signal()  # nothing moves any more
    changed = Signal()  # playing, loop or speed

    def __init__(
        self, chain: PlaneChain, renew: Callable[[], None], maker: Callable[[], Make | None],
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        """`renew` makes the chain again, to begin anew at the end of it.

        `maker` gives what makes the picture of the next state, beside the window.
        """
        super().__init__(parent)
        self.chain = chain
        self.playing, self.loop, self.speed = True, True, 1.0
        self._renew, self._maker = renew, maker
        self._beside = ThreadPoolExecutor(1, "states to come", work_alone)
        self._target = chain.position
        self._place = float(chain.position)  # where playing stands, between two states
        self._factor = 1.0
        self._awake = False
        self._timer = QTimer(self, interval=FRAME, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._soon = QTimer(self, interval=SOON, singleShot=True)
        self._soon.timeout.connect(self._tick)

    @property
    def moving(self) -> bool:
        """Whether the clock runs."""
        return self._timer.isActive()

    @property
    def target(self) -> int:
        """The state that is on its way."""
        return self._target

    def begin(self, chain: PlaneChain, target: int) -> None:
        """Another chain, to stand at state `target`; told by nobody else than the caller."""
        self.chain = chain
        self._target = min(max(target, chain.first), chain.last)
        self._place = float(self._target)
        if (self._target - chain.first) * len(chain.x) <= LITTLE:
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
        self._approach(PATIENCE)
        self._wake()
        if not self.moving and self._awake:
            self.rested.emit()

    def seek_level(self, t: int) -> None:
        """Goes to the state of a walk that is nearest to a noise level, on the leg where one stands."""
        times, here = self.chain.times, self.chain.position
        top = times.index(max(times))
        leg = range(top, len(times)) if here >= top and top < len(times) - 1 else range(top + 1)
        self.seek(min(leg, key=lambda k: abs(times[k] - t)))

    def to_start(self) -> None:
        self.seek(self.chain.first)

    def to_end(self) -> None:
        self.seek(self.chain.last)

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
        self._wake()
        self.changed.emit()

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

    def set_calm(self, calm: bool) -> None:
        """Fewer pictures, so that what trains beside them has more of the processor."""
        self._timer.setInterval(CALM if calm else FRAME)

    def shutdown(self) -> None:
        """Stops for good."""
        self.set_awake(False)
        self._beside.shutdown()

    def _wake(self) -> None:
        moving = self.playing or self.chain.position != self._target
        if moving and self._awake:
            if not self._timer.isActive():
                self._timer.start()
        elif self._timer.isActive():
            self._timer.stop()
            self._soon.stop()
            self.rested.emit()

    def _tick(self) -> None:
        if not self.chain.ready:
            self._soon.start()
            return
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

    def _approach(self, seconds: float = 0.0) -> None:
        before = self.chain.position
        there = self.chain.go(self._target, seconds)
        if self.chain.position != before:
            self.moved.emit()
        self.chain.prepare(self._beside, self._following(), PATIENCE, self._maker())
        if there and not self.playing:
            self._wake()

    def _following(self) -> int:
        """The state that will be asked for after this one."""
        if not self.playing or self.chain.position != self._target:
            return self._target
        return max(int(self._place + self._factor * self.speed), self._target + 1) if self._factor > 0 else 0
