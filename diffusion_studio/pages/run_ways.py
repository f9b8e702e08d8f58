"""What is asked for of a run is done on its own page: sampled from, resumed, shown, begun anew."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.labbook.entries import called
from diffusion_studio.engine.runs.autoencoder_config import BY_KIND, AutoencoderConfig
from diffusion_studio.engine.runs.config import RunConfig, TrainingConfig
from diffusion_studio.engine.runs.run import Run, kind_of
from diffusion_studio.pages.page import Page
from diffusion_studio.pages.queue import QueueDialog
from diffusion_studio.pages.runs.page import RunsPage
from diffusion_studio.pages.shell import Shell
from diffusion_studio.pages.train.page import TrainPage
from diffusion_studio.viewmodels.autoencoder.model import AutoencoderViewModel
from diffusion_studio.viewmodels.queue import Queue
from diffusion_studio.viewmodels.runs.model import RunsViewModel
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.train.model import TrainViewModel


class RunWays(QObject):
    """The ways from the list of runs to the other pages.

    Args:
        show_page: brings a page into sight, by its key.
    """

    def __init__(
        self, runs: RunsViewModel, train: TrainViewModel, sample: SampleViewModel, code: AutoencoderViewModel,
        queue: Queue, window: Shell, show_page: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__(window)
        self._runs, self._train, self._sample, self._code = runs, train, sample, code
        self._queue, self._window, self._show_page = queue, window, show_page
        self._runs.trash_changed.connect(self._sample.choices.refresh)
        self._runs.written.connect(self._sample.choices.refresh)
        self._train.saved.connect(self._on_saved)

    def tie(self, page: Page) -> None:
        """Hears what a page that is there now asks for."""
        if isinstance(page, RunsPage):
            self._tie_runs(page)
        elif isinstance(page, TrainPage):
            page.more.queue_requested.connect(self.queue_parameters)
            page.more.queue_wanted.connect(self.show_queue)
            page.sample_requested.connect(self._sample_trained)
            self._queue.changed.connect(page.say_queue)
            page.say_queue(self._queue.state)

    def _tie_runs(self, page: RunsPage) -> None:
        page.sample_requested.connect(self.sample)
        page.resume_requested.connect(self.resume)
        page.show_requested.connect(self.show)
        page.again_requested.connect(self.begin_like)
        page.queue_requested.connect(self.queue_run)
        page.queue_wanted.connect(self.show_queue)
        page.train_requested.connect(partial(self._show_page, "train"))
        self._queue.changed.connect(page.foot.say_queue)
        page.foot.say_queue(self._queue.state)

    def _on_saved(self) -> None:
        """A training got on: the list says so while it is looked at."""
        if self._window.rail.current == RunsPage.key:
            self._runs.refresh()

    def show_code(self, path: Path) -> None:
        """An autoencoder's run, on its own page."""
        self._code.open_run(path)
        self._show_page("autoencoder")

    def _sample_trained(self) -> None:
        if self._train.state.run is not None:
            self.sample(self._train.state.run)

    def sample(self, path: Path) -> None:
        """Samples from a run, or looks into its code."""
        if kind_of(path) in BY_KIND:
            self.show_code(path)
            return
        self._sample.choices.open_folder(path)
        self._show_page("sample")

    def resume(self, path: Path) -> None:
        """Goes on with its training."""
        if kind_of(path) in BY_KIND:
            self._code.resume_run(path)
            self._show_page("autoencoder")
            return
        self._train.resume_run(path)
        self._show_page("train")

    def show(self, path: Path) -> None:
        """Its curves and samples."""
        if kind_of(path) in BY_KIND:
            self.show_code(path)
            return
        self._train.show_run(path)
        self._show_page("train")

    def queue_run(self, path: Path, anew: bool) -> None:
        """Lets a run go on, or one like it begin, when those before have ended."""
        try:
            config = Run.open(path).afresh
        except Refused as error:
            self._runs.tell(str(error))
            return
        if anew:
            self._queue.add(config, tr("New run like {run}", run=called(path)))
        else:
            self._queue.add_run(path, called(path))

    def queue_parameters(self) -> None:
        """A new run with the parameters of the Train page, when those before have ended."""
        self._queue.add(self._train.config)

    def show_queue(self) -> None:
        """What waits for its turn."""
        QueueDialog(self._queue, self._window).open()

    def begin_like(self, path: Path) -> None:
        """Its settings, for another run; undo brings back those of before."""
        try:
            config = Run.open_as(path, TrainingConfig).afresh
        except Refused as error:
            self._runs.tell(str(error))
            return
        code, train = self._code, self._train
        if (code if isinstance(config, AutoencoderConfig) else train).state.busy:
            self._runs.tell(tr("A training is going on, with settings of its own. Stop it first."))
        elif isinstance(config, AutoencoderConfig):
            code.editor.set(config)
            self._show_page("autoencoder")
        elif isinstance(config, RunConfig):
            train.editor.set(config)
            self._show_page("train")
