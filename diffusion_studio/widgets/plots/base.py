"""What all plots share: theme, throttled painting, reading under the pointer."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QElapsedTimer, QEvent, QObject, QPointF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QFocusEvent, QMouseEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.frame.enlarge import can_enlarge, toggle
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plots.canvas import Canvas, Reading, Readout
from diffusion_studio.widgets.plots.export import ExportingWidget
from diffusion_studio.widgets.plots.legend import LegendEntry, LegendLine, color_of
from diffusion_studio.widgets.plots.math import Floats

LEAST = 92  # pixels of height for curves and their axis
_REST = 12  # a plot that takes long to draw and to paint rests so many times as long
_LONGEST = 2000  # ms of rest
_CALM_HZ, _CALM_REST = 4.0, 150  # of a plot beside a training
_APART = 0.001  # s: two plots that are due in one turn of the event loop follow closer than that
_SMOOTH_UP_TO = 4000  # points; longer curves are drawn without antialiasing
_DOT = 7  # pixels, of a value that stands alone: Qt draws no line that has no length


class BasePlot(ExportingWidget):
    """A plot under a legend line. Setters store; a visible plot repaints at most `max_hz` times a second."""

    _drawn_at = 0.0  # s, when the last of all plots was drawn

    def __init__(self, name: str, max_hz: float = 10.0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        can_enlarge(self, name)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.max_hz, self.rest = max_hz, _REST
        self._empty_text = tr("Nothing has been measured yet.")
        self.legend = LegendLine()
        self.canvas = Canvas()
        self.header = FlowRow()
        self.header.addWidget(self.legend)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(self.header)
        column.addWidget(self.canvas, 1)
        self._items: dict[str, pg.GraphicsObject] = {}
        self._used: set[str] = set()
        self._dirty = self._zoomed = self._keyboard = False
        self._clock = QElapsedTimer()
        self._cost = 0.0  # ms that the last drawing took
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._take_turn)
        self.readout = Readout(self.canvas)
        self.canvas.viewport().setMouseTracking(True)
        self.canvas.viewport().installEventFilter(self)
        self.canvas.view.sigRangeChangedManually.connect(self._on_zoom)
        theme().changed.connect(self._restyle)
        self._restyle()

    def set_empty_text(self, text: str) -> None:
        """What stands in the place of the curves while there are none: what will appear, and when."""
        self._empty_text = text
        self._changed()

    def add_header_widget(self, widget: QWidget) -> None:
        """Put a small control at the right of the legend line, or below it where there is no room."""
        self.header.addWidget(widget)

    def sizeHint(self) -> QSize:
        return QSize(480, 240)

    def minimumSizeHint(self) -> QSize:
        """Room for the legend in the present width, over curves that can still be read."""
        least = self.header.minimumSize()
        return QSize(max(160, least.width()), least.height() + LEAST)

    def hasHeightForWidth(self) -> bool:
        return False  # its least height says what its legend takes

    def spare_the_training(self) -> None:
        """Draw what a training tells: a slow processor gives little of its time to it."""
        self.max_hz, self.rest = _CALM_HZ, _CALM_REST

    # for subclasses

    def _draw(self) -> None:
        """Put the stored data on the canvas."""
        raise NotImplementedError

    def describe(self) -> str:
        """What the plot shows, in a sentence."""
        raise NotImplementedError

    def _is_empty(self) -> bool:
        """Whether there is no value to be drawn."""
        return False

    def _reading_at(self, x: float) -> Reading | None:
        """What to tell when the pointer is at `x`."""
        return None

    def _entries(self) -> Sequence[LegendEntry]:
        return ()

    # painting

    def _changed(self) -> None:
        """The data or the look changed: paint when it is due."""
        self._dirty = True
        if self.isVisible() and not self._timer.isActive():
            rest = min(self.rest * (self._cost + self.canvas.cost), _LONGEST)
            interval = max(1000 / self.max_hz, rest)
            elapsed = self._clock.elapsed() if self._clock.isValid() else interval
            self._timer.start(max(0, round(interval - elapsed)))

    def _take_turn(self) -> None:
        """Draws, unless another plot just did: the window lives between two of them."""
        if perf_counter() - BasePlot._drawn_at < _APART:
            self._timer.start(0)
        else:
            self.paint_now()

    def paint_now(self) -> None:
        """Draw what is stored, if it has changed."""
        if not self._dirty:
            return
        self._timer.stop()
        self._dirty = False
        self._clock.start()
        self._used.clear()
        self.legend.set_entries(self._entries())
        self._draw()
        self.canvas.say(self._empty_text if self._is_empty() else "")
        self.setAccessibleDescription(self.describe())
        for key in set(self._items) - self._used:
            self.canvas.removeItem(self._items.pop(key))
        self.canvas.scene().prepareForPaint()  # now, or the first painting asks for a second one
        self.canvas.renew()
        self._cost = self._clock.nsecsElapsed() / 1e6
        BasePlot._drawn_at = perf_counter()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._dirty and not self._timer.isActive():
            self._timer.start(0)

    def _restyle(self) -> None:
        self.canvas.restyle()
        self.readout.restyle()
        self._clock.invalidate()  # the old colours are not waited with
        self._changed()

    def _curve(
        self, key: str, x: Floats, y: Floats, color_key: str, dash: Qt.PenStyle = Qt.PenStyle.SolidLine,
        alpha: float = 1.0, z: float = 0.0, width: float = 1.5,
    ) -> None:  # fmt: skip
        """Draw or move a line; a single value is a dot."""
        known = np.flatnonzero(np.isfinite(y))
        if len(known) == 1:
            self._dot(f"{key} alone", x[known], y[known], color_key, alpha, z)
            return
        smooth = len(x) <= _SMOOTH_UP_TO
        width *= self.devicePixelRatioF()  # that of a cosmetic pen is counted in the screen's own dots
        pen = pg.mkPen(self._color(color_key, alpha), width=width if smooth else 1)
        pen.setStyle(dash)
        pen.setCosmetic(True)
        item = self._item(key, pg.PlotCurveItem)
        item.setZValue(z)
        item.setData(x, y, pen=pen, antialias=smooth, connect="finite")

    def _dot(self, key: str, x: Floats, y: Floats, color_key: str, alpha: float, z: float) -> None:
        item = self._item(key, pg.ScatterPlotItem)
        item.setZValue(z)
        item.setData(x, y, size=_DOT, pen=None, brush=pg.mkBrush(self._color(color_key, alpha)))

    def _area(self, key: str, x: Floats, y: Floats, color_key: str, alpha: float, z: float = -5.0) -> None:
        """Fill a closed outline."""
        item = self._item(key, pg.PlotCurveItem)
        item.setZValue(z)
        brush = pg.mkBrush(self._color(color_key, alpha))
        item.setData(x, y, pen=pg.mkPen(None), fillLevel="enclosed", brush=brush, antialias=False)

    def _color(self, key: str, alpha: float = 1.0) -> QColor:
        color = QColor(color_of(theme().palette, key))
        color.setAlphaF(alpha)
        return color

    def _item(self, key: str, kind: type[pg.GraphicsObject]) -> pg.GraphicsObject:
        self._used.add(key)
        if key not in self._items:
            self._items[key] = kind()
            self.canvas.addItem(self._items[key])
        return self._items[key]

    def _set_range(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Show this part of the plane, unless a person has zoomed in `x`."""
        view = self.canvas.view
        x = x if x[1] > x[0] else (x[0] - 0.5, x[0] + 0.5)
        y = y if y[1] > y[0] else (y[0] - 0.5, y[0] + 0.5)
        view.setLimits(xMin=x[0], xMax=x[1])
        if not self._zoomed:
            view.setXRange(*x, padding=0)
        view.setYRange(*y, padding=0)

    def _pixels(self) -> int:
        return max(64, round(self.canvas.view.width()) or self.width())

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        reasons = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        self._keyboard = event.reason() in reasons
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._keyboard = False
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._keyboard:
            painter = QPainter(self)
            under = self.legend.geometry()
            painter.fillRect(under.left(), under.bottom(), 24, 2, QColor(theme().palette.accent))
            painter.end()

    # pointing

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseMove and isinstance(event, QMouseEvent):
            self._point_at(event.position())
        elif event.type() == QEvent.Type.Leave:
            self.readout.show(None)
        elif event.type() == QEvent.Type.MouseButtonDblClick and self._zoomed:
            self.reset_view()
        elif event.type() == QEvent.Type.MouseButtonDblClick:
            toggle(self)
        return False

    def _point_at(self, position: QPointF) -> None:
        view = self.canvas.view
        scene = self.canvas.mapToScene(position.toPoint())
        inside = view.sceneBoundingRect().contains(scene)
        self.readout.show(self._reading_at(view.mapSceneToView(scene).x()) if inside else None)

    def _render(self, painter: QPainter) -> None:
        self.readout.show(None)
        dots = [item for item in self.canvas.items() if isinstance(item, pg.ScatterPlotItem)]
        for item in dots:
            item.setExportMode(True)  # as shapes, not as pictures
        self.canvas.keeps = False
        try:
            super()._render(painter)
        finally:
            self.canvas.keeps = True
            for item in dots:
                item.setExportMode(False)

    def _on_zoom(self, *_: object) -> None:
        self._zoomed = True
        self._changed()

    def reset_view(self) -> None:
        """Show all of the data again."""
        self._zoomed = False
        self._changed()
