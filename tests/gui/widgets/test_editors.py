import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QPushButton, QVBoxLayout, QWidget

from diffusion_studio.widgets.editors.dots import scene_places
from diffusion_studio.widgets.editors.names import place_of
from diffusion_studio.widgets.editors.sigma_editor import SigmaEditor
from diffusion_studio.widgets.editors.sigma_points import Ceiling, curve
from diffusion_studio.widgets.editors.tau_editor import TauEditor
from diffusion_studio.widgets.look.theme import theme

ALPHA_BAR = np.append(1.0, np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)))
TIMES = list(range(1000, -1, -50))
STARTS = np.array(TIMES[:-1], float)
CEILING = np.sqrt(1 - ALPHA_BAR[TIMES[1:]])
POINTS = [(50.0, 0.0), (300.0, 0.3), (700.0, 0.2), (1000.0, 0.45)]
Key, Left = Qt.Key, Qt.MouseButton.LeftButton


def shown(qtbot, editor):
    qtbot.addWidget(editor)
    editor.resize(420, 180)
    editor.show()
    qtbot.waitExposed(editor)
    editor.paint_now()
    QApplication.processEvents()
    return editor


@pytest.fixture
def sigma(qtbot):
    editor = SigmaEditor()
    sigmas = np.interp(STARTS, *zip(*POINTS, strict=True))
    editor.set_steps(TIMES, CEILING, sigmas, {"η = 1": 0.8 * CEILING, "σ̂": 0.9 * CEILING})
    editor.set_points(POINTS)
    return shown(qtbot, editor)


@pytest.fixture
def tau(qtbot):
    editor = TauEditor()
    editor.set_schedule(ALPHA_BAR)
    editor.set_times(TIMES)
    return shown(qtbot, editor)


class Heard:
    """What an editor says, in order."""

    def __init__(self, editor):
        self.said = []
        edited = editor.points_edited if isinstance(editor, SigmaEditor) else editor.times_edited
        edited.connect(lambda value: self.said.append(value))
        editor.edit_finished.connect(lambda: self.said.append("finished"))
        editor.seek_requested.connect(lambda k: self.said.append(("seek", k)))


def spot(editor, t, y):
    return editor.canvas.mapFromScene(editor.canvas.view.mapViewToScene(QPointF(t, y)))


def drag(editor, start, *stops):
    viewport = editor.canvas.viewport()
    QTest.mousePress(viewport, Left, pos=spot(editor, *start))
    for stop in stops:
        QTest.mouseMove(viewport, spot(editor, *stop))
    QTest.mouseRelease(viewport, Left, pos=spot(editor, *(stops or [start])[-1]))


def double_click(editor, t, y):
    viewport, pos = editor.canvas.viewport(), spot(editor, t, y)
    for act in (QTest.mouseClick, QTest.mouseDClick, QTest.mouseRelease):
        act(viewport, Left, pos=pos)


def right_click(editor, t, y):
    place = spot(editor, t, y)
    viewport = editor.canvas.viewport()
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, viewport.mapToGlobal(place))
    QApplication.sendEvent(viewport, event)


def stays_below(points, times=STARTS, ceiling=CEILING):
    bound = ceiling > 0
    return bool((curve(tuple(points), times)[bound] <= ceiling[bound] + 1e-12).all())


# --- σ ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(420, 260), (300, 170), (900, 170)])
def test_that_no_curve_runs_through_the_name_of_one(qtbot, sigma, size):
    sigma.resize(*size)
    sigma.set_steps(TIMES, CEILING, 0.5 * CEILING**2, {"η = 1, β̃": CEILING**2.5, "σ̂": 0.8 * CEILING**2})
    sigma.paint_now()
    lines = [
        scene_places(sigma.canvas, STARTS, np.asarray(values))
        for values in (CEILING, 0.5 * CEILING**2, CEILING**2.5, 0.8 * CEILING**2)
    ]
    view = sigma.canvas.view
    boxes = [item.boundingRect().translated(view.mapViewToScene(item.pos())) for item in sigma._names]
    for line in lines:
        x = np.linspace(line[0, 0], line[-1, 0], 500)
        y = np.interp(x, line[:, 0], line[:, 1])
        assert not any(box.contains(QPointF(*place)) for place in zip(x, y, strict=True) for box in boxes)
    assert len(boxes) == 2 and not boxes[0].intersects(boxes[1])


