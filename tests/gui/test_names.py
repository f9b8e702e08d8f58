"""Whoever does not see the window: every control has a name, and says what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QWidget,
)

from diffusion_studio.engine.files import places
from diffusion_studio.pages.entries import PAGES
from diffusion_studio.widgets.forms.segmented import Segmented
from support.stages import stages
from support.tiny import begin, finish, tiny_config
from support.window import settle

CONTROLS = (QAbstractButton, QComboBox, QAbstractSlider, QLineEdit, QPlainTextEdit, QAbstractItemView)
OWN_PARTS = (QScrollBar, QHeaderView)  # of what has a name itself
WORD = re.compile(r"[A-Za-z]{3,}")
DIALOGS = ("keys", "settings", "log", "about", "find")


def controls(window: QWidget) -> Iterator[QWidget]:
    """What of a window takes a key or a click, and is seen."""
    for widget in (window, *window.findChildren(QWidget)):
        seen = widget.isVisible() and widget.window() is window
        if (
            seen
            and not isinstance(widget, OWN_PARTS)
            and (isinstance(widget, CONTROLS) or takes_keys(widget))
        ):
            yield widget


def takes_keys(widget: QWidget) -> bool:
    stands_in = widget.focusProxy() or widget
    return Qt.FocusPolicy.NoFocus not in (widget.focusPolicy(), stands_in.focusPolicy())


def name_of(widget: QWidget) -> str:
    """The name that Qt tells; where it tells the choice of a list in its place, what stands for it."""
    told = QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)
    return widget.accessibleName() if isinstance(widget, QComboBox) else told


def nameless(window: QWidget) -> list[str]:
    """Controls that nobody can call by a name, in words."""
    return [_place(widget) for widget in controls(window) if not name_of(widget).strip()]


def wordless(window: QWidget) -> list[str]:
    """Drawings to be clicked that say nothing, neither on them nor when the pointer rests."""
    buttons = (widget for widget in controls(window) if isinstance(widget, QAbstractButton))
    return [_place(widget) for widget in buttons if not (widget.text() or _told_at_rest(widget))]


def symbols_without_words(window: QWidget) -> list[str]:
    """Choices that are a symbol and do not say what it is when the pointer rests on them."""
    found = []
    for choice in window.findChildren(Segmented):
        for option in choice._options:
            if choice.isVisible() and not WORD.search(option.label) and not WORD.search(option.tooltip):
                found.append(f"{option.label} of {choice.accessibleName()}")
    return found


def _told_at_rest(widget: QWidget) -> str:
    """Its own words, or those of the row that it stands in."""
    row = next((w for w in _upwards(widget) if hasattr(w, "tooltip_html")), None)
    return row.tooltip_html() if row is not None else widget.toolTip()


def _upwards(widget: QWidget) -> Iterator[QWidget]:
    above: QWidget | None = widget
    while above is not None:
        yield above
        above = above.parentWidget()


def _place(widget: QWidget) -> str:
    return " in ".join(type(w).__name__ for w in list(_upwards(widget))[:4])


def faults(window: QWidget) -> list[str]:
    QApplication.processEvents()
    return [*nameless(window), *wordless(window), *symbols_without_words(window)]


def test_that_every_control_of_every_page_has_a_name_and_says_what_it_does(qtbot, open_app):
    run = places.runs_dir() / "mine"
    finish(begin(run, tiny_config(steps=6, preview_count=4)))
    app = open_app()
    app.studio.training.show_run(run)
    app.studio.sampling.choices.refresh()
    app.studio.sampling.choices.choose(str(run))
    settle(qtbot, app)
    app.studio.plane.player.stop()
    for stage in stages(app.studio):
        assert not (found := faults(app.shell)), f"{stage}: {found}"


def test_that_every_control_of_a_first_start_and_of_every_dialog_has_a_name(qtbot, open_app):
    app = open_app(computed=False)
    app.studio.plane.player.stop()
    for entry in PAGES:
        app.studio.show_page(entry.key)
        assert not (found := faults(app.shell)), f"{entry.title}: {found}"
    for name in DIALOGS:
        app.shell.actions_of_window.do(name)
        opened = [window for window in QApplication.topLevelWidgets() if window.isVisible()]
        assert not (found := [fault for window in opened for fault in faults(window)]), f"{name}: {found}"
        for dialog in opened:
            if dialog is not app.shell:
                dialog.close()
    app.studio.commands.palette.leave()
