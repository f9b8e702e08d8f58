"""The bar above a page: its title, what it works on, and what can be undone."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, SignalInstance
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.look.icons import set_icon
from diffusion_studio.widgets.look.theme import GRID, label, tabular, tip

_LONGEST = 40  # characters of a chip's value; the tooltip has all of it


class Header(QWidget):
    """Title and chips on the left, page buttons and undo and redo on the right."""

    undo_requested = Signal()
    redo_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setProperty("panel", True)
        self.setProperty("edge", "bottom")
        self.setFixedHeight(6 * GRID)
        self._title = label(role="title")
        self._chips: list[_Chip] = []
        self._chip_row = _row(GRID)
        self._slot = _row(GRID)
        self._undo = self._step_button("undo", QKeySequence.StandardKey.Undo, self.undo_requested)
        self._redo = self._step_button("redo", QKeySequence.StandardKey.Redo, self.redo_requested)
        self.set_undo(False)
        self.set_redo(False)
        row = QHBoxLayout(self)
        row.setContentsMargins(20, 0, 20, 0)
        row.setSpacing(2 * GRID)
        row.addWidget(self._title)
        row.addLayout(self._chip_row)
        row.addStretch(1)
        row.addLayout(self._slot)
        steps = _row(GRID // 2)
        steps.addWidget(self._undo)
        steps.addWidget(self._redo)
        row.addLayout(steps)

    def set_title(self, text: str) -> None:
        self._title.setText(text)

    def set_chips(self, chips: Sequence[tuple[str, str]]) -> None:
        """Show `chips` (label, value) in a row; one with an empty label shows its value alone."""
        while len(self._chips) > len(chips):
            gone = self._chips.pop()
            self._chip_row.removeWidget(gone)
            gone.hide()
            gone.deleteLater()
        while len(self._chips) < len(chips):
            self._chips.append(_Chip(self))
            self._chip_row.addWidget(self._chips[-1])
        for chip, (name, value) in zip(self._chips, chips, strict=True):
            chip.set(name, value)

    def add_action_widget(self, widget: QWidget) -> None:
        """Put `widget` to the left of undo."""
        self._slot.addWidget(widget)

    def set_undo(self, enabled: bool, text: str = "") -> None:
        """Whether something can be undone, and what: "stochasticity η"."""
        what = tr("Undo {what}", what=text) if text else tr("Undo")
        _show_step(self._undo, what, enabled, tr("Nothing to undo"))

    def set_redo(self, enabled: bool, text: str = "") -> None:
        what = tr("Redo {what}", what=text) if text else tr("Redo")
        _show_step(self._redo, what, enabled, tr("Nothing to redo"))

    def _step_button(self, icon: str, key: QKeySequence.StandardKey, signal: SignalInstance) -> QToolButton:
        button = QToolButton(self)
        button.setProperty("flat", True)
        button.setProperty("keys", QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText))
        button.clicked.connect(signal)
        set_icon(button, icon)
        return button


def _show_step(button: QToolButton, what: str, enabled: bool, nothing: str) -> None:
    button.setEnabled(enabled)
    button.setAccessibleName(what)
    button.setToolTip(f"{what} ({button.property('keys')})" if enabled else nothing)


class _Chip(QFrame):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("chip", True)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._name, self._value = label(role="muted"), ElidedLabel()
        self._value.setFont(tabular(self._value.font()))
        self._value.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)  # the chip says all of it
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 4, 10, 4)
        row.setSpacing(6)
        row.addWidget(self._name)
        row.addWidget(self._value)

    def set(self, name: str, value: str) -> None:
        shown = value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
        self._name.setText(name)
        self._name.setVisible(bool(name))
        self._value.setText(shown)
        self._value.set_short(_most_telling(shown))
        self.setToolTip(tip(f"{name} {value}".strip()))


def _most_telling(value: str) -> str:
    """What is left of a value in little room: "CPU" of "CPU · 1 thread", "5,995" of "step 5,995"."""
    step = tr("step {step:,}", step=0).removesuffix("0")
    return value.removeprefix(step) if value.startswith(step) else value.partition(" · ")[0]


def _row(spacing: int) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(spacing)
    return row
