"""The plane: a field with particles moving over it, and modes that can be dragged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.engine.plane.field import FieldView, Window
from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plane.arrows import Arrow
from diffusion_studio.widgets.plane.camera import Camera
from diffusion_studio.widgets.plane.canvas import Canvas
from diffusion_studio.widgets.plane.drawing import Drawing, Trails
from diffusion_studio.widgets.plane.hand import Hand
from diffusion_studio.widgets.plane.handles import Handles
from diffusion_studio.widgets.plane.overlay import (
    paint_focus,
    paint_handles,
    paint_paths,
    paint_scene,
    paint_stroke,
    paint_words,
)
from diffusion_studio.widgets.plane.paint import Floats, Layers


class PlaneView(QWidget):
    """Draws what it is given; what is done to it by `hand` is said in the plane's own units."""

    window_changed = Signal(object)  # Window
    pointed = Signal(float, float)
    pointer_left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName(tr("The plane"))
        self.drawing, self.camera = Drawing(), Camera(width=self.width(), height=self.height())
        self.paint_milliseconds = 0.0  # of the last paint
        self._canvas, self.hand = Canvas(), Hand(self)
        self.hand.changed.connect(self._show_hand)
        theme().changed.connect(self.update)

    # --- what is shown ----------------------------------------------------------------------------------

    def set_field(self, field: FieldView) -> None:
        self._draw(field=field)

    def set_layers(self, layers: Layers) -> None:
        if layers != self.drawing.layers:
            self._draw(layers=layers)

    def set_particles(self, x: Floats, labels: NDArray[np.integer] | None = None) -> None:
        """Show particles (n, 2), coloured by `labels` (n,) or all alike."""
        self._draw(x=x, labels=labels)

    def set_trails(
        self, paths: Floats, labels: Sequence[int] = (), fade: bool = True, ages: Floats | None = None
    ) -> None:
        """Show paths (states, m, 2), ending where the particles are; the oldest part may fade.

        `ages` (states,) in [0, 1] colours paths and particles by when they were there.
        """
        self._draw(trails=Trails(paths, labels, fade, ages))

    def set_handles(self, handles: Handles) -> None:
        """Offer modes to be dragged."""
        self.hand.handles = handles
        self.setProperty("keepsArrows", handles.selected >= 0)
        self._draw(handles=handles)

    def set_start(self, start: tuple[float, float] | None) -> None:
        """Mark the point from which all particles begin."""
        self._draw(start=start)

    def set_words(self, corner: str, text: str) -> None:
        """Words in a corner of the picture: "top" or "bottom"; "" takes them away."""
        if self.drawing.words.get(corner, "") != text:
            self._draw(words={**self.drawing.words, corner: text})

    def set_arrows(self, place: tuple[float, float], arrows: Sequence[Arrow]) -> None:
        """Show arrows at a place of the plane."""
        self._draw(arrows=(place, tuple(arrows)))

    def _draw(self, **values: Any) -> None:
        self.drawing = replace(self.drawing, **values)
        self.update()

    # --- what is seen -----------------------------------------------------------------------------------

    @property
    def window_shown(self) -> Window:
        """The part of the plane that is seen."""
        return self.camera.window

    @property
    def zoom(self) -> float:
        return self.camera.half

    def set_zoom(self, half: float) -> None:
        """Show the plane up to `half` above and below its middle."""
        self._look(self.camera.zoomed(half))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._look(replace(self.camera, width=self.width(), height=self.height()))

    def _look(self, camera: Camera) -> None:
        self.camera = self.hand.camera = camera
        self.window_changed.emit(camera.window)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(560, 560)

    def minimumSizeHint(self) -> QSize:
        return QSize(240, 240)

    # --- painting ---------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        begun = perf_counter()
        image = self._canvas.compose(self.drawing, self.camera, self.devicePixelRatioF())
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme().palette.background))  # half a pixel may be left
        painter.drawImage(QPointF(0, 0), image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_paths(painter, self.drawing, self.camera)
        paint_handles(painter, self.drawing, self.camera, self.hand.grip)
        paint_stroke(painter, self.hand.stroke, self.camera)
        paint_words(painter, self.drawing, self.camera)
        if self.hasFocus():
            paint_focus(painter, self.camera)
        painter.end()
        self.paint_milliseconds = 1000 * (perf_counter() - begun)

    def draw_scene(self, painter: QPainter) -> None:
        """The whole picture as shapes, for a file that can be scaled."""
        paint_scene(painter, self.drawing, self.camera)

    def picture(self) -> NDArray[np.uint8]:
        """The picture without handles, (H, W, 3)."""
        image = self._canvas.compose(self.drawing, self.camera, self.devicePixelRatioF()).copy()
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_paths(painter, self.drawing, self.camera)
        painter.end()
        pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
        return pixels[:, :, 2::-1].copy()

    # --- pointing ---------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.hand.press(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self.pointed.emit(*self.camera.place(event.position()))
        self.hand.move(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.hand.release()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.hand.double_click(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        turned = event.angleDelta().y() / 120
        if not self.hand.turn(event.position(), turned):
            self.set_zoom(self.zoom * 0.9**turned)
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self.hand.key(event):
            super().keyPressEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self.hand.leave()
        self.pointer_left.emit()

    def _show_hand(self) -> None:
        over = self.hand.grip is not None
        self.setCursor(Qt.CursorShape.SizeAllCursor if over else Qt.CursorShape.CrossCursor)
        self.update()
