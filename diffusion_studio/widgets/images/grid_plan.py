"""Where the pictures of a grid stand, and what is written and drawn around them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen

from diffusion_studio.widgets.images.mosaic import Layout, fit
from diffusion_studio.widgets.look.theme import tabular, theme

GAP = 6
_MOST_OF_TITLE = 96  # pixels
_BETWEEN = 4  # pixels, from one title to the next


@dataclass(frozen=True)
class GridMarks:
    """What is written around the pictures, and what is marked."""

    titles: tuple[str, ...] = ()  # one short text above each column
    captions: tuple[str, ...] = ()  # one under each picture
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

    written = plan(marks.room_below(metrics))
    return written if _any_caption(written, marks, metrics) else plan(0)


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
        room = QRectF(tile.left() - 2, tile.bottom() + 1, _caption_width(tile), marks.room_below(metrics))
        painter.setPen(QColor(colors.text if index == marks.selection else colors.muted))
        painter.drawText(room, Qt.AlignmentFlag.AlignCenter, shortened(caption, metrics, int(room.width())))


def _caption_width(tile: QRectF) -> float:
    """It may be a little wider than its picture."""
    return tile.width() + 4


def _any_caption(plan: GridPlan, marks: GridMarks, metrics: QFontMetrics) -> bool:
    """Whether any caption has room under its picture."""
    captions = marks.captions[: plan.layout.count]
    width = int(_caption_width(plan.tile(0))) if captions else 0
    return any(shortened(caption, metrics, width) for caption in captions)


def shortened(caption: str, metrics: QFontMetrics, width: int) -> str:
    """As much of a caption as there is room for; nothing where that is less than half: "0…" tells none."""
    short = metrics.elidedText(caption, Qt.TextElideMode.ElideRight, width)
    return short if short == caption or 2 * (len(short) - 1) >= len(caption) else ""


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
