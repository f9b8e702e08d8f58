"""Behind the Autoencoder page: the data, the config, one training, and what is looked at beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject

from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.runs.autoencoder_config import AutoencoderConfig, HVAEConfig, VAEConfig
from diffusion_studio.engine.runs.creation import NewRun
from diffusion_studio.engine.runs.run import Run, RunError, is_run
from diffusion_studio.viewmodels.autoencoder.exact import ExactLinear
from diffusion_studio.viewmodels.autoencoder.latent import LatentSpace
from diffusion_studio.viewmodels.autoencoder.measuring import Measuring
from diffusion_studio.viewmodels.autoencoder.record import CodeRecord
from diffusion_studio.viewmodels.autoencoder.state import CodeState, View, as_kind, first_config, may_become
from diffusion_studio.viewmodels.autoencoder.training import CodeTraining
from diffusion_studio.viewmodels.editor import Edited, Editor
from diffusion_studio.viewmodels.moved import MovedImages
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.page_model import TrainingModel
from diffusion_studio.viewmodels.train.images import ImageLoader, ImagesState
from diffusion_studio.viewmodels.train.told import after_any

BUSY = tr("A training is going on. Stop it to change data or parameters.")
OTHER_NETWORK = tr("AutoencoderKL has one level, so the network of the hierarchy is an MLP now.")


class AutoencoderViewModel(TrainingModel):
    """The state behind the page. All methods are called on the window's thread.

    Its parts are free to be asked: `latent` decodes places of the code, `exact` keeps the linear case,
    `measuring` measures when it is asked to, `record` keeps what the training told.
    """

    state: CodeState
    training: CodeTraining

    def __init__(
        self, runs_dir: Path, config: AutoencoderConfig | None = None, device: str = "auto",
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.runs_dir = runs_dir
        self.editor: Editor[AutoencoderConfig] = Editor(config or first_config(), self)
        self.images, self.training = ImageLoader(self.config.data, self), CodeTraining(device, self)
        self.record, self.latent = CodeRecord(self), LatentSpace(self)
        self.exact, self.measuring = ExactLinear(self), Measuring(device, self)
        self.moved = MovedImages(self)
        self.moved.told.connect(self.tell)
        self.state = CodeState(self.config)
        self._set: ImageSet | None = None
        self._awake = False
        self._read: tuple[DataSpec, int] | None = None  # what was read last
        self.editor.changed.connect(self._on_edited)
        self.images.changed.connect(self._on_images)
        self.images.loaded.connect(self._on_set)
        self.images.told.connect(self.tell)
        self.training.told.connect(self._on_told)
        self.record.looked.connect(lambda _: self._look(self.state.view))
        for part in (self.latent, self.exact, self.measuring):
            part.failed.connect(self._fail)

    @property
    def config(self) -> AutoencoderConfig:
        return self.editor.value

    # --- data and parameters ----------------------------------------------------------------------------

    def set_awake(self, awake: bool) -> None:
        """Whether the page is seen: only then its images are read."""
        self._awake = awake
        if awake and _shown_by(self.config) != self._read:
            self._load()

    def follow(self, data: DataSpec) -> None:
        """Other images were chosen on another page."""
        if not self.state.busy and data != self.config.data:
            self.editor.set(self.config.model_copy(update={"data": data}))

    def _load(self) -> None:
        data, multiple = self._read = _shown_by(self.config)
        self.images.load(data, lambda: multiple)

    def open_data(self, source: str) -> None:
        """Chooses the images: a folder, or the word digits."""
        if not self.refused_while_busy():
            data = DataSpec(source=source, background=self.config.data.background)
            self.editor.set(self.config.model_copy(update={"data": data}))

    def choose_kind(self, kind: str) -> None:
        """AE, VAE or hierarchy."""
        if kind != self.config.kind and not self.refused_while_busy():
            self._become(as_kind(self.config, kind))

    def _become(self, config: AutoencoderConfig) -> None:
        """Another kind, whose network may have to be another too, which is said then."""
        other = config.code.network != self.config.code.network
        self.editor.set(config)
        if other:
            self.tell(Notice("info", OTHER_NETWORK))

    def edit(self, path: str, value: Any) -> None:
        """Changes one parameter; while it trains, only the weight of the KL."""
        if path == "kl_weight" or not self.refused_while_busy():
            self.editor.edit(path, value)

    def restrict(self, count: int) -> None:
        """Puts the first `count` of the three restrictions on a hierarchy."""
        if not self.refused_while_busy():
            config = as_kind(self.config, "hvae")
            assert isinstance(config, HVAEConfig)
            self._become(config.model_copy(update={"hierarchy": config.hierarchy.restricted(count)}))

    def settle(self) -> None:
        self.editor.settle()

    def undo(self) -> None:
        self._move(self.editor.before, self.editor.undo)

    def redo(self) -> None:
        self._move(self.editor.after, self.editor.redo)

    def _move(self, config: AutoencoderConfig | None, move: Callable[[], None]) -> None:
        if may_become(self.state, config) or not self.refused_while_busy():
            move()

    def show(self, view: View) -> None:
        """Another part of the page."""
        self._look(view)
        self._update(view=view)

    def _on_edited(self, edited: Edited[AutoencoderConfig]) -> None:
        before, config = self.state.config, edited.value
        self._update(config=config, errors=edited.errors, can_undo=edited.can_undo, can_redo=edited.can_redo)
        self.exact.set_size(config.code.size)
        if self.state.busy and isinstance(config, VAEConfig):
            self.training.weigh(config.kl_weight)
        if self._awake and _shown_by(config) != _shown_by(before):
            self._load()

    def _on_images(self, images: ImagesState) -> None:
        self._update(data=images.data, reading=images.reading)

    def _on_set(self, images: ImageSet) -> None:
        self._set = images
        self.exact.set_images(images)
        self.exact.set_size(self.config.code.size)

    def refused_while_busy(self) -> bool:
        """Whether something trains, which is said then."""
        if self.state.busy:
            self.tell(Notice("info", BUSY))
        return self.state.busy

    # --- training ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins a new run."""
        if not self.training.busy:
            config = self.config
            place = NewRun(self.runs_dir, f"{Path(config.data.source).name}-{config.kind}")
            self._show_new(place.path)
            self.training.begin(place, config)

    def resume_run(self, path: Path) -> None:
        """Goes on with a run that was stopped; one that had reached its limit gets as much again."""
        if self.refused_while_busy():
            return
        try:
            run = Run.open_as(path, AutoencoderConfig)
        except RunError as error:
            self.tell(Notice("error", str(error)))
            return
        if self.moved.asks_for(run, partial(self.resume_run, path)):
            return
        config = extended(run)
        self.editor.set(config)
        self._show_new(path)
        self.training.go_on(path, config)

    def open_run(self, path: Path) -> None:
        """Shows what a run on disk does, without going on with it."""
        if self.refused_while_busy() or self.training.busy:
            return
        try:
            run = Run.open_as(path, AutoencoderConfig)
        except RunError as error:
            self.tell(Notice("error", str(error)))
            return
        if self.moved.asks_for(run, partial(self.open_run, path)):
            return
        self.editor.set(run.config)
        self.look_at(run)

    def look_at(self, run: Run[AutoencoderConfig]) -> None:
        """Shows what it does, whatever the parameters are; not while something trains."""
        self._show_new(run.path)
        self._update(phase="idle", detail=tr("Opening …"), saved_step=run.step, step=run.step)
        self.training.look(run.path)

    def _show_new(self, path: Path) -> None:
        self._update(
            phase="preparing", run=path, step=0, fraction=0.0, detail=tr("Building the network …"),
            notice=None, saved_step=0,
        )  # fmt: skip
        self.record.begin()
        self.latent.forget()
        self.measuring.forget()
        self.exact.set_model(None)

    def _on_told(self, event: events.Event) -> None:
        state = after_any(self.state, event)
        if isinstance(event, events.Finished) and state.run is not None and not is_run(state.run):
            state = replace(state, run=None)  # it could not begin
        if state is not self.state:
            self._show(state)
        self.record.take(event)

    def _look(self, view: View) -> None:
        """Lets the part that is seen work with the newest network; the others do when they are seen."""
        seen = self.record.newest
        if view == "code" and seen is not None:
            self.latent.set_model(seen.model, seen.codes)
        elif view == "exact":
            self.exact.set_model(None if seen is None else seen.model)

    def measure(self) -> None:
        """Measures what is shown."""
        newest = self.record.newest
        if newest is not None and self._set is not None and newest.model.shape == _shape_of(self._set):
            self.measuring.measure(newest.model, self._set)

    def measure_diffusion(self) -> None:
        """Measures the newest diffusion run of images of the same shape."""
        self.measuring.measure_diffusion(self.runs_dir, None if self._set is None else _shape_of(self._set))

    # --- devices and the end ----------------------------------------------------------------------------

    def use_device(self, name: str) -> None:
        self.training.use_device(name)
        self.measuring.use_device(name)

    def shutdown(self) -> None:
        """Stops every job and waits for its thread."""
        self.training.shutdown()
        for part in (self.images, self.latent, self.exact, self.measuring, self.moved):
            part.shutdown()

    def _fail(self, message: str, traceback: str) -> None:
        self.tell(Notice("error", message, traceback))

    def _update(self, **values: Any) -> None:
        self._show(replace(self.state, **values))

    def _show(self, state: CodeState) -> None:
        if state != self.state:
            self.state = state
            self.changed.emit(state)


def _shown_by(config: AutoencoderConfig) -> tuple[DataSpec, int]:
    """The images that are learned, and what their sides have to be multiples of where nobody chose them."""
    return config.data, 1 if config.data.resolution else config.code.multiple


def _shape_of(images: ImageSet) -> tuple[int, int, int]:
    return images.channels, images.resolution, images.resolution


def extended(run: Run[AutoencoderConfig]) -> AutoencoderConfig:
    """The config of a run that goes on: one that had reached its limit gets as much again."""
    spec = run.config.training
    seconds, steps = run.trained_seconds, run.step
    update: dict[str, Any] = {}
    if spec.seconds and seconds >= spec.seconds:
        update["seconds"] = seconds + spec.seconds
    if spec.steps and steps >= spec.steps:
        update["steps"] = steps + spec.steps
    return run.config.model_copy(update={"training": spec.model_copy(update=update)})
