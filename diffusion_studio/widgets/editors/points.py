"""Points on a plot over the chain that a person drags, adds and removes."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QWidget

from diffusion_studio.widgets.editors.sigma_points import Points
from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plots.canvas import Reading
from diffusion_studio.widgets.plots.chain import ChainPlot
from diffusion_studio.widgets.plots.math import Floats, tick_text

_REACH = 9.0  # pixels from which a point is grabbed
_DOTS_UP_TO = 200
_ARROWS = {
    Qt.Key.Key_Left: (1, 0),  # towards the noise
    Qt.Key.Key_Right: (-1, 0),
    Qt.Key.Key_Up: (0, 1),
    Qt.Key.Key_Down: (0, -1),
}
_TABS = {Qt.FocusReason.TabFocusReason: -1, Qt.FocusReason.BacktabFocusReason: 0}


class PointPlot(ChainPlot):
    """A plot over t with points: drag, double click, right click; arrows, Insert, Delete and Tab.

    Beside a point, a click or a drag asks to go to a state, as in any plot over the chain.
    """

    edit_finished = Signal()

    def __init__(self, name: str, color_key: str, unit: float, parent: QWidget | None = None) -> None:
        """`unit` is how far the arrows move a point up or down."""
        self._points: Points | None = None
        self._selected: int | None = None
        self._held: int | None = None
        self._edited = False
        self._color_key, self._unit = color_key, unit
        super().__init__(parent=parent)
        self.setAccessibleName(name)
        self._dots = pg.ScatterPlotItem(pxMode=True)
        self._choice = pg.ScatterPlotItem(size=12, pxMode=True)
        for z, item in ((15, self._dots), (16, self._choice)):
            item.setZValue(z)
            self.canvas.addItem(item, ignoreBounds=True)
        self.canvas.show_whole_dots()
        self._restyle()

    # for subclasses

    def _with_moved(self, i: int, t: float, y: float) -> Points:
        raise NotImplementedError

    def _with_added(self, t: float, y: float) -> tuple[Points, int] | None:
        raise NotImplementedError

    def _without(self, i: int) -> Points:
        raise NotImplementedError

    def _announce(self) -> None:
        """Emit the points as they are now."""
        raise NotImplementedError

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

    def _show_points(self, points: Points | None) -> None:
        """Take points from outside."""
        if points != self._points:
            self._points = points
            count = 0 if points is None else len(points)
            if self._held is not None and self._held >= count:
                self._held = None
            kept = self._selected is not None and self._selected < count
            self.select(self._selected if kept else None)

    def _edit(self, points: Points, select: int | None) -> None:
        """A person changed the points."""
        changed, self._points = points != self._points, points
        self.select(select)
        if changed:
            self._edited = True
            self._announce()

    def _finish(self) -> None:
        if self._edited:
            self._edited = False
            self.edit_finished.emit()

    def _remove(self, index: int) -> None:
        if self._points is not None:
            left = self._without(index)
            gone = len(left) < len(self._points)
            self._edit(left, min(index, len(left) - 1) if gone else index)
            self._finish()

    def _describe(self) -> None:
        self.setAccessibleDescription(self.describe() + self._chosen())

    def _chosen(self) -> str:
        if self._points is None or self._selected is None:
            return ""
        return f" Chosen is the point at {self._words(self._selected)}."

    def _words(self, i: int) -> str:
        assert self._points is not None
        t, y = self._points[i]
        return f"t = {tick_text(t)}, {tick_text(y)}"

    # drawing

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
        if not hasattr(self, "_choice"):
            return
        points = self._points or ()
        chosen = points[self._selected : self._selected + 1] if self._selected is not None else ()
        color, rug = self._color(self._color_key, 0.7 if self._is_rug else 1.0), self._is_rug
        self._dots.setSymbol("|" if rug else "o")
        self._dots.setSize(7 if rug else 9)
        self._dots.setPen(pg.mkPen(color, width=1 if rug else 2))
        self._dots.setBrush(pg.mkBrush(theme().palette.card))
        self._dots.setData(x=[t for t, _ in points], y=[y for _, y in points])
        self._choice.setPen(pg.mkPen(self._color("text"), width=2))
        self._choice.setBrush(pg.mkBrush(self._color(self._color_key)))
        self._choice.setData(x=[t for t, _ in chosen], y=[y for _, y in chosen])

    @property
    def _is_rug(self) -> bool:
        """Too many for dots."""
        return self._points is not None and len(self._points) > _DOTS_UP_TO

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
        self._edit(self._with_moved(self._held, place.x(), place.y()), self._held)
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
        found = self._with_added(t, y) if self._points is not None else None
        if found is not None:
            self._edit(*found)

    def _point_near(self, scene: QPointF) -> int | None:
        """The point within reach of a place in the scene."""
        if not self._points:
            return None
        places = self._scene_of(*np.array(self._points).T)
        distance = np.hypot(places[:, 0] - scene.x(), places[:, 1] - scene.y())
        nearest = int(distance.argmin())
        return nearest if distance[nearest] <= _REACH else None

    def _scene_of(self, x: Floats, y: Floats) -> Floats:
        """Places in the scene, which counts pixels: (N, 2)."""
        view = self.canvas.view
        (x0, x1), (y0, y1) = view.viewRange()
        a, b = view.mapViewToScene(QPointF(x0, y0)), view.mapViewToScene(QPointF(x1, y1))
        across = a.x() + (x - x0) / (x1 - x0) * (b.x() - a.x())
        down = a.y() + (y - y0) / (y1 - y0) * (b.y() - a.y())
        return np.stack([across, down], axis=1)

    # the keys

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, chosen = Qt.Key(event.key()), self._selected
        if self._points is None or chosen is None:
            super().keyPressEvent(event)
        elif key in _ARROWS:
            far = 10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
            (across, up), (t, y) = _ARROWS[key], self._points[chosen]
            self._edit(self._with_moved(chosen, t + across * far, y + up * far * self._unit), chosen)
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
        self._finish()
