"""What the window keeps for its next start: of what its pages show, and of how they stand."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject

from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.pages.pages import Pages
from diffusion_studio.pages.shell import Shell
from diffusion_studio.viewmodels.plane.memory import to_remember
from diffusion_studio.viewmodels.plane.model import PlaneViewModel
from diffusion_studio.viewmodels.plane.state import PlaneState
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.sample import saved
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.sample.state import SampleParameters, SampleState
from diffusion_studio.viewmodels.train.memory import remember_source
from diffusion_studio.viewmodels.train.model import TrainViewModel
from diffusion_studio.viewmodels.train.state import TrainState


class Remembering(QObject):
    """Writes into the memory what changes; what the other pages keep, their view-models write themselves."""

    def __init__(
        self, shell: Shell, memory: Memory, pages: Pages, train: TrainViewModel, sample: SampleViewModel,
        plane: PlaneViewModel,
    ) -> None:  # fmt: skip
        super().__init__(shell)
        self._shell, self._memory, self._pages, self._train = shell, memory, pages, train
        self._trained: tuple[RunConfig, Path | None] | None = None
        self._sampled: SampleParameters | None = None
        shell.moved.connect(self._keep_window)
        train.changed.connect(self._keep_training)
        train.images.loaded.connect(self._keep_images)
        sample.changed.connect(self._keep_sampling)
        plane.changed.connect(self._keep_plane)

    def restore(self, page_key: str) -> None:
        """Lets a page stand as it was left."""
        state = self._memory.get(f"layout.{page_key}")
        if isinstance(state, dict):
            self._pages[page_key].restore_layout(state)

    def keep_layouts(self) -> None:
        """How the window and its pages stand; those that were not built stand as before."""
        self._keep_window()
        for key, page in self._pages.there.items():
            self._memory.set(f"layout.{key}", page.layout_state())

    def _keep_window(self) -> None:
        self._memory.set("geometry", bytes(self._shell.saveGeometry().toBase64().data()).decode())

    def _keep_training(self, state: TrainState) -> None:
        if (state.config, state.run) == self._trained:  # most changes are progress
            return
        self._trained = (state.config, state.run)
        self._keep_config()
        if state.run is not None:
            self._memory.set("run", str(state.run))

    def _keep_config(self) -> None:
        """With the images that could be opened last."""
        config = self._train.config
        data = self._train.images.kept(config.data)
        self._memory.set("config", config.model_copy(update={"data": data}).model_dump(mode="json"))

    def _keep_images(self) -> None:
        """They could be opened."""
        self._keep_config()
        remember_source(self._memory, self._train.config.data.source)

    def _keep_sampling(self, state: SampleState) -> None:
        if state.parameters is not self._sampled:
            self._sampled = state.parameters
            self._memory.set_later("sample", partial(saved.to_remember, state.parameters))
        self._memory.set("view", state.pictures.view)
        self._memory.set("layout", state.pictures.layout)
        self._memory.set("time", state.player.place)

    def _keep_plane(self, state: PlaneState) -> None:
        self._memory.set("plane", to_remember(state))
