"""The images in the middle of the Train page: as the network will see them, and what there is to know."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QResizeEvent
from PySide6.QtWidgets import QColorDialog, QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from diffusion_studio.core.words import number, plural, tr
from diffusion_studio.viewmodels.train.overview import LeftOut, Overview
from diffusion_studio.viewmodels.train.state import TrainState, fixed_reasons
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.frame.scrolling import ScrollColumn
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.images.grid_plan import GAP
from diffusion_studio.widgets.look.theme import label, tabular
from diffusion_studio.widgets.plots.bars import BarSeries, OccupancyBars

SHAPE = ("data.resolution", "data.fit", "data.background")
CLASSES = 20  # with a bar of their own
LETTERS = 18  # of the name of a class beside its bar
SIDE = 32  # pixels of a picture at least
NARROW = 290  # pixels that the fields and the bars need


class _Pictures(ImageGrid):
    """Says when it has other room, and for how many pictures."""

    resized = Signal()

    @property
    def room(self) -> int:
        """How many pictures with words below them are not too small to be seen."""
        below = self.fontMetrics().height() + GAP
        return max(1, (self.width() + GAP) // (SIDE + GAP)) * max(1, self.height() // (SIDE + below))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.resized.emit()


class ImagesView(QWidget):
    """Pictures on the left, what shapes them and the numbers on the right."""

    edited = Signal(str, object)
    settled = Signal()
    skipped_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pictures = _Pictures(tr("Images as the network will see them"), selectable=False)
        self.pictures.resized.connect(self._fill_room)
        self._shown: Overview | None = None
        self._room = 0
        self.form = Form(((tr("As the network sees them"), list(SHAPE)),))
        self.form.edited.connect(self.edited)
        self.form.edit_finished.connect(self.settled)
        self.colour = QPushButton(tr("Choose the background …"))
        self.colour.clicked.connect(self._choose_colour)
        self._background = "#ffffff"
        self._build_facts()
        card = Card()
        card.body.addWidget(self.pictures, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(card, 3)
        side = ScrollColumn(self._build_side())
        side.setMinimumWidth(NARROW)
        row.addWidget(side, 2)

    def _build_facts(self) -> None:
        self.facts, self._fact_rows = Card(tr("What there is")), QGridLayout()
        self._fact_rows.setHorizontalSpacing(12)
        self._fact_rows.setColumnStretch(1, 1)
        self.facts.body.addLayout(self._fact_rows)
        self.classes, self.bars = Card(tr("Classes")), OccupancyBars()
        self.bars.setAccessibleName(tr("Classes"))
        self.classes.body.addWidget(self.bars)
        self.left_out, self._reasons = Card(tr("Left out")), QVBoxLayout()
        self.left_out.body.addLayout(self._reasons)
        self.files = QPushButton(tr("Show the files …"))
        self.files.setProperty("link", True)
        self.files.clicked.connect(self.skipped_requested)
        self.left_out.body.addWidget(self.files, 0, Qt.AlignmentFlag.AlignLeft)

    def _build_side(self) -> QWidget:
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        shape = Card()
        shape.body.addWidget(self.form)
        shape.body.addWidget(self.colour, 0, Qt.AlignmentFlag.AlignLeft)
        for card in (shape, self.facts, self.classes, self.left_out):
            column.addWidget(card)
        column.addStretch(1)
        return side

    def _choose_colour(self) -> None:
        dialog = QColorDialog(QColor(self._background), self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(tr("Background"))
        dialog.colorSelected.connect(self._take_colour)
        dialog.open()

    def _take_colour(self, colour: QColor) -> None:
        self.edited.emit("data.background", colour.name())
        self.settled.emit()

    # --- what is shown ----------------------------------------------------------------------------------

    def show_state(self, before: TrainState | None, state: TrainState) -> None:
        """Renders what differs from the state before."""
        if before is None or before.config != state.config or before.errors != state.errors:
            self.form.set_choice(state.config)
            for path in SHAPE:
                self.form.set_error(path, dict(state.errors).get(path))
            self._background = state.config.data.background
        if before is None or before.busy != state.busy:
            self.form.set_disabled_reasons(fixed_reasons(state))
            self.colour.setEnabled(not state.busy)
        if before is None or before.overview is not state.overview or before.reading != state.reading:
            self._show_overview(state)

    def _show_overview(self, state: TrainState) -> None:
        found = state.overview
        self.pictures.set_empty_text(
            tr("The images are being read …") if state.reading is not None else tr("There are no images yet.")
        )
        self._shown = found
        self._show_pictures()
        for card in (self.facts, self.classes, self.left_out):
            card.setVisible(found is not None)
        if found is not None:
            self._show_facts(found)
            self._show_classes(found)
            self._show_left_out(found.left_out)

    def _fill_room(self) -> None:
        if self.pictures.room != self._room:
            self._show_pictures()

    def _show_pictures(self) -> None:
        """As many as can be seen in the room that there is, evenly from all: of every class."""
        found, self._room = self._shown, self.pictures.room
        if found is None:
            self.pictures.set_images(None)
            self.pictures.set_captions(())
            return
        last, count = len(found.pictures) - 1, min(self._room, len(found.pictures))
        chosen = np.linspace(0, last, count).astype(np.int64)
        self.pictures.set_images(found.pictures[chosen])
        self.pictures.set_captions([found.captions[k] for k in chosen] if found.captions else ())

    def _show_facts(self, found: Overview) -> None:
        _clear(self._fact_rows)
        self.facts.set_title(found.name)
        for row, (what, much) in enumerate(found.facts):
            value = label(much)
            value.setWordWrap(True)
            value.setFont(tabular(value.font()))
            self._fact_rows.addWidget(label(what, "muted"), row, 0, Qt.AlignmentFlag.AlignTop)
            self._fact_rows.addWidget(value, row, 1)

    def _show_classes(self, found: Overview) -> None:
        self.classes.setVisible(bool(found.classes))
        most = sorted(found.classes, key=lambda each: -each[1])[:CLASSES]
        total = sum(count for _, count in found.classes) or 1
        more = len(found.classes) - len(most)
        classes = plural("{n} class", "{n} classes", len(found.classes))
        self.classes.set_title(classes, tr("{n} more", n=more) if more else "")
        shares = BarSeries("", [count / total for _, count in most], "x0")
        self.bars.set_bars([f"{_short(name)}  {number(count, ',')}" for name, count in most], [shares])

    def _show_left_out(self, groups: tuple[LeftOut, ...]) -> None:
        _clear(self._reasons)
        self.files.setVisible(bool(groups))
        total = sum(group.count for group in groups)
        files = plural("{n} file", "{n:,} files", total) if total else tr("nothing")
        self.left_out.set_title(tr("Left out"), files)
        for group in groups:
            words = label(group.words)
            words.setWordWrap(True)
            example = ElidedLabel(group.example, "muted")
            example.elide_middle()
            self._reasons.addWidget(words)
            self._reasons.addWidget(example)


def _short(name: str) -> str:
    """A name with letters of its middle left out."""
    if len(name) <= LETTERS:
        return name
    half = LETTERS // 2
    return f"{name[:half]}…{name[1 - half :]}"


def _clear(rows: QGridLayout | QVBoxLayout) -> None:
    while rows.count():
        item = rows.takeAt(0)
        if item is not None and (gone := item.widget()) is not None:
            gone.hide()
            gone.deleteLater()
