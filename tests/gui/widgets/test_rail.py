import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu, QToolButton

from diffusion_studio.widgets.frame.empty import EmptyState
from diffusion_studio.widgets.frame.header import Header
from diffusion_studio.widgets.frame.rail import Rail
from diffusion_studio.widgets.look.icons import icon, pixmap, set_icon
from diffusion_studio.widgets.look.theme import DARK, LIGHT, theme

ITEMS = [("train", "Train", "play"), ("sample", "Sample", "image"), ("runs", "Autoencoder", "folder")]


@pytest.fixture(autouse=True)
def _dark(qapp):
    theme().set_mode("dark")
    yield
    theme().set_mode("system")


@pytest.fixture
def rail(qtbot):
    made = Rail()
    qtbot.addWidget(made)
    made.set_items(ITEMS)
    made.resize(made.width(), 400)
    made.show()
    return made


def inks(picture) -> set[str]:
    """The colours of the opaque pixels."""
    image = picture.toImage()
    pixels = (image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height()))
    return {color.name() for color in pixels if color.alpha() == 255}


def test_that_the_first_item_is_selected(rail):
    assert rail.current == "train"
    assert rail.button("train").isChecked()


def test_that_a_click_selects_and_says_so_once(qtbot, rail):
    heard = []
    rail.selected.connect(heard.append)
    for _ in range(2):
        qtbot.mouseClick(rail.button("sample"), Qt.MouseButton.LeftButton)
    assert heard == ["sample"]
    assert [rail.button(key).isChecked() for key, *_ in ITEMS] == [False, True, False]


def test_that_setting_the_page_says_nothing(qtbot, rail):
    with qtbot.assertNotEmitted(rail.selected):
        rail.set_current("runs")
    assert rail.current == "runs"
    with pytest.raises(KeyError):
        rail.set_current("nowhere")


def test_that_the_arrow_keys_walk_around_the_rail(qtbot, rail):
    heard = []
    rail.selected.connect(heard.append)
    qtbot.keyClick(rail.button("train"), Qt.Key.Key_Down)
    qtbot.keyClick(rail.button("sample"), Qt.Key.Key_Up)
    qtbot.keyClick(rail.button("train"), Qt.Key.Key_Up)
    assert heard == ["sample", "train", "runs"]


def test_that_every_button_has_a_name_and_room_for_its_label(rail):
    for button in rail.findChildren(QToolButton):
        assert button.accessibleName()
    assert all(rail.button(key).width() >= rail.button(key).sizeHint().width() for key, *_ in ITEMS)


def test_that_the_colours_are_asked_for_at_the_foot(qtbot, rail):
    heard = []
    rail.theme_requested.connect(heard.append)
    for action in rail.findChild(QMenu).actions():
        action.trigger()
    assert heard == ["light", "dark", "system"]


def test_that_a_device_can_be_chosen_where_there_are_several(qtbot, rail):
    button, heard = rail.device_button, []
    rail.device_requested.connect(heard.append)
    rail.set_devices([("auto", "Automatic"), ("cpu", "CPU")], "auto")
    assert not button.isVisible()
    rail.set_devices([("auto", "Automatic"), ("cuda", "Card"), ("cuda:1", "Other"), ("cpu", "CPU")], "cuda:1")
    assert button.isVisible() and button.toolTip() == "Computes on: Other"
    button.menu().actions()[1].trigger()
    assert heard == ["cuda"] and button.toolTip() == "Computes on: Card"


def test_that_an_icon_has_the_colour_asked_for(qapp):
    assert inks(pixmap("stop", 32, "#ff0000")) == {"#ff0000"}
    assert inks(pixmap("stop", 32)) == {DARK.text}
    assert pixmap("stop", 16, ratio=2.0).width() == 32


def test_that_an_unknown_icon_is_an_error(qapp):
    with pytest.raises(FileNotFoundError, match="unicorn"):
        icon("unicorn")


def test_that_icons_are_made_once(qapp):
    assert icon("play").cacheKey() == icon("play").cacheKey()
    assert icon("play").cacheKey() != icon("play", "accent").cacheKey()


