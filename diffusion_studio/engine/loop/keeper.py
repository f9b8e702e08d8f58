"""What the loop asks of the place in which a training is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.jobs.events import Event, Finished
from diffusion_studio.engine.loop.task import Counters
from diffusion_studio.engine.runs.checkpoints import CheckpointContent


class LostError(Refused):
    """The place in which a training is kept is gone; the message says so, for a person."""


class Keeper(Protocol):
    """Where a training is kept."""

    @property
    def step(self) -> int:
        """The newest step that is on disk; −1: none."""

    @property
    def kept(self) -> str:
        """Which state can be gone back to, as a sentence."""

    def farewell(self, step: int) -> str:
        """That `step`, the last one, is on disk, as a sentence."""

    @property
    def is_there(self) -> bool:
        """Whether the place answers now."""

    def check(self) -> bool:
        """Whether the place is there now; a network may be away for a while.

        Raises:
            LostError: it is gone for good.
        """

    @property
    def asked_to_stop(self) -> bool:
        """Whether somebody asked for the end of the training in its place."""

    @property
    def asked_to_rest(self) -> bool:
        """Whether its place is marked: it should rest, or it rests."""

    def mark_rest(self, rests: bool) -> bool:
        """Marks its place, or takes the mark away, for others to see and to change; whether it is marked."""

    def heard(self, event: Event) -> Iterator[Event]:
        """Takes down what is told, and passes it on; a warning follows when it could not be written."""

    def save(self, counters: Counters, content: CheckpointContent) -> Path:
        """Puts a state on disk; where to.

        Raises:
            OSError: it cannot be written now; what was there before is untouched.
            LostError: the place is gone.
        """

    def ended(self, finished: Finished) -> None:
        """Takes down how the training ended."""
