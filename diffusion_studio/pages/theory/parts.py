"""The parts of the Theory page that are lists: errata as cards, equations as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.core.theory.algorithms import Algorithm
from diffusion_studio.core.theory.equations import Equation
from diffusion_studio.core.theory.erratum import Deciding, Erratum
from diffusion_studio.core.words import number, tr
from diffusion_studio.pages import entries
from diffusion_studio.pages.page import show_algorithm
from diffusion_studio.widgets.equations.algorithm import AlgorithmBox
from diffusion_studio.widgets.equations.equation import EquationView
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.theme import Role, label, rich_label, subscripted, tabular, unbroken

WIDEST = 1100  # px; wider lines are hard to read
_ONE_LINE = 15  # digits: as wide as that, what stands in a cell of a table does not wrap
_SIDE, _WORDS = 260, 150  # px: of one version of an equation at least, and of the words beside one
_BESIDE = 640  # px: of a row from which an equation stands beside its words
_ANY = 16_777_215  # px: Qt's greatest width
PAGES = {entry.key: entry.title for entry in entries.PAGES}


class Scrolled(QScrollArea):
    """A column that scrolls, no wider than can be read, filled between what else the window has to do."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inner = QWidget()
        row = QHBoxLayout(inner)
        row.setContentsMargins(0, 0, 8, 0)
        middle = QWidget()
        middle.setMaximumWidth(WIDEST)
        row.addWidget(middle)
        self.column = QVBoxLayout(middle)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(12)
        self.setWidget(inner)
        self._rest: Iterator[object] | None = None
        self._filling = QTimer(self, interval=0)
        self._filling.timeout.connect(self._fill_on)

    def add(self, widget: QWidget) -> QWidget:
        """Puts a widget under the others."""
        self.column.addWidget(widget)
        return widget

    def fill(self, steps: Iterator[object]) -> None:
        """Takes the first step at once, and each of the others in a turn of its own."""
        self._rest = steps
        self._filling.start()
        self._fill_on()

    def _fill_on(self) -> None:
        assert self._rest is not None
        try:
            next(self._rest)
        except StopIteration:
            self._filling.stop()
            self.column.addStretch(1)

    @property
    def is_full(self) -> bool:
        """Whether everything is there."""
        return not self._filling.isActive()


def shown_number(value: float) -> str:
    """Four digits, or a power of ten where they do not tell."""
    value += 0.0  # no minus before 0
    text = number(value, ".4g" if 1e-3 <= abs(value) < 1e5 or value == 0 else ".3e")
    return f"−{text[1:]}" if text.startswith("-") else text


class ErratumCard(Card):
    """As printed beside corrected, why, and the numbers that decide it."""

    def __init__(self, erratum: Erratum) -> None:
        super().__init__()
        self._title.setTextFormat(Qt.TextFormat.RichText)
        self.set_title(subscripted(erratum.title), erratum.place)
        sides = FlowRow(spacing=24)
        for name, latex in ((tr("as printed"), erratum.printed), (tr("corrected"), erratum.corrected)):
            add_side(sides, label(name, "section"), latex)
        self.body.addLayout(sides)

    def decide(self, erratum: Erratum, numbers: Sequence[Deciding]) -> None:
        """Says why, with the numbers that show it."""
        words = rich_label(subscripted(unbroken(erratum.why)))
        words.setWordWrap(True)
        self.body.addWidget(words)
        if numbers:
            self.body.addLayout(self._table(erratum.truth, numbers))

    def _table(self, truth: str, numbers: Sequence[Deciding]) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(4)
        for column, head in enumerate(("", tr("as printed"), tr("corrected"), truth)):
            grid.addWidget(Cell(head, column > 0, "muted"), 0, column)
        for row, line in enumerate(numbers, start=1):
            cells = (line.what, *(shown_number(v) for v in (line.printed, line.corrected, line.truth)))
            wrong = abs(line.printed - line.truth) > 1e-3 * abs(line.truth)
            for column, text in enumerate(cells):
                role: Role | None = "strong" if column == 2 else None
                grid.addWidget(Cell(text, column > 0, role, column == 1 and wrong), row, column)
        grid.setColumnStretch(4, 1)
        return grid


class Cell(QLabel):
    """A cell of a table: on one line where there is room for it, on several where there is not."""

    def __init__(self, text: str, right: bool, role: Role | None = None, struck: bool = False) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.RichText)
        if role is not None:
            self.setProperty("role", role)
        self.setText(subscripted(unbroken(text)))
        self.setWordWrap(True)
        font = tabular(self.font())
        font.setStrikeOut(struck)
        self.setFont(font)
        self._written = unbroken(text)
        if right:
            self.setAlignment(Qt.AlignmentFlag.AlignRight)

    def sizeHint(self) -> QSize:
        width = self._wide(self._written)
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """What is short does not wrap."""
        short = self.fontMetrics().horizontalAdvance("0") * _ONE_LINE
        width = max(min(self._wide(self._written), short), *map(self._wide, self._written.split(" ")))
        return QSize(width, self.heightForWidth(width))

    def _wide(self, text: str) -> int:
        return self.fontMetrics().horizontalAdvance(text) + 2


