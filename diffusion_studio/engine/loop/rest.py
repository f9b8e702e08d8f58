"""What others ask of a training in the place in which it is kept: to end, to rest, to go on."""

from __future__ import annotations

import time
from collections.abc import Callable

from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop.keeper import Keeper


class Others:
    """Heeds them by way of the training's own control.

    Args:
        keeper: the place; None: nobody else knows of the training.
    """

    def __init__(self, keeper: Keeper | None, control: Control) -> None:
        self._keeper, self._control = keeper, control
        self.reached = True  # whether the place was there when it was last looked at
        self.owed = False  # whether it was away since the last save
        self._marked = False  # whether the place says that the training rests, or should

    def look(self) -> bool:
        """Whether the place is there now.

        Raises:
            LostError: it is gone for good.
        """
        self.reached = self._keeper is None or self._keeper.check()
        self.owed |= not self.reached
        return self.reached

    def wait_for_place(self, every: float) -> None:
        """Waits until it is there.

        Args:
            every: seconds between two looks.

        Raises:
            LostError: it is gone for good.
        """
        while not self.look():
            time.sleep(every)

    def heed(self) -> None:
        """Does what is asked for.

        Raises:
            LostError: the place is gone.
        """
        if self._keeper is None or not self.look():
            return
        if self._keeper.asked_to_stop:
            self._control.stop()
        elif self._keeper.asked_to_rest:
            self._marked = True
            self._control.pause()

    def wait(self, every: float, meanwhile: Callable[[], None] | None = None) -> None:
        """Waits until the training may go on, by whoever paused it or by who takes the mark away.

        Args:
            every: seconds between two looks.
            meanwhile: called after each of them.
        """
        while not self._control.wait_while_paused(every):
            if meanwhile is not None:
                meanwhile()
            if self._keeper is not None and self._keeper.asked_to_stop:
                self._control.stop()
            elif self._marked and self._taken_away:
                self._control.resume()

    @property
    def _taken_away(self) -> bool:
        """Whether somebody took the mark away; a place that is away as a whole says nothing."""
        return self._keeper is not None and not self._keeper.asked_to_rest and self._keeper.is_there

    def mark(self, rests: bool) -> None:
        """So that others see it and may end it; a mark of theirs stands already, or is taken away by now."""
        if self._keeper is not None and rests != self._marked:
            self._marked = self._keeper.mark_rest(rests)
