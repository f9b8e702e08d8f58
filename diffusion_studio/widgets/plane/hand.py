"""What a hand does to the plane: takes hold of modes, draws, adds and removes, picks where to begin."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QObject, QPointF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent

from diffusion_studio.widgets.plane.camera import Camera
from diffusion_studio.widgets.plane.handles import Grip, Handles, grip_at, moved

_NUDGE = 0.05
_LIGHTEST, _HEAVIEST = 0.01, 100.0
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, 1), Qt.Key.Key_Down: (0, -1),
}  # fmt: skip


class Hand(QObject):
    """Turns pointer and keys into wishes, in the plane's own units; it changes nothing itself."""

    mode_changed = Signal(int, object)  # index, Mode
    mode_settled = Signal()
    mode_selected = Signal(int)  # -1 for none
    mode_added = Signal(float, float)
    mode_removed = Signal(int)
    start_picked = Signal(float, float)
    stroke_drawn = Signal(object)  # float64 (n, 2)
    changed = Signal()  # what it hovers over, or its stroke

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.camera, self.handles = Camera(), Handles()  # what it finds
        self.brush = False  # whether a drag draws
        self.stroke: list[tuple[float, float]] = []
        self._held: Grip | None = None
        self._hovered: Grip | None = None

    @property
    def grip(self) -> Grip | None:
        """What it holds, or could."""
        return self._held or self._hovered

    def _grip_at(self, position: QPointF) -> Grip | None:
        return grip_at(self.handles, self.camera.to_pixels, position)

    def press(self, event: QMouseEvent) -> None:
        place = self.camera.place(event.position())
        if event.button() == Qt.MouseButton.RightButton:
            self.start_picked.emit(*place)
        elif event.button() != Qt.MouseButton.LeftButton:
            return
        elif self.brush:
            self.stroke = [place]
        else:
            self._held = self._grip_at(event.position())
            self.mode_selected.emit(self._held.index if self._held else -1)

    def move(self, event: QMouseEvent) -> None:
        place = self.camera.place(event.position())
        if self.stroke:
            self.stroke.append(place)
            self.changed.emit()
        elif self._held is not None and self._held.index < len(self.handles.modes):
            mode = self.handles.modes[self._held.index]
            self.mode_changed.emit(
                self._held.index, moved(mode, self._held.part, *place, self.handles.shrink)
            )
        else:
            self._hover(self._grip_at(event.position()))

    def release(self) -> None:
        if self._held is not None:
            self._held = None
            self.mode_settled.emit()
        if self.stroke:
            stroke, self.stroke = np.array(self.stroke), []
            self.stroke_drawn.emit(stroke)
            self.changed.emit()

    def double_click(self, event: QMouseEvent) -> None:
        left = event.button() == Qt.MouseButton.LeftButton
        if left and not self.brush and self._grip_at(event.position()) is None:
            x, y = self.camera.place(event.position())
            self.mode_added.emit(x / self.handles.shrink, y / self.handles.shrink)

    def turn(self, position: QPointF, turned: float) -> bool:
        """A wheel over a mode makes it heavier, notch by notch; whether there was one."""
        grip = self._grip_at(position)
        if grip is None:
            return False
        mode = self.handles.modes[grip.index]
        weight = min(max(mode.weight * 1.1**turned, _LIGHTEST), _HEAVIEST)
        self.mode_changed.emit(grip.index, mode.model_copy(update={"weight": weight}))
        self.mode_settled.emit()
        return True

    def key(self, event: QKeyEvent) -> bool:
        """A key; whether it was one of the hand's."""
        key, modes, selected = Qt.Key(event.key()), self.handles.modes, self.handles.selected
        if 0 <= selected < len(modes) and key in _ARROWS:
            (dx, dy), mode = _ARROWS[key], modes[selected]
            nudged = mode.model_copy(update={"x": mode.x + _NUDGE * dx, "y": mode.y + _NUDGE * dy})
            self.mode_changed.emit(selected, nudged)
            self.mode_settled.emit()
        elif selected >= 0 and key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.mode_removed.emit(selected)
        elif key == Qt.Key.Key_Escape:
            self.mode_selected.emit(-1)
        else:
            return False
        return True

    def has_modes(self) -> bool:
        """Whether there are modes to be chosen."""
        return bool(self.handles.modes)

    def choose_next(self) -> None:
        """The mode after the chosen one."""
        self.mode_selected.emit((self.handles.selected + 1) % len(self.handles.modes))

    def leave(self) -> None:
        """The pointer is elsewhere."""
        self._hovered = None
        self.changed.emit()

    def _hover(self, grip: Grip | None) -> None:
        if grip != self._hovered:
            self._hovered = grip
            self.changed.emit()
