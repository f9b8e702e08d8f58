"""The training itself, on its own thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QObject

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.runs.config import ObjectiveSpec, RunConfig
from diffusion_studio.engine.runs.creation import NewRun
from diffusion_studio.engine.training.session import new_session, resumed_session
from diffusion_studio.engine.training.trainer import train
from diffusion_studio.viewmodels.job import Post
from diffusion_studio.viewmodels.steered import SteeredTraining
from diffusion_studio.viewmodels.train.images import reading_told


class Training(SteeredTraining):
    """Begins a training or goes on with one; one at a time."""

    def __init__(self, device: str, parent: QObject | None = None) -> None:
        super().__init__(device, parent)
        self._objective: ObjectiveSpec | None = None  # what is minimised, or was asked for

    def begin(self, place: NewRun, config: RunConfig) -> None:
        """Trains from the beginning, in a new run; `Started` tells its folder."""
        name = self._device

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            device = choose_device(name)
            session = new_session(place, config, device, reading_told(post), lambda: control.stopped)
            yield from train(session, control)

        self._objective = config.objective
        self._slot.start(stream)

    def go_on(self, path: Path, config: RunConfig) -> None:
        """Trains the run at `path` further, with `config`."""
        name = self._device

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            device = choose_device(name)
            session = resumed_session(path, device, config, reading_told(post), lambda: control.stopped)
            yield from train(session, control)

        self._objective = config.objective
        self._slot.start(stream)

    def minimise(self, objective: ObjectiveSpec) -> None:
        """Asks a running training to minimise `objective` from its next step on."""
        if self._slot.control is not None and objective != self._objective:
            self._objective = objective
            self._slot.control.ask(objective)
