"""Many small pictures as one: laid out to fill the space, enlarged without blur."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from diffusion_studio.widgets.images.mosaic import (
    OPAQUE,
    Images,
    Layout,
    Words,
    as_image,
    compose,
    compose_smooth,
    fit,
    packed,
    round_corners,
)
from diffusion_studio.widgets.look.theme import GRID, tabular, theme

GAP = 6
_CORNER = 4
_STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}


class ImageGrid(QWidget):
    """A grid of pictures with a selection; the arrow keys move it once Tab has brought the focus here."""

    selected = Signal(int)
    activated = Signal(int)

    def __init__(
        self, parent: QWidget | None = None, *, centre: bool = True, selectable: bool = True
    ) -> None:
        super().__init__(parent)
        self._words: Words | None = None  # (N, H, W)
        self._captions: list[str] = []
        self._tooltips: list[str] = []
        self._empty_text = ""
        self._columns: int | None = None
        self._titles: list[str] = []
        self._highlighted: int | None = None
        self._selection: int | None = None
        self._centre, self._selectable = centre, selectable
        self._layout: Layout | None = None
        self._picture: QImage | None = None  # composed for the present size and scale
        self.setProperty("keepsArrows", True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus if selectable else Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme().changed.connect(self.update)

    @property
    def count(self) -> int:
        return 0 if self._words is None else len(self._words)

    @property
    def selection(self) -> int | None:
        return self._selection

    def set_images(self, images: Images | None) -> None:
        """Show `images` (N, H, W, C), uint8 with C 1 or 3; None or N = 0 shows the empty text.

        Raises ValueError for another shape or type.
        """
        if images is not None and (
            images.ndim != 4 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8
        ):
            raise ValueError(f"expected uint8 (N, H, W, 1 or 3), got {images.dtype} {images.shape}")
        before = None if self._words is None else self._words.shape
        self._words = packed(images) if images is not None and images.size else None
        after = None if self._words is None else self._words.shape
        if before != after:
            self._layout = None
            self._describe()
        if self._selection is not None and self._selection >= self.count:
            self._selection = None
        self._picture = None
        self.update()

    def set_captions(self, captions: Sequence[str]) -> None:
        """One short text under each picture; an empty sequence takes them away."""
        if list(captions) != self._captions:
            self._captions = list(captions)
            self._relayout()

    def set_tooltips(self, tooltips: Sequence[str]) -> None:
        """What hovering over each picture says."""
        self._tooltips = list(tooltips)

    def set_columns(self, columns: int | None) -> None:
        """Fix the number of columns, row by row (a strip: one row a chain, one column a step); None fits it.

        Raises ValueError for less than one.
        """
        if columns is not None and columns < 1:
            raise ValueError(f"a grid needs a column, not {columns}")
        if columns != self._columns:
            self._columns = columns
            self._relayout()

    def set_column_titles(self, titles: Sequence[str]) -> None:
        """One short text above each column; an empty sequence takes them away."""
        if list(titles) != self._titles:
            relayout, self._titles = bool(titles) != bool(self._titles), list(titles)
            self._relayout() if relayout else self.update()

    def highlight_column(self, column: int | None) -> None:
        """Outline a column, or none."""
        self._highlighted = column
        self.update()

    def set_empty_text(self, text: str) -> None:
        self._empty_text = text
        self._describe()
        self.update()

    def set_selection(self, index: int | None) -> None:
        """Mark picture `index`, or none, without a signal. Raises IndexError for an unknown one."""
        if index is not None and not 0 <= index < self.count:
            raise IndexError(f"no picture {index}")
        self._selection = index
        self.update()

    def index_at(self, point: QPoint | QPointF) -> int | None:
        """The picture under a point of this widget, or None."""
        ratio, layout = self.devicePixelRatioF(), self._fitted()
        return layout.index_at(point.x() * ratio, point.y() * ratio) if layout else None

    def tile_rect(self, index: int) -> QRectF:
        """Where picture `index` is drawn."""
        layout, ratio = self._fitted(), self.devicePixelRatioF()
        if layout is None or not 0 <= index < layout.count:
            raise IndexError(f"no picture {index}")
        left, top = layout.corner(index)
        corner = QPointF(layout.origin[0] + left, layout.origin[1] + top) / ratio
        return QRectF(corner.x(), corner.y(), layout.tile[0] / ratio, layout.tile[1] / ratio)

    def mosaic(self, scale: int | None = None, gap: int = 0) -> QImage:
        """The pictures as laid out, each pixel `scale` times enlarged (None: as on the screen)."""
        layout = self._fitted()
        if self._words is None or layout is None:
            return QImage()
        _, height, width = self._words.shape
        factor = scale or max(1, layout.tile[0] // width)
        tile = (width * factor, height * factor)
        plain = Layout(layout.count, layout.columns, layout.rows, tile, (gap, gap), (0, 0), True)
        return as_image(compose(self._words, plain) | OPAQUE, opaque=True)

    def sizeHint(self) -> QSize:
        return QSize(320, 320)

    def minimumSizeHint(self) -> QSize:
        return QSize(4 * GRID, 4 * GRID)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        layout = self._fitted()
        if layout is None:
            painter.setPen(QColor(theme().palette.muted))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(16, 16, -16, -16), flags, self._empty_text)
        else:
            painter.drawImage(QPointF(*layout.origin) / self.devicePixelRatioF(), self._composed(layout))
            self._draw_titles(painter, layout)
            self._draw_captions(painter)
            self._draw_highlight(painter, layout)
            self._draw_selection(painter)
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._relayout()

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.FontChange:
            self._relayout()
        super().changeEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.index_at(event.position())
        if not self._selectable or event.button() != Qt.MouseButton.LeftButton or index is None:
            return
        if index == self._selection:
            self.selected.emit(index)  # who listens may take it back, or go there again
        else:
            self._select(index)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if (index := self.index_at(event.position())) is not None:
            self.activated.emit(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        layout = self._fitted()
        steps = {**_STEPS, Qt.Key.Key_Up: -layout.columns, Qt.Key.Key_Down: layout.columns} if layout else {}
        by = steps.get(Qt.Key(event.key()))
        if by is None or not self._selectable:
            event.ignore()
        elif self._selection is None:
            self._select(0)
        elif 0 <= self._selection + by < self.count:
            self._select(self._selection + by)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            index = self.index_at(event.pos())
            known = self._tooltips[index : index + 1] if index is not None else []
            text = known[0] if known else ""
            QToolTip.showText(event.globalPos(), text, self, self._tile_area(index))
            return True
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._relayout()
        return super().event(event)

    def _tile_area(self, index: int | None) -> QRect:
        return QRect() if index is None else self.tile_rect(index).toAlignedRect()

    def _select(self, index: int) -> None:
        if index != self._selection:
            self.set_selection(index)
            self.selected.emit(index)

    def _relayout(self) -> None:
        self._layout = self._picture = None
        self.update()

    def _fitted(self) -> Layout | None:
        if self._layout is None and self._words is not None:
            count, height, width = self._words.shape
            ratio = self.devicePixelRatioF()
            top = round(self._title_height() * ratio)
            area = (int(self.width() * ratio), int(self.height() * ratio) - top)
            between = round(GAP * ratio)
            below = between + round(self._caption_height() * ratio)
            gap = (between, below)
            found = fit(count, (width, height), area, gap, self._centre, self._columns)
            self._layout = replace(found, origin=(found.origin[0], found.origin[1] + top))
        return self._layout

    def _title_height(self) -> int:
        return self.fontMetrics().height() + 4 if self._titles else 0

    def _caption_height(self) -> int:
        return self.fontMetrics().height() if self._captions else 0

    def _composed(self, layout: Layout) -> QImage:
        if self._picture is None and self._words is not None:
            ratio = self.devicePixelRatioF()
            sheet = compose(self._words, layout) if layout.exact else compose_smooth(self._words, layout)
            round_corners(sheet, layout, round(_CORNER * ratio))
            self._picture = as_image(sheet)
            self._picture.setDevicePixelRatio(ratio)
        return self._picture or QImage()

    def _draw_titles(self, painter: QPainter, layout: Layout) -> None:
        """Above the columns, as many as there is room for, and always the highlighted one's."""
        titles = dict(enumerate(self._titles[: min(layout.columns, self.count)]))
        if not titles:
            return
        metrics, colors = self.fontMetrics(), theme().palette
        painter.setFont(tabular(self.font()))
        across = (layout.tile[0] + layout.gap[0]) / self.devicePixelRatioF()
        wide = max(metrics.horizontalAdvance(title) for title in titles.values()) + 6
        every = max(1, math.ceil(min(wide, 96) / across))
        here = self._highlighted if self._highlighted in titles else None
        for column, title in titles.items():
            if column != here and (column % every or (here is not None and abs(column - here) < every)):
                continue
            tile = self.tile_rect(column)
            room = QRectF(0, tile.top() - self._title_height(), across * every - 2, metrics.height())
            room.moveLeft(min(max(tile.center().x() - room.width() / 2, 0), self.width() - room.width()))
            painter.setPen(QColor(colors.text if column == here else colors.muted))
            short = metrics.elidedText(title, Qt.TextElideMode.ElideRight, int(room.width()))
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, short)
        painter.setFont(self.font())

    def _draw_captions(self, painter: QPainter) -> None:
        colors = theme().palette
        for index, caption in enumerate(self._captions[: self.count]):
            tile = self.tile_rect(index)
            room = QRectF(tile.left() - 2, tile.bottom() + 1, tile.width() + 4, self._caption_height())
            painter.setPen(QColor(colors.text if index == self._selection else colors.muted))
            short = self.fontMetrics().elidedText(caption, Qt.TextElideMode.ElideRight, int(room.width()))
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, short)

    def _draw_selection(self, painter: QPainter) -> None:
        if self._selection is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme().palette.accent), 2))
        painter.drawRoundedRect(self.tile_rect(self._selection).adjusted(-2, -2, 2, 2), 5, 5)

    def _draw_highlight(self, painter: QPainter, layout: Layout) -> None:
        column = self._highlighted
        if column is None or not 0 <= column < min(layout.columns, self.count):
            return
        last = column + layout.columns * ((self.count - 1 - column) // layout.columns)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme().palette.accent), 2))
        area = self.tile_rect(column).united(self.tile_rect(last)).adjusted(-2, -2, 2, 2)
        painter.drawRoundedRect(area, 5, 5)

    def _describe(self) -> None:
        text = self._empty_text
        if self._words is not None:
            count, height, width = self._words.shape
            text = f"{count} pictures of {width} by {height} pixels"
        self.setAccessibleDescription(text)
