"""Files of what the 2-D page shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.files.videos import VIDEO, check_video
from diffusion_studio.pages.plane.picture import PlanePicture
from diffusion_studio.pages.plane.recorder import Recorder
from diffusion_studio.viewmodels.plane.model import PlaneViewModel


class PlaneExporter(QObject):
    """Takes the pictures that the view-model writes; drawings it writes itself."""

    def __init__(self, model: PlaneViewModel, picture: PlanePicture, parent: QObject) -> None:
        super().__init__(parent)
        self._model, self._picture = model, picture
        self._animation = Path()  # that is being recorded
        self._recorder = Recorder(model.player, picture.frame, self)
        self._recorder.done.connect(self._write_animation)

    def export(self, path: Path) -> None:
        """Writes what the ending of `path` says: png, svg, gif, webp, mp4, npz or json."""
        match path.suffix.lower():
            case ".svg":
                self._write_drawing(path)
            case ".gif" | ".webp" | ".mp4":
                self._record(path)
            case ".png":
                self._model.export(path, [self._picture.frame()])
            case _:
                self._model.export(path)

    def stop(self) -> None:
        """Gives up an animation."""
        self._recorder.stop()

    def _record(self, path: Path) -> None:
        try:
            if path.suffix.lower() == VIDEO:
                check_video()
        except Refused as error:
            self._model.complain(str(error))
            return
        self._animation = path
        self._recorder.start()

    def _write_drawing(self, path: Path) -> None:
        try:
            state = self._model.state
            self._picture.save_drawing(path, f"{state.spec.title}, t = {state.t}")
        except OSError as error:
            why = error.strerror or error
            self._model.complain(tr("{path} could not be written: {why}.", path=path, why=why))

    def _write_animation(self, frames: list[NDArray[np.uint8]]) -> None:
        self._model.export(self._animation, frames)
