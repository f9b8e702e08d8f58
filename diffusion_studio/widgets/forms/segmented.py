"""An exclusive choice among a few words or symbols, and the drawing of symbols with hats and indices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.look.theme import theme

_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉ₐₑₖₙₛₜᵢ₊₋₌", "0123456789aeknsti+−=", strict=True))
_HAT, _BAR = "\u0302", "\u0304"
_PAD = 3  # between the track and the chosen segment


@dataclass(frozen=True)
class _Run:
    """Characters drawn alike: a stretch of text, an index, or one letter with a mark over it."""

    text: str
    index: bool = False
    mark: str = ""


@lru_cache(maxsize=1024)  # the labels of a window, for every painting
def _runs(text: str) -> tuple[_Run, ...]:
    """`text` cut into runs; "x̂₀" and "x̂_0" both give a hatted x and an index 0."""
    found: list[_Run] = []
    after_underscore = False
    for char in text:
        if char in (_HAT, _BAR) and found:
            last = found.pop()
            if last.text[:-1]:
                found.append(replace(last, text=last.text[:-1]))
            found.append(replace(last, text=last.text[-1], mark=char))
        elif char == "_":
            after_underscore = True
        else:
            index = after_underscore or char in _SUBSCRIPTS
            after_underscore = False
            char = _SUBSCRIPTS.get(char, char)
            if found and not found[-1].mark and found[-1].index == index:
                found[-1] = replace(found[-1], text=found[-1].text + char)
            else:
                found.append(_Run(char, index))
    return tuple(found)


def _font_of(run: _Run, font: QFont) -> QFont:
    if not run.index:
        return font
    small = QFont(font)
    if font.pixelSize() > 0:
        small.setPixelSize(max(8, round(font.pixelSize() * 0.75)))
    else:
        small.setPointSizeF(font.pointSizeF() * 0.75)
    return small


def symbol_width(text: str, font: QFont) -> float:
    """The width in pixels of `text` as `draw_symbol` draws it."""
    key = text, font.key()
    if key not in _WIDTHS:
        if len(_WIDTHS) >= _MOST_WIDTHS:
            _WIDTHS.clear()
        runs = _runs(text)
        _WIDTHS[key] = sum(QFontMetricsF(_font_of(run, font)).horizontalAdvance(run.text) for run in runs)
    return _WIDTHS[key]


_MOST_WIDTHS = 1024
_WIDTHS: dict[tuple[str, str], float] = {}  # by text and font; asked for at every painting


def draw_symbol(painter: QPainter, rect: QRectF, text: str, font: QFont, color: QColor) -> None:
    """Draw `text` in the middle of `rect`; hats, bars and indices sit well in every font."""
    metrics = QFontMetricsF(font)
    x = rect.center().x() - symbol_width(text, font) / 2
    baseline = rect.center().y() + (metrics.capHeight() or metrics.xHeight()) / 2
    pen = QPen(color, max(1.1, metrics.lineWidth()))
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    for run in _runs(text):
        own = _font_of(run, font)
        drop = metrics.xHeight() * 0.35 if run.index else 0.0
        painter.setFont(own)
        painter.drawText(QPointF(x, baseline + drop), run.text)
        width = QFontMetricsF(own).horizontalAdvance(run.text)
        if run.mark:
            box = QFontMetricsF(own).tightBoundingRect(run.text)
            _draw_mark(painter, run.mark, x + box.center().x(), baseline + box.top() - 2.0, metrics.xHeight())
        x += width


def _draw_mark(painter: QPainter, mark: str, x: float, y: float, x_height: float) -> None:
    half = x_height * 0.36
    if mark == _BAR:
        painter.drawLine(QPointF(x - half, y), QPointF(x + half, y))
    else:
        rise = x_height * 0.34
        painter.drawPolyline([QPointF(x - half, y), QPointF(x, y - rise), QPointF(x + half, y)])


@dataclass(frozen=True)
class _Option:
    key: str
    label: str
    tooltip: str
    enabled: bool = True
    reason: str = ""


class Segmented(QWidget):
    """One of a few options; the arrow keys move the choice once Tab has brought the focus here.

    Args:
        name: what is chosen, for those who do not see where it stands.
        stretch: takes all the width there is.
        wraps: goes on in a second row before anything is cut; so does what stretches.
    """

    changed = Signal(str)

    def __init__(
        self, name: str = "", parent: QWidget | None = None, *, stretch: bool = False, wraps: bool = False
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self._options: list[_Option] = []
        self._quantities: Mapping[str, str] = {}
        self._value = ""
        self._hovered = -1
        self._stretch, self._wraps = stretch, stretch or wraps
        self.setProperty("keepsArrows", True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMouseTracking(True)
        horizontal = QSizePolicy.Policy.Expanding if stretch else QSizePolicy.Policy.Maximum
        self.setSizePolicy(horizontal, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    @property
    def value(self) -> str:
        """The key of the choice, or an empty text while there are no options."""
        return self._value

    def set_options(self, options: Sequence[tuple[str, str, str]]) -> None:
        """Offer `options` (key, label, tooltip); keeps the choice where it is still offered."""
        self._options = [_Option(*option) for option in options]
        keys = [option.key for option in self._options]
        self._value = self._value if self._value in keys else next(iter(keys), "")
        self.updateGeometry()
        self._describe()

    def set_quantities(self, quantities: Mapping[str, str]) -> None:
        """Show the chosen label in the colour of its quantity: {"x0_hat": "x0", …}."""
        self._quantities = dict(quantities)
        self.update()

    def set_option_enabled(self, key: str, enabled: bool, reason: str = "") -> None:
        """Offer `key` or grey it out; `reason` then stands in its tooltip."""
        self._options = [
            replace(o, enabled=enabled, reason=reason) if o.key == key else o for o in self._options
        ]
        self.update()

    def set_value(self, key: str) -> None:
        """Show `key` as chosen, "" for none, without a signal. Raises ValueError for an unknown one."""
        if key and key not in [option.key for option in self._options]:
            raise ValueError(f"no option {key!r}")
        if key != self._value:
            self._value = key
            self._describe()

    def segment_rect(self, key: str) -> QRectF:
        """Where the option `key` is drawn."""
        return self._rects()[[option.key for option in self._options].index(key)]

    def sizeHint(self) -> QSize:
        return QSize(round(sum(self._natural_widths()) + 2 * _PAD), self._row_height())

    def minimumSizeHint(self) -> QSize:
        """Closer together or, where it may, in two rows; every letter is there."""
        widths = self._least_widths()
        cut = _best_cut(widths) if self._wraps else len(widths)
        needed = max(sum(widths[:cut]), sum(widths[cut:]))
        return QSize(math.ceil(needed + 2 * _PAD), self._row_height() * len(self._rows()))

    def hasHeightForWidth(self) -> bool:
        return self._wraps

    def heightForWidth(self, width: int) -> int:
        return self._row_height() * len(self._rows(width))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.minimumHeight() != (height := self.heightForWidth(self.width())):
            self.setMinimumHeight(height)

    def _row_height(self) -> int:
        return max(32, self.fontMetrics().height() + 16)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme().palette
        painter.setPen(QPen(QColor(colors.accent), 1) if self.hasFocus() else Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.fill))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 7, 7)
        for place, (option, rect) in enumerate(zip(self._options, self._rects(), strict=True)):
            if option.key == self._value:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(colors.background if colors.dark else colors.card))
                painter.drawRoundedRect(rect, 5, 5)
            draw_symbol(painter, rect, option.label, self.font(), QColor(self._ink(place, option)))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._choose(self._at(event.position()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self._at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(-1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        forward = (Qt.Key.Key_Right, Qt.Key.Key_Down)
        if event.key() in forward or event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Up):
            self._move(1 if event.key() in forward else -1)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = self._at(QPointF(event.pos()))
            option = self._options[place] if place >= 0 else None
            QToolTip.showText(event.globalPos(), (option.reason or option.tooltip) if option else "", self)
            return True
        return super().event(event)

    def _move(self, by: int) -> None:
        keys = ["", *(option.key for option in self._options)]
        place = keys.index(self._value) - 1 + by
        while 0 <= place < len(self._options):
            if self._options[place].enabled:
                return self._choose(place)
            place += by

    def _choose(self, place: int) -> None:
        if place < 0 or not self.isEnabled() or not self._options[place].enabled:
            return
        if (key := self._options[place].key) != self._value:
            self.set_value(key)
            self.changed.emit(key)

    def _hover(self, place: int) -> None:
        if place != self._hovered:
            self._hovered = place
            self.update()

    def _at(self, point: QPointF) -> int:
        return next((i for i, rect in enumerate(self._rects()) if rect.contains(point)), -1)

    def _ink(self, place: int, option: _Option) -> str:
        colors = theme().palette
        if not option.enabled or not self.isEnabled():
            return colors.faint
        if option.key == self._value:
            return colors.ink(self._quantities[option.key]) if option.key in self._quantities else colors.text
        return colors.text if place == self._hovered else colors.muted

    def _natural_widths(self) -> list[float]:
        return [max(32.0, symbol_width(option.label, self.font()) + 24) for option in self._options]

    def _least_widths(self) -> list[float]:
        return [max(24.0, symbol_width(option.label, self.font()) + 8) for option in self._options]

    def _rows(self, width: int | None = None) -> list[slice]:
        """Which options stand beside each other: all of them, or two rows where it may."""
        room, widths = (self.width() if width is None else width) - 2 * _PAD, self._least_widths()
        if not self._wraps or sum(widths) <= room or len(widths) < 2:
            return [slice(0, len(widths))]
        cut = _best_cut(widths)
        return [slice(0, cut), slice(cut, len(widths))]

    def _row_widths(self, row: slice) -> list[float]:
        """As wide as is comfortable, or closer together where there is less room."""
        wide, narrow = self._natural_widths()[row], self._least_widths()[row]
        spare = self.width() - 2 * _PAD - sum(wide)
        if spare >= 0:
            each = spare / max(1, len(wide)) if self._stretch else 0.0
            return [width + each for width in wide]
        share = max(0.0, 1 + spare / max(sum(wide) - sum(narrow), 1.0))
        return [low + share * (high - low) for low, high in zip(narrow, wide, strict=True)]

    def _rects(self) -> list[QRectF]:
        rows = self._rows()
        rects, height = list[QRectF](), self.height() / len(rows)
        for number, row in enumerate(rows):
            x = float(_PAD)
            for width in self._row_widths(row):
                rects.append(QRectF(x, number * height + _PAD, width, height - 2 * _PAD))
                x += width
        return rects

    def _describe(self) -> None:
        chosen = next((option.label for option in self._options if option.key == self._value), tr("none"))
        offered = ", ".join(option.label for option in self._options)
        self.setAccessibleDescription(tr("{chosen} chosen of {offered}", chosen=chosen, offered=offered))
        self.update()


def _best_cut(widths: Sequence[float]) -> int:
    """Where two rows begin and end so that the longer one is as short as can be."""
    cuts = range(1, max(len(widths), 2))
    return min(cuts, key=lambda cut: max(sum(widths[:cut]), sum(widths[cut:])))
