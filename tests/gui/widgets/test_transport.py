import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QLineEdit,
    QPushButton,
    QSlider,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from diffusion_studio.widgets.actions.action_set import ActionSet
from diffusion_studio.widgets.actions.table import GROUPS
from diffusion_studio.widgets.chain.tracks import Track
from diffusion_studio.widgets.chain.transport import SPEEDS, Transport
from diffusion_studio.widgets.forms.segmented import Segmented

TIMES = list(range(1000, -1, -20))
Key = Qt.Key


@pytest.fixture
def page(qtbot):
    """A page with fields of every kind and a transport that takes its keys."""
    made = QWidget()
    qtbot.addWidget(made)
    column = QVBoxLayout(made)
    made.fields = {
        "button": QPushButton("Export"),
        "check": QCheckBox("clip"),
        "text": QLineEdit(),
        "number": QSpinBox(),
        "slider": QSlider(Qt.Orientation.Horizontal),
        "segmented": Segmented(),
    }
    made.fields["segmented"].set_options([("a", "A", ""), ("b", "B", "")])
    for field in made.fields.values():
        column.addWidget(field)
    made.transport = Transport(made)
    made.transport.set_times(TIMES)
    made.keys = ActionSet(made, GROUPS)
    made.keys.set_acts(made.transport.acts())
    column.addWidget(made.transport)
    made.resize(800, 500)
    with qtbot.waitActive(made):
        made.show()
    return made


@pytest.fixture
def transport(page):
    return page.transport


class Heard:
    """Everything a transport asks for, in order."""

    def __init__(self, transport):
        self.said = []
        for name in ("seek_requested", "step_requested", "play_requested", "speed_changed"):
            getattr(transport, name).connect(lambda value, name=name: self.said.append((name, value)))
        for name in ("home", "end", "play_toggled", "pause_requested"):
            getattr(transport, name).connect(lambda name=name: self.said.append(name))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (Key.Key_Space, "play_toggled"),
        (Key.Key_Left, ("step_requested", -1)),
        (Key.Key_Right, ("step_requested", 1)),
        (Key.Key_Up, ("step_requested", 10)),
        (Key.Key_Down, ("step_requested", -10)),
        (Key.Key_Home, "home"),
        (Key.Key_End, "end"),
        (Key.Key_K, "pause_requested"),
        (Key.Key_L, ("play_requested", 1)),
        (Key.Key_J, ("play_requested", -1)),
    ],
)
@pytest.mark.parametrize("focus", ["page", "button", "check"])
def test_that_the_keys_work_wherever_the_focus_is(qtbot, page, focus, key, said):
    heard = Heard(page.transport)
    widget = page if focus == "page" else page.fields[focus]
    widget.setFocus()
    pressed = []
    page.fields["button"].clicked.connect(lambda: pressed.append("button"))
    page.fields["check"].toggled.connect(lambda: pressed.append("check"))
    qtbot.keyClick(widget, key)
    assert heard.said == [said]
    assert not pressed


@pytest.mark.parametrize("key", [Key.Key_Return, Key.Key_Enter])
@pytest.mark.parametrize("name", ["button", "check"])
def test_that_enter_presses_the_focused_button_instead_of_space(qtbot, page, name, key):
    page.fields[name].setFocus()
    with qtbot.waitSignal(page.fields[name].clicked):
        qtbot.keyClick(page.fields[name], key)


@pytest.mark.parametrize("name", ["text", "number"])
def test_that_text_fields_keep_their_keys(qtbot, page, name):
    heard = Heard(page.transport)
    field = page.fields[name]
    field.setFocus()
    for key in (Key.Key_Space, Key.Key_Left, Key.Key_Up, Key.Key_Home, Key.Key_J):
        qtbot.keyClick(field, key)
    assert heard.said == []


def test_that_a_space_can_be_typed(qtbot, page):
    page.fields["text"].setFocus()
    qtbot.keyClicks(page.fields["text"], "a b")
    assert page.fields["text"].text() == "a b"


@pytest.mark.parametrize("name", ["slider", "segmented"])
def test_that_a_slider_or_a_choice_keeps_the_arrows_but_not_space(qtbot, page, name):
    heard = Heard(page.transport)
    field = page.fields[name]
    field.setFocus()
    qtbot.keyClick(field, Key.Key_Right)
    assert heard.said == []
    qtbot.keyClick(field, Key.Key_Space)
    assert heard.said == ["play_toggled"]


