"""Undo and redo over frozen values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class History(Generic[T]):
    """A value with its past: `change` moves it, `settle` makes all changes since the last a single step."""

    def __init__(self, value: T) -> None:
        self.value = value
        self._settled = value
        self._past: list[T] = []
        self._future: list[T] = []

    def change(self, value: T) -> None:
        """A new value, part of the step that is going on."""
        self.value = value

    def settle(self) -> bool:
        """Ends the step that is going on; True when there was one."""
        if self.value == self._settled:
            return False
        self._past.append(self._settled)
        self._future.clear()
        self._settled = self.value
        return True

    def withdraw(self, wrong: Callable[[T], bool], otherwise: T) -> None:
        """Forgets a value that turned out wrong: back to the last one that is not."""
        if not wrong(self._settled):
            self.value = self._settled
            return
        while self._past and wrong(self._past[-1]):
            self._past.pop()
        self._move(self._past.pop() if self._past else otherwise)

    @property
    def before(self) -> T | None:
        """What undo would bring back; None for nothing."""
        if self.value != self._settled:
            return self._settled
        return self._past[-1] if self._past else None

    @property
    def after(self) -> T | None:
        """What redo would bring back; None for nothing."""
        return self._future[-1] if self.can_redo else None

    @property
    def can_undo(self) -> bool:
        return bool(self._past) or self.value != self._settled

    @property
    def can_redo(self) -> bool:
        return bool(self._future) and self.value == self._settled

    def undo(self) -> None:
        self.settle()
        if self._past:
            self._future.append(self._settled)
            self._move(self._past.pop())

    def redo(self) -> None:
        if self.can_redo:
            self._past.append(self._settled)
            self._move(self._future.pop())

    def _move(self, value: T) -> None:
        self.value = self._settled = value


class HasPast(Protocol):
    """The part of a state that says whether there is something to take back, or to make again."""

    @property
    def can_undo(self) -> bool: ...

    @property
    def can_redo(self) -> bool: ...


class Undoable(Protocol):
    """A view-model whose changes can be taken back."""

    @property
    def state(self) -> HasPast: ...

    def undo(self) -> None: ...

    def redo(self) -> None: ...
