"""The training itself, on its own thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.runs.config import ObjectiveSpec, RunConfig
from diffusion_studio.engine.runs.creation import NewRun
from diffusion_studio.engine.training.session import new_session, resumed_session
from diffusion_studio.engine.training.trainer import train
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.train.images import reading_told


class Training(QObject):
    """Begins a training or goes on with one; one at a time.

    Args:
        device: the name of the device to train on, or "auto".
    """

    told = Signal(object)  # every Event, in order; Finished is the last one

    def __init__(self, device: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._device = device
        self._slot = Slot(self)
        self._slot.told.connect(self.told)
        self._objective: ObjectiveSpec | None = None  # what is minimised, or was asked for

    def use_device(self, name: str) -> None:
        """Trains on this device from the next training on, by its name or "auto"."""
        self._device = name

    @property
    def busy(self) -> bool:
        return self._slot.busy

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

    def pause(self) -> None:
        if self._slot.control is not None:
            self._slot.control.pause()

    def resume(self) -> None:
        if self._slot.control is not None:
            self._slot.control.resume()

    def stop(self) -> None:
        """Asks it to save and to end."""
        self._slot.stop()

    def shutdown(self) -> None:
        """Stops and waits; the last checkpoint is saved."""
        self._slot.finish(60_000)