def test_that_a_name_without_a_free_place_lies_as_little_as_can_be_on_curves():
    """η = 1 over the cosine schedule in a low plot, where its word has room neither above nor below."""
    x = np.array([47, 50, 56, 62, 69, 75, 81, 88, 100, 119, 138, 150, 194, 200.0])
    named = np.array([1, 0.9, 0.67, 0.56, 0.48, 0.43, 0.39, 0.36, 0.31, 0.25, 0.21, 0.18, 0.05, 0])
    ceiling, by_hand = np.sin(np.pi / 2 * (200 - x) / 153), 0.6 * named
    curves = [np.column_stack([x, 70 - 58 * values]) for values in (ceiling, by_hand, named)]
    box = place_of(QRectF(0, 0, 50, 14), curves[2], curves, [], QRectF(47, 7, 153, 63), 0.04)
    inside = np.linspace(box.left(), box.right(), 50)
    over = [np.interp(inside, line[:, 0], line[:, 1]) for line in curves]
    shares = [np.mean((y > box.top()) & (y < box.bottom())) for y in over]
    assert sum(shares) < 0.25 and shares[1] == 0


def test_that_dragging_moves_a_point_and_ends_once(sigma):
    heard = Heard(sigma)
    drag(sigma, (300, 0.3), (320, 0.25), (400, 0.1))
    *edits, last = heard.said
    assert last == "finished" and len(edits) == 2
    t, value = edits[-1][1]
    assert t == pytest.approx(400, abs=3) and value == pytest.approx(0.1, abs=0.01)
    assert [p for i, p in enumerate(edits[-1]) if i != 1] == [p for i, p in enumerate(POINTS) if i != 1]


def test_that_a_drag_into_the_forbidden_zone_stops_at_its_edge(sigma):
    heard = Heard(sigma)
    drag(sigma, (300, 0.3), (150, 0.9))
    assert stays_below(heard.said[-2])
    t, value = heard.said[-2][1]
    assert t == pytest.approx(150, abs=3) and value > 0.1


def test_that_a_point_stays_between_its_neighbours(sigma):
    heard = Heard(sigma)
    drag(sigma, (300, 0.3), (900, 0.3))
    assert heard.said[-2][1][0] == 699


def ceilings():
    """Times of steps, and a ceiling over each; the last step's is 0."""
    times = st.lists(st.integers(1, 1000), min_size=1, max_size=12, unique=True).map(sorted)
    return times.flatmap(
        lambda t: st.tuples(st.just(t), st.lists(st.floats(0.01, 1), min_size=len(t), max_size=len(t)))
    )


@settings(max_examples=30)
@given(
    ceilings(),
    st.lists(
        st.tuples(
            st.sampled_from(["move", "add", "remove"]),
            st.integers(0, 9), st.floats(-50, 1100), st.floats(-0.5, 1.5),
        ),
        max_size=25,
    ),
)  # fmt: skip
def test_that_no_edit_enters_the_forbidden_zone(steps, edits):
    times, values = np.array(steps[0], float), np.array(steps[1])
    values[0] = 0.0
    ceiling, points = Ceiling(times[::-1], values[::-1]), ((0.0, 0.0),)
    for what, i, t, value in edits:
        if what == "move":
            points = ceiling.moved(points, i % len(points), t, value)
        elif what == "add":
            points = (ceiling.added(points, t, value) or (points, 0))[0]
        else:
            points = ceiling.removed(points, i % len(points))
        assert stays_below(points, times, values)
        assert len(points) >= 1 and all(v >= 0 for _, v in points)
        assert [t for t, _ in points] == sorted({t for t, _ in points})


def test_that_the_last_step_binds_nothing():
    ceiling = Ceiling(np.array([1000.0, 500.0]), np.array([0.9, 0.0]))
    assert ceiling.moved(((0.0, 0.0),), 0, 0, 0.5) == ((0.0, 0.5),)


def test_that_a_double_click_adds_a_point_that_can_be_dragged_on(sigma):
    heard = Heard(sigma)
    double_click(sigma, 500, 0.5)
    points = heard.said[-2]
    assert len(points) == 5 and points[2] == pytest.approx((500, 0.5), abs=3) and sigma.selected == 2
    assert heard.said[-1] == "finished" and heard.said[0] == ("seek", 10)


def test_that_the_right_button_removes_a_point_but_never_the_last(sigma):
    heard = Heard(sigma)
    right_click(sigma, 700, 0.2)
    assert heard.said == [[POINTS[0], POINTS[1], POINTS[3]], "finished"]
    sigma.set_points(POINTS[1:2])
    right_click(sigma, 300, 0.3)
    assert len(heard.said) == 2


