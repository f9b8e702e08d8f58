"""The table of actions, wired to a window: its menus and keys do what the page at hand says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from diffusion_studio.widgets.actions.keyboard import Keyboard
from diffusion_studio.widgets.actions.table import MENUS, Action, Group


def always() -> bool:
    return True


@dataclass(frozen=True)
class Act:
    """How an action is done, and whether it can be done now."""

    do: Callable[[], object]
    can: Callable[[], bool] = always


Acts = Mapping[str, Act]


class ActionSet(QObject):
    """One `QAction` for each action of the table. Those that nobody does now are not to be seen.

    Args:
        window: whose keys they are.
    """

    refreshed = Signal()

    def __init__(self, window: QWidget, groups: Sequence[Group]) -> None:
        super().__init__(window)
        self.groups = tuple(groups)
        self._acts: dict[str, Act] = {}
        self._wired = {action.name: self._wire(action) for group in groups for action in group.actions}
        window.addActions(list(self._wired.values()))
        self.keyboard = Keyboard(window)
        self.refresh()

    def _wire(self, action: Action) -> QAction:
        made = QAction(action.title, self)
        made.setToolTip(action.what)
        made.setShortcuts([QKeySequence(key) for key in action.keys])
        made.setAutoRepeat(action.repeats)
        made.triggered.connect(partial(self.do, action.name))
        return made

    def __getitem__(self, name: str) -> QAction:
        return self._wired[name]

    def set_acts(self, *acts: Acts) -> None:
        """Who does what from now on; a later one goes before an earlier one."""
        self._acts = {name: act for some in acts for name, act in some.items()}
        self.refresh()

    def refresh(self) -> None:
        """Asks again what can be done."""
        for name, wired in self._wired.items():
            wired.setVisible(name in self._acts)
            wired.setEnabled(self.can(name))
        self.refreshed.emit()

    def can(self, name: str) -> bool:
        """Whether the action `name` can be done now."""
        return name in self._acts and self._acts[name].can()

    def do(self, name: str, _checked: bool = False) -> None:
        """Does it, if it can be done."""
        if self.can(name):
            self._acts[name].do()

    def available(self) -> tuple[tuple[str, Action], ...]:
        """(title of its menu, action) of everything that can be done now, in the order of the table."""
        found = ((MENUS[group.menu], action) for group in self.groups for action in group.actions)
        return tuple((menu, action) for menu, action in found if self.can(action.name))
