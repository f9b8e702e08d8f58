"""A strip of pictures: a row for each chain, a column for each state."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent

from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.images.grid_plan import GAP

_LEAST = 16  # pixels of a picture in which something can be seen


class StripGrid(ImageGrid):
    """Says how many columns and rows can be seen in the room that it has."""

    resized = Signal()

    def with_room(self, columns: int, rows: int) -> tuple[list[int], int]:
        """Which of the columns to show, the first and the last of them too, and how many rows."""
        across = max(2, (self.width() + GAP) // (_LEAST + GAP))
        down = max(1, (self.height() - self.fontMetrics().height() - 4) // (_LEAST + GAP))
        kept = np.linspace(0, columns - 1, min(columns, across)).round().astype(int)
        return [int(k) for k in np.unique(kept)], min(rows, down)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.resized.emit()
