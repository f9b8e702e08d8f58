"""Where the pictures of a grid stand, and what is written and drawn around them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen

from diffusion_studio.widgets.images.mosaic import Layout, fit
from diffusion_studio.widgets.look.theme import tabular, theme, tip

GAP = 6
_MOST_OF_TITLE = 96  # pixels
_BETWEEN = 4  # pixels, from one title to the next
_LETTERS = 3  # of a name, by which it is known again


@dataclass(frozen=True)
class GridMarks:
    """What is written around the pictures, and what is marked."""

    titles: tuple[str, ...] = ()  # one short text above each column
    captions: tuple[str, ...] = ()  # one under each picture
    tooltips: tuple[str, ...] = ()  # what hovering over each says
    highlighted: int | None = None  # a column
    selection: int | None = None  # a picture

    def room_above(self, metrics: QFontMetrics) -> int:
        return metrics.height() + 4 if self.titles else 0

    def room_below(self, metrics: QFontMetrics) -> int:
        """Of each picture."""
        return metrics.height() if self.captions else 0


@dataclass(frozen=True)
class GridPlan:
    """A layout in device pixels, asked in logical ones."""

    layout: Layout
    ratio: float  # device pixels for a logical one
    captioned: bool = True  # whether there is room for what is written under the pictures

    def tile(self, index: int) -> QRectF:
        """Where picture `index` is drawn. Raises IndexError for an unknown one."""
        if not 0 <= index < self.layout.count:
            raise IndexError(f"no picture {index}")
        left, top = self.layout.corner(index)
        corner = QPointF(self.layout.origin[0] + left, self.layout.origin[1] + top) / self.ratio
        width, height = self.layout.tile
        return QRectF(corner.x(), corner.y(), width / self.ratio, height / self.ratio)

    def index_at(self, point: QPoint | QPointF) -> int | None:
        """The picture under a point, or None."""
        return self.layout.index_at(point.x() * self.ratio, point.y() * self.ratio)

    def caption(self, text: str, metrics: QFontMetrics) -> str:
        """What is written of it under a picture."""
        return shortened(text, metrics, int(_caption_width(self))) if self.captioned else ""

    @property
    def across(self) -> float:
        """From one column to the next."""
        return (self.layout.tile[0] + self.layout.gap[0]) / self.ratio

    @property
    def in_first_row(self) -> int:
        return min(self.layout.columns, self.layout.count)


def planned(
    shape: tuple[int, int, int], size: QSize, ratio: float, marks: GridMarks, metrics: QFontMetrics,
    centre: bool = True, columns: int | None = None, apart: int = GAP,
) -> GridPlan:  # fmt: skip
    """The plan for pictures (N, H, W) of `shape` in a widget of `size`, with room for what is written.

    Captions of which none could be read under pictures of that size take no room.
    """
    count, height, width = shape
    top = round(marks.room_above(metrics) * ratio)
    area = (int(size.width() * ratio), int(size.height() * ratio) - top)
    between = round(apart * ratio)

    def plan(below: int) -> GridPlan:
        gap = (between, between + round(below * ratio))
        found = fit(count, (width, height), area, gap, centre, columns)
        return GridPlan(replace(found, origin=(found.origin[0], found.origin[1] + top)), ratio, below > 0)

    written = _spread(plan(marks.room_below(metrics)), marks, metrics, area[0], centre)
    return written if _any_caption(written, marks, metrics) else plan(0)


def _spread(plan: GridPlan, marks: GridMarks, metrics: QFontMetrics, width: int, centre: bool) -> GridPlan:
    """With its columns as far apart as captions need, where pictures leave room in `width` device pixels."""
    layout, captions = plan.layout, marks.captions[: plan.layout.count]
    if not captions or not centre:
        return plan
    widest = max(metrics.horizontalAdvance(caption) + 1 for caption in captions)
    lacking = math.ceil((widest - _caption_width(plan)) * plan.ratio)
    more = max(0, min(lacking, (width - layout.size[0]) // layout.columns))
    wider = replace(layout, gap=(layout.gap[0] + more, layout.gap[1]))
    left = max(0, (width - wider.size[0]) // 2)
    return replace(plan, layout=replace(wider, origin=(left, layout.origin[1])))


def said_of(plan: GridPlan | None, marks: GridMarks, metrics: QFontMetrics, index: int | None) -> str:
    """What hovering over picture `index` says: what is known of it, or a caption that has no room."""
    if plan is None or index is None:
        return ""
    if index < len(marks.tooltips):
        return marks.tooltips[index]
    caption = marks.captions[index] if index < len(marks.captions) else ""
    return "" if plan.caption(caption, metrics) == caption else tip(caption)


def paint_marks(painter: QPainter, plan: GridPlan, marks: GridMarks, size: QSize) -> None:
    """Titles, captions, and outlines, in a widget of that size."""
    _paint_titles(painter, plan, marks, size.width())
    _paint_captions(painter, plan, marks)
    inside = QRectF(QRect(QPoint(), size)).adjusted(1, 1, -1, -1)  # of half a line's width
    _paint_highlight(painter, plan, marks, inside)
    if marks.selection is not None:
        _outline(painter, plan.tile(marks.selection), inside)


def placed_titles(
    plan: GridPlan, marks: GridMarks, metrics: QFontMetrics, width: int
) -> dict[int, tuple[QRectF, str]]:
    """Above which columns a title stands, where, and what of it: as many as there is room for.

    That of the highlighted column is always one of them, and those of the two ends rather than others.
    """
    titles = marks.titles[: plan.in_first_row]
    widths = [min(metrics.horizontalAdvance(title) + 2, _MOST_OF_TITLE) for title in titles]
    every = _every(widths, plan.across)
    columns = range(len(titles))
    first = [marks.highlighted] if marks.highlighted in columns else []
    chosen: list[int] = []
    for column in (*first, *columns[:1], *columns[-1:], *columns):
        if all(abs(column - other) >= every for other in chosen):
            chosen.append(column)
    placed = {}
    for column in sorted(chosen):
        title = titles[column]
        tile = plan.tile(column)
        top = tile.top() - marks.room_above(metrics)
        room = QRectF(0, top, min(plan.across * every - 2, widths[column]), metrics.height())
        room.moveLeft(min(max(tile.center().x() - room.width() / 2, 0), width - room.width()))
        placed[column] = room, metrics.elidedText(title, Qt.TextElideMode.ElideRight, int(room.width()))
    return placed


def _paint_titles(painter: QPainter, plan: GridPlan, marks: GridMarks, width: int) -> None:
    font, colors = painter.font(), theme().palette
    painter.setFont(tabular(font))
    metrics = QFontMetrics(painter.font())  # with its features, which a painter's own leave out
    for column, (room, text) in placed_titles(plan, marks, metrics, width).items():
        painter.setPen(QColor(colors.text if column == marks.highlighted else colors.muted))
        painter.drawText(room, Qt.AlignmentFlag.AlignCenter, text)
    painter.setFont(font)


def _every(widths: list[int], across: float) -> int:
    """Above each how many-th column a title can stand, none in the way of the next."""
    for every in range(1, len(widths)):
        if all(
            (a + b) / 2 + _BETWEEN <= across * every for a, b in zip(widths, widths[every:], strict=False)
        ):
            return every
    return max(1, len(widths))


def _paint_captions(painter: QPainter, plan: GridPlan, marks: GridMarks) -> None:
    metrics, colors = painter.fontMetrics(), theme().palette
    if not plan.captioned:
        return
    for index, caption in enumerate(marks.captions[: plan.layout.count]):
        tile = plan.tile(index)
        room = QRectF(0, tile.bottom() + 1, _caption_width(plan), marks.room_below(metrics))
        room.moveLeft(tile.center().x() - room.width() / 2)
        painter.setPen(QColor(colors.text if index == marks.selection else colors.muted))
        painter.drawText(room, Qt.AlignmentFlag.AlignCenter, plan.caption(caption, metrics))


def _caption_width(plan: GridPlan) -> float:
    """It may be wider than its picture, and leaves a little of the gap to the next one."""
    return plan.across - 2


def _any_caption(plan: GridPlan, marks: GridMarks, metrics: QFontMetrics) -> bool:
    """Whether any caption has room under its picture."""
    captions = marks.captions[: plan.layout.count]
    return any(plan.caption(caption, metrics) for caption in captions)


def shortened(caption: str, metrics: QFontMetrics, width: int) -> str:
    """As much of a caption as there is room for; nothing where that tells nothing, as "0…" does: less than
    half of it, and no three letters of a name.
    """
    short = metrics.elidedText(caption, Qt.TextElideMode.ElideRight, width)
    kept = len(short) - 1
    telling = 2 * kept >= len(caption) or (kept >= _LETTERS and caption[:_LETTERS].isalpha())
    return short if short == caption or telling else ""


def _paint_highlight(painter: QPainter, plan: GridPlan, marks: GridMarks, inside: QRectF) -> None:
    column, layout = marks.highlighted, plan.layout
    if column is None or not 0 <= column < plan.in_first_row:
        return
    last = column + layout.columns * ((layout.count - 1 - column) // layout.columns)
    _outline(painter, plan.tile(column).united(plan.tile(last)), inside)


def _outline(painter: QPainter, area: QRectF, inside: QRectF) -> None:
    """Around pictures, and over their rim rather than cut off at that of the widget."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(theme().palette.accent), 2))
    painter.drawRoundedRect(area.adjusted(-2, -2, 2, 2) & inside, 5, 5)
