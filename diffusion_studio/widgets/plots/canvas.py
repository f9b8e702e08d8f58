"""The surface of a plot: quiet axes, no menus, and what stands under the pointer."""

from __future__ import annotations

from dataclasses import dataclass

import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QGraphicsGridLayout, QGraphicsItem, QSizePolicy

from diffusion_studio.widgets.look.theme import label, tabular, theme
from diffusion_studio.widgets.plots.axis import QuietAxis
from diffusion_studio.widgets.plots.kept import KeptView
from diffusion_studio.widgets.plots.legend import color_of
from diffusion_studio.widgets.plots.math import lowered


class Canvas(KeptView):
    """A view of the plane between two axes, and no more.

    pyqtgraph's PlotItem would add menus, a form of some forty controls and two axes that are never seen, and
    take longer than all the rest of a plot.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.viewport().setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.left, self.bottom, self.view = QuietAxis("left"), QuietAxis("bottom"), _view()
        self._frame = pg.GraphicsWidget()
        self._frame.setLayout(self._grid())
        self._frame.setContentsMargins(0, 6, 2, 0)
        self.setCentralItem(self._frame)
        self._words = label("", "muted", self)
        self._words.setWordWrap(True)
        self._words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._words.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._words.hide()

    def _grid(self) -> QGraphicsGridLayout:
        grid = QGraphicsGridLayout()
        grid.setContentsMargins(1, 1, 1, 1)
        grid.setSpacing(0)
        for axis, place in ((self.left, (0, 0)), (self.bottom, (1, 1))):
            axis.linkToView(self.view)
            axis.setZValue(-10)
            axis.setFlag(QGraphicsItem.GraphicsItemFlag.ItemNegativeZStacksBehindParent)
            grid.addItem(axis, *place)
        grid.addItem(self.view, 0, 1)
        grid.setRowStretchFactor(0, 100)
        grid.setColumnStretchFactor(1, 100)
        return grid

    def addItem(self, item: QGraphicsItem) -> None:
        """Puts an item on the plane; the range stays."""
        self.view.addItem(item, ignoreBounds=True)

    def removeItem(self, item: QGraphicsItem) -> None:
        self.view.removeItem(item)
        self.renew()  # of that the scene says nothing

    @property
    def words(self) -> str:
        """What stands in the place of curves, if anything."""
        return "" if self._words.isHidden() else self._words.text()

    def say(self, words: str) -> None:
        """Words in the place of curves that are not there yet; "" shows the axes again."""
        if words != self._words.text():
            self._words.setText(words)
        self._words.setVisible(bool(words))
        for axis in (self.left, self.bottom):
            if axis.isVisible() == bool(words):  # nor by setVisible: it forgets the room of the axis
                (axis.hide if words else axis.show)()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if hasattr(self, "_words"):  # Qt asks before all of it is made
            self._words.setGeometry(self.rect().adjusted(8, 0, -8, 0))

    def show_whole_dots(self) -> None:
        """Do not cut off dots at the ends; for plots whose curves all lie inside."""
        self.view.setFlag(pg.ViewBox.GraphicsItemFlag.ItemClipsChildrenToShape, False)
        self.view.setMouseEnabled(x=False, y=False)
        self._frame.setContentsMargins(0, 6, 8, 0)

    def restyle(self) -> None:
        """Take the theme's colours and the widget's font."""
        palette, font = theme().palette, tabular(self.font())
        font.setPixelSize(max(9, round(self.fontInfo().pixelSize() * 0.88)))
        for axis in (self.left, self.bottom):
            axis.setStyle(tickFont=font)
            axis.setPen(pg.mkPen(None))
            axis.setTextPen(palette.muted)
            axis.setTickPen(pg.mkPen(palette.line, width=1))
        metrics = QFontMetrics(font)
        self.left.setWidth(metrics.horizontalAdvance("0.0000") + 8)
        self.bottom.setHeight(metrics.height() + 6)


def _view() -> pg.ViewBox:
    view = pg.ViewBox(enableMenu=False, defaultPadding=0)
    view.setZValue(0)  # over the grid, which the axes draw
    view.setMouseEnabled(x=True, y=False)
    view.disableAutoRange()
    return view


@dataclass(frozen=True)
class Reading:
    """What stands under the pointer: the place it snaps to, its lines of text, dots on the curves."""

    x: float
    text: str
    dots: tuple[tuple[float, str], ...] = ()  # (y, colour key)


class Readout:
    """The vertical line at the pointer, dots on the curves, words beside it."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._line = pg.InfiniteLine(angle=90, movable=False)
        self._dots = pg.ScatterPlotItem(size=7, pen=None, pxMode=True)
        self._words = pg.TextItem()
        canvas.uncrossed.append(self._words)
        for z, item in ((20, self._line), (21, self._dots), (22, self._words)):
            item.setZValue(z)
            item.hide()
            canvas.addItem(item)

    def restyle(self) -> None:
        palette = theme().palette
        self._line.setPen(pg.mkPen(palette.muted, width=1))
        self._words.setFont(tabular(self._canvas.font()))
        self._words.fill = pg.mkBrush(palette.card)
        self._words.border = pg.mkPen(palette.line)

    @property
    def text(self) -> str:
        """The words shown now, "" if none."""
        return str(self._words.toPlainText()) if self._words.isVisible() else ""

    def show(self, reading: Reading | None) -> None:
        """Show a reading; None hides it."""
        for item in (self._line, self._dots, self._words):
            item.setVisible(reading is not None)
        if reading is None:
            return
        palette, view = theme().palette, self._canvas.view
        self._line.setValue(reading.x)
        brushes = [pg.mkBrush(color_of(palette, key)) for _, key in reading.dots]
        self._dots.setData(x=[reading.x] * len(brushes), y=[y for y, _ in reading.dots], brush=brushes)
        self._words.setText(lowered(reading.text), color=palette.text)
        left = view.mapViewToScene(QPointF(reading.x, 0)).x() - view.sceneBoundingRect().left()
        self._words.setAnchor((1.06, 0) if left > 0.6 * view.width() else (-0.06, 0))
        self._words.setPos(reading.x, view.viewRange()[1][1])
