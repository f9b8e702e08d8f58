"""One parameter as a row: name and symbol, control, a tooltip that explains, a sentence if it is wrong."""

from __future__ import annotations

import html
import re
from typing import Any

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QToolTip, QWidget

from diffusion_studio.core.describe import Knob
from diffusion_studio.core.words import tr
from diffusion_studio.widgets.equations.formula import formula_html
from diffusion_studio.widgets.forms.controls import Control, NumberControl, control_for
from diffusion_studio.widgets.forms.numbers import bounds_sentence, format_number, format_numbers
from diffusion_studio.widgets.look.theme import label, theme

_QUANTITIES = (("x̂", "x0"), ("x_0", "x0"), ("x_t", "xt"), ("λ", "weight"), ("γ", "guidance"), ("ŝ", "score"),
               ("ε", "eps"), ("σ", "eps"), ("η", "eps"))  # fmt: skip
SHARES = (40, 60)  # of a row's width: its name, its control
_SUBSCRIPT = re.compile(r"_(\{[^}]*\}|\w+)")


def quantity_of(symbol: str) -> str | None:
    """The quantity whose colour a symbol takes, if it stands for one."""
    return next((key for start, key in _QUANTITIES if symbol.startswith(start)), None)


def symbol_html(symbol: str) -> str:
    """A symbol such as β_T or x_{t} as rich text."""
    return _SUBSCRIPT.sub(lambda m: f"<sub>{m[1].strip('{}')}</sub>", html.escape(symbol))


