"""Where a comma is the decimal mark, the window shows and reads it; what is copied keeps the point."""

from __future__ import annotations

from collections.abc import Iterator
from gettext import NullTranslations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QTableWidget, QTableWidgetItem

from diffusion_studio.core.describe import Knob
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import Language, speak, spoken, tr
from diffusion_studio.pages.sample.pictures import SamplePictures
from diffusion_studio.viewmodels.sample.chain_views import Frame
from diffusion_studio.widgets.chain.transport import Transport
from diffusion_studio.widgets.forms.controls import NumberControl, TextControl, control_for
from diffusion_studio.widgets.forms.numbers import bounds_sentence, format_number, parse_number
from diffusion_studio.widgets.frame.table_menu import table_words
from diffusion_studio.widgets.look.language import language
from diffusion_studio.widgets.plots import Line, XYPlot
from diffusion_studio.widgets.plots.axis import QuietAxis
from diffusion_studio.widgets.plots.math import power_text, tick_text
from diffusion_studio.widgets.plots.table import TableModel, table_text

SHARE = Knob("p", "float", "share", "help", 0.5, unit="px", low=0.0, high=10.0)


class _Words(NullTranslations):
    def gettext(self, message: str) -> str:
        return "Fehler" if message == "error" else message


@pytest.fixture(autouse=True)
def comma() -> Iterator[None]:
    """The process writes numbers as a German one does."""
    before = spoken()
    speak(Language("xx", _Words(), language("de").marks))
    yield
    speak(before)


def _type(control: TextControl | NumberControl, text: str) -> None:
    control.edit.setText(text)
    control.edit.returnPressed.emit()


@pytest.mark.parametrize("typed", ["0,25", "0.25", " 0,25 px", "2,5e-1"])
def test_that_a_field_shows_and_reads_the_comma_and_still_reads_a_point(qtbot, typed):
    control = control_for(SHARE)
    qtbot.addWidget(control)
    control.show_value(0.5)
    assert control.edit.text() == "0,5"
    with qtbot.waitSignal(control.edited) as edited:
        _type(control, typed)
    assert (edited.args, control.edit.text()) == ([0.25], "0,25")
    control.slider.setValue(control.slider.maximum() // 4)
    assert (control.value, control.edit.text()) == (2.5, "2,5")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("1.000", "“1.000” can be read in two ways. Write 1000 or 1,000."),
        ("1.000,5", "“1.000,5” is not a number. Write 1000,5."),
        ("1.000.000", "“1.000.000” is not a number. Write 1000000."),
        ("1,2,3", "“1,2,3” is not a number."),
    ],
)
def test_that_a_mark_between_groups_is_never_read(qtbot, typed, sentence):
    control = control_for(SHARE)
    qtbot.addWidget(control)
    control.show_value(0.5)
    with qtbot.waitSignal(control.complained) as complained:
        _type(control, typed)
    assert (complained.args, control.value) == ([sentence], 0.5)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_that_a_written_float_reads_back(value):
    wide = Knob("p", "float", "parameter", "help", 0.0)
    assert parse_number(format_number(value), wide) == pytest.approx(value, rel=1e-11)


def test_that_numbers_in_a_row_are_told_apart_by_semicolons(qtbot):
    control = control_for(Knob("p", "numbers", "heights", "help", ()))
    qtbot.addWidget(control)
    control.show_value((1, 2.5))
    assert control.edit.text() == "1; 2,5"
    for typed in ("1; 2,5; 3", "1, 2,5, 3", "1 2.5 3"):
        control.show_value(())
        _type(control, typed)
        assert control.value == (1, 2.5, 3)
    with pytest.raises(Refused, match="two ways"):
        control._read("1; 2.500")


def test_that_points_reach_the_program_as_they_stand_in_files(qtbot):
    control = control_for(Knob("p", "points", "curve", "help", ()))
    qtbot.addWidget(control)
    control.show_value(((0, 0.5), (500, 1)))
    assert control.edit.text() == "0:0,5; 500:1"
    with qtbot.waitSignal(control.edited) as edited:
        _type(control, "0:0,25; 500:1")
    assert edited.args == ["0:0.25, 500:1"]


def test_that_bounds_axes_and_buttons_say_numbers_with_the_comma(qtbot):
    assert bounds_sentence(Knob("p", "float", "p", "help", 0.1, low=0.05, high=0.5)) == (
        "Must be from 0,05 to 0,5."
    )
    axis = QuietAxis("left")
    assert axis.label_of(0.05) == "0,05"
    axis.set_log(True)
    assert axis.label_of(np.log10(0.5)) == "0,5"
    assert [tick_text(v) for v in (-1.5e-5, 12400, 0.25)] == ["−1,5e−5", "12\u202f400", "0,25"]
    assert power_text(4.1e7) == "4,1 · 10⁷"
    transport = Transport()
    qtbot.addWidget(transport)
    assert [a.text() for a in transport._speed.menu().actions()][:2] == ["0,25×", "0,5×"]


def test_that_a_readout_and_a_table_show_the_comma_and_a_copied_table_the_point(qtbot):
    plot = XYPlot("Error")
    qtbot.addWidget(plot)
    plot.set_axes("x", "y")
    plot.set_lines({tr("error"): Line([0.5, 1.5], [0.25, 0.125], "x0")})
    assert plot._reading_at(0.5).text == "x = 0,5\nFehler  0,25"
    assert "0,25 at x = 0,5" in plot.describe()
    table = plot.as_table()
    model = TableModel(*table, plot)
    assert model.index(0, 1).data(Qt.ItemDataRole.DisplayRole) == "0,25"
    assert table_text(table, "\t") == "x\terror\n0.5\t0.25\n1.5\t0.125\n"


def test_that_rows_of_a_list_are_copied_as_files_write_them(qtbot):
    table = QTableWidget(1, 4)
    qtbot.addWidget(table)
    table.setHorizontalHeaderLabels(["run", tr("error"), "steps", "of"])
    for column, text in enumerate(["digits 0.5.1", "0,25 ± 1,5e-3", "1\u202f200", "1 200"]):
        table.setItem(0, column, QTableWidgetItem(text))
    assert table_words(table, chosen=False) == (
        "run\terror\tsteps\tof\ndigits 0.5.1\t0.25 ± 1.5e-3\t1200\t1 200"
    )


def test_that_the_distances_of_two_chains_are_shown_with_the_comma(qtbot):
    pictures = SamplePictures()
    qtbot.addWidget(pictures)
    black = np.zeros((2, 8, 8, 3), np.uint8)
    pictures.show_frame(Frame(black, ("", ""), other=black, difference=black, distances=(0.885, 0.115)))
    assert list(pictures.difference.captions) == ["0,885", "0,115"]
    assert pictures.apart.text().endswith(" 0,500")
