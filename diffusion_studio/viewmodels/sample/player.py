"""Where in the chain a person stands, and the clock that plays it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QObject, QTimer

from diffusion_studio.engine.chains.records import place_of
from diffusion_studio.viewmodels.sample.state import PlayerState

STEPS_PER_SECOND = 12.0  # of playing at speed 1
PLAY_TICK = 33  # ms


@dataclass(frozen=True)
class Road:
    """The states that can be walked over."""

    times: tuple[int, ...] = ()  # of the states; none: there is no chain yet
    total: int = 1  # T
    ready: int = 0  # how many are computed
    growing: bool = False  # whether more are to come

    @property
    def last(self) -> int:
        """The last state that can be played to."""
        return len(self.times) - 1 if self.growing else max(self.ready - 1, 0)


class Player(QObject):
    """Stands at a state of the chain on show, and plays through it.

    Args:
        road: what can be walked over now.
        told: called when something of the state has changed.
    """

    def __init__(
        self, road: Callable[[], Road], told: Callable[[], None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._road, self._told = road, told
        self._exact = 0.0  # the position with its fraction
        self._factor = 1.0  # times the speed; negative is backwards
        self._timer = QTimer(self, interval=PLAY_TICK)
        self._timer.timeout.connect(self._tick)
        self.state = PlayerState()

    # --- standing ---------------------------------------------------------------------------------------

    def stand_at(self, place: float) -> None:
        """Where to stand in the next chain: t as a share of T, 0 at the image."""
        if math.isfinite(place):
            self._update(place=min(max(place, 0.0), 1.0))

    def enter(self) -> None:
        """Another chain is on show: stands at its state nearest to the place; tells nobody."""
        road = self._road()
        self.state = replace(self.state, position=place_of(road.times, self.state.place * road.total))

    def seek(self, position: int) -> None:
        """Goes to a state; the picture of one that is not computed yet is waited for."""
        if self._road().times:
            self._update(**self._at(position))

    def go_to_start(self) -> None:
        """To the noise."""
        self.seek(0)

    def go_to_end(self) -> None:
        """To the image."""
        self.seek(len(self._road().times) - 1)

    def step(self, by: int) -> None:
        self.stop()
        self.seek(self.state.position + by)

    def _at(self, position: int) -> dict[str, Any]:
        road = self._road()
        position = min(max(position, 0), len(road.times) - 1)
        return {"position": position, "place": road.times[position] / road.total}

    # --- playing ----------------------------------------------------------------------------------------

    def toggle(self) -> None:
        if self.state.playing:
            self.stop()
        else:
            self.play()

    def play(self, factor: float = 1.0) -> None:
        """Plays from here at `factor` times the speed, backwards when negative.

        From the other end when nothing is left.
        """
        road, position = self._road(), self.state.position
        if not road.times:
            return
        self._factor = factor
        if factor > 0 and position >= road.last:
            position = 0
        elif factor < 0 and position == 0:
            position = road.last
        self._exact = float(position)
        self._timer.start()
        self._update(playing=True, **(self._at(position) if position != self.state.position else {}))

    def stop(self) -> None:
        self._timer.stop()
        self._update(playing=False)

    def set_loop(self, loop: bool) -> None:
        self._update(loop=loop)

    def set_speed(self, speed: float) -> None:
        self._update(speed=speed)

    def _tick(self) -> None:
        road, position = self._road(), self.state.position
        if position >= road.ready:
            return  # the chain has to be waited for
        if round(self._exact) != position:  # moved by hand meanwhile
            self._exact = float(position)
        speed = self.state.speed * self._factor
        self._exact += speed * STEPS_PER_SECOND * PLAY_TICK / 1000
        ends = not 0 <= self._exact <= road.last
        if ends and self.state.loop:
            self._exact = 0.0 if speed > 0 else float(road.last)
        elif ends:
            self._exact = min(max(self._exact, 0.0), float(road.last))
            self._timer.stop()
        going, reached = not ends or self.state.loop, round(self._exact)
        self._update(playing=going, **(self._at(reached) if reached != position else {}))

    def _update(self, **values: Any) -> None:
        state = replace(self.state, **values)
        if state != self.state:
            self.state = state
            self._told()
