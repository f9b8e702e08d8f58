"""A plot that is drawn once and shown as a picture until something in it changes."""

from __future__ import annotations

from time import perf_counter

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, QRect, QRectF, Qt, QTimer
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPixmap, QRegion, QResizeEvent

from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plots.legend import color_of

_IN_FRONT = (QEvent.Type.WindowActivate, QEvent.Type.WindowDeactivate)  # which no plot shows
_NOWHERE = QRect(-9, -9, 1, 1)


class KeptView(pg.GraphicsView):
    """pyqtgraph's view, which draws its curves when they change, and not whenever it is painted.

    To scroll, to come back to a page or to have a neighbour painted costs no curve. What the scene says of
    its items drops the picture; plots that change in one turn are painted in one.
    """

    view: pg.ViewBox  # the plane that is seen

    def __init__(self) -> None:
        super().__init__(background=None)
        self.keeps = True  # False: draws shapes, for a file
        self.cost = 0.0  # ms that the last picture took
        self.uprights: list[Upright] = []
        self.uncrossed: list[pg.TextItem] = []  # no upright goes through them
        self._picture = QPixmap()
        self._soon = QTimer(self, interval=0, singleShot=True)
        self._soon.timeout.connect(self.viewport().update)
        self.setCacheMode(pg.GraphicsView.CacheModeFlag.CacheNone)  # there is no background to cache
        self.setViewportUpdateMode(pg.GraphicsView.ViewportUpdateMode.NoViewportUpdate)  # it is done here
        self.scene().installEventFilter(self)

    def renew(self) -> None:
        """Something changed: it is drawn again when it is next painted, and that is soon."""
        self._picture = QPixmap()
        self._soon.start()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.scene():
            if event.type() == QEvent.Type.MetaCall:  # its items changed
                self.renew()
            elif event.type() in _IN_FRONT:
                return True  # else all of them would be drawn again
        return bool(super().eventFilter(watched, event))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.scene().prepareForPaint()  # now, or the first painting asks for a second one

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.keeps:
            self._picture = self._drawn(self._picture)
        else:
            super().paintEvent(event)
        with QPainter(self.viewport()) as painter:
            if self.keeps:
                painter.drawPixmap(0, 0, self._picture)
            free = QRegion(self.viewport().rect())
            for item in filter(pg.TextItem.isVisible, self.uncrossed):
                free -= QRegion(self.mapFromScene(item.sceneBoundingRect()).boundingRect())
            painter.setClipRegion(free)
            for upright in self.uprights:
                upright.paint(painter)

    def _drawn(self, picture: QPixmap) -> QPixmap:
        """The picture, or a new one where it was dropped or has another size."""
        viewport, ratio = self.viewport(), self.devicePixelRatioF()
        size = viewport.size() * ratio
        if picture.size() == size and picture.devicePixelRatio() == ratio:
            return picture
        began = perf_counter()
        picture = QPixmap(size)
        picture.setDevicePixelRatio(ratio)
        picture.fill(Qt.GlobalColor.transparent)
        for item in self.items():
            if isinstance(item, pg.ScatterPlotItem):
                _draw_dots_for(item, ratio)
        with QPainter(picture) as painter:
            self.render(painter, QRectF(viewport.rect()), viewport.rect())
        super().paintEvent(QPaintEvent(_NOWHERE))  # else the scene, once updated as a whole, tells no more
        self.cost = 1000 * (perf_counter() - began)
        return picture


def _draw_dots_for(item: pg.ScatterPlotItem, ratio: float) -> None:
    """Dots are small pictures of their own: pyqtgraph draws them again for a screen, not for a picture."""
    if item.fragmentAtlas.devicePixelRatio() != ratio:
        item.fragmentAtlas.setDevicePixelRatio(ratio)
        item.fragmentAtlas.clear()
        item.data["sourceRect"] = 0
        item.updateSpots()


class Upright:
    """A line where a plot stands at the moment: it lies over the picture, and moves without a new one."""

    def __init__(self, view: KeptView, color_key: str) -> None:
        self.x: float | None = None
        self._view, self._color_key = view, color_key
        view.uprights.append(self)

    def stand_at(self, x: float | None) -> None:
        """Moves it to a place on the x axis; None takes it away."""
        if x != self.x:
            self.x = x
            self._view.viewport().update()

    def paint(self, painter: QPainter) -> None:
        """Paints it on the view."""
        if self.x is None:
            return
        box = self._view.view
        room = box.sceneBoundingRect()
        place = self._view.mapFromScene(box.mapViewToScene(QPointF(self.x, 0.0))).x()
        if room.left() - 1 <= place <= room.right() + 1:
            painter.setPen(QPen(QColor(color_of(theme().palette, self._color_key)), 1))
            painter.drawLine(place, round(room.top()), place, round(room.bottom()))
