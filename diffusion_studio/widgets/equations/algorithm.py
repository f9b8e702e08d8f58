"""An algorithm as a box of numbered lines; those that are at work are marked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRect, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.equations.equation import EquationView
from diffusion_studio.widgets.look.theme import label, tabular, theme

_INDENT = 14  # pixels
_NARROWEST = 60  # pixels of a formula: a box must fit a panel of 280


@dataclass(frozen=True)
class Row:
    """One line: words, then a formula in LaTeX."""

    words: str
    latex: str = ""
    indent: int = 0


class AlgorithmBox(QWidget):
    """Passive: it shows the lines that it is given."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[Row, ...] = ()
        self._lines: list[_Line] = []
        self._title = label("", "strong")
        self._title.setWordWrap(True)
        self._source = label("", "muted")
        self._source.setWordWrap(True)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)
        self._column.addWidget(self._title)
        self._column.addWidget(self._source)
        self.setAccessibleName(tr("Algorithm"))

    def set_algorithm(self, title: str, source: str, rows: Sequence[Row]) -> None:
        """Show these lines, numbered from 1; none of them is marked."""
        self._title.setText(title)
        self._source.setText(source)
        if tuple(rows) == self._rows:
            return
        self._rows = tuple(rows)
        for line in self._lines:
            line.hide()
            line.deleteLater()
        self._lines = [_Line(number, row, self) for number, row in enumerate(rows, start=1)]
        for line in self._lines:
            self._column.addWidget(line)
        self.setAccessibleDescription(" ".join(f"{n}: {row.words}" for n, row in enumerate(rows, start=1)))

    @property
    def marked(self) -> tuple[int, ...]:
        """The lines that are marked, counted from 0."""
        return tuple(number for number, line in enumerate(self._lines) if line.is_marked)

    def mark(self, lines: Collection[int]) -> None:
        """Mark exactly these lines, counted from 0."""
        for number, line in enumerate(self._lines):
            line.set_marked(number in lines)


class _Line(QWidget):
    def __init__(self, number: int, row: Row, parent: QWidget) -> None:
        super().__init__(parent)
        self.is_marked = False
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 2, 4, 2)
        layout.setSpacing(8)
        count = label(f"{number}", "muted")
        count.setFont(tabular(count.font()))
        count.setFixedWidth(16)
        layout.addWidget(count)
        layout.addSpacing(_INDENT * row.indent)
        words = label(row.words)
        words.setWordWrap(not row.latex)
        layout.addWidget(words, 0 if row.latex else 1)
        self.texts, self.view = (count, words), EquationView() if row.latex else None
        if self.view is not None:
            self.view.set_equation(row.latex)
            self.view.setMinimumWidth(_NARROWEST)
            layout.addWidget(self.view, 1, Qt.AlignmentFlag.AlignVCenter)

    def event(self, event: QEvent) -> bool:
        found = super().event(event)
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):  # the layout has heard it first
            self._align()
        return found

    def _align(self) -> None:
        """Number and words stand on the line of the formula beside them."""
        if self.view is None or self.view.baseline is None:
            return
        line = self.view.y() + self.view.baseline
        for text in self.texts:
            metrics, high = text.fontMetrics(), text.sizeHint().height()
            top = round(line - metrics.ascent() - (high - metrics.height()) / 2)
            text.setGeometry(text.x(), top, text.width(), high)

    def set_marked(self, marked: bool) -> None:
        if marked != self.is_marked:
            self.is_marked = marked
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self.is_marked:
            return
        painter, accent = QPainter(self), QColor(theme().palette.accent)
        painter.fillRect(QRect(0, 0, 3, self.height()), accent)
        accent.setAlpha(34)
        painter.fillRect(self.rect(), accent)
        painter.end()
