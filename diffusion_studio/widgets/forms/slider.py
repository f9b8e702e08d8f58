"""A thin slider in the colour of its quantity."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from diffusion_studio.widgets.look.theme import mix, theme

_HANDLE = 12
_GROOVE = 4


class ThinSlider(QSlider):
    """A slider that jumps to the pointer, needs focus for the wheel, and says when an edit is complete."""

    settled = Signal()  # released, or a key or the wheel moved it: one undo step
    reset_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._color_key: str | None = None
        self._changed = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.actionTriggered.connect(self._note_change)
        theme().changed.connect(self.update)

    def set_color_key(self, key: str | None) -> None:
        """Paint in the colour of this quantity; None is the accent."""
        self._color_key = key
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(88, 20)

    def minimumSizeHint(self) -> QSize:
        return QSize(48, 20)

    # a change is complete

    def _note_change(self) -> None:
        self._changed = self.sliderPosition() != self.value() or self._changed

    def _settle(self) -> None:
        if self._changed:
            self._changed = False
            self.settled.emit()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            if not self._handle().adjusted(-3, -3, 3, 3).contains(event.position()):
                self._go_to(event.position())
            event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self._go_to(event.position())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.isSliderDown():
            self.setSliderDown(False)
            self._settle()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.reset_requested.emit()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        super().keyReleaseEvent(event)
        if not event.isAutoRepeat():
            self._settle()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not self.hasFocus():
            event.ignore()
            return
        super().wheelEvent(event)
        self._settle()

    def _go_to(self, point: QPointF) -> None:
        share = (point.x() - _HANDLE / 2) / max(self.width() - _HANDLE, 1)
        position = round(self.minimum() + min(max(share, 0.0), 1.0) * (self.maximum() - self.minimum()))
        if position != self.value():
            self._changed = True
            self.setValue(position)

    # painting

    def _handle(self) -> QRectF:
        span = max(self.maximum() - self.minimum(), 1)
        x = (self.value() - self.minimum()) / span * (self.width() - _HANDLE)
        return QRectF(x, (self.height() - _HANDLE) / 2, _HANDLE, _HANDLE)

    def paintEvent(self, event: QPaintEvent) -> None:
        palette = theme().palette
        color = palette.quantity.get(self._color_key or "", palette.accent)
        color = color if self.isEnabled() else palette.faint
        handle = self._handle()
        groove = QRectF(0, (self.height() - _GROOVE) / 2, self.width(), _GROOVE)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(mix(palette.card, palette.text, 0.14)))
        painter.drawRoundedRect(groove, _GROOVE / 2, _GROOVE / 2)
        painter.setBrush(QColor(color))
        painter.drawRoundedRect(groove.adjusted(0, 0, handle.center().x() - groove.right(), 0), 2, 2)
        if self.hasFocus():
            painter.setBrush(QColor(palette.text))
            painter.drawEllipse(handle)
            handle.adjust(2, 2, -2, -2)
            painter.setBrush(QColor(color))
        painter.drawEllipse(handle)
        painter.end()
