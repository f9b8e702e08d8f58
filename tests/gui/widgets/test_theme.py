import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette, QTextDocument
from PySide6.QtWidgets import QApplication, QProxyStyle, QSpinBox, QStyle, QTableWidget

from diffusion_studio.widgets.look.theme import (
    DARK,
    EFFECTS,
    LIGHT,
    OKABE_ITO,
    Palette,
    contrast,
    label,
    rich_label,
    tabular,
    theme,
    tip,
)


@pytest.fixture(autouse=True)
def _system_again(qapp):
    theme().set_mode("dark")
    yield
    theme().set_mode("system")


def surfaces(p: Palette) -> tuple[str, ...]:
    return p.background, p.panel, p.card


@pytest.mark.parametrize("p", [DARK, LIGHT], ids=["dark", "light"])
def test_that_text_is_readable_on_every_surface(p):
    for ink in (p.text, p.muted, p.danger, p.warning):
        assert min(contrast(ink, s) for s in (*surfaces(p), p.fill)) >= 4.5
    assert contrast(p.on_accent, p.accent) >= 4.5


@pytest.mark.parametrize("p", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("quantity", OKABE_ITO)
def test_that_a_quantity_is_readable_as_text(p, quantity):
    assert min(contrast(p.ink(quantity), s) for s in surfaces(p)) >= 4.5


def test_that_there_is_one_theme_per_application(qapp):
    assert theme() is theme()
    assert theme().parent() is qapp


def test_that_a_mode_changes_the_palette_and_says_so_once(qtbot, qapp):
    heard = []
    theme().changed.connect(lambda: heard.append(theme().palette))
    theme().set_mode("light")
    theme().set_mode("light")
    assert heard == [LIGHT]
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == LIGHT.background
    assert LIGHT.accent in qapp.styleSheet()


def test_that_an_unknown_mode_is_refused(qapp):
    with pytest.raises(ValueError, match="sepia"):
        theme().set_mode("sepia")


def test_that_the_system_scheme_is_followed_only_in_system_mode(qapp, monkeypatch):
    theme().set_mode("system")
    scheme = Qt.ColorScheme.Light
    monkeypatch.setattr(theme(), "_app", FakeApp(qapp, lambda: scheme))
    theme()._on_scheme_changed()
    assert theme().palette is LIGHT
    scheme = Qt.ColorScheme.Dark
    theme()._on_scheme_changed()
    assert theme().palette is DARK
    theme().set_mode("light")
    theme()._on_scheme_changed()
    assert theme().palette is LIGHT


class FakeApp:
    """The application, but with a colour scheme that the test sets."""

    def __init__(self, app: QApplication, scheme):
        self._app, self.colorScheme = app, scheme

    def styleHints(self):
        return self

    def setColorScheme(self, scheme):
        pass

    def unsetColorScheme(self):
        pass

    def __getattr__(self, name):
        return getattr(self._app, name)


def test_that_reduced_motion_can_be_set(qapp):
    theme().set_reduced_motion(True)
    assert theme().reduced_motion
    theme().set_reduced_motion(None)
    assert isinstance(theme().reduced_motion, bool)


def test_that_less_motion_leaves_out_the_effects_of_qt_as_well(qtbot, qapp):
    asked = [effect for effect in EFFECTS if qapp.isEffectEnabled(effect)]
    theme().set_reduced_motion(False)
    with qtbot.waitSignal(theme().motion_changed) as told:
        theme().set_reduced_motion(True)
    assert told.args == [True]
    assert not [effect for effect in EFFECTS if qapp.isEffectEnabled(effect)]
    theme().set_reduced_motion(False)
    assert [effect for effect in EFFECTS if qapp.isEffectEnabled(effect)] == asked
    theme().set_reduced_motion(None)


@pytest.mark.parametrize("duration", [0, 200])
def test_that_the_system_is_asked_for_less_motion(qapp, monkeypatch, duration):
    class Style(QProxyStyle):
        def styleHint(self, hint, *rest):
            animated = hint == QStyle.StyleHint.SH_Widget_Animation_Duration
            return duration if animated else super().styleHint(hint, *rest)

    style = Style()
    asked = FakeApp(qapp, lambda: Qt.ColorScheme.Dark)
    asked.style = lambda: style
    monkeypatch.setattr(theme(), "_app", asked)
    assert theme().reduced_motion == (duration == 0)


def test_that_tabular_figures_are_asked_for_in_a_copy(qapp):
    from PySide6.QtGui import QFont

    font = QFont()
    assert QFont.Tag("tnum") in tabular(font).featureTags()
    assert not font.featureTags()


@pytest.mark.parametrize("buttons", [QSpinBox.ButtonSymbols.UpDownArrows, QSpinBox.ButtonSymbols.NoButtons])
def test_that_a_spin_box_has_room_for_its_number(qtbot, buttons):
    box = QSpinBox()
    qtbot.addWidget(box)
    box.setRange(0, 1000)
    box.setButtonSymbols(buttons)
    box.resize(box.sizeHint())
    box.show()
    assert box.lineEdit().width() >= box.fontMetrics().horizontalAdvance("1000")


@pytest.mark.parametrize("text", ["<b>cat</b>", "<img src='/etc/passwd'>", "a<br>b", "[red] & <i>"])
def test_that_names_that_look_like_html_are_shown_as_they_are(qtbot, text):
    shown, lowered = label(text), rich_label("x<sub>t</sub>")
    for widget in (shown, lowered):
        qtbot.addWidget(widget)
    assert (shown.text(), shown.textFormat()) == (text, Qt.TextFormat.PlainText)
    assert lowered.textFormat() == Qt.TextFormat.RichText
    document = QTextDocument()
    document.setHtml(tip(text)) if tip(text).startswith("<qt>") else document.setPlainText(tip(text))
    assert document.toPlainText() == text


@pytest.mark.parametrize("title", ["Länge", "Übung", "Length"])
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
def test_that_the_capitals_of_a_section_title_have_room_for_their_accents(qtbot, title, later):
    made = label("Run" if later else title, "section")
    qtbot.addWidget(made)
    made.setText(title)
    metrics = made.fontMetrics()
    assert made.contentsMargins().top() + metrics.ascent() >= -metrics.boundingRect(title.upper()).top()


def test_that_a_table_keeps_its_room_when_it_gets_the_focus(qtbot):
    table = QTableWidget(2, 2)
    qtbot.addWidget(table)
    with qtbot.waitActive(table):
        table.show()
        table.activateWindow()
    table.clearFocus()
    before = table.viewport().geometry(), table.horizontalHeader().geometry()
    table.setFocus()
    table.resize(table.width() + 1, table.height())  # it is laid out anew
    table.resize(table.width() - 1, table.height())
    assert (table.viewport().geometry(), table.horizontalHeader().geometry()) == before
