"""The distribution of the plane as a person makes it: by name, by dragging modes, by hand, from a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from diffusion_studio.engine.plane.shapes import (
    CLASSES,
    CUSTOM,
    MOST_MODES,
    Mode,
    Modes,
    modes_from_points,
    shape,
)
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.viewmodels.editor import Edited, Editor

BRUSH = 0.16  # standard deviation of a drawn dot
FARTHEST = 10.0  # a mode or a start lies within it, in both directions


@dataclass(frozen=True)
class Held:
    """What the pointer works on."""

    selected: int = -1  # the mode whose numbers are shown; −1 for none
    brush: bool = False


class PlaneModes(QObject):
    """Changes the distribution in `editor`, and knows which mode is selected."""

    changed = Signal(object)  # Held

    def __init__(self, editor: Editor[PlaneSpec], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._editor = editor
        self.state = Held()
        editor.changed.connect(self._on_edited)

    def choose_shape(self, key: str) -> None:
        """Another distribution."""
        self._set(shape(key).make(), key)
        self.select(-1)

    def set_mode(self, index: int, mode: Mode) -> None:
        """One mode is being dragged or edited; the editor's `settle` ends it."""
        spec = self._editor.value
        if 0 <= index < len(spec.modes):
            modes = (*spec.modes[:index], mode, *spec.modes[index + 1 :])
            self._editor.change(spec.model_copy(update={"modes": modes, "shape": CUSTOM}))

    def set_selected(self, name: str, value: object) -> None:
        """One number of the selected mode."""
        modes, index = self._editor.value.modes, self.state.selected
        if index >= 0:
            self.set_mode(index, modes[index].model_copy(update={name: value}))

    def add(self, x: float, y: float) -> None:
        """A new mode, in a class of its own."""
        modes = self._editor.value.modes
        if len(modes) < MOST_MODES and max(abs(x), abs(y)) <= FARTHEST:
            label = (max(m.label for m in modes) + 1) % CLASSES
            self._set((*modes, Mode(x=x, y=y, label=label)), CUSTOM)
            self.select(len(modes))

    def remove(self, index: int) -> None:
        """One mode less; the last one stays."""
        modes = self._editor.value.modes
        if len(modes) > 1:
            self.select(-1)
            self._set((*modes[:index], *modes[index + 1 :]), CUSTOM)

    def draw(self, stroke: NDArray[np.float64]) -> None:
        """A line drawn by hand (n, 2) joins what was drawn before, or replaces what was chosen."""
        spec = self._editor.value
        before: Modes = spec.modes if spec.shape == CUSTOM else ()
        self._set((*before, *modes_from_points(stroke, BRUSH))[:MOST_MODES], CUSTOM)

    def set_picture(self, modes: Modes) -> None:
        """A picture as a density."""
        self._set(modes, CUSTOM)
        self.select(-1)

    def select(self, index: int) -> None:
        """Shows the numbers of a mode; −1 for none."""
        known = index < len(self._editor.value.modes)
        self._show(Held(index if known else -1, self.state.brush))

    def set_brush(self, on: bool) -> None:
        """Whether a drag draws."""
        self._show(Held(-1 if on else self.state.selected, on))

    def _on_edited(self, edited: Edited[PlaneSpec]) -> None:
        """The selected mode may be gone."""
        self.select(self.state.selected)

    def _set(self, modes: Modes, key: str) -> None:
        self._editor.set(self._editor.value.model_copy(update={"modes": modes, "shape": key}))

    def _show(self, state: Held) -> None:
        if state != self.state:
            self.state = state
            self.changed.emit(state)
