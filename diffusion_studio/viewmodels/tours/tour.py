"""A guided tour of a page: cards that set it and say what to look at, and the way back at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from PySide6.QtCore import QObject, Signal


class Titled(Protocol):
    """One thing to try; the page knows what it does."""

    @property
    def title(self) -> str: ...


A_co = TypeVar("A_co", bound=Titled, covariant=True)


@dataclass(frozen=True)
class TourCard(Generic[A_co]):
    """A few sentences, their source, and what to try."""

    title: str
    text: str
    source: str
    actions: tuple[A_co, ...]


class Toured(Protocol):
    """A page, as far as a tour sets it."""

    def apply(self, action: Any, /) -> None:
        """What a card proposes."""

    def kept(self) -> Any:
        """How the page is now."""

    def put_back(self, kept: Any, /) -> None:
        """As it was then, as one step that can be undone."""


@dataclass(frozen=True)
class TourState:
    """Where in the tour a person stands."""

    number: int = 0  # of the card
    open: bool = False  # or folded
    tried: bool = False  # something, so that the end puts the page back


class Tour(QObject):
    """Walks through the cards of a page; the end of the tour puts the page back as it was before.

    Args:
        page: what the cards set.
        open: whether the first card is shown before anybody asks for it.
    """

    changed = Signal(object)  # TourState
    begun = Signal()  # a card was asked for by its name

    def __init__(
        self, cards: Sequence[TourCard[Titled]], page: Toured, open: bool = False,
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.cards, self._page = tuple(cards), page
        self._kept: Any = None
        self.state = TourState(open=open)

    def go(self, number: int) -> None:
        """Shows a card, the first after the last."""
        self._update(number=number % len(self.cards), open=True)

    def begin(self, number: int | None = None) -> None:
        """Brings a card into sight, by default the one where the tour stands."""
        self.go(self.state.number if number is None else number)
        self.begun.emit()

    def take(self, action: Titled) -> None:
        """Does what a card proposes."""
        if not self.state.tried:
            self._kept = self._page.kept()
        self._update(tried=True)
        self._page.apply(action)

    def end(self) -> None:
        """Folds the tour; the page is as it was before the first thing that was tried."""
        kept, tried = self._kept, self.state.tried
        self._kept = None
        self._update(open=False, tried=False)
        if tried:
            self._page.put_back(kept)

    def to_remember(self) -> dict[str, Any]:
        """What is kept until the next start, when what was tried is the page's own."""
        return {name: value for name, value in asdict(self.state).items() if name != "tried"}

    def restore(self, value: Any) -> None:
        """The opposite of `to_remember`; what makes no sense is ignored."""
        if isinstance(value, dict) and type(value.get("number")) is int:
            self._update(number=value["number"] % len(self.cards), open=value.get("open") is True)

    def _update(self, **values: Any) -> None:
        state = replace(self.state, **values)
        if state != self.state:
            self.state = state
            self.changed.emit(state)
