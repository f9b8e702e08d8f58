"""One part over the whole page, and back; and what a right click copies."""

from __future__ import annotations

import gc
from functools import partial

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QGuiApplication, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QLineEdit,
    QMenu,
    QSplitter,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.widgets.actions.action_set import Act, ActionSet
from diffusion_studio.widgets.actions.table import GROUPS
from diffusion_studio.widgets.frame.cards import Card
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.frame.enlarge import Enlarged, can_enlarge, enlarge_over, toggle, toggle_on
from diffusion_studio.widgets.frame.scrolling import FillColumn, ScrollColumn
from diffusion_studio.widgets.frame.table_menu import offer_copy, table_words
from diffusion_studio.widgets.images.grid import ImageGrid
from diffusion_studio.widgets.plots import Line, XYPlot

PAGE = (800, 600)


@pytest.fixture
def page(qtbot):
    """A card with a plot above a label, beside pictures."""
    page = QWidget()
    qtbot.addWidget(page)
    enlarge_over(page)
    page.split, page.card, page.plot, page.grid = QSplitter(), Card("Curves"), XYPlot("Terms"), ImageGrid()
    page.plot.set_lines({"a": Line([0.0, 1.0], [1.0, 2.0], "eps")})
    page.grid.set_images(np.arange(2 * 16, dtype=np.uint8).reshape(2, 4, 4, 1))
    page.card.body.addWidget(page.plot, 1)
    page.card.body.addWidget(QLabel("below"))
    page.split.addWidget(page.card)
    page.split.addWidget(page.grid)
    QVBoxLayout(page).addWidget(page.split)
    page.resize(*PAGE)
    page.show()
    page.split.setSizes([500, 260])
    return page


def test_that_a_plot_is_enlarged_and_put_back_where_it_stood(qtbot, page):
    before = page.plot.geometry()
    toggle(page.plot)
    qtbot.waitUntil(lambda: page.plot.width() > PAGE[0] - 50)
    assert page.plot.height() > PAGE[1] - 100
    toggle(page.plot)
    qtbot.waitUntil(lambda: page.plot.geometry() == before)
    assert page.plot.parentWidget() is page.card
    assert page.findChild(Enlarged) is None


def test_that_what_is_enlarged_stands_under_its_own_name(page):
    page.plot.setAccessibleName("Noise of each step")  # it was told when it was made already
    toggle(page.plot)
    assert page.findChild(Enlarged).findChild(ElidedLabel).text() == "Noise of each step"
    toggle(page.plot)


def test_that_escape_puts_back(qtbot, page):
    toggle(page.plot)
    page.activateWindow()
    page.plot.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is page.plot)
    qtbot.keyClick(page.plot, Qt.Key.Key_Escape)
    assert page.plot.parentWidget() is page.card


def test_that_escape_puts_back_wherever_the_focus_was(qtbot, page):
    beside = QLineEdit()
    window = box_around(page)
    qtbot.addWidget(window)
    window.layout().addWidget(beside)
    window.show()
    window.activateWindow()
    beside.setFocus()
    qtbot.waitUntil(beside.hasFocus)
    toggle(page.plot)
    qtbot.waitUntil(page.hasFocus)
    qtbot.keyClick(page, Qt.Key.Key_Escape)
    assert page.plot.parentWidget() is page.card
    page.setParent(None)  # closed by itself


def test_that_a_splitter_keeps_its_shares(qtbot, page):
    sizes = page.split.sizes()
    toggle(page.grid)
    assert page.findChild(Enlarged).isAncestorOf(page.grid)
    toggle(page.grid)
    qtbot.waitUntil(lambda: page.split.sizes() == sizes)
    assert page.split.widget(1) is page.grid


def splitter_around(card):
    split = QSplitter()
    split.addWidget(card)
    split.addWidget(QLabel("beside"))
    return split


def box_around(card):
    box = QWidget()
    QVBoxLayout(box).addWidget(card)
    return box


@pytest.mark.parametrize("around", [splitter_around, ScrollColumn, FillColumn, box_around])
def test_that_what_nobody_holds_is_still_there_afterwards(qtbot, page, around):
    page.split.addWidget(around(Card("Alone")))
    before = [w for w in QApplication.topLevelWidgets() if w.isVisible()]
    for _ in range(2):
        toggle(titled(page, "Alone"))
        assert page.findChild(Enlarged).isAncestorOf(titled(page, "Alone"))
        assert [w for w in QApplication.topLevelWidgets() if w.isVisible()] == before
        toggle(titled(page, "Alone"))
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        gc.collect()
        assert titled(page, "Alone").isVisible()
    assert page.findChild(Enlarged) is None


