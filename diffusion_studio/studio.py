"""The pages inside the window, tied to each other and to what the window remembers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import QObject

from diffusion_studio.core.words import tr
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.files import places
from diffusion_studio.engine.files.crash import BEFORE
from diffusion_studio.engine.files.places import at_home
from diffusion_studio.engine.files.states import STATE
from diffusion_studio.engine.machine.devices import available_devices, named_devices
from diffusion_studio.engine.machine.helper_threads import work_alone, work_with_all
from diffusion_studio.engine.runs.autoencoder_config import BY_KIND
from diffusion_studio.engine.runs.pipeline_folder import is_pipeline, kind_named
from diffusion_studio.engine.runs.run import is_run, kind_of
from diffusion_studio.pages.autoencoder.page import AutoencoderPage
from diffusion_studio.pages.bell import Bell
from diffusion_studio.pages.commands import Commands
from diffusion_studio.pages.entries import FIRST_PAGE, PAGES
from diffusion_studio.pages.page import Desk, Page
from diffusion_studio.pages.pages import Pages
from diffusion_studio.pages.plane.page import PlanePage
from diffusion_studio.pages.remembering import Remembering
from diffusion_studio.pages.run_ways import RunWays
from diffusion_studio.pages.runs.page import RunsPage
from diffusion_studio.pages.sample.page import SamplePage
from diffusion_studio.pages.shell import Shell
from diffusion_studio.pages.states import States
from diffusion_studio.pages.theory.page import TheoryPage
from diffusion_studio.pages.train.page import TrainPage
from diffusion_studio.viewmodels.autoencoder.model import AutoencoderViewModel
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.page_model import PageModel
from diffusion_studio.viewmodels.plane.model import PlaneViewModel
from diffusion_studio.viewmodels.queue import Queue
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.runs.model import RunsViewModel
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.settings import Settings, SettingsModel
from diffusion_studio.viewmodels.theory.model import TheoryViewModel
from diffusion_studio.viewmodels.train.model import TrainViewModel
from diffusion_studio.viewmodels.train.state import TrainState
from diffusion_studio.widgets.look.theme import theme

M = TypeVar("M", bound=PageModel)
TITLES = {entry.key: entry.title for entry in PAGES}
CRASHED = tr("The program ended abruptly the last time. What it was doing is kept here, for a report.")


class Studio(QObject):
    """Makes the view-models, restores their state and passes on what one page has to tell another.

    A page is built when it is first shown, or asked for in `pages`.

    Args:
        memory: what the window remembers; its theme and its place on the screen stand already.
        crashed: what the crash before has left, if there was one.
    """

    def __init__(self, shell: Shell, memory: Memory, path: str = "", crashed: str = "") -> None:
        super().__init__(shell)  # and goes with it
        work_alone()  # this is the window's thread: helpers belong to training and sampling
        self.shell, self.memory = shell, memory
        self._data: DataSpec | None = None  # of the Train page
        self.settings = SettingsModel(self.memory, self)
        self._computes_on = self._usable(self.settings.state.device)
        desk = Desk(self._runs_dir(), self.memory, self, self._computes_on)
        shell.rail.set_devices([("auto", tr("Automatic")), *named_devices()], desk.device)
        self.bell = Bell(shell, self.settings)
        self.models: dict[str, PageModel] = {entry.key: entry.module().model(desk) for entry in PAGES}
        self.training, self.sampling = self._model(TrainViewModel), self._model(SampleViewModel)
        self.plane, self.codes = self._model(PlaneViewModel), self._model(AutoencoderViewModel)
        self.theory, self.runs = self._model(TheoryViewModel), self._model(RunsViewModel)
        self.pages = Pages(desk, self.models, self._tie)
        self.queue = Queue(self.training, self.memory, self)
        self.ways = RunWays(
            self.runs, self.training, self.sampling, self.codes, self.queue, shell, self.show_page
        )
        self.states = States(shell, self.training, self.sampling, self.plane, self.codes, self.show_page)
        self.commands = Commands(
            shell, self.pages, self.sampling, desk.runs, self.settings, self.states, self.show_page,
            self.open_path,
        )  # fmt: skip
        self.remembering = Remembering(
            shell, self.memory, self.pages, self.training, self.sampling, self.plane
        )
        self._connect()
        self._apply(self.settings.state)
        self._begin(path)
        if crashed:
            file = places.log_dir() / BEFORE
            self.shell.tell(Notice("warning", f"{CRASHED} ({file})", crashed, action=tr("Show the log")))

    def _model(self, kind: type[M]) -> M:
        """One of the view-models that the others are tied to."""
        return next(model for model in self.models.values() if isinstance(model, kind))

    def _tie(self, page: Page) -> None:
        """A page is there now: it stands in the window as it was left, and is heard."""
        self.remembering.restore(page.key)
        self.shell.add_page(page.key, page)
        page.header_changed.connect(self._show_header)
        page.go_requested.connect(self._go)
        self.ways.tie(page)

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
            for model in self.models.values():
                model.use_device(device)

    def _connect(self) -> None:
        shell = self.shell
        shell.rail.device_requested.connect(partial(self.settings.edit, "device"))
        shell.page_requested.connect(self.show_page)
        shell.paths_dropped.connect(self.open_dropped)
        shell.banner.action_triggered.connect(self.commands.show_log)
        shell.header.undo_requested.connect(lambda: self._current().undo())
        shell.header.redo_requested.connect(lambda: self._current().redo())
        shell.rail.theme_requested.connect(partial(self.settings.edit, "theme"))
        self.settings.changed.connect(self._apply)
        self.memory.refused.connect(lambda sentence: shell.tell(Notice("warning", sentence)))
        self.training.changed.connect(self._pass_data_on)
        self.training.saved.connect(self.sampling.model_saved)
        for key, model in self.models.items():
            model.changed.connect(partial(self._follow_work, key))

    # --- the pages, by their classes ----------------------------------------------------------------------

    @property
    def train_page(self) -> TrainPage:
        return self.pages.of(TrainPage)

    @property
    def sample_page(self) -> SamplePage:
        return self.pages.of(SamplePage)

    @property
    def plane_page(self) -> PlanePage:
        return self.pages.of(PlanePage)

    @property
    def code_page(self) -> AutoencoderPage:
        return self.pages.of(AutoencoderPage)

    @property
    def theory_page(self) -> TheoryPage:
        return self.pages.of(TheoryPage)

    @property
    def runs_page(self) -> RunsPage:
        return self.pages.of(RunsPage)

    # --- from one page to another -------------------------------------------------------------------------

    def show_page(self, key: str) -> None:
        if key not in self.pages:
            return
        page = self.pages[key]
        self.shell.show_page(key)
        self.memory.set("page", key)
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
        if files and self.shell.rail.current == SamplePage.key and not _is_state(files[0]):
            self.sampling.files.open_images(files)
        elif files and _is_state(files[0]):
            self.states.refuse(files[0])
        elif paths:
            place = Path(paths[0])
            self.open_path(str(place if place.is_dir() else place.parent))

    def open_path(self, path: str) -> None:
        """Anything dropped or given on the command line: a run, a model folder, images, a state."""
        place = at_home(path).absolute()
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

    def _current(self) -> Page:
        page = self.shell.current_page
        return page if isinstance(page, Page) else self.pages[FIRST_PAGE]

    def _show_header(self) -> None:
        if not isinstance(self.shell.current_page, Page):
            return  # the first page is being made, and says so itself
        page, header = self._current(), self.shell.header
        header.set_title(TITLES[page.key])
        header.set_chips(page.chips())
        header.set_undo(page.can_undo)
        header.set_redo(page.can_redo)
        self.shell.actions_of_window.refresh()

    def _follow_work(self, key: str, _state: object) -> None:
        self.bell.follow(key, TITLES[key], self.models[key].work())

    # --- beginning and end --------------------------------------------------------------------------------

    def _begin(self, path: str) -> None:
        if self.memory.problem:
            self.shell.tell(Notice("warning", self.memory.problem))
        self.training.load_data()
        run = self.memory.get("run")
        if isinstance(run, str) and is_run(Path(run)):
            self.training.show_run(Path(run))
        view, layout, time = (self.memory.get(key) for key in ("view", "layout", "time"))
        self.sampling.pictures.set_view(str(view))
        self.sampling.pictures.set_layout(str(layout))
        if isinstance(time, float):
            self.sampling.player.stand_at(time)
        self.sampling.choices.refresh(self.training.config.data.source)
        page = self.memory.get("page")
        self.show_page(page if isinstance(page, str) and page in self.pages else FIRST_PAGE)
        if path:
            self.open_path(path)
        self.sampling.compute()

    def _pass_data_on(self, state: TrainState) -> None:
        """Images that are chosen on the Train page are those of the Autoencoder page too."""
        before, self._data = self._data, state.config.data
        if before is not None and before != self._data:
            self.codes.follow(self._data)

    def shutdown(self) -> None:
        """Stops every job, waits for its thread and writes the memory."""
        self.queue.hold()
        self.remembering.keep_layouts()
        for page in self.pages.there.values():
            page.settle()
        for model in self.models.values():  # the first one's last checkpoint is told to the others
            model.shutdown()
        self.memory.flush()
        work_with_all()


def _is_state(path: Path) -> bool:
    """Whether a file can only be meant as a state."""
    return path.suffix.lower() == STATE
