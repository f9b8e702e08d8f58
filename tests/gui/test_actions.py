"""The table of actions against the window that is made from it: menus, keys, sheet."""

from __future__ import annotations

import ast
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QWidget

import diffusion_studio
from diffusion_studio.core.describe import members
from diffusion_studio.core.samplers import DDPM, Sampler
from diffusion_studio.engine.files import places
from diffusion_studio.pages.entries import PAGES
from diffusion_studio.widgets.actions.action_set import Act
from diffusion_studio.widgets.actions.keys import hint, key_text
from diffusion_studio.widgets.actions.sheet import KeySheet
from diffusion_studio.widgets.actions.table import FOCUS, GROUPS, MENUS, Action, action, with_pages
from support.tiny import begin, finish, tiny_config

PACKAGE = Path(diffusion_studio.__file__).parent
TABLE = with_pages([(entry.key, entry.title) for entry in PAGES])
KEYS = sorted({key for group in TABLE for act in group.actions for key in act.keys})


@pytest.fixture
def app(open_app: Any) -> Any:
    return open_app()


@pytest.fixture
def press(qtbot: Any, app: Any) -> Any:
    """Presses a key, by its name, wherever the focus is."""

    def press(key: str) -> None:
        pressed = QKeySequence(key)[0]
        target = QApplication.focusWidget() or app.shell
        qtbot.keyClick(target, pressed.key(), pressed.keyboardModifiers())

    return press


def held_on(page: str) -> list[Action]:
    """What the table says can be done on a page."""
    return [act for group in TABLE for act in group.actions if not group.pages or page in group.pages]


def recorded(app: Any) -> list[str]:
    """The names of what is asked for on the page at hand, in place of doing it."""
    done: list[str] = []
    actions = app.shell.actions_of_window
    actions.set_acts({name: Act(partial(done.append, name)) for name in actions._acts})
    return done


def test_that_names_are_unique_and_every_menu_exists() -> None:
    names = [act.name for group in TABLE for act in group.actions]
    assert len(names) == len(set(names))
    assert {group.menu for group in TABLE} == set(MENUS)
    assert {page for group in GROUPS for page in group.pages} <= {entry.key for entry in PAGES}


@pytest.mark.parametrize("page", [entry.key for entry in PAGES])
def test_that_a_key_means_one_thing_on_a_page(page: str) -> None:
    keys = sorted(key for act in held_on(page) for key in act.keys)
    assert [a for a, b in pairwise(keys) if a == b] == []


def test_that_every_page_does_what_the_table_says_and_nothing_else(app: Any) -> None:
    for entry in PAGES:
        app.studio.show_page(entry.key)
        actions = app.shell.actions_of_window
        assert set(actions._acts) == {act.name for act in held_on(entry.key)}
        seen = {name for name, wired in actions._wired.items() if wired.isVisible()}
        assert seen == set(actions._acts)


@pytest.mark.parametrize("page", [entry.key for entry in PAGES])
def test_that_every_key_does_its_action_and_only_that(app: Any, press: Any, page: str) -> None:
    app.studio.show_page(page)
    done, by_key = recorded(app), {key: act.name for act in held_on(page) for key in act.keys}
    for key in KEYS:
        done.clear()
        press(key)
        assert done == ([by_key[key]] if key in by_key else []), key


def test_that_every_menu_has_its_actions(app: Any) -> None:
    for title, menu in app.shell.menus.items():
        expected = [act.title for group in TABLE if group.menu == title for act in group.actions]
        assert [a.text() for a in menu.actions() if a.text() and a.menu() is None] == expected


def test_that_a_menu_without_anything_to_do_is_left_out(app: Any) -> None:
    app.studio.show_page("theory")
    assert not app.shell.menus["Run"].menuAction().isVisible()
    app.studio.show_page("sample")
    assert app.shell.menus["Run"].menuAction().isVisible()


def test_that_an_action_that_cannot_be_done_now_is_grey(app: Any) -> None:
    app.studio.show_page("train")
    actions = app.shell.actions_of_window
    assert actions["start"].isEnabled() and not actions["stop"].isEnabled()
    assert not actions["undo"].isEnabled()
    app.studio.training.edit("seed", 4)
    app.studio.training.settle()
    assert actions["undo"].isEnabled()
    actions["undo"].trigger()
    assert app.studio.training.config.seed == 0


