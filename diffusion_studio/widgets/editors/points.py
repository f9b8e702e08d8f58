"""Points on a plot over the chain that a person drags, adds and removes."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.editors.dots import Dots
from diffusion_studio.widgets.editors.sigma_points import Points
from diffusion_studio.widgets.plots.canvas import Reading
from diffusion_studio.widgets.plots.chain import ChainPlot
from diffusion_studio.widgets.plots.math import tick_text

_ARROWS = {
    Qt.Key.Key_Left: (1, 0),  # towards the noise
    Qt.Key.Key_Right: (-1, 0),
    Qt.Key.Key_Up: (0, 1),
    Qt.Key.Key_Down: (0, -1),
}
_TABS = {Qt.FocusReason.TabFocusReason: -1, Qt.FocusReason.BacktabFocusReason: 0}


class PointRule(Protocol):
    """Where the points of a curve may be."""

    def moved(self, points: Points, i: int, t: float, y: float) -> Points:
        """Point `i` brought as near to (t, y) as it may come."""

    def added(self, points: Points, t: float, y: float) -> tuple[Points, int] | None:
        """With one point more near (t, y), and its number; None where there is no room."""

    def removed(self, points: Points, i: int) -> Points:
        """Without point `i`, or with it where it has to stay."""


class PointPlot(ChainPlot):
    """A plot over t with points: drag, double click, right click; arrows, Insert, Delete and Tab.

    Beside a point, a click or a drag asks to go to a state, as in any plot over the chain.
    """

    points_edited = Signal(list)  # [(t, value), …], t rising
    edit_finished = Signal()

    def __init__(
        self, name: str, color_key: str, unit: float, rule: PointRule, parent: QWidget | None = None
    ) -> None:
        """`rule` says where points may be; `unit` is how far the arrows move one up or down."""
        self._rule = rule
        self._points: Points | None = None
        self._selected: int | None = None
        self._held: int | None = None
        self._edited = self._awaited = False
        self._color_key, self._unit = color_key, unit
        self._dots: Dots | None = None  # there is no canvas yet
        super().__init__(parent=parent)
        self.setAccessibleName(name)
        self._dots = Dots(self.canvas, color_key)
        self._restyle()

    def _on_plain_click(self, scene: QPointF) -> bool:
        """A click beside all points; whether it was taken."""
        return False

    # state

    @property
    def selected(self) -> int | None:
        """The number of the selected point, t rising."""
        return self._selected

    def select(self, index: int | None) -> None:
        """Mark a point, so that the keys act on it; None takes the mark away."""
        known = index is not None and self._points is not None and 0 <= index < len(self._points)
        self._selected = index if known else None
        self.setProperty("keepsArrows", known)
        self._place_points()
        self._describe()

    def _await_points(self) -> None:
        """A key asked for the points that come: their first one, at the noise, is chosen."""
        self._awaited = True

    def _show_points(self, points: Points | None) -> None:
        """Take points from outside."""
        if points != self._points:
            self._points = points
            count = 0 if points is None else len(points)
            if self._held is not None and self._held >= count:
                self._held = None
            kept = self._selected is not None and self._selected < count
            self.select(count - 1 if self._awaited else self._selected if kept else None)
            self._awaited = False

    def _edit(self, points: Points, select: int | None) -> None:
        """A person changed the points."""
        changed, self._points = points != self._points, points
        self.select(select)
        if changed:
            self._edited = True
            self.points_edited.emit(list(points))

    def _finish(self) -> None:
        if self._edited:
            self._edited = False
            self.edit_finished.emit()

    def _remove(self, index: int) -> None:
        if self._points is not None:
            left = self._rule.removed(self._points, index)
            gone = len(left) < len(self._points)
            self._edit(left, min(index, len(left) - 1) if gone else index)
            self._finish()

    def _describe(self) -> None:
        self.setAccessibleDescription(self.describe() + self._chosen())

    def _chosen(self) -> str:
        if self._points is None or self._selected is None:
            return ""
        return " " + tr("Chosen is the point at {place}.", place=self._words(self._selected))

    def _words(self, i: int) -> str:
        assert self._points is not None
        t, y = self._points[i]
        return f"t = {tick_text(t)}, {tick_text(y)}"

    # drawing

    def _is_empty(self) -> bool:
        return False  # points can be drawn without a curve

    def paint_now(self) -> None:
        super().paint_now()
        self._describe()

    def _draw(self) -> None:
        super()._draw()
        self._place_points()

    def _restyle(self) -> None:
        super()._restyle()
        self._place_points()

    def _place_points(self) -> None:
        """Put the dots where the points are, without drawing the rest again."""
        if self._dots is not None:
            self._dots.show(self._points or (), self._selected)

    # the pointer

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QMouseEvent) and self._take_mouse(event):
            return True
        return super().eventFilter(watched, event)

    def _take_mouse(self, event: QMouseEvent) -> bool:
        kind, scene = event.type(), self.canvas.mapToScene(event.position().toPoint())
        left = event.button() == Qt.MouseButton.LeftButton
        if kind == QEvent.Type.MouseButtonPress and left:
            return self._press(scene)
        if kind == QEvent.Type.MouseButtonDblClick:
            return left and self._double(scene)
        if kind == QEvent.Type.MouseMove:
            return self._hover(scene, event)
        if kind == QEvent.Type.MouseButtonRelease and left and self._held is not None:
            self._held = None
            self._finish()
            return True
        return event.button() == Qt.MouseButton.RightButton

    def _press(self, scene: QPointF) -> bool:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        self._held = self._point_near(scene)
        self.select(self._held)
        return self._held is not None or self._on_plain_click(scene)

    def _double(self, scene: QPointF) -> bool:
        place = self.canvas.view.mapSceneToView(scene)
        if self._points is not None and self._point_near(scene) is None:
            self._add(place.x(), place.y())
            self._held = self._selected
        return True

    def _hover(self, scene: QPointF, event: QMouseEvent) -> bool:
        if self._held is None:
            over = not event.buttons() and self._point_near(scene) is not None
            shape = Qt.CursorShape.SizeAllCursor if over else Qt.CursorShape.ArrowCursor
            self.canvas.viewport().setCursor(shape)
            return False
        place = self.canvas.view.mapSceneToView(scene)
        self._move(self._held, place.x(), place.y())
        if self._held is not None and self._points is not None:
            t, y = self._points[self._held]
            self.readout.show(Reading(t, self._words(self._held), ((y, self._color_key),)))
        return True

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """A right click on a point removes it; elsewhere it opens the menu."""
        spot = self.canvas.viewport().mapFromGlobal(event.globalPos())
        by_mouse = event.reason() == QContextMenuEvent.Reason.Mouse
        index = self._point_near(self.canvas.mapToScene(spot)) if by_mouse else None
        if index is None:
            super().contextMenuEvent(event)
        else:
            self._remove(index)

    def _add(self, t: float, y: float) -> None:
        found = self._rule.added(self._points, t, y) if self._points is not None else None
        if found is not None:
            self._edit(*found)

    def _move(self, i: int, t: float, y: float) -> None:
        """Brings a point as near to (t, y) as it may come."""
        if self._points is not None:
            self._edit(self._rule.moved(self._points, i, t, y), i)

    def _point_near(self, scene: QPointF) -> int | None:
        """The point within reach of a place in the scene."""
        return self._dots.near(self._points or (), scene) if self._dots is not None else None

    # the keys

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, chosen = Qt.Key(event.key()), self._selected
        if self._points is None or chosen is None:
            super().keyPressEvent(event)
        elif key in _ARROWS:
            far = 10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
            (across, up), (t, y) = _ARROWS[key], self._points[chosen]
            self._move(chosen, t + across * far, y + up * far * self._unit)
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self._remove(chosen)
        elif key == Qt.Key.Key_Insert:
            self._insert_beside(chosen)
        elif key == Qt.Key.Key_Escape:
            self.select(None)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.isAutoRepeat() or self._held is not None:
            super().keyReleaseEvent(event)
        else:
            self._finish()

    def _insert_beside(self, i: int) -> None:
        """One more point halfway to the next one, towards the image where there is one."""
        assert self._points is not None
        t, y = self._points[i]
        other = self._points[i - 1] if i > 0 else (0.0, y)
        self._add((t + other[0]) / 2, (y + other[1]) / 2)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab goes from point to point, noise first, and then on."""
        goal = -1 if self._selected is None else self._selected + (-1 if forward else 1)
        if self._points is not None and 0 <= goal < len(self._points):
            self.select(goal)
            return True
        return super().focusNextPrevChild(forward)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if event.reason() in _TABS and self._points:
            self.select(_TABS[event.reason()] % len(self._points))

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._awaited = False
        self._finish()
