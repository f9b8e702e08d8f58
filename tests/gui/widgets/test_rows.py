"""What gives way where there is little room: rows, lines of text, columns."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QSizePolicy, QToolButton, QWidget

from diffusion_studio.widgets.chain.button_row import ButtonRow
from diffusion_studio.widgets.frame.elided import ElidedLabel
from diffusion_studio.widgets.frame.flow import FlowRow
from diffusion_studio.widgets.frame.scrolling import ScrollColumn
from diffusion_studio.widgets.images.veil import Veil
from diffusion_studio.widgets.look.theme import label

ICON, BESIDE = Qt.ToolButtonStyle.ToolButtonIconOnly, Qt.ToolButtonStyle.ToolButtonTextBesideIcon


class Block(QWidget):
    """Of one size, or as wide as there is room for."""

    def __init__(self, width: int, height: int = 20, grows: bool = False) -> None:
        super().__init__()
        self._size = QSize(width, height)
        policy = QSizePolicy.Policy
        self.setSizePolicy(policy.Expanding if grows else policy.Fixed, policy.Fixed)

    def sizeHint(self) -> QSize:
        return self._size

    def minimumSizeHint(self) -> QSize:
        return self._size


@pytest.fixture
def row(qtbot):
    """Rows of blocks: `row(width, *blocks)` gives their places."""

    def made(width, *blocks, stretch_before=None):
        holder = QWidget()
        qtbot.addWidget(holder)
        layout = FlowRow(holder, spacing=10)
        for number, block in enumerate(blocks):
            if number == stretch_before:
                layout.add_stretch()
            layout.addWidget(block)
        holder.resize(width, layout.heightForWidth(width))
        holder.show()
        QApplication.processEvents()
        return holder, [block.geometry().getRect() for block in blocks]

    return made


def test_that_what_does_not_fit_goes_to_the_next_row(row):
    holder, places = row(200, Block(90), Block(90), Block(90))
    assert places == [(0, 0, 90, 20), (100, 0, 90, 20), (0, 30, 90, 20)]
    assert holder.height() == 50


def test_that_what_grows_takes_the_rest_of_its_row(row):
    _, places = row(200, Block(50, grows=True), Block(40))
    assert places == [(0, 0, 150, 20), (160, 0, 40, 20)]


def test_that_what_follows_a_stretch_stands_at_the_right(row):
    _, places = row(200, Block(50), Block(40), stretch_before=1)
    assert places == [(0, 0, 50, 20), (160, 0, 40, 20)]


def test_that_what_is_hidden_takes_no_room(row):
    hidden = Block(150)
    holder, _ = row(200, Block(90), hidden, Block(90))
    hidden.hide()
    assert holder.layout().heightForWidth(200) == 20


def test_that_a_row_says_how_high_it_became(row):
    holder, _ = row(100, Block(90), Block(90))
    assert holder.layout().minimumSize() == QSize(90, 50)


def test_that_a_line_of_text_ends_in_an_ellipsis_and_is_whole_in_its_tooltip(qtbot):
    line = ElidedLabel("a name that is much longer than its room", "strong")
    qtbot.addWidget(line)
    line.show()  # first: a style sheet gives it its font
    line.resize(line.sizeHint())
    assert line.shown() == line.text()
    assert line.toolTip() == ""
    line.resize(80, 20)
    assert line.shown().endswith("…")
    assert line.toolTip() == line.text()
    assert line.minimumSizeHint().width() < 80
    line.resize(20, 20)  # rather than one letter
    assert line.shown() == ""
    assert line.toolTip() == line.text()


def test_that_a_line_of_text_looks_as_a_label_does(qtbot):
    line, plain = ElidedLabel("step 12 of 50", "muted"), label("step 12 of 50", "muted")
    for each in (line, plain):
        qtbot.addWidget(each)
        each.show()
        each.setFixedSize(160, 24)
    assert line.grab().toImage() == plain.grab().toImage()


def test_that_buttons_stand_closer_and_lose_their_words_where_there_is_little_room(qtbot):
    moves, words = [QToolButton() for _ in range(5)], ElidedLabel("step 12 of 50")
    row = ButtonRow(moves, words, [QToolButton()])
    qtbot.addWidget(row)
    action = QToolButton()
    action.setText("Compare")
    row.add_action(action)
    assert action.accessibleName() == "Compare"
    row.resize(900, 40)
    row.show()
    assert action.toolButtonStyle() == BESIDE
    row.resize(row.minimumSizeHint())
    assert action.toolButtonStyle() == ICON
    assert all(button.width() == 32 for button in moves)
    assert action.geometry().right() <= row.width()
    assert action.height() == 32, "as those beside it"
    gap = words.x() + words.contentsRect().left() - moves[-1].geometry().right()
    assert gap >= 8, "the words stand off the buttons"
    row.resize(900, 40)
    assert action.toolButtonStyle() == BESIDE
    assert action.height() == 32


def test_that_a_column_is_as_wide_as_what_it_needs_now(qtbot):
    inner = QWidget()
    layout = FlowRow(inner)
    layout.addWidget(Block(100, 400))
    column = ScrollColumn(inner, least=120)
    qtbot.addWidget(column)
    column.show()
    before = column.minimumSizeHint()
    assert before.width() >= 100
    assert before.height() == 120
    layout.addWidget(Block(260, 400))
    QApplication.processEvents()
    assert column.minimumSizeHint().width() >= 260


def test_that_a_veil_covers_says_and_stops(qtbot):
    below = QLabel("the picture of another model")
    qtbot.addWidget(below)
    below.resize(300, 200)
    veil = Veil(below)
    below.show()
    assert not veil.isVisible()
    veil.say("computing 12 of 50")
    assert veil.isVisible()
    assert veil.geometry() == below.rect()
    below.resize(400, 300)
    assert veil.geometry() == below.rect()
    with qtbot.waitSignal(veil.stop_requested):
        veil.findChild(QPushButton).click()
    veil.say("")
    assert not veil.isVisible()


def test_that_heights_are_reckoned_once_until_an_item_changes(qtbot, monkeypatch):
    holder, reckoned, arranged = QWidget(), [], FlowRow._arranged
    qtbot.addWidget(holder)
    row = FlowRow(holder, spacing=0)
    blocks = [Block(60), Block(60)]
    for block in blocks:
        row.addWidget(block)
    holder.resize(200, 100)
    holder.show()

    def heard(row, rect, place):
        reckoned.append(rect.width())
        return arranged(row, rect, place)

    monkeypatch.setattr(FlowRow, "_arranged", heard)
    assert [row.heightForWidth(width) for width in (130, 100, 130, 100)] == [20, 40, 20, 40]
    assert sorted(reckoned) == [100, 130]
    blocks[0].hide()
    assert row.heightForWidth(100) == 20
    blocks[0].show()
    blocks[1]._size = QSize(60, 50)
    blocks[1].updateGeometry()
    assert row.heightForWidth(100) == 70
    third = Block(60, 10)
    row.addWidget(third)
    third.show()
    assert row.heightForWidth(100) == 80
    row.takeAt(2)
    assert row.heightForWidth(100) == 70


def test_that_what_is_aligned_so_stands_at_the_top_of_its_row(qtbot):
    holder = QWidget()
    qtbot.addWidget(holder)
    row, high, middle, top = FlowRow(holder), QWidget(), QWidget(), QWidget()
    for widget, height in ((high, 90), (middle, 30), (top, 30)):
        widget.setFixedSize(50, height)
        row.addWidget(widget)
    row.setAlignment(top, Qt.AlignmentFlag.AlignTop)
    holder.resize(400, 90)
    holder.show()
    assert (high.y(), middle.y(), top.y()) == (0, 30, 0)
