"""A form generated from the knobs of a frozen choice; it shows values and says what a person changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from PySide6.QtCore import QPointF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from diffusion_studio.core.describe import Choice, Knob, get_value, knobs
from diffusion_studio.core.words import tr
from diffusion_studio.widgets.forms.field import Field
from diffusion_studio.widgets.frame.focus import stops
from diffusion_studio.widgets.look.theme import label, theme

Sections = Sequence[tuple[str, Sequence[str]]]


class Fold(QAbstractButton):
    """The line that opens and closes the advanced parameters of a section."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setText(tr("Advanced"))
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self.text()) + 20, metrics.height() + 8)

    def paintEvent(self, event: QPaintEvent) -> None:
        palette = theme().palette
        lit = self.hasFocus() or self.underMouse()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(palette.accent if self.hasFocus() else palette.muted), 1.5))
        y = self.height() / 2
        if self.isChecked():
            chevron = [QPointF(1, y - 2), QPointF(5, y + 2), QPointF(9, y - 2)]
        else:
            chevron = [QPointF(3, y - 4), QPointF(7, y), QPointF(3, y + 4)]
        painter.drawPolyline(chevron)
        painter.setPen(QColor(palette.text if lit else palette.muted))
        middle = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(self.rect().adjusted(16, 0, 0, 0), middle, self.text())
        painter.end()