def test_that_the_right_button_elsewhere_opens_the_menu(sigma):
    right_click(sigma, 500, 0.8)
    menu = sigma.findChild(QMenu)
    assert menu is not None
    menu.close()


def test_that_removing_an_end_lowers_what_the_level_would_lift_too_high(sigma):
    heard = Heard(sigma)
    right_click(sigma, 50, 0.0)
    assert stays_below(heard.said[0]) and len(heard.said[0]) == 3


@pytest.mark.parametrize(
    ("key", "by"),
    [(Key.Key_Left, (1, 0)), (Key.Key_Right, (-1, 0)), (Key.Key_Up, (0, 0.005)), (Key.Key_Down, (0, -0.005))],
)
@pytest.mark.parametrize("shift", [False, True])
def test_that_the_arrows_nudge_the_selected_point(qtbot, sigma, key, by, shift):
    heard = Heard(sigma)
    sigma.select(2)
    modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
    qtbot.keyClick(sigma, key, modifier)
    far = 10 if shift else 1
    assert heard.said[0][2] == pytest.approx((700 + far * by[0], 0.2 + far * by[1]))
    assert heard.said[1:] == ["finished"]


def test_that_the_other_keys_insert_remove_and_let_go(qtbot, sigma):
    heard = Heard(sigma)
    sigma.select(2)
    assert sigma.property("keepsArrows")
    for key in (Key.Key_Insert, Key.Key_Delete, Key.Key_Escape, Key.Key_Delete):
        qtbot.keyClick(sigma, key)
    assert heard.said[0][2] == (500.0, 0.25)
    assert [p for p in heard.said if p != "finished"][-1] == POINTS
    assert sigma.selected is None and not sigma.property("keepsArrows")


def test_that_tab_walks_over_the_points_from_noise_to_image(qtbot, sigma):
    page, before, after = QWidget(), QPushButton("before"), QPushButton("after")
    qtbot.addWidget(page)
    column = QVBoxLayout(page)
    for widget in (before, sigma, after):
        column.addWidget(widget)
    with qtbot.waitActive(page):
        page.show()
    before.setFocus()
    seen = []
    for _ in range(5):
        qtbot.keyClick(QApplication.focusWidget(), Key.Key_Tab)
        seen.append(sigma.selected if sigma.hasFocus() else "away")
    assert seen == [3, 2, 1, 0, "away"] and after.hasFocus()
    qtbot.keyClick(after, Key.Key_Backtab)
    assert sigma.hasFocus() and sigma.selected == 0
    sigma.setParent(None)


def test_that_without_points_the_curve_offers_to_be_drawn(qtbot, sigma):
    sigma.set_points(None)
    heard = Heard(sigma)
    asked = []
    sigma.edit_requested.connect(lambda: asked.append(1))
    drag(sigma, (500, 0.25))
    assert asked == [1] and heard.said == []
    drag(sigma, (500, 0.8))
    assert asked == [1] and heard.said == [("seek", 10)]
    qtbot.keyClick(sigma, Key.Key_Return)
    assert asked == [1, 1]


def test_that_a_curve_asked_for_by_a_key_has_a_point_for_the_next_key(qtbot, sigma):
    sigma.set_points(None)
    sigma.edit_requested.connect(lambda: sigma.set_points([(500, 0.5), (20, 0.01)]))
    drag(sigma, (500, 0.25))
    assert sigma.selected is None  # the pointer chooses for itself
    sigma.set_points(None)
    qtbot.keyClick(sigma, Key.Key_Return)
    assert sigma.selected == 1
    qtbot.keyClick(sigma, Key.Key_Delete)
    assert len(sigma._points) == 1


def test_that_steps_and_values_must_fit(sigma):
    with pytest.raises(ValueError, match="expected 20 values"):
        sigma.set_steps(TIMES, CEILING, CEILING[1:], {})


def test_that_sigma_is_told_in_words_and_numbers(sigma):
    assert "σ is at most 0.45" in sigma.accessibleDescription() and "4 points" in sigma.describe()
    headers, rows = sigma.as_table()
    assert headers == ["step", "t", "√(1−ᾱ_s)", "σ_t", "η = 1", "σ̂"] and len(rows) == 21
    assert rows[0][1:4] == pytest.approx((1000, CEILING[0], 0.45)) and np.isnan(rows[-1][3])
    sigma.select(1)
    assert "t = 300, σ = 0.3" in sigma.accessibleDescription()


