"""Terms of an equation as boxes that flow over lines: where a line breaks, and what stands between two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from PySide6.QtCore import QRectF
from PySide6.QtGui import QFont
from PySide6.QtSvg import QSvgRenderer

from diffusion_studio.widgets.equations.formula import (
    begins_relation,
    begins_statement,
    begins_summand,
    ends_in_operator,
    openings,
)


@dataclass(frozen=True)
class Term:
    """One piece of an equation: LaTeX, or plain `text` where digits change many times a second.

    `color_key` is a quantity ("x0", "eps", …) or a colour of the palette ("muted", "accent", …).
    A term that `opens` is the word before another equation: "with".
    """

    latex: str = ""
    color_key: str | None = None
    tooltip: str = ""
    name: str = ""
    text: str = ""
    opens: bool = False


@dataclass(frozen=True)
class Style:
    """How a line of terms is set."""

    size: float
    color_key: str
    gap: float = 0.28  # between terms, in sizes
    leading: float = 0.35  # between lines, in sizes


@dataclass(frozen=True)
class Box:
    """A measured term: width, height above and below the baseline, and what to draw."""

    term: Term
    width: float
    ascent: float
    descent: float
    color: str
    font: QFont
    picture: QSvgRenderer | None = None


@dataclass(frozen=True)
class Placed:
    """A box and where it stands."""

    box: Box
    x: float
    baseline: float

    @property
    def rect(self) -> QRectF:
        box = self.box
        return QRectF(self.x, self.baseline - box.ascent, box.width, box.ascent + box.descent)


def flow(boxes: Sequence[Box], style: Style, width: float, y: float) -> tuple[list[Placed], float]:
    """Boxes in lines no wider than `width`, on common baselines, from `y` down."""
    gap = style.size * style.gap
    lines: list[list[tuple[float, Box]]] = [[]]
    x = 0.0
    for box, wholes in _with_wholes(boxes, gap):
        wanted = next((whole for whole in wholes if whole <= width), box.width)
        x += _space(lines[-1][-1][1], box, gap) if lines[-1] else 0.0
        if lines[-1] and x + wanted > width:
            lines.append([])
            x = 0.0
        lines[-1].append((x, box))
        x += box.width
    placed: list[Placed] = []
    for i, line in enumerate(lines):
        y += (style.size * style.leading if i else 0.0) + max((b.ascent for _, b in line), default=0.0)
        placed += [Placed(box, x, y) for x, box in line]
        y += max((b.descent for _, b in line), default=0.0)
    return placed, y


def _space(before: Box, box: Box, gap: float) -> float:
    """Between two terms of a line: nothing beside the picture of an operator, which has its own room."""
    beside = box.picture is not None and begins_summand(_written(box.term))
    after = before.picture is not None and ends_in_operator(_written(before.term))
    return 0.0 if beside or after else gap


def _with_wholes(boxes: Sequence[Box], gap: float) -> Iterator[tuple[Box, list[float]]]:
    """Each box with the widths of what begins with it and rather stays on a line, the widest first.

    These are a statement, a summand, and what stands between brackets.
    """
    rest, bars = list(boxes), 0
    statements = _cut(boxes, lambda box, _: _begins_statement(box))
    for statement in statements:
        for summand in _cut(statement, _begins_summand):
            for box in summand:
                wholes = [statement] if box is statement[0] else []
                wholes += [summand] if box is summand[0] else []
                wholes += [_in_brackets(rest, bars)]
                rest, bars = rest[1:], bars + openings(box.term.latex)[1]
                yield box, sorted((_wide(whole, gap) for whole in wholes), reverse=True)


def _in_brackets(boxes: list[Box], bars: int) -> list[Box]:
    """As far as the brackets go that the first of them opens; `bars` of norms stand before it."""
    depth = 0
    for number, box in enumerate(boxes, start=1):
        opened, drawn = openings(box.term.latex)
        depth, bars = depth + opened, bars + drawn
        if depth <= 0 and bars % 2 == 0:
            return boxes[:number]
    return boxes[:1]


def _wide(boxes: Sequence[Box], gap: float) -> float:
    """The width of boxes on one line."""
    return sum(b.width for b in boxes) + sum(_space(a, b, gap) for a, b in pairwise(boxes))


def _cut(boxes: Sequence[Box], begins: Callable[[Box, Sequence[Box]], bool]) -> list[list[Box]]:
    """The boxes in groups; `begins` says of a box, and of the group before it, whether it opens one."""
    groups: list[list[Box]] = []
    for box in boxes:
        if not groups or begins(box, groups[-1]):
            groups.append([])
        groups[-1].append(box)
    return groups


def _begins_summand(box: Box, before: Sequence[Box]) -> bool:
    """A line rather breaks before a sum or relation than inside a product, or after a lone left side.

    In words it breaks after a dot between them.
    """
    if _written(before[-1].term).endswith("\u00a0·"):
        return True
    return begins_summand(_written(box.term)) and not follows_left_side(box.term, before)


def _begins_statement(box: Box) -> bool:
    return box.term.opens or begins_statement(_written(box.term))


def follows_left_side(term: Term, before: Sequence[Box]) -> bool:
    """Whether `term` is what the one term before it, but for a word that opens, is equal to."""
    if not before or not begins_relation(_written(term)):
        return False
    first = _written(before[-1].term)
    alone = len(before) == 1 or before[-2].term.opens
    return begins_statement(first) or (alone and not begins_summand(first))


def _written(term: Term) -> str:
    return term.text or term.latex
