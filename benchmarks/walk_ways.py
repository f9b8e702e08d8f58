"""More ways in which a person touches a window: its keys, those of single widgets, menus, palette, dialogs.

Each of them has `faults`, sentences on what went wrong, and `count`, how many things were tried. They are
walked by `benchmarks.walk`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QDialog, QLineEdit, QPlainTextEdit, QWidget
from shiboken6 import isValid

from diffusion_studio.viewmodels.finding import Entry
from diffusion_studio.widgets.actions.action_set import Act
from diffusion_studio.widgets.actions.table import FOCUS, FocusKeys
from diffusion_studio.widgets.editors.points import PointPlot
from diffusion_studio.widgets.editors.sigma_editor import SigmaEditor
from diffusion_studio.widgets.frame.enlarge import Enlarged

if TYPE_CHECKING:
    from benchmarks.walk import Hand
    from tests.support.walk import Walk

DIALOGS = {
    "keys": "train", "settings": "train", "log": "train", "about": "train", "show-queue": "train",
    "show-trash": "runs",
}  # fmt: skip
"""The pages on which they are opened."""
PALETTE = "widgets/frame/palette"
LEAVES = ("quit",)  # what ends the window
OPPOSITE = {"Left": "Right", "Right": "Left", "Up": "Down", "Down": "Up", "PgUp": "PgDown", "PgDown": "PgUp"}


class Way:
    """What all of them share: who walks, by what hand, and what went wrong."""

    def __init__(self, walk: Walk, hand: Hand) -> None:
        self.walk, self.hand = walk, hand
        self.studio, self.window = walk.studio, walk.window
        self.actions = walk.window.actions_of_window
        self.faults: list[str] = []
        self.count = 0

    @contextmanager
    def noting(self) -> Iterator[list[str]]:
        """The names of what is asked for meanwhile, which is done all the same."""
        done: list[str] = []

        def noting(name: str, do: Callable[[], object]) -> Callable[[], object]:
            def noted() -> None:
                done.append(name)
                do()

            return noted

        before = self.actions._acts
        noted = {name: Act(noting(name, act.do), act.can) for name, act in before.items()}
        self.actions.set_acts(noted)
        yield done
        if self.actions._acts == noted:
            self.actions.set_acts(before)

    def leave_what_opened(self) -> None:
        """Palette and what is enlarged are no dialogs."""
        page = self.window.current_page
        if self.studio.commands.palette.isVisible() or (page is not None and page.findChild(Enlarged)):
            self.hand.key("Esc")
            self.walk.come_to_rest()


class Keys(Way):
    """Presses every key that holds on a page, and looks at what is asked for by that."""

    def over(self, page: str) -> None:
        for group in self.actions.groups:
            if not group.pages or page in group.pages:
                for action in group.actions:
                    for key in action.keys if action.name not in LEAVES else ():
                        self._press(page, action.name, key)

    def _press(self, page: str, name: str, key: str) -> None:
        self.studio.show_page(page)
        self.walk.come_to_rest()
        self.studio.pages[page].setFocus()
        wanted = [name] if self.actions.can(name) else []
        with self.noting() as done:
            self.hand.key(key)
            self.walk.come_to_rest()
        self.count += 1
        if done != wanted:
            self.faults.append(f"{page}: {key} is for {wanted or 'nothing now'}, does {done or 'nothing'}")
        self.leave_what_opened()


class WidgetKeys(Way):
    """Presses the keys of single widgets while they have the focus.

    Something must be seen of each key, and the window's actions must not hear of it. At an end of its way a
    widget stands still: then the opposite key comes first.
    """

    def __init__(self, walk: Walk, hand: Hand) -> None:
        super().__init__(walk, hand)
        self._pressed: set[tuple[str, str]] = set()  # (page, where)

    def over(self, page: str) -> None:
        """The widgets of a part of a page as it is shown."""
        if page == "sample" and not self._pressed:
            self._branch()
        if page == "autoencoder" and self.studio.codes.state.view == "code":
            self._encode()
        for row in sorted(FOCUS, key=lambda row: row.module.endswith("/points")):  # once σ is drawn by hand
            widget = self._find(page, row)
            if widget is not None and (page, row.where) not in self._pressed:
                self._pressed.add((page, row.where))
                self._press_all(page, row, widget)

    def _branch(self) -> None:
        """The timeline has keys for more than one track."""
        sampling = self.studio.sampling
        sampling.player.seek(len(sampling.state.chains.facts.times) // 2)
        sampling.branch()
        self.walk.come_to_rest()

    def _encode(self) -> None:
        """The plane of codes has keys for where one stands, once something was trained."""
        codes = self.studio.codes
        if not len(codes.latent.state.code):
            self.hand.key("Ctrl+Return")
            self.hand.waitUntil(lambda: bool(len(codes.latent.state.code)))
            self.walk.come_to_rest()

    def _find(self, page: str, row: FocusKeys) -> QWidget | None:
        if row.module == "widgets/frame/enlarge":
            return None  # F11 and Esc are pressed as keys of the window
        if row.module == "widgets/chain/timeline" and page != "sample":
            return None  # one track without a name
        if row.module == "widgets/frame/rail":
            return self.window.rail.button(page)
        module = "diffusion_studio." + row.module.replace("/", ".")
        shown = self.studio.pages[page]
        for widget in (*shown.findChildren(QWidget), *self.window.findChildren(QWidget)):
            takes = widget.focusPolicy() != Qt.FocusPolicy.NoFocus
            seen = widget.isVisible() and widget.isEnabled() and takes
            if seen and any(kind.__module__ == module for kind in type(widget).__mro__):
                return widget
        return None

    def _press_all(self, page: str, row: FocusKeys, widget: QWidget) -> None:
        for keys, words in row.keys:
            for key in keys:
                if not isValid(widget) or not widget.isVisible():
                    return
                self._make_ready(page, row, widget)
                self._focus(widget)
                self.count += 1
                if not (self._seen(page, widget, key) or self._seen_after_its_opposite(page, widget, key)):
                    self.faults.append(f"{page}: {row.where}, {key} ({words}): nothing is seen of it")

    def _make_ready(self, page: str, row: FocusKeys, widget: QWidget) -> None:
        """The page of the next key is shown, and σ follows its rule where that is meant."""
        self.studio.show_page(page)
        self.walk.come_to_rest()
        ruled = row.module.endswith("/sigma_editor")
        while ruled and isinstance(widget, SigmaEditor) and widget._points is not None:
            self.hand.key("Ctrl+Z")
            self.walk.come_to_rest()

    def _focus(self, widget: QWidget) -> None:
        """By Tab, which chooses a point where there are some and none is chosen."""
        self.walk.bring_into_sight(widget)
        if isinstance(widget, PointPlot) and widget.selected is None:
            widget.clearFocus()
        if not widget.hasFocus():
            widget.setFocus(Qt.FocusReason.TabFocusReason)
        self.hand.rest(0.02)

    def _seen_after_its_opposite(self, page: str, widget: QWidget, key: str) -> bool:
        if key not in OPPOSITE:
            return False
        for other in (OPPOSITE[key], "Ins" if key not in ("Left", "Up") else OPPOSITE[key]):
            self.hand.key(other)
            self.walk.come_to_rest()
            if isValid(widget) and self._seen(page, widget, key):
                return True
        return False

    def _seen(self, page: str, widget: QWidget, key: str) -> bool:
        shown = self.studio.pages[page]
        if isinstance(widget, QLineEdit | QPlainTextEdit) and key == "Esc":
            self.hand.keyClicks(widget, "2" if _state(shown, widget) == "1" else "1")
        before = _state(shown, widget)
        with self.noting() as done:
            self.hand.key(key)
            opened = [w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible()]
            self.walk.come_to_rest()
        if done:
            self.faults.append(f"{page}: {key} on {type(widget).__name__} does {done} of the window too")
        return bool(opened) or not isValid(widget) or _state(shown, widget) != before


def _state(page: QWidget, widget: QWidget) -> object:
    """What is seen: of a field its words, because its cursor blinks; of the rail which item has the focus."""
    if widget.property("rail"):
        return QApplication.focusWidget()
    if isinstance(widget, QLineEdit):
        return widget.text()
    if isinstance(widget, QPlainTextEdit):
        return widget.toPlainText()
    return page.grab().toImage()


class Menus(Way):
    """Opens each menu, and takes each action that can be done by a click."""

    def over(self, page: str) -> None:
        for menu in self.window.menus.values():
            for action in menu.actions():
                if action.text():
                    self._take(page, menu.title(), action)

    def _take(self, page: str, title: str, action: QAction) -> None:
        self.studio.show_page(page)
        self.walk.come_to_rest()
        menu = next(menu for menu in self.window.menus.values() if menu.title() == title)
        name = next(name for name, wired in self.actions._wired.items() if wired is action)
        if name in LEAVES or not menu.menuAction().isVisible():
            return
        with self.noting() as done:
            bar = self.window.menuBar()
            self.hand.mouseClick(bar, None, pos=bar.actionGeometry(menu.menuAction()).center())
            self.hand.waitUntil(menu.isVisible)
            if not (action.isVisible() and action.isEnabled()):
                self.hand.key("Esc")
                return
            self.count += 1
            self.hand.mouseClick(menu, None, pos=menu.actionGeometry(action).center())
            self.walk.come_to_rest()
        if done != [name]:
            self.faults.append(f"{page}: {title} → {action.text()} does {done or 'nothing'}")
        self.leave_what_opened()


class Finder(Way):
    """Finds everything in the palette by its name, and takes it."""

    title = "palette"

    def over(self, page: str = "sample") -> None:
        self._press_its_keys(page)
        for entry in tuple(self.studio.commands._everything()):
            if entry.title != self.actions["quit"].text():
                self._find(page, entry)

    def _open(self, page: str, words: str) -> None:
        palette = self.studio.commands.palette
        self.studio.show_page(page)
        self.walk.come_to_rest()
        self.hand.key("Ctrl+K")
        self.hand.waitUntil(palette.line.hasFocus)
        self.hand.keyClicks(palette.line, words)
        try:
            self.hand.waitUntil(lambda: palette.line.text() == words)
        except TimeoutError:
            raise TimeoutError(f"“{words}” was typed, “{palette.line.text()}” stands there.") from None

    def _find(self, page: str, entry: Entry) -> None:
        commands = self.studio.commands
        self._open(page, entry.title)
        found = [(found.title, found.kind) for found in commands._fitting]
        self.count += 1
        if (entry.title, entry.kind) not in found:
            self.faults.append(f"the palette does not find “{entry.title}” by its name")
            self.hand.key("Esc")
            return
        for _ in range(found.index((entry.title, entry.kind))):
            self.hand.key("Down")
        self._leave_by("Return", entry.title)

    def _press_its_keys(self, page: str) -> None:
        """Those of the sheet: the first ones mark another entry, the last ones leave it."""
        keys = [key for row in FOCUS if row.module == PALETTE for keys, _ in row.keys for key in keys]
        marked = self.studio.commands.palette.list.currentIndex
        for key in keys:
            if key not in OPPOSITE:
                self._open(page, self.actions["page-runs"].text())
                self._leave_by(key, key)
                continue
            self._open(page, "")
            self.hand.key("PgDown")
            before = marked().row()
            self.hand.key(key)
            if marked().row() == before:
                self.faults.append(f"{key} marks no other entry of the palette")
            self.hand.key("Esc")

    def _leave_by(self, key: str, meant: str) -> None:
        with self.noting() as done:
            self.hand.key(key)
            if self.studio.commands.palette.isVisible():
                self.faults.append(f"the palette stays after “{meant}”")
            self.walk.come_to_rest()
        if key == meant and done != ([] if key == "Esc" else ["page-runs"]):
            self.faults.append(f"{key} in the palette does {done or 'nothing'}")
        self.leave_what_opened()


class Dialogs(Way):
    """Opens each dialog, and touches everything in it."""

    title = "dialogs"

    def over(self) -> None:
        before = sum(self.walk.touched.values())
        for name, page in DIALOGS.items():
            self.studio.show_page(page)
            self.walk.come_to_rest()
            if self.actions.can(name):
                self.walk.over_dialog(partial(self._open, name))
            else:
                self.faults.append(f"{page}: there is nothing to {name}")
        self.count = sum(self.walk.touched.values()) - before
        self.studio.settings.reset()

    def _open(self, name: str) -> QDialog:
        self.actions.do(name)
        self.hand.waitUntil(lambda: self._there() is not None)
        dialog = self._there()
        assert dialog is not None
        return dialog

    def _there(self) -> QDialog | None:
        return next((w for w in self.window.findChildren(QDialog) if w.isVisible()), None)
