"""The training itself, on its own thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QObject

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop.task import Limits
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.runs.config import ObjectiveSpec, RunConfig
from diffusion_studio.engine.runs.creation import NewRun
from diffusion_studio.engine.training.session import new_session, resumed_session
from diffusion_studio.engine.training.trainer import limits_of, train
from diffusion_studio.viewmodels.job import Post
from diffusion_studio.viewmodels.steered import SteeredTraining
from diffusion_studio.viewmodels.train.images import encoding_told, reading_told


class Training(SteeredTraining):
    """Begins a training or goes on with one; one at a time."""

    def __init__(self, device: str, parent: QObject | None = None) -> None:
        super().__init__(device, parent)
        self._objective: ObjectiveSpec | None = None  # what is minimised, or was asked for
        self._length: Limits | None = None  # how long it trains, or was asked to

    def begin(self, place: NewRun, config: RunConfig) -> None:
        """Trains from the beginning, in a new run; `Started` tells its folder."""
        name = self._device

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            device = choose_device(name)
            session = new_session(
                place, config, device, reading_told(post), lambda: control.stopped, encoding_told(post)
            )
            yield from train(session, control)

        self._objective, self._length = config.objective, limits_of(config.training)
        self._slot.start(stream)

    def go_on(self, path: Path, config: RunConfig) -> None:
        """Trains the run at `path` further, with `config`."""
        name = self._device

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            device = choose_device(name)
            session = resumed_session(
                path, device, config, reading_told(post), lambda: control.stopped, encoding_told(post)
            )
            yield from train(session, control)

        self._objective, self._length = config.objective, limits_of(config.training)
        self._slot.start(stream)

    def follow(self, config: RunConfig) -> None:
        """Asks a running training to minimise what `config` says from its next step on, and as long."""
        objective, length = config.objective, limits_of(config.training)
        if objective != self._objective:
            self._objective = objective
            self._ask(objective)
        if length != self._length:
            self._length = length
            self._ask(length)
