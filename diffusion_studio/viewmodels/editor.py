"""Changing a described choice, one parameter at a time, with a way back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.describe import Choice, with_value
from diffusion_studio.core.refused import Refused
from diffusion_studio.viewmodels.history import History

T = TypeVar("T", bound=Choice)


def spoken(error: Refused, path: str) -> str:
    """A refusal of the parameter at `path`, to stand under its name: its path is not repeated there."""
    _, _, rest = str(error).partition(": ")
    about = error.where and f"{path}.".startswith(f"{error.where}.")
    return f"{rest[:1].upper()}{rest[1:]}" if about else str(error)


@dataclass(frozen=True)
class Edited(Generic[T]):
    """Where editing stands."""

    value: T
    errors: tuple[tuple[str, str], ...] = ()  # (path, sentence) of what could not be
    can_undo: bool = False
    can_redo: bool = False


class Editor(QObject, Generic[T]):
    """A choice that a person edits: `settle` makes all changes since the last a single step of undo."""

    changed = Signal(object)  # Edited

    def __init__(self, value: T, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._history = History(value)
        self.state = Edited(value)

    @property
    def value(self) -> T:
        return self._history.value

    @property
    def before(self) -> T | None:
        """What undo would bring back; None for nothing."""
        return self._history.before

    @property
    def after(self) -> T | None:
        """What redo would bring back; None for nothing."""
        return self._history.after

    def edit(self, path: str, value: Any) -> None:
        """Changes one parameter; a value that cannot be gets its sentence and changes nothing."""
        try:
            choice = with_value(self.value, path, value)
        except Refused as error:
            self._show(replace(self.state, errors=((path, spoken(error, path)),)))
        else:
            self.change(choice)

    def change(self, value: T) -> None:
        """Another value, part of the step that is going on."""
        self._history.change(value)
        self._show_history()

    def set(self, value: T) -> None:
        """Another value, as a step of its own."""
        self._history.change(value)
        self.settle()

    def settle(self) -> bool:
        """Ends one edit: the next undo takes back all of it; True when there was one."""
        ended = self._history.settle()
        self._show_history()
        return ended

    def undo(self) -> None:
        """Takes back the last step."""
        self._history.undo()
        self._show_history()

    def redo(self) -> None:
        """Makes it again."""
        self._history.redo()
        self._show_history()

    def _show_history(self) -> None:
        history = self._history
        self._show(Edited(history.value, (), history.can_undo, history.can_redo))

    def _show(self, state: Edited[T]) -> None:
        if state != self.state:
            self.state = state
            self.changed.emit(state)
