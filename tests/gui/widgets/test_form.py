from typing import Annotated, ClassVar, Literal

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QStylePainter, QVBoxLayout, QWidget

from diffusion_studio.core.describe import Choice, Member, OneOf, get_value, knob, knobs, with_value
from diffusion_studio.widgets.forms import controls
from diffusion_studio.widgets.forms.field import symbol_html
from diffusion_studio.widgets.forms.form import Form
from diffusion_studio.widgets.look.theme import theme


class Shape(Member):
    pass


class Flat(Shape):
    kind: Literal["flat"] = "flat"
    title: ClassVar[str] = "flat"
    summary: ClassVar[str] = "The same everywhere."
    formula: ClassVar[str] = r"\beta"
    source: ClassVar[str] = "nobody"
    level: float = knob(0.5, title="level", symbol="β_T", ge=0, le=1, help="Its height.")


class Steep(Shape):
    kind: Literal["steep"] = "steep"
    title: ClassVar[str] = "steep"
    summary: ClassVar[str] = "Rising."
    formula: ClassVar[str] = r"\beta t"
    source: ClassVar[str] = "nobody"
    slope: float = knob(1e-2, title="slope", gt=0, le=1, scale="log", help="How fast it rises.")
    power: int = knob(2, title="power", ge=1, le=9, help="Its exponent.", advanced=True)


class Sample(Choice):
    shape: Annotated[Shape, OneOf()] = knob(Flat(), title="shape", help="What it looks like.")
    rate: float = knob(
        2e-3, title="learning rate", symbol="η", gt=0, le=1, scale="log", help="Step size.", source="somebody"
    )
    steps: int = knob(50, title="steps", ge=1, le=1000, unit="st", help="How many.")
    size: int = knob(8, title="size", help="Unbounded.", words={8: "usual"})
    mode: Literal["a", "b", "c"] = knob("a", title="mode", help="Which.")
    flip: bool = knob(True, title="mirror", help="Left and right.")
    name: str = knob("digits", title="name", help="Its name.")
    times: tuple[int, ...] = knob((1, 2), title="times", help="When.")
    ema: float = knob(0.999, title="average", ge=0, lt=1, help="Decay.", advanced=True)


OTHER = Sample(shape=Steep(), rate=0.1, steps=7, size=3, mode="c", flip=False, name="x", times=(4,), ema=0.5)


class Page:
    """A form whose edits go back into the choice, as a page does it."""

    def __init__(self, qtbot, sections=None):
        self.window = QWidget()
        QVBoxLayout(self.window).addWidget(form := Form(sections))
        self.form = form
        self.choice = Sample()
        self.edits, self.finished = [], 0
        form.edited.connect(self._edit)
        form.edit_finished.connect(self._finish)
        form.set_choice(self.choice)
        qtbot.addWidget(self.window)
        self.window.resize(300, 600)
        self.window.show()
        qtbot.waitExposed(self.window)

    def _edit(self, path, value):
        self.edits.append((path, value))
        self.choice = with_value(self.choice, path, value)
        self.form.set_choice(self.choice)

    def _finish(self):
        self.finished += 1

    def control(self, path):
        return self.form.field(path).control


@pytest.fixture
def page(qtbot):
    return Page(qtbot)


def type_in(edit, text):
    edit.setFocus()
    edit.selectAll()
    QTest.keyClicks(edit, text)
    QTest.keyClick(edit, Qt.Key.Key_Return)


