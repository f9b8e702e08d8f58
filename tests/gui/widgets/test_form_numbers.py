import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion_studio.core.describe import Knob
from diffusion_studio.widgets.forms.numbers import (
    SliderScale,
    bounds_sentence,
    format_number,
    parse_number,
    parse_numbers,
    stepped,
    within,
)


def knob(type="float", low=None, high=None, **rest):
    return Knob("p", type, "parameter", "help", 0.0, low=low, high=high, **rest)


SCALES = {
    "share": knob(low=0.0, high=1.0),
    "rate": knob(low=1e-6, high=1.0, scale="log", open_low=True),
    "rate from zero": knob(low=0.0, high=1.0, scale="log", open_low=True, open_high=True),
    "batch": knob("int", 1, 4096, scale="log"),
    "steps": knob("int", 1, 100),
    "many steps": knob("int", 1, 100_000),
    "strength": knob(low=-3.0, high=7.5),
    "width": knob("int", 0, 512, multiple=8),
}


@pytest.mark.parametrize("k", SCALES.values(), ids=SCALES)
def test_that_every_position_gives_an_allowed_value_that_leads_back_to_it(k):
    scale = SliderScale.of(k)
    values = [scale.value(p) for p in range(scale.positions + 1)]
    assert all(within(v, k) for v in values)
    assert values == sorted(values)
    for position, value in enumerate(values):
        assert scale.value(scale.position(value)) == value or abs(scale.position(value) - position) <= 1


@given(st.floats(0, 1), st.sampled_from(sorted(SCALES)))
def test_that_a_value_survives_the_slider_to_its_resolution(share, name):
    k = SCALES[name]
    scale = SliderScale.of(k)
    value = k.low + share * (k.high - k.low)
    back = scale.value(scale.position(value))
    if scale.log:
        floor = max(k.low, 0.5 if k.type == "int" else k.high * 1e-6)
        assert back == pytest.approx(max(value, floor), rel=0.02, abs=1.0 if k.type == "int" else 2 * floor)
    else:
        assert abs(back - value) <= 1.5 * max((k.high - k.low) / scale.positions, k.type == "int")


def test_that_there_is_no_slider_without_both_bounds():
    assert SliderScale.of(knob(low=0.0)) is None
    assert SliderScale.of(knob("text")) is None


def test_that_the_ends_of_a_slider_are_the_bounds():
    scale = SliderScale.of(SCALES["batch"])
    assert (scale.value(0), scale.value(scale.positions)) == (1, 4096)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_that_a_written_float_reads_back(value):
    assert parse_number(format_number(value), knob()) == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize(
    ("value", "text"),
    [(50, "50"), (0.4, "0.4"), (2e-3, "2e-3"), (1e-4, "1e-4"), (0.999, "0.999"), (0.0, "0"), (1.0, "1")],
)
def test_that_numbers_are_written_short(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("text", "value"), [("2e-3", 2e-3), (" −0.5", -0.5), ("1 000", 1000.0), ("12px", 12.0), ("12 px", 12.0)]
)
def test_that_numbers_are_read_as_people_write_them(text, value):
    assert parse_number(text, knob(unit="px")) == value


def test_that_an_int_snaps():
    assert parse_number("1e3", knob("int")) == 1000
    assert parse_number("12.4", knob("int")) == 12


@pytest.mark.parametrize("text", ["", "nan", "inf", "many", "0,5", "1/2"])
def test_that_what_is_no_number_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match=r"[.]$"):
        parse_number(text, knob())


def test_that_bounds_are_told_in_a_sentence():
    assert bounds_sentence(knob("int", 1, 100)) == "Must be a whole number from 1 to 100."
    assert bounds_sentence(knob(low=0, high=1, open_low=True)) == "Must be above 0 and at most 1."
    assert bounds_sentence(knob(low=0, unit="px")) == "Must be at least 0 px."
    with pytest.raises(ValueError, match="from 1 to 100"):
        parse_number("101", knob("int", 1, 100))


def test_that_arrow_keys_step_in_the_digit_that_matters():
    rate = SCALES["rate"]
    assert stepped(2e-3, 1, rate) == pytest.approx(2.1e-3)
    assert stepped(0.5, -1, SCALES["share"]) == pytest.approx(0.49)
    assert stepped(100, 1, SCALES["steps"]) == 100
    assert stepped(1.0, 10, rate) == 1.0


def test_that_lists_of_numbers_take_commas_and_spaces():
    assert parse_numbers("1, 2.5; 3e-1 4") == (1, 2.5, 0.3, 4)
    assert parse_numbers("") == ()
    with pytest.raises(ValueError, match="not a number"):
        parse_numbers("1, x")


def test_that_a_form_offers_multiples_only():
    width = knob("int", 0, 512, multiple=8)
    assert {SliderScale.of(width).value(position) % 8 for position in range(65)} == {0}
    assert parse_number("150", width) == 152
    assert (stepped(64, 1, width), stepped(64, -1, width)) == (72, 56)
    assert stepped(512, 1, width) == 512
