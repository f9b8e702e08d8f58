"""Two names for one thing: both formulas beside each other, and the numbers of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PySide6.QtWidgets import QGridLayout

from diffusion_studio.core.theory.identities import Compared, Identity
from diffusion_studio.core.words import number, tr
from diffusion_studio.pages.theory.parts import Cell, Scrolled, add_side, shown_number
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.look.theme import label, rich_label, subscripted, unbroken


class IdentityCard(Card):
    """Both forms, why they are the same, and their numbers."""

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self.set_title(identity.title, identity.source)
        sides = FlowRow(spacing=24)
        for name, latex in zip(identity.names, (identity.one, identity.other), strict=True):
            words = rich_label(subscripted(name), "muted")
            words.setWordWrap(True)
            add_side(sides, words, latex)
        self.body.addLayout(sides)

    def compare(self, identity: Identity, numbers: Sequence[Compared]) -> None:
        """Says why they are the same, with the numbers of both."""
        words = rich_label(subscripted(unbroken(identity.why)))
        words.setWordWrap(True)
        self.body.addWidget(words)
        self.body.addLayout(_table(identity.names, numbers))


def _table(names: Sequence[str], numbers: Sequence[Compared]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(4)
    for column, head in enumerate(("", *names, tr("apart by"))):
        grid.addWidget(Cell(head, column > 0, "muted"), 0, column)
    for row, line in enumerate(numbers, start=1):
        both = (number(value, ".9f").replace("-", "−") for value in (line.one, line.other))
        cells = (line.what, *both, shown_number(abs(line.one - line.other)))
        for column, text in enumerate(cells):
            grid.addWidget(Cell(text, column > 0), row, column)
    grid.setColumnStretch(4, 1)
    return grid


class IdentitiesView(Scrolled):
    """All identities, one card below the other; filled when first shown."""

    def __init__(self, identities: Sequence[Identity]) -> None:
        super().__init__(tr("Identities"))
        intro = label(
            tr(
                "Diffusion, scores and flows are one thing in different coordinates: what goes by two names, "
                "and the numbers of both, computed here in double precision."
            )
        )
        intro.setWordWrap(True)
        self.column.addWidget(intro)
        self.fill(self._cards(identities))

    def _cards(self, identities: Sequence[Identity]) -> Iterator[None]:
        for identity in identities:
            numbers = identity.numbers()
            yield
            card = IdentityCard(identity)
            yield
            card.compare(identity, numbers)
            yield
            self.add(card)
            yield