def titled(page, title):
    """The one card of that title."""
    (found,) = (card for card in page.findChildren(Card) if card.accessibleName() == title)
    return found


def test_that_a_double_click_beside_its_content_enlarges_a_card(qtbot, page):
    edge = QPoint(page.card.width() // 2, page.card.height() - 3)
    qtbot.mouseDClick(page.card, Qt.MouseButton.LeftButton, pos=edge)
    assert page.findChild(Enlarged).isAncestorOf(page.card)


@pytest.mark.parametrize("name", ["plot", "grid"])
def test_that_a_double_click_on_it_enlarges_a_plot_and_a_picture(qtbot, page, name):
    drawn = getattr(page, name)
    place = drawn.tile_rect(0).center().toPoint() if name == "grid" else drawn.rect().center()
    under = drawn.childAt(place) or drawn
    qtbot.mouseDClick(under, Qt.MouseButton.LeftButton, pos=under.mapFrom(drawn, place))
    assert page.findChild(Enlarged).isAncestorOf(drawn)


def test_that_f11_enlarges_what_has_the_focus(qtbot, page):
    ActionSet(page, GROUPS).set_acts({"enlarge": Act(partial(toggle_on, page))})
    page.activateWindow()
    page.grid.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is page.grid)
    qtbot.keyClick(page.grid, Qt.Key.Key_F11)
    shown = page.findChild(Enlarged)
    assert shown is not None
    qtbot.keyClick(page.grid, Qt.Key.Key_F11)
    assert page.findChild(Enlarged) is None


def test_that_one_of_a_stack_takes_the_stack_along(qtbot, page):
    stack, grid = QStackedWidget(), ImageGrid()
    stack.addWidget(grid)
    can_enlarge(stack, "Stack")
    page.split.addWidget(stack)
    toggle(grid)
    assert page.findChild(Enlarged).isAncestorOf(stack)
    toggle(grid)
    assert stack.currentWidget() is grid
    assert page.split.widget(2) is stack


def test_that_one_picture_is_had_in_its_own_pixels(page):
    picture = page.grid.picture(1)
    assert picture.size().toTuple() == (4, 4)
    assert [picture.pixelColor(x, 0).red() for x in range(4)] == [16, 17, 18, 19]


def test_that_pictures_offer_what_can_be_done_with_them(qtbot, page):
    centre = page.grid.tile_rect(0).center().toPoint()
    mouse = QContextMenuEvent.Reason.Mouse
    QApplication.sendEvent(page.grid, QContextMenuEvent(mouse, centre, page.grid.mapToGlobal(centre)))
    (menu,) = page.grid.findChildren(QMenu)
    actions = {action.text(): action for action in menu.actions() if action.text()}
    assert list(actions) == [
        "Enlarge\tF11", "Copy this picture", "Save this picture …",
        "Copy all pictures", "Save all pictures …",
    ]  # fmt: skip
    actions["Copy this picture"].trigger()
    copied = QGuiApplication.clipboard().image()
    assert copied.size().toTuple() == (256, 256)
    menu.close()


def test_that_the_rows_of_a_table_are_copied_with_their_heads(qtbot):
    model = QStandardItemModel(0, 2)
    model.setHorizontalHeaderLabels(["Run", "Loss"])
    for name, loss in (("a", "0.1"), ("b", "0.2")):
        model.appendRow([QStandardItem(name), QStandardItem(loss)])
    table = QTableView()
    qtbot.addWidget(table)
    table.setModel(model)
    table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
    offer_copy(table)
    assert table_words(table, chosen=True) == "Run\tLoss\na\t0.1\nb\t0.2"
    table.selectRow(1)
    assert table_words(table, chosen=True) == "Run\tLoss\nb\t0.2"
    assert [action.text() for action in table.actions()] == ["Copy the chosen rows", "Copy the table"]


def test_that_a_plot_is_copied_as_a_table_and_as_a_picture(page):
    page.plot.copy_table()
    assert QGuiApplication.clipboard().text().splitlines()[0] == "x\ta"
    page.plot.copy_picture()
    assert not QGuiApplication.clipboard().image().isNull()