class Section(QWidget):
    """A title, its fields, and its advanced fields folded away."""

    def __init__(self, title: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.title: QLabel = label(title, "section")
        self.fold = Fold(self)
        self.fold.toggled.connect(self._show_folded)
        self._fields: list[Field] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(6)
        self._column.addWidget(self.title)
        self._column.addWidget(self.fold)
        self.title.setVisible(bool(title))  # not before it has a parent: it would be a window

    def set_fields(self, fields: Sequence[Field]) -> None:
        """Lay these out in this order; fields that stay keep their focus."""
        plain = [f for f in fields if not f.knob.advanced]
        advanced = [f for f in fields if f.knob.advanced]
        wanted = [self.title, *plain, self.fold, *advanced]
        while self._column.count():
            self._column.takeAt(0)
        for widget in wanted:
            self._column.addWidget(widget)
        self._fields = [*plain, *advanced]
        self.fold.setVisible(bool(advanced))
        title = self.title.text()
        of_this = tr("Advanced parameters of {section}", section=title) if title else ""
        self.fold.setAccessibleName(of_this or tr("Advanced parameters of this form"))
        self._show_folded()
        self.setVisible(bool(fields))

    def in_order(self) -> list[QWidget]:
        """What the Tab key visits, in reading order."""
        plain: list[QWidget] = [f.control for f in self._fields if not f.knob.advanced]
        return [*plain, self.fold, *(f.control for f in self._fields if f.knob.advanced)]

    def unfold(self, field: Field) -> None:
        """Make `field` visible."""
        if field.knob.advanced:
            self.fold.setChecked(True)

    def _show_folded(self) -> None:
        for field in self._fields:
            field.setVisible(not field.knob.advanced or self.fold.isChecked())


class Form(QWidget):
    """Fields for the parameters of a `Choice`.

    `sections` gives titles and, for each, the paths (or the beginnings of paths) shown under it; a parameter
    that no section names is not shown. Without sections, all parameters stand under no title.
    """

    edited = Signal(str, object)  # path, new value
    edit_finished = Signal()  # one undo step is complete

    def __init__(self, sections: Sections | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plan: Sections = sections if sections is not None else [("", [""])]
        self._fields: dict[str, Field] = {}
        self._reasons: dict[str, str] = {}
        self._options: dict[str, tuple[tuple[Any, str], ...]] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(16)
        self._sections = [Section(title, self) for title, _ in self._plan]
        for section in self._sections:
            column.addWidget(section)
        self._order: list[list[str]] = [[] for _ in self._sections]

    @property
    def paths(self) -> tuple[str, ...]:
        """The parameters shown, in reading order."""
        return tuple(path for paths in self._order for path in paths)

    def field(self, path: str) -> Field:
        """The row of a parameter.

        Raises:
            KeyError: it is not shown.
        """
        return self._fields[path]

    def set_choice(self, choice: Choice) -> None:
        """Show the values of `choice`; rows are made and dropped only where its parameters differ."""
        found = (k for k in knobs(choice) if k.type != "files")  # files are chosen by their pictures
        shown = {k.path: self._offered(k) for k in found if self._section_of(k.path) is not None}
        self._update_fields(shown)
        for path, field in self._fields.items():
            field.show_value(get_value(choice, path))

    def set_options(self, path: str, options: Sequence[tuple[Any, str]]) -> None:
        """Offer a parameter as a choice between these values, each with its name; none: as it is described.

        Takes effect with the next `set_choice`.
        """
        self._options[path] = tuple(options)

    def _offered(self, knob: Knob) -> Knob:
        options = self._options.get(knob.path)
        return replace(knob, type="choice", options=options) if options else knob

    def mark(self, *paths: str) -> None:
        """Mark the rows of these parameters, as where something acts; none takes the marks away."""
        for path, field in self._fields.items():
            field.set_marked(path in paths)

    def reveal(self, path: str) -> bool:
        """Brings a parameter into sight and gives it the focus; False when it is not shown here."""
        section = self._section_of(path)
        if path not in self._fields or section is None:
            return False
        field = self._fields[path]
        self._sections[section].unfold(field)
        for control in stops(field.control)[:1]:
            control.setFocus(Qt.FocusReason.TabFocusReason)
        QTimer.singleShot(0, field, lambda: _scroll_to(field))  # once the page is laid out
        return True

    def set_error(self, path: str, sentence: str | None) -> None:
        """Say under a field what is wrong with it; None takes the sentence back."""
        if path in self._fields:
            field = self._fields[path]
            field.set_error(sentence)
            section = self._section_of(path)
            if sentence and section is not None:
                self._sections[section].unfold(field)

    def set_note(self, path: str, note: str) -> None:
        """Say something quietly under a field."""
        if path in self._fields:
            self._fields[path].set_note(note)

    def set_disabled_reasons(self, reasons: Mapping[str, str]) -> None:
        """Grey exactly these parameters (paths or beginnings of paths), each with its reason."""
        self._reasons = dict(reasons)
        for field in self._fields.values():
            self._apply_reason(field)

    def _apply_reason(self, field: Field) -> None:
        path = field.knob.path
        field.set_reason(next((why for start, why in self._reasons.items() if _below(path, start)), None))

    def _section_of(self, path: str) -> int | None:
        for i, (_, starts) in enumerate(self._plan):
            if any(_below(path, start) for start in starts):
                return i
        return None

    def _update_fields(self, shown: Mapping[str, Knob]) -> None:
        for path in list(self._fields):
            if path not in shown or _shape(shown[path]) != _shape(self._fields[path].knob):
                gone = self._fields.pop(path)
                gone.hide()
                gone.deleteLater()
        fresh = [path for path in shown if path not in self._fields]
        for path, knob in shown.items():
            if path in fresh:
                self._fields[path] = self._new_field(knob)
            else:
                self._fields[path].set_knob(knob)
        order = [[p for p in shown if self._section_of(p) == i] for i in range(len(self._sections))]
        if fresh or order != self._order:
            self._arrange(order)

    def _new_field(self, knob: Knob) -> Field:
        field = Field(knob)
        field.edited.connect(self.edited)
        field.settled.connect(self.edit_finished)
        self._apply_reason(field)
        return field

    def _arrange(self, order: list[list[str]]) -> None:
        self._order = order
        self._fields = {path: self._fields[path] for paths in order for path in paths}
        for section, paths in zip(self._sections, order, strict=True):
            section.set_fields([self._fields[path] for path in paths])
        controls = [control for section in self._sections for control in section.in_order()]
        for before, after in pairwise(stop for control in controls for stop in stops(control)):
            QWidget.setTabOrder(before, after)


def _scroll_to(field: QWidget) -> None:
    parent: QWidget | None = field
    while parent is not None and not isinstance(parent, QScrollArea):
        parent = parent.parentWidget()
    if isinstance(parent, QScrollArea):
        parent.ensureWidgetVisible(field, 0, parent.height() // 3)


def _below(path: str, start: str) -> bool:
    return not start or path == start or path.startswith(f"{start}.")


def _shape(knob: Knob) -> tuple[Any, ...]:
    """What a row is built from; the rest of a knob it can change in place."""
    return knob.type, knob.title, knob.symbol, knob.unit, knob.low, knob.high, knob.scale, knob.advanced
