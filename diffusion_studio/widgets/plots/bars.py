"""How many particles are in each mode, beside how many there should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.look.theme import tabular, theme
from diffusion_studio.widgets.plots.legend import color_of, ink_of

_ENOUGH = 48  # pixels of the longest bar; where all names leave it less, only the first group has them
_LEAST = 48  # below this, a name ends in an ellipsis
_EDGE = 3  # above the first bar and below the last, for words are taller than bars

_ELLIPSIS = Qt.TextElideMode.ElideRight


@dataclass(frozen=True)
class BarSeries:
    """One share per group."""

    title: str
    shares: Sequence[float]
    color_key: str


class OccupancyBars(QWidget):
    """For each group one bar per series, on a common scale; the numbers stand behind them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: Sequence[str] = ()
        self._series: Sequence[BarSeries] = ()
        self.setAccessibleName(tr("Mode occupancy"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        theme().changed.connect(self.update)

    def set_bars(self, names: Sequence[str], series: Sequence[BarSeries]) -> None:
        """Show groups by name, each with the share that every series gives it."""
        changed = len(names) != len(self._names) or len(series) != len(self._series)
        self._names, self._series = names, series
        self.setAccessibleDescription(self.describe())
        if changed:
            self.setMinimumHeight(self.sizeHint().height())
            self.updateGeometry()
        self.update()

    def describe(self) -> str:
        """The numbers in words."""
        parts = []
        for k, name in enumerate(self._names):
            shares = [f"{100 * s.shares[k]:.0f} % {s.title}" for s in self._series if k < len(s.shares)]
            parts.append(f"{name}: {', '.join(shares)}")
        return "; ".join(parts)

    def _row(self) -> tuple[int, int]:
        """Height of one bar with its gap, and the gap between groups."""
        many = len(self._names) > 5
        return (10, 5) if many else (14, 6)

    def sizeHint(self) -> QSize:
        bar, gap = self._row()
        return QSize(280, max(24, len(self._names) * (len(self._series) * bar + gap) + 2 * _EDGE))

    def _room(self, metrics: QFontMetrics, whole: float, top: float) -> tuple[float, bool]:
        """Pixels of a bar of share `top`, and whether there is room for names behind all of them."""
        names = [metrics.horizontalAdvance(f"100 % {series.title}") for series in self._series]
        room = whole - max(names, default=0)
        if room >= _ENOUGH:
            return room, True
        shares = [series.shares[0] if len(series.shares) else 0.0 for series in self._series]
        rooms = [(whole - name) * top / share for name, share in zip(names, shares, strict=True) if share > 0]
        most = whole - metrics.horizontalAdvance("100 %")
        return max(20.0, min(most, max(_LEAST, min(rooms, default=most)))), False

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette, font = theme().palette, tabular(self.font())
        bar, gap = self._row()
        small = self.font()
        font.setPixelSize(10 if bar < 12 else 12)
        small.setPixelSize(font.pixelSize())
        metrics = QFontMetrics(font)
        left = max([metrics.horizontalAdvance(n) for n in self._names], default=0) + 12
        top = max((s for series in self._series for s in series.shares), default=1.0) or 1.0
        room, named = self._room(metrics, self.width() - left - 10, top)
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        y = float(_EDGE)
        for k, name in enumerate(self._names):
            painter.setFont(small)
            painter.setPen(QColor(palette.muted))
            painter.drawText(QRectF(0, y, left, len(self._series) * bar), middle, name)
            painter.setFont(font)
            for series in self._series:
                share = series.shares[k] if k < len(series.shares) else 0.0
                width = max(2.0, room * share / top)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(color_of(palette, series.color_key)))
                painter.drawRoundedRect(QRectF(left, y + 1.5, width, bar - 4), 2, 2)
                painter.setPen(QColor(ink_of(palette, series.color_key)))
                place = QRectF(left + width + 6, y - 1, self.width() - left - width - 6, bar)
                words = f"{100 * share:.0f} % {series.title if named or not k else ''}"
                painter.drawText(place, middle, metrics.elidedText(words, _ELLIPSIS, int(place.width())))
                y += bar
            y += gap
        painter.end()