# --- the sheet --------------------------------------------------------------------------------------------


def words_of(sheet: KeySheet) -> list[QLabel]:
    """What the keys do."""
    return [label for label in sheet.findChildren(QLabel) if label.wordWrap() and label.isVisible()]


@pytest.mark.parametrize("key", ["F1", "?"])
def test_that_the_sheet_shows_every_key_of_the_window_and_of_its_widgets(
    app: Any, press: Any, key: str
) -> None:
    app.studio.show_page("sample")
    press(key)
    (sheet,) = app.shell.findChildren(KeySheet)
    shown = [label.text() for label in sheet.findChildren(QLabel)]
    for text in (key_text(key) for key in KEYS):
        assert text in shown
    for found in FOCUS:
        assert found.where in shown
        assert {words for _, words in found.keys} <= set(shown)
    assert shown.index("On Sample") < shown.index("On 2-D")
    begins = {label.mapTo(sheet, label.rect().topLeft()).x() for label in words_of(sheet)}
    assert len(begins) == 2  # one line in each column
    sheet.close()


def test_that_every_key_that_the_source_reads_is_on_the_sheet() -> None:
    told = {found.module: {key for keys, _ in found.keys for key in keys} for found in FOCUS}
    read = {
        path.relative_to(PACKAGE).with_suffix("").as_posix(): names
        for path in PACKAGE.rglob("*.py")
        if (names := _keys_read(path)) and path.name != "keyboard.py"
    }
    for module, names in read.items():
        assert names == told.get(module), f"{module}: {sorted(names)}"


def test_that_nothing_but_the_table_makes_shortcuts() -> None:
    own = ("actions/action_set", "frame/enlarge", "frame/table_menu", "plots/table")
    allowed = {f"widgets/{name}.py" for name in own}
    assert {f"widgets/{name}" for name in own[1:]} <= {found.module for found in FOCUS}
    makers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in ("QShortcut", "setShortcut"))
    }
    assert makers == allowed


