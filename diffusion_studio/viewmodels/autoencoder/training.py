"""The training of an autoencoder, beside the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from diffusion_studio.engine.autoencoder.look import Onlooker
from diffusion_studio.engine.autoencoder.model import open_model
from diffusion_studio.engine.autoencoder.session import new_session, resumed_session, train
from diffusion_studio.engine.autoencoder.task import KlWeight
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.creation import NewRun
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.run_data import load_run_data
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.train.images import reading_told


class CodeTraining(QObject):
    """Starts, steers and ends one training at a time; looks at runs that are on disk."""

    told = Signal(object)  # every Event of the training, in order

    def __init__(self, device: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._device = device
        self._slot = Slot(self)
        self._slot.told.connect(self.told)

    @property
    def busy(self) -> bool:
        return self._slot.busy

    def begin(self, place: NewRun, config: AutoencoderConfig) -> None:
        """Trains from the beginning, in a new run; `Started` tells its folder."""
        name = self._device

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            device = choose_device(name)
            yield from train(new_session(place, config, device, control, reading_told(post)))

        self._slot.start(stream)

    def go_on(self, path: Path, config: AutoencoderConfig) -> None:
        """Trains the run at `path` further, with `config`."""
        name = self._device

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            device = choose_device(name)
            yield from train(resumed_session(path, device, control, config, reading_told(post)))

        self._slot.start(stream)

    def look(self, path: Path) -> None:
        """Tells what the newest checkpoint of a run does, without training it."""
        name = self._device

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            model = open_model(path, choose_device(name))
            run = Run.open_as(path, AutoencoderConfig)
            data = load_run_data(run, reading_told(post), lambda: control.stopped)
            yield Onlooker(data.images, data.trained, run.config.seed).seen(model)

        self._slot.start(stream)

    def weigh(self, kl_weight: float) -> None:
        """Gives the KL another weight from the next step on."""
        if self._slot.control is not None:
            self._slot.control.ask(KlWeight(kl_weight))

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