def wheel(widget, notches=-1):
    position = QPointF(widget.rect().center())
    event = QWheelEvent(
        position, widget.mapToGlobal(position), QPoint(), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


@pytest.mark.parametrize("choice", [Sample(), OTHER], ids=["defaults", "others"])
def test_that_every_knob_has_a_field_that_shows_its_value_silently(page, choice):
    page.form.set_choice(choice)
    assert set(page.form.paths) == {k.path for k in knobs(choice)}
    assert {path: page.form.field(path).value for path in page.form.paths} == {
        k.path: get_value(choice, k.path) for k in knobs(choice)
    }
    assert page.edits == [] and page.finished == 0


def test_that_switching_the_family_swaps_only_its_own_fields(page):
    kept = {p: page.form.field(p) for p in page.form.paths if p != "shape.level"}
    combo = page.control("shape.kind").combo
    combo.setFocus()
    combo.setCurrentIndex(1)
    combo.activated.emit(1)
    assert page.edits == [("shape.kind", "steep")]
    assert {"shape.slope", "shape.power"} <= set(page.form.paths) and "shape.level" not in page.form.paths
    assert all(page.form.field(p) is field for p, field in kept.items())
    assert combo.hasFocus()
    assert "Rising." in page.form.field("shape.kind").tooltip_html()


def test_that_values_alone_make_no_new_fields(page):
    before = [page.form.field(p) for p in page.form.paths]
    page.form.set_choice(with_value(page.choice, "rate", 0.5))
    assert [page.form.field(p) for p in page.form.paths] == before


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [("rate", "3e-4", 3e-4), ("steps", "12.3", 12), ("steps", "20 st", 20), ("name", "moons", "moons"),
     ("times", "3, 9", (3, 9)), ("size", "-4", -4)],
)  # fmt: skip
def test_that_what_is_typed_is_one_finished_edit(page, path, text, value):
    type_in(page.control(path).edit, text)
    assert page.edits == [(path, value)] and page.finished == 1
    assert get_value(page.choice, path) == value


def test_that_typing_out_of_bounds_says_the_bounds_and_emits_nothing(page):
    edit = page.control("steps").edit
    type_in(edit, "5000")
    assert page.edits == [] and page.finished == 0
    assert edit.hasFocus() and edit.text() == "5000"
    assert page.form.field("steps").sentence() == "Must be a whole number from 1 to 1000 st."
    page.control("name").edit.setFocus()
    assert edit.text() == "50" and page.form.field("steps").sentence() == ""


def test_that_escape_takes_back_what_was_typed(page):
    edit = page.control("rate").edit
    edit.setFocus()
    QTest.keyClicks(edit, "77")
    QTest.keyClick(edit, Qt.Key.Key_Escape)
    assert edit.text() == "2e-3" and page.edits == []


def test_that_a_value_from_outside_does_not_disturb_typing(page):
    edit = page.control("rate").edit
    edit.setFocus()
    edit.selectAll()
    QTest.keyClicks(edit, "4e")
    page.form.set_choice(with_value(page.choice, "steps", 9))
    assert edit.text() == "4e"


def test_that_one_drag_is_many_edits_and_one_finish(page):
    slider = page.control("rate").slider
    middle = slider.height() // 2
    start = QPoint(10, middle)
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=start)
    for x in (20, 30, 40, 50):
        QTest.mouseMove(slider, QPoint(x, middle))
    assert page.finished == 0
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=QPoint(50, middle))
    assert len(page.edits) >= 4 and page.finished == 1
    assert page.choice.rate == page.edits[-1][1] == page.form.field("rate").value


def test_that_a_click_that_changes_nothing_finishes_nothing(page):
    slider = page.control("steps").slider
    QTest.mouseClick(slider, Qt.MouseButton.LeftButton, pos=slider._handle().center().toPoint())
    assert page.edits == [] and page.finished == 0


def test_that_arrow_keys_step_both_slider_and_value(page):
    QTest.keyClick(page.control("steps").edit, Qt.Key.Key_Up)
    assert page.edits == [("steps", 60)] and page.finished == 1
    slider = page.control("steps").slider
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_Right)
    assert page.choice.steps > 60 and page.finished == 2


@pytest.mark.parametrize("path", ["shape.kind", "mode", "rate", "steps", "flip", "name"])
def test_that_the_wheel_changes_nothing_without_focus(page, path):
    page.window.setFocus()
    for widget in [page.form.field(path), *page.form.field(path).findChildren(QWidget)]:
        if widget.window() is page.window and not widget.hasFocus():
            wheel(widget)
    assert page.edits == []


def test_that_the_wheel_turns_a_slider_that_has_the_focus(page):
    slider = page.control("steps").slider
    slider.setFocus()
    wheel(slider, 1)
    assert len(page.edits) == 1 and page.finished == 1


def test_that_a_double_click_on_name_or_slider_goes_back_to_the_default(page):
    page.choice = OTHER
    page.form.set_choice(OTHER)
    QTest.mouseDClick(page.form.field("steps").name, Qt.MouseButton.LeftButton)
    slider = page.control("rate").slider
    QTest.mouseDClick(slider, Qt.MouseButton.LeftButton, pos=slider._handle().center().toPoint())
    assert page.edits == [("steps", 50), ("rate", 2e-3)] and page.finished == 2


