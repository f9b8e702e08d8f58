"""What can be done about a training, on every page that has one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Protocol

from diffusion_studio.core.words import tr
from diffusion_studio.engine.labbook.entries import called
from diffusion_studio.widgets.actions.action_set import Act

MOVING = ("step", "fraction", "detail", "forecast")  # of the state of a page, whenever a training is heard
REPAINTS = 5.0  # a second, of what only moves on; painting takes time from the training


class Trains(Protocol):
    """A view-model with a training."""

    state: Any  # with phase, busy, data and reading

    def start(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def stop(self) -> None: ...


def acts_of(model: Trains) -> dict[str, Act]:
    """To begin, to rest and to end it, by the names of the table of actions."""
    return {
        "start": Act(model.start, lambda: not model.state.busy and _has_images(model.state)),
        "pause": Act(lambda: _toggle(model), lambda: model.state.phase in ("running", "paused")),
        "stop": Act(model.stop, lambda: model.state.busy and model.state.phase != "stopping"),
    }


def chips_of(model: Trains, name: str, waiting: int = 0) -> list[tuple[str, str]]:
    """What the head of the page says of the run `name`, and of the trainings that wait."""
    step = model.state.saved_step
    saved = tr("step {step:,}", step=step) if step else ""
    queue = str(waiting) if waiting else ""
    device = model.state.device
    chips = [(tr("run"), name), (tr("queue"), queue), (tr("device"), device), (tr("saved"), saved)]
    return [(title, value) for title, value in chips if value]


def only_moves_on(before: Any, state: Any) -> bool:
    """Whether two states of a page differ at most in how far its training is; `before` may be None."""
    others = (field.name for field in fields(state) if field.name not in MOVING)
    return before is not None and all(getattr(before, name) is getattr(state, name) for name in others)


class Repaints:
    """When the line and the bar of a training are painted: now and then while only they move, else at once.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._last = clock, -math.inf

    def are_due(self, moves_on: bool) -> bool:
        """Whether to paint now, which counts as painted."""
        now = self._clock()
        if moves_on and now - self._last < 1 / REPAINTS:
            return False
        self._last = now
        return True


def name_of(model: Trains) -> str:
    """What the shown run is called now: a person names it on another page. Nothing without a run."""
    return called(model.state.run) if model.state.run is not None else ""


def _has_images(state: Any) -> bool:
    return state.data is not None and state.reading is None


def _toggle(model: Trains) -> None:
    if model.state.phase == "paused":
        model.resume()
    else:
        model.pause()
