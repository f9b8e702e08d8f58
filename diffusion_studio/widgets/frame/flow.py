"""A row that goes on in the next one where there is no more room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QSizePolicy, QSpacerItem, QWidget

from diffusion_studio.widgets.look.theme import GRID


@dataclass
class _Row:
    """Items of one row, with the widths that they need at least."""

    items: list[QLayoutItem]
    needs: list[int]


class FlowRow(QLayout):
    """Items from left to right, in as many rows as it takes.

    An item that expands takes what its row leaves; it needs no more than its least width. The others keep
    the width of their hint, or that of the whole row where even this is less. They stand in the middle of
    their row's height, or at its top where they are aligned so.
    """

    def __init__(self, parent: QWidget | None = None, spacing: int = GRID) -> None:
        super().__init__()
        self._items: list[QLayoutItem] = []
        self._height = 0  # of all rows, when they were last laid out
        self._heights: dict[int, int] = {}  # by the width, until an item changes; layouts ask often
        self.setContentsMargins(0, 0, 0, 0)
        self.setSpacing(spacing)
        if parent is not None:
            parent.setLayout(self)

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)
        self._heights.clear()

    def add_stretch(self) -> None:
        """What follows stands at the right end of its row."""
        policy = QSizePolicy.Policy
        self.addItem(QSpacerItem(0, 0, policy.Expanding, policy.Minimum))

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        self._heights.clear()
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation.Horizontal

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        if width not in self._heights:
            self._heights[width] = self._arranged(QRect(0, 0, width, 0), place=False)
        return self._heights[width]

    def invalidate(self) -> None:
        """Something in it is of another size, or there is something more or less."""
        self._heights.clear()
        super().invalidate()

    def sizeHint(self) -> QSize:
        """All in one row."""
        hints = [item.sizeHint() for item in self._shown()]
        width = sum(hint.width() for hint in hints) + self.spacing() * max(len(hints) - 1, 0)
        return QSize(width, max((hint.height() for hint in hints), default=0))

    def minimumSize(self) -> QSize:
        """Wide enough for the widest, and as high as all rows are in the present width."""
        least = [item.minimumSize() for item in self._shown()]
        width = max((size.width() for size in least), default=0)
        height = max((size.height() for size in least), default=0)
        return QSize(width, max(height, self._height if least else 0))

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        before, self._height = self._height, self._arranged(rect, place=True)
        if before != self._height:
            self.update()  # whoever gave the room may have to give more

    def _shown(self) -> list[QLayoutItem]:
        return [item for item in self._items if item.widget() is not None and not item.isEmpty()]

    def _rows(self, width: int) -> Iterator[_Row]:
        """What fits beside each other."""
        row, used = _Row([], []), 0
        for item in self._items:
            if item.widget() is not None and item.isEmpty():
                continue  # it is hidden
            need = _need(item, width)
            gap = self.spacing() if used and need else 0
            if used and used + gap + need > width:
                yield row
                row, used, gap = _Row([], []), 0, 0
            row.items.append(item)
            row.needs.append(need)
            used += gap + need
        if row.items:
            yield row

    def _arranged(self, rect: QRect, place: bool) -> int:
        """The height of all rows; with `place`, the items are put there."""
        top = rect.top()
        for number, row in enumerate(self._rows(rect.width())):
            top += self.spacing() if number else 0
            widths = self._widths(row, rect.width())
            height = max((_height(i, w) for i, w in zip(row.items, widths, strict=True)), default=0)
            if place:
                self._place(row, widths, QRect(rect.left(), top, rect.width(), height))
            top += height
        return top - rect.top()

    def _widths(self, row: _Row, width: int) -> list[int]:
        """The needs, and for what expands an even share of the rest; a stretch gets what no widget wants."""
        widgets = [item.widget() is not None for item in row.items]
        spare = max(width - sum(row.needs) - self.spacing() * max(sum(widgets) - 1, 0), 0)
        wide = [bool(item.expandingDirections() & Qt.Orientation.Horizontal) for item in row.items]
        wanting = [a and b for a, b in zip(wide, widgets, strict=True)]
        growing = wanting if any(wanting) else wide
        each = spare // max(sum(growing), 1)
        return [need + each if grows else need for need, grows in zip(row.needs, growing, strict=True)]

    def _place(self, row: _Row, widths: list[int], area: QRect) -> None:
        x = area.left()
        for item, width in zip(row.items, widths, strict=True):
            height = min(_height(item, width), area.height())
            above = bool(item.alignment() & Qt.AlignmentFlag.AlignTop)
            top = area.top() + (0 if above else (area.height() - height) // 2)
            item.setGeometry(QRect(QPoint(x, top), QSize(width, height)))
            x += width + (self.spacing() if item.widget() is not None else 0)


def _need(item: QLayoutItem, room: int) -> int:
    """The width without which an item does not stand in a row."""
    least = item.minimumSize().width()
    if item.expandingDirections() & Qt.Orientation.Horizontal:
        return least
    return max(least, min(item.sizeHint().width(), room))


def _height(item: QLayoutItem, width: int) -> int:
    return item.heightForWidth(width) if item.hasHeightForWidth() else item.sizeHint().height()
