"""The menu bar, made from the table of actions."""

from __future__ import annotations

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QMenuBar

from diffusion_studio.widgets.actions.action_set import ActionSet
from diffusion_studio.widgets.actions.table import MENUS

_ROLES = {
    "quit": QAction.MenuRole.QuitRole,
    "settings": QAction.MenuRole.PreferencesRole,
    "about": QAction.MenuRole.AboutRole,
}  # where a Mac has a place of its own for them


def fill(bar: QMenuBar, actions: ActionSet) -> dict[str, QMenu]:
    """Puts every action into its menu, groups apart; a menu of which nothing is to be seen is left out."""
    menus = {menu: bar.addMenu(title) for menu, title in MENUS.items()}
    for group in actions.groups:
        for action in group.actions:
            wired = actions[action.name]
            wired.setMenuRole(_ROLES.get(action.name, QAction.MenuRole.NoRole))
            menus[group.menu].addAction(wired)
        menus[group.menu].addSeparator()
    for menu in menus.values():
        menu.setToolTipsVisible(True)
        menu.aboutToShow.connect(actions.refresh)
    actions.refreshed.connect(lambda: _leave_out(list(menus.values())))
    return menus


def _leave_out(menus: list[QMenu]) -> None:
    for menu in menus:
        seen = any(action.isVisible() and not action.isSeparator() for action in menu.actions())
        menu.menuAction().setVisible(seen)
