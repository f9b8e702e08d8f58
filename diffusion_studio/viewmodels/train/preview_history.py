"""The samples that a training drew, from the first to the newest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.files.pictures import read_grid
from diffusion_studio.engine.runs.quality import FEWEST, Quality
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.events import Preview

MOST = 400


@dataclass(frozen=True, eq=False)
class _Entry:
    step: int
    images: NDArray[np.uint8] | None
    path: Path | None


class PreviewHistory:
    """Previews by step; older ones are read from disk again when they are asked for."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._entries: list[_Entry] = []
        self.labels: tuple[str, ...] = ()
        self.quality: dict[int, Quality] = {}  # by step
        self._side = 0

    def __len__(self) -> int:
        return len(self._entries)

    def step(self, index: int) -> int:
        return self._entries[index].step

    def add(self, preview: Preview) -> None:
        """The newest preview; it takes the place of one of fewer samples at the same step."""
        if self._entries and self._entries[-1].step == preview.step:
            del self._entries[-1]
        self._entries.append(_Entry(preview.step, preview.images, preview.path))
        self.labels = preview.labels
        if len(self._entries) > MOST:  # thin out the older half, keep both ends
            older = self._entries[: MOST // 2]
            self._entries = older[::2] + self._entries[MOST // 2 :]

    def images(self, index: int) -> NDArray[np.uint8] | None:
        """The images of one preview, or None when they are gone. (n, H, W, C)"""
        entry = self._entries[index]
        if entry.images is not None or entry.path is None:
            return entry.images
        try:
            return read_grid(entry.path, self._side, self._side)
        except (OSError, Refused):
            return None

    def restore(self, run: Run) -> None:
        """Begins with what the run's folder holds."""
        self.clear()
        self._side = run.config.data.resolution
        self.quality = {step: found for step, found in run.metrics.quality() if found.count >= FEWEST}
        for path in sorted(run.sample_folder.glob("step-*.png"))[-MOST:]:
            number = path.stem.removeprefix("step-")
            if number.isdecimal():
                self._entries.append(_Entry(int(number), None, path))
