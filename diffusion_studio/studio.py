"""The pages inside the window, tied to each other and to what the window remembers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import QObject

from diffusion_studio.engine.files import places
from diffusion_studio.engine.files.crash import BEFORE
from diffusion_studio.engine.files.states import STATE
from diffusion_studio.engine.machine.devices import available_devices, named_devices
from diffusion_studio.engine.machine.helper_threads import work_alone, work_with_all
from diffusion_studio.engine.runs.autoencoder_config import BY_KIND
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.runs.pipeline_folder import is_pipeline, kind_named
from diffusion_studio.engine.runs.run import is_run, kind_of
from diffusion_studio.pages.autoencoder.page import AutoencoderPage
from diffusion_studio.pages.bell import Bell
from diffusion_studio.pages.commands import Commands
from diffusion_studio.pages.entries import FIRST_PAGE, PAGES
from diffusion_studio.pages.page import Desk, Page
from diffusion_studio.pages.plane.page import PlanePage
from diffusion_studio.pages.run_ways import RunWays
from diffusion_studio.pages.runs.page import RunsPage
from diffusion_studio.pages.sample.page import SamplePage
from diffusion_studio.pages.shell import Shell
from diffusion_studio.pages.states import States
from diffusion_studio.pages.theory.page import TheoryPage
from diffusion_studio.pages.train.page import TrainPage
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.plane.memory import to_remember
from diffusion_studio.viewmodels.queue import Queue
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.sample import saved
from diffusion_studio.viewmodels.sample.state import SampleParameters, SampleState
from diffusion_studio.viewmodels.settings import Settings, SettingsModel
from diffusion_studio.viewmodels.train.memory import remember_source
from diffusion_studio.viewmodels.train.state import TrainState
from diffusion_studio.widgets.look.theme import theme

P = TypeVar("P", bound=Page)
CRASHED = "The program ended abruptly the last time. What it was doing is kept here, for a report."


class Studio(QObject):
    """Builds the pages, restores their state and passes on what one has to tell another.

    Args:
        memory: what the window remembers; its theme and its place on the screen stand already.
        crashed: what the crash before has left, if there was one.
    """

    def __init__(self, shell: Shell, memory: Memory, path: str = "", crashed: str = "") -> None:
        super().__init__(shell)  # and goes with it
        work_alone()  # this is the window's thread: helpers belong to training and sampling
        self.shell, self.memory = shell, memory
        self._remembered: tuple[RunConfig, Path | None] | None = None
        self._remembered_sample: SampleParameters | None = None
        self.settings = SettingsModel(self.memory, self)
        self._computes_on = self._usable(self.settings.state.device)
        desk = Desk(self._runs_dir(), self.memory, self, self._computes_on)
        shell.rail.set_devices([("auto", "Automatic"), *named_devices()], desk.device)
        self.bell = Bell(shell, self.settings)
        self.pages: dict[str, Page] = {entry.key: entry.module().build(desk) for entry in PAGES}
        for (key, page), entry in zip(self.pages.items(), PAGES, strict=True):
            page.setAccessibleName(entry.title)
            shell.add_page(key, page)
            page.header_changed.connect(self._show_header)
            page.header_changed.connect(partial(self._follow_work, key))
            page.go_requested.connect(self._go)
        self.train_page, self.sample_page = self._page(TrainPage), self._page(SamplePage)
        self.plane_page, self.theory_page = self._page(PlanePage), self._page(TheoryPage)
        self.runs_page, self.code_page = self._page(RunsPage), self._page(AutoencoderPage)
        self.training, self.sampling = self.train_page.model, self.sample_page.model
        self.plane, self.theory = self.plane_page.model, self.theory_page.model
        self.runs = self.runs_page.model
        tours = {key: page.tour for key, page in self.pages.items() if page.tour is not None}
        self.queue = Queue(self.training, self.memory, self)
        self.ways = RunWays(
            self.runs_page, self.train_page, self.sample_page, self.code_page, self.queue, self.show_page
        )  # fmt: skip
        self.states = States(
            shell, self.train_page, self.sample_page, self.plane_page, self.code_page, self.show_page
        )
        self.commands = Commands(
            shell, self.train_page, self.sample_page, desk.runs, self.settings, tours, self.states,
            self.show_page, self.open_path,
        )  # fmt: skip
        self._connect()
        self._restore()
        self._begin(path)
        if crashed:
            file = places.log_dir() / BEFORE
            self.shell.tell(Notice("warning", f"{CRASHED} ({file})", crashed, action="Show the log"))

    def _page(self, kind: type[P]) -> P:
        """One of the pages that the others are tied to."""
        return next(page for page in self.pages.values() if isinstance(page, kind))

    @staticmethod
    def _usable(device: str) -> str:
        """The device that is set, if it is there."""
        return device if device in available_devices() else "auto"

    def _runs_dir(self) -> Path:
        """Where runs are kept, as far as there can be such a folder."""
        chosen = self.settings.state.runs
        return Path(chosen) if chosen and Path(chosen).is_dir() else places.runs_dir()

    def _apply(self, settings: Settings) -> None:
        """What is set for the whole window."""
        theme().set_mode(settings.theme)
        theme().set_text_size(settings.text_size)
        theme().set_reduced_motion({"system": None, "full": False, "less": True}[settings.motion])
        if (device := self._usable(settings.device)) != self._computes_on:
            self._computes_on = device
            self.shell.rail.show_device(device)
            for page in self.pages.values():
                page.use_device(device)

    def _connect(self) -> None:
        shell = self.shell
        shell.rail.device_requested.connect(partial(self.settings.edit, "device"))
        shell.page_requested.connect(self.show_page)
        shell.paths_dropped.connect(self.open_dropped)
        shell.moved.connect(self._remember_window)
        shell.banner.action_triggered.connect(self.commands.show_log)
        shell.header.undo_requested.connect(lambda: self._current().undo())
        shell.header.redo_requested.connect(lambda: self._current().redo())
        shell.rail.theme_requested.connect(partial(self.settings.edit, "theme"))
        self.settings.changed.connect(self._apply)
        self.memory.refused.connect(lambda sentence: shell.tell(Notice("warning", sentence)))
        self.training.changed.connect(self._remember_training)
        self.training.images.loaded.connect(self._remember_images)
        self.training.saved.connect(self.sampling.model_saved)
        self.sampling.changed.connect(self._remember_sampling)
        self.plane.changed.connect(lambda state: self.memory.set("plane", to_remember(state)))
        self.train_page.sample_requested.connect(self._sample_trained)

    # --- from one page to another -------------------------------------------------------------------------

    def show_page(self, key: str) -> None:
        if key not in self.pages:
            return
        self.shell.show_page(key)
        self.memory.set("page", key)
        page = self.pages[key]
        page.come_into_sight(self.training.state.run)
        self.shell.show_acts(page.acts(), page)
        self._show_header()

    def open_dropped(self, paths: list[str]) -> None:
        """Image files dropped onto the Sample page are where its chains begin; elsewhere their folder opens.

        A picture of ours brings its page back, wherever it is dropped, and so does a state.
        """
        files = [Path(path) for path in paths if Path(path).is_file()]
        if len(files) == 1 and self.states.open(files[0]):
            return
        if files and self._current() is self.sample_page and not _is_state(files[0]):
            self.sampling.files.open_images(files)
        elif files and _is_state(files[0]):
            self.states.refuse(files[0])
        elif paths:
            place = Path(paths[0])
            self.open_path(str(place if place.is_dir() else place.parent))

    def open_path(self, path: str) -> None:
        """Anything dropped or given on the command line: a run, a model folder, images, a state."""
        place = Path(path).expanduser().absolute()
        if place.is_file():
            self.open_dropped([str(place)])
            return
        if is_run(place):
            self.runs.open_place(place)
        if kind_of(place) in BY_KIND:
            self.ways.show_code(place)
        elif is_run(place) or is_pipeline(place) or kind_named(place):
            self.sampling.choices.open_folder(place)
            self.show_page("sample")
        else:
            self.training.open_data(str(place))
            self.show_page("train")

    def _go(self, key: str, path: str) -> None:
        """To the parameter that an equation belongs to."""
        self.show_page(key)
        self.pages[key].reveal(path)

    def _sample_trained(self) -> None:
        if self.training.state.run is not None:
            self.ways.sample(self.training.state.run)

    def _current(self) -> Page:
        page = self.shell.current_page
        return page if isinstance(page, Page) else self.train_page

    def _show_header(self) -> None:
        page, header = self._current(), self.shell.header
        header.set_title(next(entry.title for entry in PAGES if entry.key == page.key))
        header.set_chips(page.chips())
        header.set_undo(page.can_undo)
        header.set_redo(page.can_redo)
        self.shell.actions_of_window.refresh()

    def _follow_work(self, key: str) -> None:
        title = next(entry.title for entry in PAGES if entry.key == key)
        self.bell.follow(key, title, self.pages[key].work())

    # --- memory -------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        self._apply(self.settings.state)
        for key, page in self.pages.items():
            state = self.memory.get(f"layout.{key}")
            if isinstance(state, dict):
                page.restore_layout(state)

    def _begin(self, path: str) -> None:
        if self.memory.problem:
            self.shell.tell(Notice("warning", self.memory.problem))
        run = self.memory.get("run")
        if isinstance(run, str) and is_run(Path(run)):
            self.training.show_run(Path(run))
        view, layout, time = (self.memory.get(key) for key in ("view", "layout", "time"))
        self.sampling.pictures.set_view(str(view))
        self.sampling.pictures.set_layout(str(layout))
        if isinstance(time, float):
            self.sampling.player.stand_at(time)
        self.training.load_data()
        self.sampling.choices.refresh(self.training.config.data.source)
        page = self.memory.get("page")
        self.show_page(page if isinstance(page, str) and page in self.pages else FIRST_PAGE)
        if path:
            self.open_path(path)
        self.sampling.compute()

    def _remember_training(self, state: TrainState) -> None:
        if (state.config, state.run) == self._remembered:  # most changes are progress
            return
        if self._remembered is not None and self._remembered[0].data != state.config.data:
            self.code_page.model.follow(state.config.data)
        self._remembered = (state.config, state.run)
        self._remember_config()
        if state.run is not None:
            self.memory.set("run", str(state.run))

    def _remember_config(self) -> None:
        """With the images that could be opened last."""
        config = self.training.config
        data = self.training.images.kept(config.data)
        self.memory.set("config", config.model_copy(update={"data": data}).model_dump(mode="json"))

    def _remember_images(self) -> None:
        """They could be opened."""
        self._remember_config()
        remember_source(self.memory, self.training.config.data.source)

    def _remember_sampling(self, state: SampleState) -> None:
        if state.parameters is not self._remembered_sample:
            self._remembered_sample = state.parameters
            self.memory.set_later("sample", partial(saved.to_remember, state.parameters))
        self.memory.set("view", state.pictures.view)
        self.memory.set("layout", state.pictures.layout)
        self.memory.set("time", state.player.place)

    def _remember_window(self) -> None:
        self.memory.set("geometry", bytes(self.shell.saveGeometry().toBase64().data()).decode())

    def _remember_layouts(self) -> None:
        for key, page in self.pages.items():
            self.memory.set(f"layout.{key}", page.layout_state())

    def shutdown(self) -> None:
        """Stops every job, waits for its thread and writes the memory."""
        self.queue.hold()
        self._remember_window()
        self._remember_layouts()
        for page in self.pages.values():  # the first one's last checkpoint is told to the others
            page.shutdown()
        self.memory.flush()
        work_with_all()


def _is_state(path: Path) -> bool:
    """Whether a file can only be meant as a state."""
    return path.suffix.lower() == STATE