def test_that_space_flips_a_switch(page):
    switch = page.control("flip").switch
    switch.setFocus()
    QTest.keyClick(switch, Qt.Key.Key_Space)
    assert page.edits == [("flip", False)] and page.finished == 1


def test_that_a_disabled_field_tells_its_reason(page):
    page.form.set_disabled_reasons({"steps": "Cannot change while training.", "shape": "Fixed by the model."})
    assert not page.control("steps").isEnabled() and not page.control("shape.level").isEnabled()
    assert "Cannot change while training." in page.form.field("steps").tooltip_html()
    page.form.field("steps").reset()
    assert page.edits == []
    page.form.set_disabled_reasons({})
    assert page.control("steps").isEnabled()


def test_that_an_error_opens_the_fold_it_is_in(page):
    assert not page.form.field("ema").isVisible()
    page.form.set_error("ema", "Too slow.")
    assert page.form.field("ema").isVisible() and page.form.field("ema").sentence() == "Too slow."
    page.form.set_error("ema", None)
    assert page.form.field("ema").sentence() == ""


def test_that_sections_show_what_they_name_in_their_order(qtbot):
    page = Page(qtbot, [("Second", ["steps", "mode"]), ("First", ["shape"])])
    assert page.form.paths == ("steps", "mode", "shape.kind", "shape.level")


def test_that_tab_walks_down_the_form(page):
    page.control("shape.kind").combo.setFocus()
    visited = []
    for _ in range(8):
        visited.append(QApplication.focusWidget().accessibleName())
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    assert visited[:5] == ["shape", "level, β_T", "level, β_T", "learning rate, η", "learning rate, η"]


def test_that_a_tooltip_carries_formula_range_default_and_source(page):
    rate = page.form.field("rate").tooltip_html()
    assert all(s in rate for s in ("learning rate", "Step size.", "above 0", "Default 2e-3.", "somebody"))
    assert "data:image/png;base64," in page.form.field("shape.kind").tooltip_html()
    assert "Default usual." in page.form.field("size").tooltip_html()


def test_that_a_word_below_a_symbol_is_whole():
    found = {symbol: symbol_html(symbol) for symbol in ("ς_min", "x_{t+1}", "γ_t/γ")}
    assert found == {"ς_min": "ς<sub>min</sub>", "x_{t+1}": "x<sub>t+1</sub>", "γ_t/γ": "γ<sub>t</sub>/γ"}


def test_that_a_long_name_gives_way_before_its_symbol(page):
    name = page.form.field("rate").name
    name.resize(60, 24)
    assert name.shown_title().endswith("…") and not page.form.grab().isNull()


def test_that_the_form_fits_a_narrow_panel(page):
    assert page.form.minimumSizeHint().width() <= 300 - 32


def test_that_a_theme_change_recolours_the_sentence(page):
    theme().set_mode("light")
    page.form.set_error("rate", "Wrong.")
    light = page.form.grab().toImage()
    theme().set_mode("dark")
    QApplication.sendPostedEvents(None, QEvent.Type.StyleChange)
    assert page.form.grab().toImage() != light
    theme().set_mode("system")


@pytest.mark.parametrize("width", [90, 140, 600])
def test_that_the_name_of_a_choice_has_an_ellipsis_where_it_has_no_room(qtbot, monkeypatch, width):
    name = "2026-11-29 sprites of sixty-four by sixty-four · newest"
    drawn = []

    class Painter(QStylePainter):
        def drawControl(self, element, option):
            drawn.append(option.currentText)
            super().drawControl(element, option)

    monkeypatch.setattr(controls, "QStylePainter", Painter)
    combo = controls.QuietCombo()
    qtbot.addWidget(combo)
    combo.addItem(name)
    combo.resize(width, 32)
    combo.grab()
    assert drawn and combo.fontMetrics().horizontalAdvance(drawn[-1]) <= max(combo.room(), 0)
    assert (drawn[-1] == name) == (width == 600)
    assert width == 600 or "…" in drawn[-1]


def test_that_a_choice_is_whole_up_to_its_arrow(qtbot):
    combo = controls.QuietCombo()
    qtbot.addWidget(combo)
    combo.resize(160, 28)
    combo.show()
    assert combo.room() >= 160 - 24 - 12  # beside the arrow, and the edges of the text
