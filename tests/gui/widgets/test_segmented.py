import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont

from diffusion_studio.widgets.forms.segmented import Segmented, symbol_width

OPTIONS = [("xt", "x_t", "the noisy picture"), ("x0", "x̂₀", "the estimate"), ("eps", "ε̂", "the noise")]


@pytest.fixture
def choice(qtbot):
    made = Segmented()
    qtbot.addWidget(made)
    made.set_options(OPTIONS)
    made.resize(made.sizeHint())
    made.show()
    return made


def click(qtbot, choice, key):
    qtbot.mouseClick(choice, Qt.MouseButton.LeftButton, pos=choice.segment_rect(key).center().toPoint())


def test_that_a_click_chooses_once(qtbot, choice):
    heard = []
    choice.changed.connect(heard.append)
    click(qtbot, choice, "eps")
    click(qtbot, choice, "eps")
    assert heard == ["eps"]
    assert choice.value == "eps"


def test_that_setting_says_nothing_and_knows_its_options(qtbot, choice):
    with qtbot.assertNotEmitted(choice.changed):
        choice.set_value("x0")
    assert choice.value == "x0"
    with pytest.raises(ValueError, match="nowhere"):
        choice.set_value("nowhere")


def test_that_the_choice_survives_new_options_where_it_can(choice):
    choice.set_value("x0")
    choice.set_options(OPTIONS[1:])
    assert choice.value == "x0"
    choice.set_options(OPTIONS[2:])
    assert choice.value == "eps"


def test_that_the_arrows_move_past_what_is_disabled(qtbot, choice):
    heard = []
    choice.changed.connect(heard.append)
    choice.set_option_enabled("x0", False, "no denoiser")
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left):
        qtbot.keyClick(choice, key)
    assert heard == ["eps", "xt"]


def test_that_a_disabled_option_cannot_be_clicked(qtbot, choice):
    choice.set_option_enabled("eps", False, "no denoiser")
    with qtbot.assertNotEmitted(choice.changed):
        click(qtbot, choice, "eps")


def test_that_an_empty_choice_does_nothing(qtbot):
    empty = Segmented()
    qtbot.addWidget(empty)
    qtbot.keyClick(empty, Qt.Key.Key_Right)
    empty.grab()
    assert empty.value == ""


def test_that_stretching_fills_the_width(qtbot):
    wide = Segmented(stretch=True)
    qtbot.addWidget(wide)
    wide.set_options(OPTIONS)
    wide.resize(400, 32)
    assert wide.segment_rect("eps").right() == pytest.approx(397)


def test_that_the_description_names_the_choice(choice):
    choice.set_value("x0")
    assert choice.accessibleDescription() == "x̂₀ chosen of x_t, x̂₀, ε̂"


def test_that_marks_take_no_width_and_both_spellings_agree(qapp):
    font = QFont()
    assert symbol_width("x̂_0", font) == symbol_width("x̂₀", font) == symbol_width("x₀", font)
    assert symbol_width("x_t", font) < symbol_width("xt", font)
    assert symbol_width("log x̂₀", font) > symbol_width("x̂₀", font)


def test_that_the_chosen_symbol_has_the_colour_of_its_quantity(choice):
    from diffusion_studio.widgets.look.theme import theme

    choice.set_value("x0")
    choice.set_quantities({"x0": "x0"})
    wanted = theme().palette.ink("x0")
    image = choice.grab().toImage()
    colors = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
    near = {
        c
        for c in colors
        if all(abs(int(c[i : i + 2], 16) - int(wanted[i : i + 2], 16)) < 40 for i in (1, 3, 5))
    }
    assert near


def test_that_nothing_may_be_chosen(qtbot, choice):
    heard = []
    choice.changed.connect(heard.append)
    choice.set_value("")
    choice.grab()
    assert choice.value == "" and not heard
    qtbot.keyClick(choice, Qt.Key.Key_Left)
    assert not heard
    qtbot.keyClick(choice, Qt.Key.Key_Right)
    assert heard == ["xt"]


def test_that_it_stands_closer_where_there_is_little_room(choice):
    choice.resize(choice.minimumSizeHint())
    rects = [choice.segment_rect(key) for key, *_ in OPTIONS]
    assert rects[-1].right() <= choice.width()
    for (_, label, _), rect in zip(OPTIONS, rects, strict=True):
        assert rect.width() >= symbol_width(label, choice.font()) + 4


def test_that_tabs_stand_in_two_rows_where_one_has_no_room(qtbot):
    tabs = Segmented(stretch=True)
    qtbot.addWidget(tabs)
    tabs.set_options([(name, name, "") for name in ("Curves", "By hand", "Memory", "Guidance", "Classifier")])
    tabs.resize(600, 32)
    tabs.show()
    assert tabs.segment_rect("Classifier").top() == tabs.segment_rect("Curves").top()
    tabs.resize(tabs.minimumSizeHint().width(), 64)
    assert tabs.heightForWidth(tabs.width()) == 64
    assert tabs.segment_rect("Classifier").top() > tabs.segment_rect("Curves").bottom()
    assert tabs.segment_rect("Curves").left() == tabs.segment_rect("Guidance").left()
    click(qtbot, tabs, "Classifier")
    assert tabs.value == "Classifier"


def test_that_what_wraps_is_as_wide_as_its_words_and_in_two_rows_where_they_have_no_room(qtbot):
    parts, row = Segmented(wraps=True), Segmented()
    for each in (parts, row):
        qtbot.addWidget(each)
        each.set_options([(name, name, "") for name in ("Schedules", "Weights", "Bound", "Figures")])
        each.resize(each.sizeHint())
    assert parts.sizeHint() == row.sizeHint() and parts.segment_rect("Figures") == row.segment_rect("Figures")
    least = parts.minimumSizeHint().width()
    assert least < row.minimumSizeHint().width() and parts.heightForWidth(least) == 2 * row.height()
