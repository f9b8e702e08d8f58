"""One control per type of knob: it shows a value and emits what a person edits, never what it was given."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

from diffusion_studio.core.describe import Knob
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.widgets.forms.numbers import (
    Number,
    SliderScale,
    format_number,
    format_numbers,
    format_points,
    parse_number,
    parse_numbers,
    plain_points,
    stepped,
)
from diffusion_studio.widgets.forms.slider import ThinSlider
from diffusion_studio.widgets.forms.value_edit import ValueEdit
from diffusion_studio.widgets.look.theme import tabular, theme

VALUE_WIDTH = 66
_AROUND = 22  # pixels of a field beside its text


class Control(QWidget):
    """The base of all controls."""

    edited = Signal(object)  # the new value
    settled = Signal()  # the edit is complete
    complained = Signal(str)  # what was typed cannot be taken; "" when all is well again
    reset_requested = Signal()

    def __init__(self, knob: Knob) -> None:
        super().__init__()
        self.knob = knob
        self._value: Any = None
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)

    @property
    def value(self) -> Any:
        return self._value

    def set_knob(self, knob: Knob) -> None:
        """Take a changed description (help, options); the type stays."""
        self.knob = knob

    def show_value(self, value: Any) -> None:
        """Show `value` without emitting anything."""
        raise NotImplementedError

    def _take(self, value: Any, settled: bool = True) -> None:
        """A person chose `value`."""
        if value != self._value:
            self._value = value
            self.edited.emit(value)
            if settled:
                self.settled.emit()

    def _add(self, widget: QWidget, stretch: int = 0) -> None:
        row = self.layout()
        assert isinstance(row, QHBoxLayout)
        row.addWidget(widget, stretch)


class NumberControl(Control):
    """A thin slider, where both bounds are known, and a value field."""

    def __init__(self, knob: Knob) -> None:
        super().__init__(knob)
        self._scale = SliderScale.of(knob)
        self.slider: ThinSlider | None = None
        self.edit = ValueEdit(knob.unit)
        self.edit.setFont(tabular(self.edit.font()))
        self.edit.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.edit.setFixedWidth(self._room() + self.edit.unit_width())
        self.edit.entered.connect(self._on_entered)
        self.edit.abandoned.connect(lambda: self.complained.emit(""))
        self.edit.stepped.connect(self._on_stepped)
        if self._scale is not None:
            self._add_slider(self._scale)
        else:
            self._add(QWidget(), 1)
        self._add(self.edit)
        self.setMinimumWidth(self.minimumSizeHint().width())  # a form would give it any width

    def _add_slider(self, scale: SliderScale) -> None:
        slider = self.slider = ThinSlider()
        slider.setRange(0, scale.positions)
        slider.setPageStep(max(1, scale.positions // 10))
        slider.setSingleStep(max(1, scale.positions // 100))
        slider.valueChanged.connect(self._on_slid)
        slider.settled.connect(self.settled)
        slider.reset_requested.connect(self.reset_requested)
        self._add(slider, 1)

    def _room(self) -> int:
        """Pixels for a number, or for the longest of the words that stand for one."""
        metrics = QFontMetrics(self.edit.font())
        longest = max((metrics.horizontalAdvance(word) for _, word in self.knob.words), default=0)
        return max(VALUE_WIDTH, longest + _AROUND)

    def _text(self, value: Number) -> str:
        return self.knob.word(value) or format_number(value)

    def show_value(self, value: Number) -> None:
        same = value == self._value
        self._value = value
        if not same or not self.edit.isModified():
            self.edit.show_text(self._text(value))
        self._place_slider()

    def _place_slider(self) -> None:
        if self.slider is None or self._scale is None:
            return
        if self._scale.value(self.slider.value()) != self._value:
            self.slider.blockSignals(True)
            self.slider.setValue(self._scale.position(self._value))
            self.slider.blockSignals(False)
            self.slider.update()

    def _on_slid(self, position: int) -> None:
        assert self._scale is not None
        value = self._scale.value(position)
        self.edit.show_text(self._text(value))
        self.complained.emit("")
        self._take(value, settled=False)

    def _on_entered(self, text: str) -> None:
        try:
            value = parse_number(text, self.knob)
        except Refused as error:
            self.complained.emit(str(error))
            return
        self._set(value)

    def _on_stepped(self, steps: int) -> None:
        self._set(stepped(self._value, steps, self.knob))

    def _set(self, value: Number) -> None:
        self.complained.emit("")
        self.edit.show_text(self._text(value))
        self.edit.setModified(False)
        if value != self._value:
            self._take(value)
            self._place_slider()


class QuietCombo(QComboBox):
    """A combo box that leaves the wheel to the panel around it until it has the focus."""

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Qt's own, but what there is no room for has an ellipsis."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = self.fontMetrics().elidedText(
            self.currentText(), Qt.TextElideMode.ElideMiddle, self.room()
        )
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def room(self) -> int:
        """Pixels of width for the name of the choice."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        control, field = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        return self.style().subControlRect(control, option, field, self).width() - 2

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class ChoiceControl(Control):
    """A combo box over the options of a choice or the members of a family."""

    def __init__(self, knob: Knob) -> None:
        super().__init__(knob)
        self.combo = QuietCombo()
        self._add(self.combo, 1)
        self._fill()
        self.combo.activated.connect(lambda index: self._take(self.knob.options[index][0]))

    def set_knob(self, knob: Knob) -> None:
        changed = knob.options != self.knob.options
        super().set_knob(knob)
        if changed:
            self._fill()

    def _fill(self) -> None:
        self.combo.clear()
        for _, text in self.knob.options:
            self.combo.addItem(text)

    def show_value(self, value: Any) -> None:
        self._value = value
        index = next((i for i, (option, _) in enumerate(self.knob.options) if option == value), -1)
        self.combo.setCurrentIndex(index)


