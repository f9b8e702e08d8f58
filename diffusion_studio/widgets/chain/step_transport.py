"""The transport for particles: the axis counts steps, and the noise level stands beside the step."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.chain.ruler import StepRuler
from diffusion_studio.widgets.chain.transport import Transport


class StepTransport(Transport):
    """Moves along the states of a chain whose noise level need not fall at every step."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._levels: tuple[int, ...] = ()
        self._ruler = StepRuler()
        super().__init__(parent, self._ruler)

    def set_levels(self, levels: Sequence[int], ends: tuple[str, str]) -> None:
        """The noise level t of every state, and what the two ends are called."""
        if tuple(levels) != self._levels or ends != self._ruler.ends:
            self._levels = tuple(levels)
            self._ruler.ends = ends
            self.set_times(range(len(levels) - 1, -1, -1))
            self.set_axis("step")

    def _show_where(self) -> None:
        k = self._timeline.position
        words = [tr("step {k} of {last}", k=k, last=self._timeline.last)] if self._levels else []
        words += [f"t = {self._levels[k]}"] if k < len(self._levels) else []
        self._where.set_short(words[-1] if words else "")
        words += [self._note] if self._note else []
        self._where.setText(" · ".join(words))
        self._timeline.setAccessibleDescription(self._where.text())