def test_that_an_icon_on_a_button_follows_the_theme(qtbot):
    button = QToolButton()
    qtbot.addWidget(button)
    set_icon(button, "stop", "text", 32)
    assert inks(button.icon().pixmap(32)) == {DARK.text}
    theme().set_mode("light")
    assert inks(button.icon().pixmap(32)) == {LIGHT.text}
    set_icon(button, "stop", "accent", 32)
    assert inks(button.icon().pixmap(32)) == {LIGHT.accent}


@pytest.fixture
def header(qtbot):
    made = Header()
    qtbot.addWidget(made)
    made.resize(1200, 48)
    made.show()
    return made


def step_button(header, verb):
    found = header.findChildren(QToolButton)
    return next(button for button in found if button.accessibleName().startswith(verb))


def test_that_undo_is_offered_only_when_there_is_something_to_undo(qtbot, header):
    undo = step_button(header, "Undo")
    assert not undo.isEnabled()
    header.set_undo(True, "stochasticity η")
    assert "stochasticity η" in undo.toolTip()
    with qtbot.waitSignal(header.undo_requested):
        undo.click()
    header.set_redo(True, "steps")
    with qtbot.waitSignal(header.redo_requested):
        step_button(header, "Redo").click()


def test_that_chips_come_go_and_stay_short(header):
    header.set_chips([("run", "digits"), ("device", "x" * 100)])
    chips = header.findChildren(type(header._chips[0]))
    assert len(chips) == 2
    assert chips[1].sizeHint().width() < 600
    assert "x" * 100 in chips[1].toolTip()
    header.set_chips([("", "saved")])
    assert len(header._chips) == 1
    assert header._chips[0].height() < header.height()


@pytest.mark.parametrize(
    ("value", "left"), [("CPU · 1 thread", "CPU"), ("step 5,995", "5,995"), ("digits", "digits")]
)
def test_that_a_chip_keeps_its_most_telling_part_in_little_room(qtbot, header, value, left):
    header.set_chips([("", value)])
    header.show()
    shown = header._chips[0]._value
    assert shown.shown() == value
    shown.setFixedWidth(50)
    qtbot.waitUntil(lambda: shown.shown() == left)
    assert shown.toolTip() == ("" if left == value else value)


@pytest.mark.parametrize("value", ["CPU · 2 parts × 1 thread", "a name of more than forty letters " * 2])
def test_that_all_of_a_chip_can_be_read_wherever_the_pointer_is_on_it(qtbot, header, value):
    header.set_chips([("device", value)])
    header.show()
    (chip,) = header._chips
    chip._value.setFixedWidth(50)
    qtbot.waitUntil(lambda: chip._value.shown() not in value.strip().splitlines())
    for part in (chip._name, chip._value):
        under = chip.childAt(part.geometry().center()) or chip
        assert (under.toolTip() or chip.toolTip()) == f"device {value}".strip()


def test_that_a_chip_in_medium_room_ends_later_than_its_most_telling_part(qtbot, header):
    header.set_chips([("device", "CPU · 2 parts × 1 thread")])
    header.show()
    shown = header._chips[0]._value
    shown.setFixedWidth(shown.sizeHint().width() - 12)
    qtbot.waitUntil(lambda: shown.shown().endswith("…"))
    assert shown.shown().startswith("CPU · 2 parts")


def test_that_an_empty_state_offers_only_named_buttons(qtbot):
    empty = EmptyState()
    qtbot.addWidget(empty)
    empty.set_content("image", "No images yet", "Drop a folder of pictures here. " * 4, "Open folder…")
    empty.resize(800, 600)
    empty.show()
    assert empty._primary.isVisible()
    assert not empty._secondary.isVisible()
    assert empty._text.height() >= empty._text.heightForWidth(empty._text.width())
    with qtbot.waitSignal(empty.primary_requested):
        empty._primary.click()


def test_that_an_item_with_the_focus_keeps_the_arrows_that_walk_a_chain_elsewhere(qtbot, open_app):
    app = open_app(page="sample")
    rail = app.shell.rail
    rail.button("sample").setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(rail.button("sample"), Qt.Key.Key_Up)
    assert rail.current == "train"
