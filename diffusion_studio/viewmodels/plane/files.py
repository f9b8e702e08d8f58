"""Files of the 2-D page, written beside the window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.plane.chain import PlaneChain
from diffusion_studio.engine.plane.export import (
    read_state,
    save_animation,
    save_particles,
    save_picture,
    save_state,
)
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.notice import notice_of
from diffusion_studio.viewmodels.plane.memory import restored
from diffusion_studio.viewmodels.plane.state import Look


def opened(path: Path) -> tuple[PlaneSpec, Look | None]:
    """A state, or the state inside a picture.

    Raises:
        Refused: there is none, or one that cannot be read.
    """
    spec, look = restored(read_state(path))
    if spec is None:
        raise Refused(tr("The state in {name} cannot be read by this version.", name=path.name))
    return spec, look


class PlaneFiles(QObject):
    """Writes one file after the other, and tells how it went."""

    told = Signal(object)  # Notice

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._slot = Slot(self)
        self._slot.told.connect(self._on_event)

    @property
    def busy(self) -> bool:
        return self._slot.busy

    def export(
        self, path: Path, state: dict[str, Any], chain: PlaneChain, frames: Sequence[NDArray[np.uint8]]
    ) -> None:
        """Writes what the ending of `path` says; `chain` is this job's own."""

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            try:
                match path.suffix.lower():
                    case ".png":
                        save_picture(path, frames[0], state)
                    case ".gif" | ".webp" | ".mp4":
                        save_animation(path, frames, state)
                    case ".npz":
                        save_particles(path, chain)
                    case _:
                        save_state(path, state)
            except OSError as error:
                raise Refused(
                    tr("{path} could not be written: {reason}.", path=path, reason=error.strerror or error)
                ) from error
            yield events.Finished("done", tr("Saved {path}.", path=path), file=str(path))

        self._slot.start(stream)

    def shutdown(self) -> None:
        self._slot.finish(60_000)

    def _on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Finished):
            self.told.emit(notice_of(event))