def test_that_keys_with_modifiers_are_left_alone(qtbot, page):
    heard = Heard(page.transport)
    qtbot.keyClick(page, Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    assert heard.said == []


def test_that_a_field_deleted_while_it_has_the_focus_does_no_harm(qtbot, page):
    page.fields["button"].setFocus()
    page.fields.pop("button").deleteLater()
    qtbot.waitUntil(lambda: page.focusWidget() is None or page.focusWidget().hasFocus())
    page.fields["check"].setFocus()
    heard = Heard(page.transport)
    qtbot.keyClick(page.fields["check"], Key.Key_Space)
    assert heard.said == ["play_toggled"]


def test_that_pressing_again_doubles_the_speed_and_pausing_forgets_it(qtbot, page, transport):
    heard = Heard(transport)
    for key in (Key.Key_L, Key.Key_L, Key.Key_L, Key.Key_J, Key.Key_J):
        qtbot.keyClick(page, key)
    transport.set_playing(False)
    qtbot.keyClick(page, Key.Key_J)
    assert heard.said == [("play_requested", n) for n in (1, 2, 4, -1, -2, -1)]


def test_that_the_buttons_never_take_the_focus(transport):
    for button in transport.findChildren(QToolButton):
        assert button.focusPolicy() == Qt.FocusPolicy.NoFocus
        assert button.accessibleName()


def test_that_the_buttons_ask_for_what_they_show(transport):
    heard = Heard(transport)
    for start in ("To the noise", "One step back", "Play (", "One step on", "To the image"):
        found = transport.findChildren(QToolButton)
        next(button for button in found if button.accessibleName().startswith(start)).click()
    assert heard.said == ["home", ("step_requested", -1), "play_toggled", ("step_requested", 1), "end"]


def test_that_the_label_says_where_one_stands(transport):
    transport.set_position(20)
    transport.set_note("12 ms")
    assert transport._where.text() == "step 20 of 50 · t = 600 → 580 · 12 ms"
    transport.set_note("")
    transport.set_position(50)
    assert transport._where.text() == "step 50 of 50 · t = 0"
    transport._where.resize(80, 20)
    assert transport._where.shown() == "t = 0"  # rather than "step 50 …"


def test_that_every_state_is_found_where_it_is_drawn(transport):
    timeline = transport.timeline
    for axis, values in (("t", ()), ("step", ()), ("log_snr", [k**1.5 for k in range(51)])):
        transport.set_axis(axis, values)
        assert [timeline.plan.index_at(timeline.plan.x_of(k)) for k in range(51)] == list(range(51))
        assert timeline.plan.index_at(-100) == 0
        assert timeline.plan.index_at(1e5) == 50


def test_that_the_axis_moves_the_states(transport):
    transport.set_times([1000, 100, 0])
    timeline = transport.timeline
    share = (timeline.plan.x_of(1) - timeline.plan.x_of(0)) / (timeline.plan.x_of(2) - timeline.plan.x_of(0))
    assert share == pytest.approx(0.9)
    transport.set_axis("step")
    share = (timeline.plan.x_of(1) - timeline.plan.x_of(0)) / (timeline.plan.x_of(2) - timeline.plan.x_of(0))
    assert share == pytest.approx(0.5)


def test_that_impossible_times_and_values_are_refused(transport):
    with pytest.raises(ValueError, match="decrease"):
        transport.set_times([0, 10])
    with pytest.raises(ValueError, match="3 places"):
        transport.set_axis("log_snr", [1.0, 2.0, 3.0])


def test_that_dragging_seeks_each_state_once(qtbot, transport):
    heard = Heard(transport)
    timeline = transport.timeline
    at = lambda k, by=0: QPoint(round(timeline.plan.x_of(k)) + by, 40)  # noqa: E731
    qtbot.mousePress(timeline, Qt.MouseButton.LeftButton, pos=at(10))
    for point in (at(10, 1), at(11), at(11, 1), at(30)):
        qtbot.mouseMove(timeline, point)
    qtbot.mouseRelease(timeline, Qt.MouseButton.LeftButton, pos=at(30))
    assert heard.said == [("seek_requested", k) for k in (10, 11, 30)]
    assert transport.position == 30


def test_that_positions_outside_are_brought_inside(transport):
    transport.set_position(99)
    assert transport.position == 50
    transport.set_position(-3)
    assert transport.position == 0


def test_that_what_is_computed_is_drawn_fuller(transport):
    transport.set_axis("step")
    transport.set_ready(25)
    timeline = transport.timeline
    shown = timeline.grab().toImage()
    done = shown.pixelColor(round(timeline.plan.x_of(10)) + 2, 42).name()
    ahead = shown.pixelColor(round(timeline.plan.x_of(40)) + 2, 42).name()
    assert done == "#009e73"
    assert ahead != done


def test_that_the_timelines_requests_are_passed_on(transport):
    transport.set_tracks([Track(tuple(TIMES), label="main"), Track(tuple(TIMES), 0, 40, "η = 1", 20)], 1)
    said = []
    for name in ("track_requested", "rename_requested", "delete_requested", "seek_requested"):
        getattr(transport, name).connect(lambda value, name=name: said.append((name, value)))
    for name, value in (("track", 0), ("rename", 1), ("delete", 1), ("seek", 7)):
        getattr(transport.timeline, f"{name}_requested").emit(value)
    assert said == [
        (f"{name}_requested", n) for name, n in (("track", 0), ("rename", 1), ("delete", 1), ("seek", 7))
    ]


def test_that_the_label_counts_the_active_tracks_states(transport):
    branch = Track((1000, 500, 400, 300, 200, 100, 0), 0, 6, "six steps", 1)
    transport.set_tracks([Track((1000, 500, 0), ready=2), branch], 1)
    transport.set_position(4)
    assert transport._where.text() == "step 4 of 6 · t = 200 → 100"
    told = transport.timeline.accessibleDescription()
    assert told == "six steps · step 4 of 6 · t = 200 → 100"


def test_that_loop_and_speed_are_said(qtbot, transport):
    with qtbot.waitSignal(transport.loop_toggled) as asked:
        transport.set_loop(True)
    assert asked.args == [True]
    heard = Heard(transport)
    transport.set_speed(2.0)
    assert heard.said == []
    for action in transport._speed.menu().actions():
        action.trigger()
    assert heard.said == [("speed_changed", speed) for speed in SPEEDS]
    with pytest.raises(ValueError, match="speed"):
        transport.set_speed(3.0)


def test_that_an_empty_transport_can_be_drawn(qtbot):
    transport = Transport()
    qtbot.addWidget(transport)
    transport.grab()
    transport.set_times([0])
    transport.grab()
    qtbot.mouseClick(transport.timeline, Qt.MouseButton.LeftButton)
    assert transport.position == 0