def add_side(sides: FlowRow, name: QWidget, latex: str) -> None:
    """One version of an equation under its name; two stand beside each other where there is room."""
    side, equation = QWidget(), EquationView()
    side.setMinimumWidth(_SIDE)
    side.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    equation.set_equation(latex)
    column = QVBoxLayout(side)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(4)
    column.addWidget(name)
    column.addWidget(equation)
    column.addStretch(1)
    sides.addWidget(side)
    sides.setAlignment(side, Qt.AlignmentFlag.AlignTop)


class ErrataView(Scrolled):
    """All errata, one card below the other; filled when first shown."""

    def __init__(self, errata: Sequence[Erratum]) -> None:
        super().__init__(tr("Errata"))
        words = tr(
            "Where the references err: as printed against corrected, with the numbers that decide it, "
            "computed here. The linear schedule with T = 1000, unless another T is named."
        )
        intro = label(unbroken(words))
        intro.setWordWrap(True)
        self.column.addWidget(intro)
        self.fill(self._cards(errata))

    def _cards(self, errata: Sequence[Erratum]) -> Iterator[None]:
        for erratum in errata:
            numbers = erratum.numbers()
            yield
            card = ErratumCard(erratum)
            yield
            card.decide(erratum, numbers)
            yield
            self.add(card)
            yield


class EquationsView(Scrolled):
    """Every equation with its source, and a button that goes to where it acts."""

    go_requested = Signal(str, str)  # page, path of the parameter

    def __init__(self, equations: Sequence[Equation]) -> None:
        super().__init__(tr("Equations"))
        self.fill(self._rows(equations))

    def _rows(self, equations: Sequence[Equation]) -> Iterator[None]:
        for group, members in groupby(equations, key=lambda e: e.group):
            card = Card(group)
            for place, equation in enumerate(members):
                if place:
                    card.body.addWidget(_rule())
                row = EquationRow(equation)
                row.button.clicked.connect(lambda _=False, e=equation: self.go_requested.emit(e.page, e.path))
                card.body.addWidget(row)
                if not place:
                    self.column.addWidget(card)
                yield


class EquationRow(QWidget):
    """An equation between its name and its button, or below both where there is little room."""

    def __init__(self, equation: Equation) -> None:
        super().__init__()
        self.words, self.view = QWidget(), EquationView()
        column = QVBoxLayout(self.words)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for line in (rich_label(subscripted(equation.title)), label(unbroken(equation.source), "muted")):
            line.setWordWrap(True)
            column.addWidget(line)
        column.addStretch(1)
        self.view.set_equation(equation.latex)
        self.button = QPushButton(tr("Show on {page}", page=PAGES[equation.page]))
        self.button.setAccessibleName(tr("Show where it acts: {title}", title=equation.title))
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setColumnStretch(1, 1)
        self._grid.addWidget(self.button, 0, 2, Qt.AlignmentFlag.AlignTop)
        self._beside: bool | None = None
        self._lay_out(True)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out(self.width() >= _BESIDE)

    def _lay_out(self, beside: bool) -> None:
        if beside == self._beside:
            return
        self._beside = beside
        self.words.setMinimumWidth(_WORDS)
        self.words.setMaximumWidth(_WORDS if beside else _ANY)
        self._grid.addWidget(self.words, 0, 0, 1, 1 if beside else 2)
        self._grid.addWidget(self.view, *((0, 1, 1, 1) if beside else (1, 0, 1, 3)))


class AlgorithmsView(Scrolled):
    """The algorithms of the texts as boxes; on the Train and Sample pages they stand beside what runs."""

    def __init__(self, algorithms: Sequence[Algorithm]) -> None:
        super().__init__(tr("Algorithms"))
        self.fill(self._cards(algorithms))

    def _cards(self, algorithms: Sequence[Algorithm]) -> Iterator[None]:
        for algorithm in algorithms:
            card = self._card(algorithm)
            yield
            self.add(card)
            yield

    def _card(self, algorithm: Algorithm) -> Card:
        card, box = Card(), AlgorithmBox()
        show_algorithm(box, algorithm)
        card.body.addWidget(box)
        return card


def _rule() -> QFrame:
    line = QFrame()
    line.setProperty("edge", "top")
    line.setFixedHeight(1)
    return line
