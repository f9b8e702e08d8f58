"""One bar for each latent: how much it carries, and which carry nothing."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffusion_studio.core.words import between, number, tr
from diffusion_studio.widgets.look.theme import tabular, theme

_LEAST, _FOOT, _HEAD = 90, 16, 16  # pixels
_WIDEST = 40
_SMALL, _ROOMY = 0.1, 30  # nats that need a digit more, and pixels of a bar that has room for it


class LatentBars(QWidget):
    """Heights on one scale; a bar below the limit is grey."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: tuple[float, ...] = ()
        self._limit = 0.0
        self._empty = tr("No latents yet.")
        self._names: tuple[str, ...] = ()
        self.setAccessibleName(tr("KL of each latent"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme().changed.connect(self.update)

    def set_values(self, values: Sequence[float], limit: float, names: Sequence[str] = ()) -> None:
        """Show these values; those up to `limit` count as nothing. `names` stand below."""
        self._values, self._limit, self._names = tuple(values), limit, tuple(names)
        self.setAccessibleDescription(self.describe())
        self.setToolTip(self.describe())
        self.update()

    def set_empty_text(self, text: str) -> None:
        """What stands there while there are no values."""
        self._empty = text
        self.update()

    def describe(self) -> str:
        """The values in words."""
        if not self._values:
            return self._empty
        active = sum(value > self._limit for value in self._values)
        numbers = between().join(number(value, ".2f") for value in self._values[:32])
        total = len(self._values)
        return tr(
            "{active} of {total} are active. {numbers} nats", active=active, total=total, numbers=numbers
        )

    def sizeHint(self) -> QSize:
        return QSize(220, _LEAST + 20)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, _LEAST)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        palette = theme().palette
        font = tabular(self.font())
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(QColor(palette.muted))
        if not self._values:
            painter.drawText(
                self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._empty
            )
            return
        step = min(self.width() / len(self._values), _WIDEST)
        top, room = max(*self._values, 1e-3), self.height() - _FOOT - _HEAD
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for place, value in enumerate(self._values):
            height = max(2.0, room * value / top)
            bar = QRectF(place * step + 1, _HEAD + room - height, max(step - 2, 1), height)
            color = palette.quantity["x0"] if value > self._limit else palette.faint
            painter.fillRect(bar, QColor(color))
            if step >= 22:
                self._label(painter, place, value, bar, step)

    def _label(self, painter: QPainter, place: int, value: float, bar: QRectF, step: float) -> None:
        centred = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom
        over = QRectF(place * step, bar.top() - _HEAD, step, _HEAD)
        fine = value < _SMALL and step >= _ROOMY
        painter.drawText(over, centred, number(value, ".2f" if fine else ".1f"))
        name = self._names[place] if place < len(self._names) else str(place + 1)
        painter.drawText(QRectF(place * step, self.height() - _FOOT, step, _FOOT), centred, name)
