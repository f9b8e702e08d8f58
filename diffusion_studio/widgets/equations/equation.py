"""An equation in the palette's colours: terms that flow over lines, the numbers of this step below them."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

from PySide6.QtCore import QByteArray, QEvent, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from diffusion_studio.core.words import tr
from diffusion_studio.widgets.equations.formula import (
    cached_formula,
    formula_html,
    formula_svg,
    opened,
    prewarm,
    split_terms,
    tint,
)
from diffusion_studio.widgets.equations.layout import Box, Placed, Style, Term, flow, follows_left_side
from diffusion_studio.widgets.equations.rendering import rendering
from diffusion_studio.widgets.look.theme import Palette, tabular, theme, unbroken

__all__ = ["EquationView", "Term", "formula_html", "formula_svg", "prewarm", "terms"]

_RENDERED = 20.0  # the size every formula is rendered at; painting scales it
_SMALLEST = 11.0  # no formula is shrunk below this to fit


def terms(source: str | Sequence[Term]) -> tuple[Term, ...]:
    """`source` as terms; LaTeX is cut at its top-level sums and relations, and a minus may open it."""
    found = [Term(part) for part in split_terms(source)] if isinstance(source, str) else list(source)
    found[:1] = [replace(term, latex=opened(term.latex)) for term in found[:1]]
    return tuple(found)


_WIDTHS = 4  # in which an arrangement is kept; a layout asks for two or three
_FORMULA = Style(18.0, "text")
_NUMBERS = Style(13.0, "muted")
_CAPTION = Style(12.0, "muted")


class EquationView(QWidget):
    """Draws an equation, its current numbers and a caption; says which term the pointer is on.

    In LaTeX, `\\quantity{eps}{\\hat\\varepsilon}` takes that quantity's colour.
    """

    term_hovered = Signal(str)  # the term's name, "" when the pointer leaves it

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._formula: tuple[Term, ...] = ()
        self._numbers: tuple[Term, ...] = ()
        self._caption: tuple[Term, ...] = ()
        self._marked: frozenset[str] = frozenset()
        self._placed: list[Placed] = []
        self._arranged: dict[float, tuple[list[Placed], float]] = {}  # by the width; layouts ask often
        self._subject: Hashable = None
        self._held = 0.0  # the greatest height of this subject in this width, whatever its numbers are
        self._hovered = ""
        self._pictures: dict[bytes, QSvgRenderer] = {}
        self.setMouseTracking(True)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        theme().changed.connect(self._refresh)

    _waiting = False  # for formulas to be rendered

    def set_equation(
        self,
        latex: str | Sequence[Term],
        numbers: str | Sequence[Term] = (),
        caption: str = "",
        subject: Hashable = None,
    ) -> None:
        """Show the formula, its numbers below it and a caption under both.

        Equations of one `subject`, the steps of a chain, share a height: what stands around them does not
        jump when one is shown after another.
        """
        state = (
            terms(latex),
            terms(numbers),
            tuple(Term(text=word) for word in re.findall(r"[^ \n]+", unbroken(caption))),
        )
        if state != (self._formula, self._numbers, self._caption):
            if subject != self._subject or (subject is None and state[0] != self._formula):
                self._held = 0.0
            self._subject = subject
            self._formula, self._numbers, self._caption = state
            self.setAccessibleName(tr("Equation"))
            self.setAccessibleDescription(self._spoken())
            self._refresh()

    def set_numbers(self, numbers: str | Sequence[Term]) -> None:
        """Change the numbers alone: cheap enough for every frame if those that change are plain text."""
        new = terms(numbers)
        if new != self._numbers:
            self._numbers = new
            self.setAccessibleDescription(self._spoken())
            self._refresh()

    def mark(self, *names: str) -> None:
        """Underline the terms with these names: those that a control touches."""
        self._marked = frozenset(names)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(280, self.heightForWidth(self.width() if self.testAttribute(_RESIZED) else 280))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 24)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        unknown = width not in self._arranged and (self._waiting or self._missing() is not None)
        if unknown:  # how long its LaTeX is says nothing of how high it will be
            return max(round(self._held), self.minimumSizeHint().height())
        height = self._arranged_in(width)[1]
        return round(max(height, self._held) if width == self.width() else height)

    def _spoken(self) -> str:
        pieces = [t.text or t.latex for t in (*self._formula, *self._numbers, *self._caption)]
        said = " ".join(pieces)
        return said.replace("\u00a0", " ").replace("\u2060", "")  # what holds words on a line is not said

    @property
    def baseline(self) -> float | None:
        """On which its first line stands, from the top; None while it is not rendered."""
        return self._placed[0].baseline if self._placed else None

    # layout

    def _refresh(self) -> None:
        self._arranged.clear()
        if self._missing() is not None:
            self._waiting = True
            rendering().ask(self)  # what stands there stays until the new formula is ready
            return
        held, waited, self._waiting = self._held, self._waiting, False
        self._place()
        if waited or round(held) != round(self._held):  # a layout may have asked while it waited
            self.setMinimumHeight(round(self._held))
            self.updateGeometry()
        self.update()

    def _place(self) -> None:
        """Numbers that change may take a line more: what stands around them does not jump back and forth."""
        self._placed, height = self._arranged_in(self.width())
        self._held = max(self._held, height)

    def _missing(self) -> tuple[str, str] | None:
        palette = theme().palette
        for group, style in self._groups():
            for term in group:
                key = _source(term, style, palette)
                if key[0] and cached_formula(*key, _RENDERED) is None and key not in _UNREADABLE:
                    return key
        return None

    def to_render(self) -> Callable[[], None] | None:
        """What renders the next formula, in any thread; None where all are there."""
        missing = self._missing()
        return None if missing is None else partial(_render, missing)

    def rendered(self) -> None:
        """Draws what is there, or asks again while a formula is missing."""
        self._refresh()

    def _groups(self) -> list[tuple[tuple[Term, ...], Style]]:
        unit = self.fontInfo().pixelSize() / 13.0
        groups = [(self._formula, _FORMULA), (self._numbers, _NUMBERS), (self._caption, _CAPTION)]
        return [(group, replace(style, size=style.size * unit)) for group, style in groups if group]

    def _arranged_in(self, width: float) -> tuple[list[Placed], float]:
        if width not in self._arranged:
            if len(self._arranged) >= _WIDTHS:
                self._arranged.clear()
            self._arranged[width] = self._arrange(width)
        return self._arranged[width]

    def _arrange(self, width: float) -> tuple[list[Placed], float]:
        placed: list[Placed] = []
        y = 0.0
        for group, style in self._groups():
            y += 6.0 if placed else 0.0
            lines, y = flow(self._boxes(group, style, width), style, width, y)
            placed += lines
        return placed, y + 2.0

    def _boxes(self, group: Sequence[Term], style: Style, width: float) -> list[Box]:
        """The terms, measured; what a left side is equal to is made smaller where it then fits beside it."""
        boxes: list[Box] = []
        for term in group:
            left = boxes[-1].width + style.size * style.gap if follows_left_side(term, boxes) else 0.0
            beside = self._box(term, style, width - left)
            boxes.append(beside if left + beside.width <= width else self._box(term, style, width))
        return boxes

    def _box(self, term: Term, style: Style, width: float) -> Box:
        latex, color = _source(term, style, theme().palette)
        svg = cached_formula(latex, color, _RENDERED) if latex else None
        if svg is None:
            return _text_box(term, style, color, self.font())
        picture = self._picture(svg)
        box = picture.viewBoxF()
        scale = style.size / _RENDERED
        scale = max(min(scale, width / max(box.width(), 1.0)), min(scale, _SMALLEST / _RENDERED))
        above, below = -box.top() * scale, box.bottom() * scale
        return Box(term, box.width() * scale, above, below, color, self.font(), picture)

    def _picture(self, svg: bytes) -> QSvgRenderer:
        if svg not in self._pictures:
            if len(self._pictures) > 64:
                self._pictures.clear()
            self._pictures[svg] = QSvgRenderer(QByteArray(svg))
        return self._pictures[svg]

    # painting and pointing

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for placed in self._placed:
            _paint(painter, placed)
            name = placed.box.term.name
            if name and (name == self._hovered or name in self._marked):
                rect = placed.rect
                line = QRectF(rect.left(), rect.bottom() + 1, rect.width(), 2)
                painter.fillRect(line, QColor(theme().palette.accent))
        painter.end()

    def resizeEvent(self, event: object) -> None:
        if self._missing() is None:
            self._held = 0.0
            self._place()
            self.setMinimumHeight(round(self._held))
            # A layout that is placing this widget does not hear that it needs another height now.
            QTimer.singleShot(0, self, self.updateGeometry)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        term = self.term_at(event.position())
        self._hover(term.name if term else "")

    def leaveEvent(self, event: QEvent) -> None:
        self._hover("")

    def term_at(self, position: QPointF) -> Term | None:
        """The term under a point of the widget."""
        margins = (-2.0, -2.0, 2.0, 2.0)
        return next((p.box.term for p in self._placed if p.rect.adjusted(*margins).contains(position)), None)

    def _hover(self, name: str) -> None:
        if name != self._hovered:
            self._hovered = name
            self.term_hovered.emit(name)
            self.update()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            term = self.term_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), term.tooltip if term else "", self)
            return True
        if event.type() == QEvent.Type.FontChange:
            self._held = 0.0
            self._refresh()
        return super().event(event)


_RESIZED = Qt.WidgetAttribute.WA_Resized
_UNREADABLE: set[tuple[str, str]] = set()  # drawn as they were written


def _render(source: tuple[str, str]) -> None:
    """Has a formula ready, or known as one that cannot be read."""
    try:
        formula_svg(*source, _RENDERED)
    except ValueError:
        _UNREADABLE.add(source)


def _source(term: Term, style: Style, palette: Palette) -> tuple[str, str]:
    """The LaTeX to render ("" for text) and its colour."""
    color = _ink(palette, term.color_key or style.color_key)
    return "" if term.text else _tinted(term.latex, palette), color


@lru_cache(maxsize=2048)
def _tinted(latex: str, palette: Palette) -> str:
    """In the colours of the palette; the terms of a chain are asked for at every frame."""
    return tint(latex, {key: palette.ink(key) for key in palette.quantity})


def _ink(palette: Palette, key: str) -> str:
    return palette.ink(key) if key in palette.quantity else str(getattr(palette, key))


def _text_box(term: Term, style: Style, color: str, font: QFont) -> Box:
    font = tabular(font)
    font.setPixelSize(max(1, round(style.size)))
    metrics = QFontMetricsF(font)
    width = metrics.horizontalAdvance(term.text or term.latex)
    return Box(term, width, metrics.ascent(), metrics.descent(), color, font)


def _paint(painter: QPainter, placed: Placed) -> None:
    box = placed.box
    if box.picture is not None:
        box.picture.render(painter, placed.rect)
        return
    painter.setFont(box.font)
    painter.setPen(QColor(box.color))
    painter.drawText(QPointF(placed.x, placed.baseline), box.term.text or box.term.latex)