class Switch(QCheckBox):
    """A check box drawn as a switch."""

    def sizeHint(self) -> QSize:
        return QSize(36, 24)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def hitButton(self, pos: object) -> bool:
        return True

    def paintEvent(self, event: QPaintEvent) -> None:
        palette = theme().palette
        on = palette.accent if self.isChecked() else palette.hover
        track = QRect(2, (self.height() - 16) // 2, 30, 16)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(palette.text) if self.hasFocus() else Qt.PenStyle.NoPen)
        painter.setBrush(QColor(on if self.isEnabled() else palette.line))
        painter.drawRoundedRect(track, 8, 8)
        painter.setPen(Qt.PenStyle.NoPen)
        knob = palette.on_accent if self.isChecked() else palette.muted
        painter.setBrush(QColor(knob if self.isEnabled() else palette.faint))
        painter.drawEllipse(track.left() + (16 if self.isChecked() else 2), track.top() + 2, 12, 12)
        painter.end()


class SwitchControl(Control):
    """On or off."""

    def __init__(self, knob: Knob) -> None:
        super().__init__(knob)
        self.switch = Switch()
        self._add(self.switch)
        self._add(QWidget(), 1)
        self.switch.clicked.connect(lambda checked: self._take(bool(checked)))

    def show_value(self, value: bool) -> None:
        self._value = value
        self.switch.setChecked(bool(value))


class TextControl(Control):
    """A line of text."""

    def __init__(self, knob: Knob) -> None:
        super().__init__(knob)
        self.edit = ValueEdit(knob.unit)
        self._add(self.edit, 1)
        self.edit.entered.connect(self._on_entered)
        self.edit.abandoned.connect(lambda: self.complained.emit(""))

    def show_value(self, value: Any) -> None:
        same = value == self._value
        self._value = value
        if not same or not self.edit.isModified():
            self.edit.show_text(self._text(value))

    def _text(self, value: Any) -> str:
        return "" if value is None else str(value)

    def _read(self, text: str) -> Any:
        return text

    def _on_entered(self, text: str) -> None:
        try:
            value = self._read(text)
        except Refused as error:
            self.complained.emit(str(error))
            return
        self.complained.emit("")
        self.edit.show_text(self._text(value))
        self.edit.setModified(False)
        self._take(value)


class NumbersControl(TextControl):
    """A line of numbers with commas between."""

    def __init__(self, knob: Knob) -> None:
        super().__init__(knob)
        self.edit.setFont(tabular(self.edit.font()))
        self.edit.setPlaceholderText(knob.word(()) or tr("numbers, with commas"))

    def _text(self, value: Any) -> str:
        return format_numbers(tuple(value or ()))

    def _read(self, text: str) -> tuple[Number, ...]:
        return () if text.strip().lower() == self.knob.word(()).lower() else parse_numbers(text)


class PointsControl(TextControl):
    """The points of a curve, "t:value", with commas between."""

    def _text(self, value: Any) -> str:
        return value if isinstance(value, str) else format_points(value or ())

    def _read(self, text: str) -> str:
        return plain_points(text)


_CONTROLS: dict[str, type[Control]] = {
    "int": NumberControl,
    "float": NumberControl,
    "bool": SwitchControl,
    "choice": ChoiceControl,
    "family": ChoiceControl,
    "text": TextControl,
    "numbers": NumbersControl,
    "points": PointsControl,
}


def control_for(knob: Knob) -> Control:
    """A control that can edit `knob`."""
    return _CONTROLS[knob.type](knob)