def _keys_read(path: Path) -> set[str]:
    """The keys that a module names, as Qt writes them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr.startswith("Key_")}
    return {QKeySequence(getattr(Qt.Key, name)).toString() for name in names}


def test_that_a_hint_ends_with_the_key() -> None:
    assert hint("play", "Pause") == "Pause (Space)"
    assert hint("step-on", "One step on") == "One step on (→)"
    assert hint("runs-folder") == action("runs-folder").what


# --- who gets a key ---------------------------------------------------------------------------------------


def chosen_by_mouse(qtbot: Any, combo: QComboBox, index: int) -> None:
    """Opens a list with the pointer and takes one of its lines; a second click would come too soon for it."""
    qtbot.mouseClick(combo, Qt.MouseButton.LeftButton)
    view = combo.view()
    qtbot.waitUntil(view.hasFocus)
    view.setCurrentIndex(combo.model().index(index, 0))
    qtbot.keyClick(view, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not view.isVisible())


def sampler_list(app: Any) -> QComboBox:
    app.studio.show_page("sample")
    control = app.studio.sample_page.panel.form.field("sampler.kind").control
    found: QWidget = control if isinstance(control, QComboBox) else control.findChild(QComboBox)
    assert isinstance(found, QComboBox)
    return found


def test_that_a_letter_after_a_choice_in_a_list_acts_on_the_picture(qtbot: Any, app: Any, press: Any) -> None:
    combo, page = sampler_list(app), app.studio.sample_page
    chosen_by_mouse(qtbot, combo, 1)
    qtbot.waitUntil(lambda: app.shell.focusWidget() is page)
    app.shell.activateWindow()  # without a screen no window follows one that popped up
    qtbot.waitUntil(page.hasFocus)
    taken = combo.currentText()
    press("D")
    assert page.model.state.pictures.view == "change"
    assert combo.currentText() == taken


def test_that_no_letter_chooses_in_a_list_that_has_the_focus(qtbot: Any, app: Any, press: Any) -> None:
    combo = sampler_list(app)
    combo.setFocus(Qt.FocusReason.TabFocusReason)
    before = combo.currentIndex()
    for key in "DPQEHA":
        press(key)
    assert combo.currentIndex() == before
    assert combo.hasFocus()


def test_that_a_list_chosen_from_by_keys_keeps_the_focus(qtbot: Any, app: Any, press: Any) -> None:
    combo = sampler_list(app)
    combo.setFocus(Qt.FocusReason.TabFocusReason)
    before, position = combo.currentIndex(), app.studio.sampling.state.player.position
    press("Down" if before + 1 < combo.count() else "Up")
    assert combo.currentIndex() != before
    assert combo.hasFocus()
    assert app.studio.sampling.state.player.position == position


@pytest.mark.parametrize("typed", [False, True])
def test_that_undo_in_a_line_is_the_windows_where_nothing_was_typed(
    qtbot: Any, app: Any, press: Any, typed: bool
) -> None:
    app.studio.show_page("sample")
    tree, page = app.studio.sampling.tree, app.studio.sample_page
    tree.edit("seed", 3)
    tree.settle()
    edit = page.panel.form.field("seed").control.findChild(QLineEdit)
    edit.setFocus()
    if typed:
        qtbot.keyClicks(edit, "7")
    press("Ctrl+Z")
    assert tree.parameters.spec.seed == (3 if typed else 0)
    press("Esc")


# --- the palette ------------------------------------------------------------------------------------------


def typed_into(qtbot: Any, app: Any, press: Any, text: str) -> Any:
    """The palette, open, with this in its line."""
    press("Ctrl+K")
    palette = app.studio.commands.palette
    assert palette.isVisible() and palette.line.hasFocus()
    qtbot.keyClicks(palette.line, text)
    return palette


def test_that_the_palette_has_every_action_run_sampler_and_card_of_a_tour(
    qtbot: Any, app: Any, press: Any
) -> None:
    run = places.runs_dir() / "mine"
    finish(begin(run, tiny_config(steps=2)))
    app.studio.show_page("sample")
    titles = typed_into(qtbot, app, press, "").titles
    actions = app.shell.actions_of_window
    can = {act.title for act in held_on("sample") if actions.can(act.name)} - {action("find").title}
    samplers = {sampler.title for sampler in members(Sampler).values()}
    cards = {card.title for page in app.studio.pages.values() if page.tour for card in page.tour.cards}
    assert set(titles) == can | samplers | cards | {"mine"}
    press("Esc")


def test_that_what_is_found_is_done(qtbot: Any, app: Any, press: Any) -> None:
    app.studio.show_page("theory")
    palette = typed_into(qtbot, app, press, "ddpm")
    assert palette.titles[0] == DDPM.title
    press("Return")
    assert not palette.isVisible()
    assert app.shell.current_page is app.studio.sample_page
    assert isinstance(app.studio.sampling.tree.parameters.spec.sampler, DDPM)


def test_that_leaving_the_palette_brings_the_focus_back(qtbot: Any, app: Any, press: Any) -> None:
    app.studio.show_page("sample")
    for key in ("Esc", "Ctrl+K"):
        palette = typed_into(qtbot, app, press, "tr")
        press(key)
        assert not palette.isVisible()
        assert app.studio.sample_page.hasFocus()


def test_that_arrows_and_the_pointer_choose_in_the_palette(qtbot: Any, app: Any, press: Any) -> None:
    app.studio.show_page("sample")
    palette = typed_into(qtbot, app, press, "show x")
    second = palette.titles[1]
    press("Down")
    assert palette.list.currentIndex().data() == second
    press("Up")
    place = palette.list.visualRect(palette.list.model().index(1, 0)).center()
    qtbot.mouseClick(palette.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert app.studio.sampling.state.pictures.view == "x_t"


def test_that_letters_in_the_palette_are_typed(qtbot: Any, app: Any, press: Any) -> None:
    app.studio.show_page("sample")
    palette = typed_into(qtbot, app, press, "")
    for key in ("D", "Space", "B"):
        press(key)
    assert palette.line.text() == "d b"
    assert app.studio.sampling.state.pictures.view == "x0_hat"
    press("Esc")
