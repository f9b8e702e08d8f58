"""The plane: a field with particles moving over it, and modes that can be dragged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffusion_studio.engine.plane.field import FieldView, Window
from diffusion_studio.engine.plane.shapes import Mode
from diffusion_studio.widgets.look.theme import tabular, theme
from diffusion_studio.widgets.plane.arrows import Arrow, paint_arrows
from diffusion_studio.widgets.plane.handles import Grip, grip_at, moved, paint_modes
from diffusion_studio.widgets.plane.paint import (
    Layers,
    affordable,
    age_color,
    class_color,
    paint_aged_trails,
    paint_dots,
    paint_field,
    paint_trails,
    to_screen,
)
from diffusion_studio.widgets.plane.raster import Pixels, image_of, packed, radius_for, splat

Floats = NDArray[np.floating]
_NARROW, _WIDE = 0.4, 12.0  # half heights of the window that the wheel may reach
_NUDGE = 0.05
_FARTHEST = 50.0
_LEAST_SHRINK = 0.25  # below this √ᾱ the modes cannot be told apart, so none is offered to be dragged
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, 1), Qt.Key.Key_Down: (0, -1),
}  # fmt: skip


class PlaneView(QWidget):
    """Draws what it is given, and says what is dragged, pointed at or drawn, in the plane's own units."""

    window_changed = Signal(object)  # Window
    mode_changed = Signal(int, object)  # index, Mode
    mode_settled = Signal()
    mode_selected = Signal(int)  # -1 for none
    mode_added = Signal(float, float)
    mode_removed = Signal(int)
    pointed = Signal(float, float)
    pointer_left = Signal()
    start_picked = Signal(float, float)
    stroke_drawn = Signal(object)  # float64 (n, 2)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("The plane")
        self.layers = Layers()
        self.brush = False  # whether a drag draws
        self.paint_milliseconds = 0.0  # of the last paint
        self._half = 3.0
        self._field: FieldView | None = None
        self._x: Floats = np.empty((0, 2), np.float32)
        self._labels: NDArray[np.integer] | None = None
        self._paths: Floats = np.empty((0, 0, 2), np.float32)
        self._path_labels: Sequence[int] = ()
        self._fade = True
        self._ages: Floats | None = None
        self._modes: Sequence[Mode] = ()
        self._selected, self._shrink = -1, 1.0
        self._start: tuple[float, float] | None = None
        self._hovered: Grip | None = None
        self._held: Grip | None = None
        self._stroke: list[tuple[float, float]] = []
        self._arrows: tuple[tuple[float, float], tuple[Arrow, ...]] = (0.0, 0.0), ()
        self._words: dict[str, str] = {}
        self._layer: Pixels = np.empty((0, 0), np.uint32)  # the field alone
        self._stale = True  # whether the field has to be drawn again
        self._frame: Pixels = np.empty((0, 0), np.uint32)
        self._image = QImage()
        theme().changed.connect(self._restyle)

    # --- what is shown ----------------------------------------------------------------------------------

    @property
    def window_shown(self) -> Window:
        """The part of the plane that is seen: its height is fixed, its width follows the widget's."""
        wide = self._half * max(self.width(), 1) / max(self.height(), 1)
        high = self._half
        if wide < self._half:
            wide, high = self._half, self._half * self.height() / max(self.width(), 1)
        return Window(-wide, -high, wide, high)

    @property
    def to_pixels(self) -> QTransform:
        """From the plane to this widget's pixels."""
        return to_screen(self.window_shown, self.width(), self.height())

    def set_field(self, field: FieldView) -> None:
        self._field, self._stale = field, True
        self.update()

    def set_layers(self, layers: Layers) -> None:
        if layers != self.layers:
            self.layers, self._stale = layers, True
            self.update()

    def set_particles(self, x: Floats, labels: NDArray[np.integer] | None = None) -> None:
        """Show particles (n, 2), coloured by `labels` (n,) or all alike."""
        self._x, self._labels = x, labels
        self.update()

    def set_trails(
        self, paths: Floats, labels: Sequence[int] = (), fade: bool = True, ages: Floats | None = None
    ) -> None:
        """Show paths (states, m, 2), ending where the particles are; the oldest part may fade.

        `ages` (states,) in [0, 1] colours paths and particles by when they were there.
        """
        self._paths, self._path_labels, self._fade, self._ages = paths, labels, fade, ages
        self.update()

    def set_modes(self, modes: Sequence[Mode], selected: int = -1, shrink: float = 1.0) -> None:
        """Offer `modes` to be dragged; `shrink` is √ᾱ, by which the noise process has drawn them together."""
        self._modes, self._selected, self._shrink = modes, selected, shrink
        self.setProperty("keepsArrows", selected >= 0)
        self.update()

    def set_start(self, start: tuple[float, float] | None) -> None:
        """Mark the point from which all particles begin."""
        self._start = start
        self.update()

    def set_words(self, corner: str, text: str) -> None:
        """Words in a corner of the picture: "top" or "bottom"; "" takes them away."""
        if self._words.get(corner, "") != text:
            self._words[corner] = text
            self.update()

    def set_arrows(self, place: tuple[float, float], arrows: Sequence[Arrow]) -> None:
        """Show arrows at a place of the plane."""
        self._arrows = place, tuple(arrows)
        self.update()

    def set_zoom(self, half: float) -> None:
        """Show the plane up to `half` above and below its middle."""
        self._half = min(max(half, _NARROW), _WIDE)
        self._stale = True
        self.window_changed.emit(self.window_shown)
        self.update()

    @property
    def zoom(self) -> float:
        return self._half

    def sizeHint(self) -> QSize:
        return QSize(560, 560)

    def minimumSizeHint(self) -> QSize:
        return QSize(240, 240)

    def _restyle(self) -> None:
        self._stale = True
        self.update()

    # --- painting ---------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        begun = perf_counter()
        self._compose()
        painter = QPainter(self)
        painter.drawImage(QPointF(0, 0), self._image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_over(painter, handles=True)
        self._paint_words(painter)
        if self.hasFocus():
            painter.setPen(QPen(QColor(theme().palette.accent), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()
        self.paint_milliseconds = 1000 * (perf_counter() - begun)

    def _compose(self) -> None:
        """The field and the dots, as pixels."""
        ratio = self.devicePixelRatioF()
        width, height = max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))
        if self._frame.shape != (height, width):
            self._frame, self._layer = (np.zeros((height, width), np.uint32) for _ in range(2))
            self._image = image_of(self._frame, ratio)
            self._stale = True
        if self._stale:
            self._draw_field(ratio)
            self._stale = False
        np.copyto(self._frame, self._layer)
        if self.layers.particles and len(self._x):
            places = self._pixels(self._x, ratio)
            splat(
                self._frame, places[:, 0], places[:, 1], self._dot_colors(), radius_for(len(self._x)) * ratio
            )

    def _draw_field(self, ratio: float) -> None:
        """Draws the field into its own pixels: a new picture for every frame would tear memory to pieces."""
        image = image_of(self._layer, ratio)
        painter = QPainter(image)
        if self._field is None:
            painter.fillRect(self.rect(), QColor(theme().palette.background))
        else:
            paint_field(painter, self._field, self.layers, self.width(), self.height())
        painter.end()

    def _paint_over(self, painter: QPainter, handles: bool) -> None:
        """What stands over the dots: trails, the start, the modes."""
        palette = theme().palette
        if self.layers.trails and self._paths.size:
            places = self._pixels(self._paths, 1.0)
            far = np.abs(places) > 2 * max(self.width(), self.height())
            places[far.any(-1)] = np.nan  # long lines out of sight cost much time and memory
            places = affordable(places)
            labels = self._path_labels or [-1] * places.shape[1]
            if self._ages is not None:
                paint_aged_trails(painter, places, self._ages[-len(places) :])
            else:
                colors = [self._color(label) for label in labels[: places.shape[1]]]
                paint_trails(painter, places, colors, self._fade)
        if self._start is not None:
            at = self.to_pixels.map(QPointF(*self._start))
            painter.setPen(QPen(QColor(palette.text), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(at, 7, 7)
        if handles and self._shrink >= _LEAST_SHRINK:
            spread = (1 - self._shrink**2) ** 0.5
            hovered = self._held or self._hovered
            paint_modes(painter, self._modes, self._selected, hovered, self._shrink, self.to_pixels, spread)
        if handles and self._arrows[1]:
            paint_arrows(painter, self.to_pixels.map(QPointF(*self._arrows[0])), self._arrows[1])
        if self._stroke:
            painter.setPen(QPen(QColor(palette.quantity["x0"]), 3))
            painter.drawPolyline([self.to_pixels.map(QPointF(*p)) for p in self._stroke])

    def _paint_words(self, painter: QPainter) -> None:
        """What is said in the corners."""
        palette, metrics = theme().palette, self.fontMetrics()
        painter.setFont(tabular(self.font()))
        for corner, text in self._words.items():
            if not text:
                continue
            size = metrics.size(0, text)
            top = 8 if corner == "top" else self.height() - size.height() - 18
            box = QRectF(8, top, size.width() + 24, size.height() + 10)
            back = QColor(palette.card)
            back.setAlphaF(0.88)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(back)
            painter.drawRoundedRect(box, 6, 6)
            painter.setPen(QColor(palette.text))
            painter.drawText(box.adjusted(10, 5, 0, 0), Qt.AlignmentFlag.AlignLeft, text)

    def _pixels(self, places: Floats, ratio: float) -> Floats:
        window = self.window_shown
        scale = ratio * self.width() / (window.right - window.left)
        near = np.clip(places, -_FARTHEST, _FARTHEST)  # a chain that ran away is not drawn to its end
        corner, scales = np.array([window.left, window.top]), np.array([scale, -scale])
        pixels: Floats = ((near - corner) * scales).astype(np.float32)
        return pixels

    def _color(self, label: int) -> str:
        palette = theme().palette
        plain = "#f2f4f7" if palette.dark else "#2b3038"
        return class_color(label, palette) if label >= 0 else plain

    def _dot_colors(self) -> Pixels | int:
        if self._ages is not None:
            return packed(age_color(self._ages[-1], theme().palette))
        if self._labels is None:
            return packed(self._color(-1))
        table = np.array([packed(self._color(k)) for k in range(8)], np.uint32)
        colors: Pixels = table[self._labels % 8]
        return colors

    def draw_scene(self, painter: QPainter) -> None:
        """The whole picture as shapes, for a file that can be scaled."""
        if self._field is not None:
            paint_field(painter, self._field, self.layers, self.width(), self.height())
        if self.layers.particles and len(self._x):
            places = self._pixels(self._x, 1.0)
            labels = [-1] * len(places) if self._labels is None else self._labels.tolist()
            colors = [self._color(label) for label in labels]
            if self._ages is not None:
                colors = [age_color(self._ages[-1], theme().palette)] * len(places)
            paint_dots(painter, places[:, 0], places[:, 1], colors, radius_for(len(places)))
        self._paint_over(painter, handles=False)

    def picture(self) -> NDArray[np.uint8]:
        """The picture without handles, (H, W, 3)."""
        self._compose()
        image = self._image.copy()
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_over(painter, handles=False)
        painter.end()
        pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
        return pixels[:, :, 2::-1].copy()

    # --- pointing ---------------------------------------------------------------------------------------

    def _place(self, position: QPointF) -> tuple[float, float]:
        at = self.to_pixels.inverted()[0].map(position)
        return at.x(), at.y()

    def _grip(self, position: QPointF) -> Grip | None:
        if self._shrink < _LEAST_SHRINK:
            return None
        return grip_at(self._modes, self._selected, self._shrink, self.to_pixels, position)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self._place(event.position())
        if event.button() == Qt.MouseButton.RightButton:
            self.start_picked.emit(*place)
        elif event.button() != Qt.MouseButton.LeftButton:
            return
        elif self.brush:
            self._stroke = [place]
        else:
            self._held = self._grip(event.position())
            self.mode_selected.emit(self._held.index if self._held else -1)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        place = self._place(event.position())
        self.pointed.emit(*place)
        if self._stroke:
            self._stroke.append(place)
            self.update()
        elif self._held is not None and self._held.index < len(self._modes):
            mode = moved(self._modes[self._held.index], self._held.part, *place, self._shrink)
            self.mode_changed.emit(self._held.index, mode)
        else:
            hovered = self._grip(event.position())
            if hovered != self._hovered:
                self._hovered = hovered
                shape = Qt.CursorShape.SizeAllCursor if hovered else Qt.CursorShape.CrossCursor
                self.setCursor(shape)
                self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._held is not None:
            self._held = None
            self.mode_settled.emit()
        if self._stroke:
            stroke, self._stroke = np.array(self._stroke), []
            self.stroke_drawn.emit(stroke)
            self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if (
            event.button() == Qt.MouseButton.LeftButton
            and not self.brush
            and self._grip(event.position()) is None
        ):
            x, y = self._place(event.position())
            self.mode_added.emit(x / self._shrink, y / self._shrink)

    def wheelEvent(self, event: QWheelEvent) -> None:
        turned = event.angleDelta().y() / 120
        grip = self._grip(event.position())
        if grip is not None:
            mode = self._modes[grip.index]
            weight = min(max(mode.weight * 1.1**turned, 0.01), 100.0)
            self.mode_changed.emit(grip.index, mode.model_copy(update={"weight": weight}))
            self.mode_settled.emit()
        else:
            self.set_zoom(self._half * 0.9**turned)
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if self._selected >= 0 and key in _ARROWS:
            dx, dy = _ARROWS[key]
            mode = self._modes[self._selected]
            moved_mode = mode.model_copy(update={"x": mode.x + _NUDGE * dx, "y": mode.y + _NUDGE * dy})
            self.mode_changed.emit(self._selected, moved_mode)
            self.mode_settled.emit()
        elif self._selected >= 0 and key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.mode_removed.emit(self._selected)
        elif key == Qt.Key.Key_Escape:
            self.mode_selected.emit(-1)
        elif key == Qt.Key.Key_M and self._modes:
            self.mode_selected.emit((self._selected + 1) % len(self._modes))
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal, Qt.Key.Key_Minus):
            self.set_zoom(self._half * (1.1 if key == Qt.Key.Key_Minus else 0.9))
        else:
            super().keyPressEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._hovered = None
        self.pointer_left.emit()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.window_changed.emit(self.window_shown)

    def toggle_layer(self, name: str) -> None:
        """Show or hide one layer."""
        self.set_layers(replace(self.layers, **{name: not getattr(self.layers, name)}))
