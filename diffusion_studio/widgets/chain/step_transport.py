"""The transport for particles: the axis counts steps, and the noise level stands beside the step."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QWidget

from diffusion_studio.widgets.chain.timeline import Timeline
from diffusion_studio.widgets.chain.transport import Transport
from diffusion_studio.widgets.look.theme import theme

_MARGIN, _TICKS = 10, 24


class _StepLine(Timeline):
    """A timeline whose ends say what lies there."""

    ends = ("", "")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: tuple[list[QLineF], list[QLineF]] = ([], [])
        self._laid_out = (0, 0)  # width and number of states for which the ticks stand

    def _draw_ticks(self, painter: QPainter) -> None:
        """All ticks at once: this line is painted at every frame."""
        if self._laid_out != (self.width(), len(self.times)):
            self._laid_out = self.width(), len(self.times)
            self._lines = self._ticks()
        palette = theme().palette
        for lines, color in zip(self._lines, (palette.faint, palette.muted), strict=True):
            painter.setPen(QPen(QColor(color), 1))
            painter.drawLines(lines)

    def _ticks(self) -> tuple[list[QLineF], list[QLineF]]:
        """Short and long ticks, as many as there is room for."""
        room = (self.width() - 2 * _MARGIN) / max(1, self.last)
        every = next((n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500) if n * room >= 6), 1000)
        short, long = [], []
        for k in range(0, len(self.times), every):
            x = round(self.x_of(k)) + 0.5
            if k % (10 * every) == 0 or k == self.last:
                long.append(QLineF(x, _TICKS, x, _TICKS + 9))
            else:
                short.append(QLineF(x, _TICKS + 3, x, _TICKS + 9))
        return short, long

    def _draw_ends(self, painter: QPainter) -> None:
        painter.setPen(QColor(theme().palette.muted))
        room = QRectF(_MARGIN, 0, self.width() - 2 * _MARGIN, 18)
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft, self.ends[0])
        painter.drawText(room, Qt.AlignmentFlag.AlignRight, self.ends[1])


class StepTransport(Transport):
    """Moves along the states of a chain whose noise level need not fall at every step."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._levels: tuple[int, ...] = ()
        super().__init__(parent)
        plain, self._line = self._timeline, _StepLine(self)
        self._timeline = self._line
        layout = self.layout()
        assert layout is not None
        layout.replaceWidget(plain, self._line)
        plain.setParent(None)
        plain.deleteLater()
        self._timeline.seek_requested.connect(self._on_dragged)

    def set_levels(self, levels: Sequence[int], ends: tuple[str, str]) -> None:
        """The noise level t of every state, and what the two ends are called."""
        if tuple(levels) != self._levels or ends != self._line.ends:
            self._levels = tuple(levels)
            self._line.ends = ends
            self.set_times(range(len(levels) - 1, -1, -1))
            self.set_axis("step")

    def _show_where(self) -> None:
        k = self._timeline.position
        words = [f"step {k} of {self._timeline.last}"] if self._levels else []
        words += [f"t = {self._levels[k]}"] if k < len(self._levels) else []
        words += [self._note] if self._note else []
        self._where.setText(" · ".join(words))
        self._timeline.setAccessibleDescription(self._where.text())
