"""What can be done in the window whatever the page: open, choose colours, get help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QDesktopServices

from diffusion_studio.core.describe import members
from diffusion_studio.core.samplers import Sampler
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files import places
from diffusion_studio.engine.files.log import WINDOW, last_of
from diffusion_studio.engine.labbook.entries import called
from diffusion_studio.engine.machine.devices import named_devices
from diffusion_studio.engine.machine.doctor import about
from diffusion_studio.engine.runs.run import list_runs
from diffusion_studio.pages.entries import PAGES
from diffusion_studio.pages.pages import Pages
from diffusion_studio.pages.sample.page import SamplePage
from diffusion_studio.pages.settings import SettingsDialog
from diffusion_studio.pages.shell import Shell
from diffusion_studio.pages.states import States
from diffusion_studio.pages.train.page import TrainPage
from diffusion_studio.viewmodels.finding import Entry, fitting
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.settings import SettingsModel
from diffusion_studio.widgets.actions.action_set import Act
from diffusion_studio.widgets.actions.keys import key_text
from diffusion_studio.widgets.actions.sheet import KeySheet, sections
from diffusion_studio.widgets.frame.dialogs import FactsDialog, TextDialog
from diffusion_studio.widgets.frame.hint import Hint
from diffusion_studio.widgets.frame.palette import Palette
from diffusion_studio.widgets.look.theme import MODES

ABOUT = tr(
    "A laboratory for diffusion models: train on your own images, see which timesteps the loss comes from, "
    "and walk through the reverse chain."
)
HINT = (
    tr("New here? Take the tour"),
    tr("Cards that set this page and say what to look at; Help has a tour of every page"),
)


class Commands(QObject):
    """The window's own actions.

    Args:
        show_page: brings a page into sight, by its key.
        open_path: opens a run, a model folder, or images.
    """

    def __init__(
        self, shell: Shell, pages: Pages, sampling: SampleViewModel, runs: Path, settings: SettingsModel,
        states: States, show_page: Callable[[str], None], open_path: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__(shell)
        self.palette = Palette(shell)
        self.palette.typed.connect(self._find)
        self.palette.chosen.connect(self._take)
        self._entries: tuple[Entry, ...] = ()  # everything, while the palette is open
        self._fitting: list[Entry] = []
        self._shell, self._pages, self._sampling = shell, pages, sampling
        self._runs, self._settings = runs, settings
        self._tours = {entry.key: cards for entry in PAGES if (cards := entry.cards())}
        self._show_page, self._open_path, self._states = show_page, open_path, states
        shell.set_acts(self._acts())
        self.hint = Hint(*HINT)
        shell.header.add_action_widget(self.hint)
        self.hint.followed.connect(self._follow_hint)
        settings.hint_wanted.connect(self._show_hint)
        if settings.hint_due:
            self._show_hint()

    def _acts(self) -> dict[str, Act]:
        themes = {f"theme-{mode}": Act(partial(self._settings.edit, "theme", mode)) for mode in MODES}
        tours = {f"tour-{key}": Act(partial(self.take_tour, key)) for key in self._tours}
        return {
            **themes,
            **tours,
            "open-images": Act(self._open_images),
            "open-model": Act(self._open_model),
            "runs-folder": Act(partial(self._show_folder, self._runs)),
            "open-state": Act(self._states.ask),
            "save-state": Act(self._states.ask_to_save, self._states.can_save),
            "settings": Act(self.show_settings),
            "log": Act(self.show_log),
            "about": Act(self.show_about),
            "find": Act(self.find),
            "keys": Act(self.show_keys),
        }

    def _open_images(self) -> None:
        self._show_page("train")
        self._pages.of(TrainPage).choose_folder()

    def _open_model(self) -> None:
        self._show_page("sample")
        self._pages.of(SamplePage).choose_folder()

    def _show_hint(self) -> None:
        self.hint.show()
        self._settings.hinted()

    def _follow_hint(self) -> None:
        shown = self._shell.rail.current
        self.take_tour(shown if shown in self._tours else next(iter(self._tours)))

    def take_tour(self, key: str, number: int | None = None) -> None:
        """Shows a card of the tour of a page, by default the one where it stands."""
        self._show_page(key)
        tour = self._pages[key].tour
        assert tour is not None
        tour.begin(number)

    # --- the palette ------------------------------------------------------------------------------------

    def find(self) -> None:
        """Opens the palette, or leaves it."""
        if self.palette.isVisible():
            self.palette.leave()
            return
        self._entries = tuple(self._everything())
        self.palette.open()

    def _everything(self) -> Iterator[Entry]:
        actions = self._shell.actions_of_window
        for menu, action in actions.available():
            if action.name != "find":
                keys = key_text(action.keys[0]) if action.keys else ""
                yield Entry(action.title, menu, partial(actions.do, action.name), keys, action.what)
        for run in list_runs(self._runs):
            yield Entry(called(run), tr("Run"), partial(self._open_path, str(run)))
        for kind, sampler in members(Sampler).items():
            yield Entry(sampler.title, tr("Sampler"), partial(self._sample_with, kind))
        for key, cards in self._tours.items():
            for number, card in enumerate(cards):
                yield Entry(card.title, tr("Tour"), partial(self.take_tour, key, number))

    def _sample_with(self, kind: str) -> None:
        self._show_page("sample")
        tree = self._sampling.tree
        tree.edit("sampler.kind", kind)
        tree.settle()

    def _find(self, typed: str) -> None:
        self._fitting = fitting(self._entries, typed)
        self.palette.set_rows([(entry.title, entry.kind, entry.keys) for entry in self._fitting])

    def _take(self, number: int) -> None:
        self._fitting[number].do()

    # --- help -------------------------------------------------------------------------------------------

    def show_keys(self) -> None:
        """Opens the sheet of all keys, with those of the page that is shown first."""
        titles = {entry.key: entry.title for entry in PAGES}
        shown = sections(self._shell.actions_of_window.groups, titles, self._shell.rail.current)
        KeySheet(shown, self._shell).open()

    def show_settings(self) -> None:
        """Opens the dialog of what is set for the window."""
        devices = [("auto", tr("automatic")), *named_devices()]
        SettingsDialog(self._settings, devices, self._shell).open()

    def show_log(self) -> None:
        """Opens what was logged last."""
        file = places.log_dir() / WINDOW
        text = last_of(WINDOW) or tr("Nothing was logged: all went as it was meant to.")
        dialog = TextDialog(tr("Log"), str(file), text, self._shell)
        dialog.add_button(tr("Open its folder")).clicked.connect(partial(self._show_folder, file.parent))
        dialog.open()

    def show_about(self) -> None:
        """Opens versions, devices and folders."""
        facts = [(finding.name, finding.value) for finding in about()]
        dialog = FactsDialog(tr("About"), "Diffusion Studio", ABOUT, facts, self._shell)
        dialog.add_button(tr("Show the log")).clicked.connect(self.show_log)
        dialog.open()

    def _show_folder(self, path: Path) -> None:
        """Opens it in the system's own program for files, or says why that cannot be."""
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = tr("The folder {path} cannot be made: {why}.", path=path, why=error.strerror)
            self._shell.tell(Notice("error", why))
            return
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(path))):
            self._shell.tell(Notice("info", tr("No program for folders was found; it is {path}.", path=path)))
