"""The state of a whole page in a small file, and back: also from a picture that was exported here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog

from diffusion_studio.core.describe import validated
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.states import state_in, write_state
from diffusion_studio.engine.runs.autoencoder_config import BY_KIND, AutoencoderConfig
from diffusion_studio.engine.runs.config import PARTS_MEASURED, RunConfig, afresh
from diffusion_studio.pages.page import Page
from diffusion_studio.pages.shell import Shell
from diffusion_studio.viewmodels.autoencoder.model import AutoencoderViewModel
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.plane.memory import to_remember
from diffusion_studio.viewmodels.plane.model import PlaneViewModel
from diffusion_studio.viewmodels.sample.model import SampleViewModel
from diffusion_studio.viewmodels.train.model import TrainViewModel
from diffusion_studio.widgets.frame.saved import tell_failed, tell_saved

KEPT = ("train", "sample", "plane", "autoencoder")  # pages that have a state
FILES = tr("States and pictures (*.json *.png)")


class States:
    """Knows how each page is put into a file, and taken from one.

    Args:
        show_page: brings a page into sight, by its key.
    """

    def __init__(
        self, shell: Shell, train: TrainViewModel, sample: SampleViewModel, plane: PlaneViewModel,
        code: AutoencoderViewModel, show_page: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._shell, self._show_page = shell, show_page
        self._train, self._sample, self._plane, self._code = train, sample, plane, code

    # --- out --------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any] | None:
        """That of the page that is shown; None where there is nothing to be kept."""
        match self._shell.rail.current:
            case "train":
                return {"config": self._train.config.model_dump(mode="json")}
            case "sample":
                return self._sample.files.state()
            case "plane":
                return {"plane": to_remember(self._plane.state)}
            case "autoencoder":
                config = self._code.config
                return {"kind": config.kind, "config": config.model_dump(mode="json")}
        return None

    def can_save(self) -> bool:
        return self._shell.rail.current in KEPT

    def ask_to_save(self) -> None:
        """Asks where the state of the shown page is to be written."""
        name = Path.home() / f"{self._shell.rail.current}.json"
        dialog = QFileDialog(self._shell, tr("Save the state of this page"), str(name), tr("State (*.json)"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("json")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.save(Path(path)))
        dialog.open()

    def save(self, path: Path) -> None:
        """Writes the state of the shown page; the page says how it went."""
        state, page = self.state(), self._shell.current_page
        if state is None or not isinstance(page, Page):
            return
        try:
            write_state(path, state)
        except OSError as error:
            why = error.strerror or error
            tell_failed(page, tr("{path} could not be written: {why}.", path=path, why=why))
        else:
            tell_saved(page, path)

    # --- in ---------------------------------------------------------------------------------------------

    def ask(self) -> None:
        """Asks for a state, or a picture with one inside."""
        dialog = QFileDialog(self._shell, tr("Open a state"), str(Path.home()), FILES)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._take)
        dialog.open()

    def _take(self, path: str) -> None:
        if not self.open(Path(path)):
            self.refuse(Path(path))

    def open(self, path: Path) -> bool:
        """Restores the page whose state a file holds; False where it holds none."""
        state = state_in(path)
        if state is None:
            return False
        if "plane" in state:
            self._plane.open_state(path)
            self._show_page("plane")
        elif "sample" in state:
            self._sample.files.restore(state)
            self._show_page("sample")
        else:
            return self._open_config(state)
        return True

    def refuse(self, path: Path) -> None:
        """Says that a file holds no state."""
        none = tr("{file} holds no state of a page that this version knows.", file=path.name)
        self._shell.tell(Notice("error", none))

    def _open_config(self, state: dict[str, Any]) -> bool:
        """The parameters of a training: of a state, a preview, or the config.json of a run."""
        kind = state.get("kind", RunConfig.kind)
        try:
            config = afresh(
                validated(BY_KIND.get(kind, RunConfig), state["config"]), state.get(PARTS_MEASURED) is True
            )
        except (Refused, TypeError):
            return False
        code = isinstance(config, AutoencoderConfig)
        if (self._code if code else self._train).state.busy:
            self._shell.tell(Notice("info", tr("A training is going on, with parameters of its own.")))
        elif isinstance(config, AutoencoderConfig):
            self._code.editor.set(config)
        elif isinstance(config, RunConfig):
            self._train.editor.set(config)
        self._show_page("autoencoder" if code else "train")
        return True
