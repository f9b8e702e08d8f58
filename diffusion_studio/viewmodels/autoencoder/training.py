"""The training of an autoencoder, beside the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffusion_studio.engine.autoencoder.events import LossesRead
from diffusion_studio.engine.autoencoder.look import Onlooker
from diffusion_studio.engine.autoencoder.model import open_model
from diffusion_studio.engine.autoencoder.session import new_session, resumed_session, train
from diffusion_studio.engine.autoencoder.task import KlWeight
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig
from diffusion_studio.engine.runs.creation import NewRun
from diffusion_studio.engine.runs.metrics import MetricsReader
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.run_data import load_run_data
from diffusion_studio.viewmodels.job import Post
from diffusion_studio.viewmodels.steered import SteeredTraining
from diffusion_studio.viewmodels.train.images import reading_told


class CodeTraining(SteeredTraining):
    """Begins a training, or goes on with one; looks at runs that are on disk."""

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
        """Tells the losses of a run and what its newest checkpoint does, without training it."""
        name = self._device

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            model = open_model(path, choose_device(name))
            run = Run.open_as(path, AutoencoderConfig)
            losses = MetricsReader(run.metrics_path).losses()
            yield LossesRead(losses.steps, losses.losses)
            data = load_run_data(run, reading_told(post), lambda: control.stopped)
            yield Onlooker(data.images, data.trained, run.config.seed).seen(model)

        self._slot.start(stream)

    def weigh(self, kl_weight: float) -> None:
        """Gives the KL another weight from the next step on."""
        self._ask(KlWeight(kl_weight))
