"""The lab book in its window: names, tags, notes and stars by keys and pointer; finding and sorting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication, QFileDialog

from diffusion_studio.engine.files import places
from diffusion_studio.engine.labbook.entries import Entry, read_entry
from diffusion_studio.engine.runs.creation import create_run
from diffusion_studio.pages.runs import table
from diffusion_studio.pages.runs.page import RunsPage
from diffusion_studio.pages.runs.table import BY, NAMED, STAR, RunTable
from diffusion_studio.viewmodels.remembered import Memory
from diffusion_studio.viewmodels.runs.model import RunsViewModel
from diffusion_studio.widgets.look import icons
from support.tiny import tiny_config


@pytest.fixture
def folder(isolated_home):
    """Three runs that have learned nothing yet."""
    for name in ("a", "b", "c"):
        create_run(places.runs_dir() / name, tiny_config(), {})
    return places.runs_dir()


def listed(qtbot, page, folder):
    """The page once it shows the runs by name, the first one chosen."""
    qtbot.waitUntil(lambda: page.model.state.listed)
    page.model.sort("name")
    page.model.select(folder / "a")
    return page


@pytest.fixture
def page(qtbot, folder, tmp_path):
    """The page alone."""
    made = RunsPage(RunsViewModel(folder, Memory(tmp_path / "memory.json")))
    qtbot.addWidget(made)
    made.resize(1100, 700)
    with qtbot.waitActive(made):
        made.show()
        made.activateWindow()
    made.come_into_sight(None)
    yield listed(qtbot, made, folder)
    made.settle()
    made.model.shutdown()


@pytest.fixture
def press(qtbot):
    """Presses keys wherever the focus is."""

    def press(key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
        qtbot.keyClick(QApplication.focusWidget(), key, modifier)

    return press


CTRL = Qt.KeyboardModifier.ControlModifier


def written(qtbot, page, name: str) -> Entry:
    qtbot.waitUntil(lambda: not page.model._writing._slot.busy)
    return read_entry(places.runs_dir() / name)[0]


def shown(page, by: str = "name") -> list[str]:
    rows = page.table.rows
    return [rows.data(rows.index(row, BY.index(by))) for row in range(rows.rowCount())]


def click(qtbot, page, row: int, column: int = NAMED, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    place = page.table.visualRect(page.table.rows.index(row, column)).center()
    qtbot.mouseClick(page.table.viewport(), Qt.MouseButton.LeftButton, modifier, place)


def test_that_a_run_is_renamed_tagged_noted_and_starred_by_keys_and_all_is_undone(
    qtbot, open_app, folder, press
):
    app = open_app(page="runs")
    page = listed(qtbot, app.studio.runs_page, folder)
    press(Qt.Key.Key_F2)
    assert page.card.name.hasFocus()
    qtbot.keyClicks(page.card.name, "first")
    press(Qt.Key.Key_Return)
    page.card.tags.setFocus()
    qtbot.keyClicks(page.card.tags, "small, T50")
    press(Qt.Key.Key_E, CTRL)
    assert page.card.note.hasFocus()
    qtbot.keyClicks(page.card.note, "A note.")
    press(Qt.Key.Key_D, CTRL)
    page.table.setFocus()
    assert written(qtbot, page, "a") == Entry("first", "A note.", ("small", "T50"), True)
    assert shown(page) == ["b", "c", "first"]
    assert shown(page, "tags") == ["", "", "small, T50"]
    for _ in range(4):
        assert app.shell.header._undo.isEnabled()
        press(Qt.Key.Key_Z, CTRL)
    assert written(qtbot, page, "a") == Entry()
    assert app.shell.header._redo.isEnabled() and not app.shell.header._undo.isEnabled()
    press(Qt.Key.Key_E, CTRL)
    qtbot.keyClicks(page.card.note, "the last words")
    app.close()
    assert written(qtbot, page, "a").note == "the last words"


def test_that_what_is_typed_counts_when_another_run_is_chosen_and_goes_to_the_right_one(qtbot, page):
    page.card.note.setFocus()
    qtbot.keyClicks(page.card.note, "of a")
    click(qtbot, page, 1)
    assert page.card.name.text() == "b" and page.card.note.toPlainText() == ""
    assert written(qtbot, page, "a").note == "of a"
    assert written(qtbot, page, "b") == Entry()


def test_that_a_list_that_is_read_again_does_not_disturb_who_writes(qtbot, page):
    page.card.note.setFocus()
    qtbot.keyClicks(page.card.note, "half a sen")
    page.model.refresh()
    qtbot.waitUntil(lambda: not page.model._listing.busy)
    assert page.card.note.toPlainText() == "half a sen"


def test_that_escape_brings_back_the_name_that_stood_there(qtbot, page, press):
    page.card.name.setFocus()
    qtbot.keyClicks(page.card.name, "x")
    press(Qt.Key.Key_Escape)
    page.table.setFocus()
    assert page.card.name.text() == "a" and shown(page) == ["a", "b", "c"]


def test_that_a_click_on_a_star_is_for_its_own_run(qtbot, page):
    click(qtbot, page, 2, STAR)
    assert written(qtbot, page, "c").star and not written(qtbot, page, "a").star
    click(qtbot, page, 2, STAR)
    assert not written(qtbot, page, "c").star


def test_that_several_are_chosen_with_ctrl_and_the_panel_says_so(qtbot, page):
    click(qtbot, page, 2, modifier=CTRL)
    assert [path.name for path in page.model.state.chosen] == ["a", "c"]
    assert page.card.head.text() == "The last of 2 chosen runs" and page.card.name.text() == "c"


def test_that_runs_are_found_and_all_are_shown_again(qtbot, page):
    page.acts()["filter-runs"].do()
    assert page.finder.field.hasFocus()
    qtbot.keyClicks(page.finder.field, "b")
    assert shown(page) == ["b"] and page.card.name.text() == "b"
    assert ("runs", "1 of 3") in page.chips()
    qtbot.keyClicks(page.finder.field, "xyz")
    assert page.views.currentWidget() is page.nothing_fits
    page.nothing_fits.primary_requested.emit()
    assert shown(page) == ["a", "b", "c"] and page.finder.field.text() == ""


def test_that_a_head_and_the_menu_sort_and_sort_back(qtbot, page):
    header = page.table.horizontalHeader()
    header.sectionClicked.emit(NAMED)
    assert shown(page) == ["c", "b", "a"]
    assert header.model().headerData(NAMED, Qt.Orientation.Horizontal) == "Run ↓"
    page.finder.order.menu().actions()[NAMED].trigger()
    assert shown(page) == ["a", "b", "c"] and page.finder.order.text() == "Sort: Run ↑"
    assert page.table.currentIndex().row() == 0


def test_that_sorting_asks_no_cell_how_wide_it_is_and_another_name_does(page, monkeypatch):
    asked, hint = [], RunTable.sizeHintForColumn

    def heard(table, column):
        asked.append(column)
        return hint(table, column)

    monkeypatch.setattr(RunTable, "sizeHintForColumn", heard)
    widths = [page.table.columnWidth(column) for column in range(len(BY))]
    for by in ("size", "step", "name", "name"):
        page.model.sort(by)
    assert asked == []
    page.model.rename("a much longer name than it had")
    assert sorted(asked) == list(range(len(BY)))
    page.model.rename("")
    assert [page.table.columnWidth(column) for column in range(len(BY))] == widths


def test_that_a_run_anywhere_is_opened_and_taken_off_the_list(qtbot, page, tmp_path):
    other = create_run(tmp_path / "disk" / "z", tiny_config(), {}).path
    assert page.foot.leave.isHidden()
    page.acts()["open-runs"].do()
    dialog = page.findChild(QFileDialog)
    dialog.fileSelected.emit(str(other))
    dialog.close()
    qtbot.waitUntil(lambda: shown(page) == ["a", "b", "c", "z"])
    assert page.card.name.text() == "z"
    assert page.acts()["leave-run"].can()
    qtbot.mouseClick(page.foot.leave, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: shown(page) == ["a", "b", "c"])
    assert page.foot.leave.isHidden() and other.exists()


def test_that_drawings_of_a_table_are_made_once(page, monkeypatch):
    made = []
    monkeypatch.setattr(icons, "_renderer", lambda *asked: made.append(asked))
    page.table.fit_columns()
    page.table.viewport().grab()
    assert not made


def test_that_samples_in_the_table_are_drawn_once_and_forgotten_with_their_run(qtbot, page, monkeypatch):
    drawn = []
    monkeypatch.setattr(table, "_drawing", lambda samples: drawn.append(samples) or QIcon())
    rows = table.RunRows(page)
    first, second = (np.full((4, 8, 8, 1), shade, np.uint8) for shade in (0, 255))

    def show(samples):
        run = replace(page.model.state.runs[0], picture=samples)
        rows.show((run,), page.model.state.arrangement)
        for _ in range(3):
            rows.data(rows.index(0, BY.index("name")), Qt.ItemDataRole.DecorationRole)

    show(first)
    show(second)
    assert [samples is second for samples in drawn] == [False, True]
    rows.show((), page.model.state.arrangement)
    assert not rows._drawings


def test_that_columns_follow_the_size_of_the_text(qtbot, page):
    before = page.table.columnWidth(BY.index("kind"))
    font = page.table.font()
    font.setPixelSize(font.pixelSize() + 3 if font.pixelSize() > 0 else 16)
    page.table.setFont(font)
    assert page.table.columnWidth(BY.index("kind")) > before