class NameLabel(QWidget):
    """A parameter's name and symbol; the name gives way with an ellipsis, the symbol never."""

    double_clicked = Signal()

    marked = False

    def __init__(self, title: str, symbol: str) -> None:
        super().__init__()
        self._title, self._symbol = title, symbol
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def sizeHint(self) -> QSize:
        return QSize(100, QFontMetrics(self.font()).height() + 10)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.double_clicked.emit()

    def shown_title(self) -> str:
        """The name as far as there is room for it."""
        room = self.width() - self._symbol_width()
        return QFontMetrics(self.font()).elidedText(self._title, Qt.TextElideMode.ElideRight, room)

    def _runs(self) -> list[tuple[str, QFont, bool]]:
        """The symbol's pieces: text, font, whether it is a subscript."""
        italic, small = QFont(self.font()), QFont(self.font())
        italic.setFamilies(["STIX Two Text", "Cambria Math", "Times New Roman", "DejaVu Serif"])
        italic.setItalic(True)
        italic.setPixelSize(round(self.fontInfo().pixelSize() * 1.1))
        small.setPixelSize(round(self.fontInfo().pixelSize() * 0.78))
        pieces = _SUBSCRIPT.split(self._symbol)
        return [(s.strip("{}"), small if i % 2 else italic, bool(i % 2)) for i, s in enumerate(pieces) if s]

    def _symbol_width(self) -> int:
        runs = self._runs()
        return (
            6 + sum(QFontMetrics(font).horizontalAdvance(text) + 1 for text, font, _ in runs) if runs else 0
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        palette = theme().palette
        painter = QPainter(self)
        metrics = QFontMetrics(self.font())
        title = self.shown_title()
        painter.setPen(QColor(palette.muted if self.isEnabled() else palette.faint))
        middle = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(self.rect(), middle, title)
        if self.marked:
            painter.fillRect(QRect(0, self.height() - 2, self.width() - 4, 2), QColor(palette.accent))
        x = metrics.horizontalAdvance(title) + 5
        key = quantity_of(self._symbol)
        ink = palette.ink(key) if key else palette.text
        painter.setPen(QColor(ink if self.isEnabled() else palette.faint))
        for text, font, lowered in self._runs():
            painter.setFont(font)
            rect = QRect(x, 4 if lowered else 0, self.width(), self.height())
            painter.drawText(rect, middle, text)
            x += QFontMetrics(font).horizontalAdvance(text) + 1
        painter.end()


class Field(QWidget):
    """The row of one knob."""

    edited = Signal(str, object)  # path, new value
    settled = Signal()

    def __init__(self, knob: Knob) -> None:
        super().__init__()
        self.knob = knob
        self._reason = self._error = self._complaint = self._note = ""
        self.name = NameLabel(knob.title, knob.symbol)
        self.control: Control = control_for(knob)
        self._sentence = label()
        self._sentence.setWordWrap(True)
        self._sentence.hide()
        self._lay_out()
        self._color()
        theme().changed.connect(self._color)
        self.name.double_clicked.connect(self.reset)
        self.control.edited.connect(lambda value: self.edited.emit(self.knob.path, value))
        self.control.settled.connect(self.settled)
        self.control.complained.connect(self._complain)
        self.control.reset_requested.connect(self.reset)
        self._name_for_readers()

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(2)
        for column, share in enumerate(SHARES):
            grid.setColumnStretch(column, share)
        grid.addWidget(self.name, 0, 0)
        grid.addWidget(self.control, 0, 1)
        grid.addWidget(self._sentence, 1, 0, 1, 2)
        self.control.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def set_marked(self, marked: bool) -> None:
        """Underlines the name, as that of a control in which something acts."""
        if marked != self.name.marked:
            self.name.marked = marked
            self.name.update()

    def _name_for_readers(self) -> None:
        symbol = f", {self.knob.symbol}" if self.knob.symbol else ""
        for widget in (self, *self.control.findChildren(QWidget)):
            widget.setAccessibleName(f"{self.knob.title}{symbol}")
            widget.setAccessibleDescription(self.knob.help)

    def set_knob(self, knob: Knob) -> None:
        """Take a changed description of the same parameter."""
        if knob != self.knob:
            self.knob = knob
            self.control.set_knob(knob)
            self._name_for_readers()

    @property
    def value(self) -> Any:
        return self.control.value

    def show_value(self, value: Any) -> None:
        """Show `value` without emitting."""
        self.control.show_value(value)

    def reset(self) -> None:
        """Go back to the default, as an edit."""
        if self.isEnabled() and self.control.isEnabled() and self.knob.default != self.value:
            self._complain("")
            self.control.show_value(self.knob.default)
            self.edited.emit(self.knob.path, self.knob.default)
            self.settled.emit()

    def set_error(self, sentence: str | None) -> None:
        """Show what is wrong with the value that stands."""
        self._error = sentence or ""
        self._show_sentence()

    def set_note(self, note: str) -> None:
        """What else there is to say about the value, in quiet words under the field."""
        self._note = note
        self._show_sentence()

    def set_reason(self, reason: str | None) -> None:
        """Grey the field, because of `reason`; None gives it back."""
        self._reason = reason or ""
        self.control.setEnabled(not self._reason)
        self.name.setEnabled(not self._reason)

    def sentence(self) -> str:
        """What stands under the field."""
        return self._complaint or self._error

    def _complain(self, sentence: str) -> None:
        self._complaint = sentence
        self._show_sentence()

    def _show_sentence(self) -> None:
        text = self.sentence() or self._note
        self._sentence.setText(text)
        self._sentence.setVisible(bool(text))
        palette = theme().palette
        size = round(self.fontInfo().pixelSize() * 0.9)
        color = palette.danger if self.sentence() else palette.muted
        self._sentence.setStyleSheet(f"color: {color}; font-size: {size}px;")

    def _color(self) -> None:
        self._show_sentence()
        key = quantity_of(self.knob.symbol)
        if isinstance(self.control, NumberControl) and self.control.slider is not None:
            self.control.slider.set_color_key(key)
        self.name.update()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.tooltip_html(), self)
            return True
        return super().event(event)

    def tooltip_html(self) -> str:
        """Name, sentence, formula, range, default and source; made only when asked for."""
        knob, palette = self.knob, theme().palette
        symbol = f" <i>{symbol_html(knob.symbol)}</i>" if knob.symbol else ""
        lines = [f"<b>{html.escape(knob.title)}</b>{symbol}", html.escape(knob.help)]
        if self._reason:
            lines.insert(1, f'<span style="color:{palette.warning}">{html.escape(self._reason)}</span>')
        if knob.formula:
            lines.append(formula_html(knob.formula, palette.text, 15))
        lines.append(f'<span style="color:{palette.muted}">{html.escape(self._facts())}</span>')
        body = "".join(f'<p style="margin:0 0 6px 0">{line}</p>' for line in lines if line)
        return f'<table width="300"><tr><td>{body}</td></tr></table>'

    def _facts(self) -> str:
        knob = self.knob
        facts = [tr("Default {value}.", value=self._words(knob.default))]
        if knob.type in ("int", "float") and (knob.low is not None or knob.high is not None):
            facts.insert(0, bounds_sentence(knob))
        if knob.source:
            facts.append(f"{knob.source}.")
        return " ".join(facts)

    def _words(self, value: Any) -> str:
        labels = dict(self.knob.options)
        if word := self.knob.word(value) or labels.get(value):
            return str(word)
        if isinstance(value, bool):
            return tr("on") if value else tr("off")
        if isinstance(value, tuple):
            return format_numbers(value) or tr("none")
        unit = f" {self.knob.unit}" if self.knob.unit else ""
        return f"{format_number(value)}{unit}" if isinstance(value, int | float) else str(value)