def test_that_points_from_outside_are_shown_without_a_signal(sigma):
    heard = Heard(sigma)
    before = sigma.grab().toImage()
    sigma.set_points([(500, 0.5), (20, 0.01)])
    sigma.paint_now()
    assert heard.said == [] and sigma.grab().toImage() != before


# --- τ ------------------------------------------------------------------------------------------------------


def on_curve(t):
    return t, float(np.sqrt(ALPHA_BAR[t]))


def test_that_a_time_is_dragged_between_its_neighbours(tau):
    heard = Heard(tau)
    drag(tau, on_curve(500), (520, 0.9))
    assert heard.said[-1] == "finished"
    times = heard.said[-2]
    assert times[9] == pytest.approx(520, abs=3) and all(isinstance(t, int) for t in times)
    drag(tau, on_curve(times[9]), (900, 0.2))
    assert heard.said[-2][9] == 549 and 0 not in heard.said[-2]


def test_that_the_image_stays(qtbot, tau):
    heard = Heard(tau)
    drag(tau, (0, 1.0), (30, 1.0))
    assert all(said[0] == "seek" for said in heard.said)
    tau.set_times([1000, 1, 0])
    tau.select(0)
    qtbot.keyClick(tau, Key.Key_Right)
    for _ in range(3):
        qtbot.keyClick(tau, Key.Key_Delete)
    edits = [said for said in heard.said if isinstance(said, list)]
    assert edits == [[1000]]


def test_that_a_double_click_adds_a_time(tau):
    heard = Heard(tau)
    double_click(tau, *on_curve(525))
    times = heard.said[-2]
    assert len(times) == 21 and min(abs(t - 525) for t in times) <= 2 and times == sorted(times)


def test_that_many_times_are_a_rug_that_can_be_grabbed(qtbot, tau):
    tau.set_times(list(range(1000, -1, -4)))
    tau.paint_now()
    heard = Heard(tau)
    drag(tau, on_curve(500), (700, 0.5))
    assert heard.said[-1] == "finished" and heard.said[0] != list(range(4, 1001, 4))
    tau.select(100)
    qtbot.keyClick(tau, Key.Key_Left)
    assert heard.said[-2][100] in (405, 406)
    assert not tau.grab().isNull()


@pytest.mark.parametrize("times", [[], [1000, 500], [0, 500], [1001, 0], [500, 500, 0]])
def test_that_other_times_are_refused(tau, times):
    with pytest.raises(ValueError, match="must decrease"):
        tau.set_times(times)


def test_that_times_are_told_in_words_and_numbers(tau):
    assert tau.describe() == "20 steps from t = 1000 to 0. They are between 50 and 50 long."
    headers, rows = tau.as_table()
    assert headers == ["step", "t", "√ᾱ"] and rows[-1] == (20, 0, 1.0) and len(rows) == 21
    assert tau._reading_at(0.2).text == "t = 0\n√ᾱ  1"


# --- both ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sigma", "tau"])
def test_that_they_follow_the_theme_and_the_cursor(request, name):
    editor = request.getfixturevalue(name)
    theme().set_mode("dark")
    editor.paint_now()
    pictures = [editor.grab().toImage()]
    theme().set_mode("light")
    editor.paint_now()
    pictures.append(editor.grab().toImage())
    editor.set_cursor(4)
    pictures.append(editor.grab().toImage())
    theme().set_mode("system")
    assert all(a != b for i, a in enumerate(pictures) for b in pictures[:i])
    assert editor._here.x == 800


@pytest.mark.parametrize("make", [SigmaEditor, TauEditor])
def test_that_an_empty_editor_can_be_drawn_and_clicked(qtbot, make):
    editor = shown(qtbot, make())
    double_click(editor, 0.5, 0.5)
    qtbot.keyClick(editor, Key.Key_Left)
    assert editor.describe().startswith("No ") and not editor.grab().isNull()


@pytest.mark.parametrize("name", ["sigma", "tau"])
def test_that_they_are_exported(request, name, tmp_path):
    editor = request.getfixturevalue(name)
    heard = []
    editor.exported.connect(heard.append)
    for ending in ("svg", "png", "csv"):
        editor.export(tmp_path / f"plot.{ending}")
    assert len(heard) == 3
    assert "<image" not in (tmp_path / "plot.svg").read_text(encoding="utf-8")
