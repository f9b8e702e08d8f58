"""Many small pictures as one: laid out to fill the space, enlarged without blur."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.frame.enlarge import can_enlarge, toggle
from diffusion_studio.widgets.images.grid_menu import open_menu
from diffusion_studio.widgets.images.grid_plan import GAP, GridMarks, GridPlan, paint_marks, planned, said_of
from diffusion_studio.widgets.images.mosaic import (
    OPAQUE,
    Images,
    Layout,
    Words,
    as_image,
    compose,
    compose_smooth,
    packed,
    round_corners,
)
from diffusion_studio.widgets.look.theme import GRID, theme

_CORNER = 4
_IN_LINES = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
_STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}


PICTURES = tr("Pictures")


class ImageGrid(QWidget):
    """A grid of pictures with a selection; the arrow keys move it once Tab has brought the focus here.

    Args:
        name: what the pictures are, over the enlarged grid and for those who do not see it.
    """

    selected = Signal(int)
    save_failed = Signal(str)  # a sentence
    apart = GAP  # pixels between two pictures

    def __init__(
        self,
        name: str = PICTURES,
        parent: QWidget | None = None,
        *,
        centre: bool = True,
        selectable: bool = True,
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self._words: Words | None = None  # (N, H, W)
        self._marks = GridMarks()
        self._empty_text = ""
        self._columns: int | None = None
        self._centre, self._selectable = centre, selectable
        self._plan: GridPlan | None = None
        self._picture: QImage | None = None  # composed for the present size and scale
        self.setProperty("keepsArrows", True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus if selectable else Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme().changed.connect(self.update)
        can_enlarge(self, name)

    @property
    def count(self) -> int:
        return 0 if self._words is None else len(self._words)

    @property
    def captions(self) -> tuple[str, ...]:
        """What is written under the pictures."""
        return self._marks.captions

    @property
    def selection(self) -> int | None:
        return self._marks.selection

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
            self._plan = None
            self._describe()
        self._picture = None
        gone = self.selection is not None and self.selection >= self.count
        self._mark(selection=None if gone else self.selection)

    def set_captions(self, captions: Sequence[str]) -> None:
        """One short text under each picture; an empty sequence takes them away."""
        if tuple(captions) != self._marks.captions:
            self._mark(captions=tuple(captions))
            self._relayout()

    def set_tooltips(self, tooltips: Sequence[str]) -> None:
        """What hovering over each picture says."""
        self._mark(tooltips=tuple(tooltips))

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
        if tuple(titles) != self._marks.titles:
            relayout = bool(titles) != bool(self._marks.titles)
            self._mark(titles=tuple(titles))
            if relayout:
                self._relayout()

    def highlight_column(self, column: int | None) -> None:
        """Outline a column, or none."""
        self._mark(highlighted=column)

    def set_empty_text(self, text: str) -> None:
        self._empty_text = text
        self._describe()
        self.update()

    def set_selection(self, index: int | None) -> None:
        """Mark picture `index`, or none, without a signal. Raises IndexError for an unknown one."""
        if index is not None and not 0 <= index < self.count:
            raise IndexError(f"no picture {index}")
        self._mark(selection=index)

    def _mark(self, **values: Any) -> None:
        self._marks = replace(self._marks, **values)
        self.update()

    def index_at(self, point: QPoint | QPointF) -> int | None:
        """The picture under a point of this widget, or None."""
        plan = self._planned()
        return plan.index_at(point) if plan else None

    def tile_rect(self, index: int) -> QRectF:
        """Where picture `index` is drawn."""
        plan = self._planned()
        if plan is None:
            raise IndexError(f"no picture {index}")
        return plan.tile(index)

    def picture(self, index: int) -> QImage:
        """One picture in its own pixels."""
        if self._words is None:
            return QImage()
        return as_image(np.ascontiguousarray(self._words[index]) | OPAQUE, opaque=True)

    def mosaic(self, scale: int | None = None, gap: int = 0) -> QImage:
        """The pictures as laid out, each pixel `scale` times enlarged (None: as on the screen)."""
        plan = self._planned()
        if self._words is None or plan is None:
            return QImage()
        layout, (_, height, width) = plan.layout, self._words.shape
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
        plan = self._planned()
        if plan is None:
            painter.setPen(QColor(theme().palette.muted))
            painter.drawText(self.rect().adjusted(4, 4, -4, -4), _IN_LINES, self._empty_text)
        else:
            painter.drawImage(QPointF(*plan.layout.origin) / plan.ratio, self._composed(plan))
            paint_marks(painter, plan, self._marks, self.size())
        painter.end()

    @property
    def room_for_words(self) -> QSize:
        """What the words in place of pictures take in the present width; nothing where there are pictures."""
        if self._words is not None or not self._empty_text:
            return QSize()
        room = QRect(0, 0, self.width() - 8, 10_000)
        return self.fontMetrics().boundingRect(room, _IN_LINES, self._empty_text).size() + QSize(8, 8)

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
        if index == self.selection:
            self.selected.emit(index)  # who listens may take it back, or go there again
        else:
            self._select(index)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        toggle(self)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        index = self.index_at(event.pos())
        one = None if index is None else partial(self.picture, index)
        open_menu(self, event.globalPos(), one, self.mosaic if self.count else None, self.save_failed.emit)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        plan = self._planned()
        down = plan.layout.columns if plan else 0
        steps = {**_STEPS, Qt.Key.Key_Up: -down, Qt.Key.Key_Down: down} if plan else {}
        by = steps.get(Qt.Key(event.key()))
        if by is None or not self._selectable:
            event.ignore()
        elif self.selection is None:
            self._select(0)
        elif 0 <= self.selection + by < self.count:
            self._select(self.selection + by)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            index = self.index_at(event.pos())
            text = said_of(self._planned(), self._marks, self.fontMetrics(), index)
            area = QRect() if index is None else self.tile_rect(index).toAlignedRect()
            QToolTip.showText(event.globalPos(), text, self, area)
            return True
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._relayout()
        return super().event(event)

    def _select(self, index: int) -> None:
        if index != self.selection:
            self.set_selection(index)
            self.selected.emit(index)

    def _relayout(self) -> None:
        self._plan = self._picture = None
        self.update()

    def _planned(self) -> GridPlan | None:
        if self._plan is None and self._words is not None:
            shape, ratio, metrics = self._words.shape, self.devicePixelRatioF(), self.fontMetrics()
            self._plan = planned(
                shape, self.size(), ratio, self._marks, metrics, self._centre, self._columns, self.apart
            )
        return self._plan

    def _composed(self, plan: GridPlan) -> QImage:
        if self._picture is None and self._words is not None:
            layout = plan.layout
            sheet = compose(self._words, layout) if layout.exact else compose_smooth(self._words, layout)
            round_corners(sheet, layout, round(_CORNER * plan.ratio))
            self._picture = as_image(sheet)
            self._picture.setDevicePixelRatio(plan.ratio)
        return self._picture or QImage()

    def _describe(self) -> None:
        text = self._empty_text
        if self._words is not None:
            n, h, w = self._words.shape
            text = tr("{count} pictures of {width} by {height} pixels", count=n, width=w, height=h)
        self.setAccessibleDescription(text)
