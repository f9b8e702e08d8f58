"""One description per choice."""

from gettext import NullTranslations
from itertools import permutations
from typing import Literal

import pytest
from pydantic import Field, ValidationError

from diffusion_studio.core.complaints import explained
from diffusion_studio.core.describe import (
    Choice,
    get_value,
    knob,
    knobs,
    validated,
    with_value,
    with_values,
)
from diffusion_studio.core.process.schedules import AnySchedule, LinearSchedule
from diffusion_studio.core.process.spacing import AnySpacing, TrailingSpacing
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import DDIM, AnySampler, SigmaCurve
from diffusion_studio.core.words import Language, speak, spoken
from diffusion_studio.engine.runs.config import RunConfig


class Sample(Choice):
    steps: int = knob(50, title="steps", help="How many.", ge=1, le=1000, scale="log")
    sampler: AnySampler = knob(DDIM(), title="sampler", help="Which way down.")
    spacing: AnySpacing = knob(TrailingSpacing(), title="times", help="Which times.")
    schedule: AnySchedule = knob(LinearSchedule(), title="schedule", help="Which noise.")


def test_that_knobs_describe_every_parameter_by_path():
    found = {k.path: k for k in knobs(Sample())}
    assert found["steps"].low == 1 and found["steps"].high == 1000 and found["steps"].scale == "log"
    assert found["sampler.kind"].type == "family"
    assert ("ddpm", "DDPM") in found["sampler.kind"].options
    assert found["sampler.eta"].symbol == "η" and found["sampler.eta"].source == "DDIM eq. 16"
    assert list(found).index("sampler.kind") < list(found).index("sampler.eta")


def test_that_choosing_another_member_takes_its_own_parameters():
    other = with_value(Sample(), "sampler.kind", "ddpm")
    paths = [k.path for k in knobs(other)]
    assert "sampler.variance" in paths and "sampler.eta" not in paths
    assert with_value(other, "sampler.variance", "fixed_large").sampler.variance == "fixed_large"


CHANGES = [("sampler.kind", "sigma"), ("sampler.points", "0:0.1,500:0.2"), ("steps", "20"), ("steps", "30")]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 1, 0), (2, 1, 0, 3)])
def test_that_the_order_of_changes_does_not_matter(order):
    found = with_values(Sample(), [CHANGES[k] for k in order])
    assert found == Sample(steps=30, sampler=SigmaCurve(points=((0, 0.1), (500, 0.2))))


def test_that_values_that_are_only_possible_together_may_come_in_any_order():
    noise = with_values(RunConfig(), [("objective.predict", "eps")])
    for pairs in permutations([("diffusion.zero_terminal", "true"), ("objective.predict", "v")]):
        assert with_values(noise, pairs).diffusion.zero_terminal
    with pytest.raises(Refused, match="predict x₀ or v"):
        with_values(noise, [("diffusion.zero_terminal", "true")])


def test_that_a_dict_gives_several_parameters_of_one_member():
    given = {"kind": "sigma", "points": [(0, 0.1)]}
    assert with_values(Sample(), [("sampler", given)]).sampler == SigmaCurve(points=((0, 0.1),))
    with pytest.raises(Refused, match=r"There is no parameter 'sampler\.wings'"):
        with_values(Sample(), [("sampler", given | {"wings": 2})])


def test_that_the_word_that_is_shown_for_a_value_is_read_as_the_value():
    other = with_values(RunConfig(), [("training.learning_rate", 0.01), ("data.channels", 3)])
    words = {"training.learning_rate": "auto", "data.channels": "auto", "training.seconds": "no limit"}
    assert with_values(other, words.items()) == RunConfig()
    with pytest.raises(Refused, match="seed"):
        with_values(other, [("seed", "auto")])


def test_that_text_is_read_as_the_parameter_type():
    assert with_value(Sample(), "steps", "20").steps == 20
    assert with_value(Sample(), "sampler.eta", "0.5").sampler.eta == 0.5


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("stepz", 3, "no parameter 'stepz'"),
        ("sampler.foo", 3, "no parameter 'sampler.foo'"),
        ("steps", "many", "steps: a whole number is needed \\(given: 'many'\\)"),
        ("steps", "1e3", "steps: a whole number is needed"),
        ("sampler.eta", "0,5", "a number is needed, like 0.5"),
        ("sampler", "ddim", "sampler: it has parameters of its own"),
        ("steps.more", 3, "no parameter 'steps.more'"),
        ("steps", 0, "greater than or equal to 1"),
        ("sampler.eta", 2, "less than or equal to 1"),
        ("sampler.kind", "heunn", "sampler.*ddim"),
        ("sampler.eta", float("nan"), "finite"),
    ],
)
def test_that_a_bad_value_gets_a_sentence(path, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        with_value(Sample(), path, value)


def test_that_a_choice_is_frozen_and_survives_json():
    choice = with_value(Sample(), "sampler.eta", 0.25)
    assert Sample.model_validate_json(choice.model_dump_json()) == choice
    assert get_value(choice, "sampler.eta") == 0.25
    with pytest.raises(ValueError, match="frozen"):
        choice.steps = 3


def test_that_a_member_that_is_not_there_is_answered_with_those_that_are():
    class Some(Choice):
        sampler: AnySampler = DDIM()

    with pytest.raises(ValueError, match="sampler: there is no 'nope'; choose one of ddim, ddpm"):
        with_value(Some(), "sampler.kind", "nope")


def test_that_a_sentence_that_begins_with_a_name_keeps_it():
    complaint = {"type": "value_error", "loc": ("process",), "input": None}
    assert explained({**complaint, "msg": "Value error, VE keeps it"}) == "process: VE keeps it."
    assert explained({**complaint, "msg": "Value error, There is none"}) == "process: there is none."


class Bounded(Choice):
    a: float = Field(1.0, gt=0, le=0.5)
    b: int = Field(8, ge=2, lt=2**62, multiple_of=8)
    c: Literal["x", "y", "z"] = "x"
    d: Literal["x"] = "x"
    e: float = Field(1.0, le=1e5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", 0), ("a", 0.75), ("a", float("inf")), ("b", -8), ("b", 2**63), ("b", 9), ("c", "u"), ("d", "u"),
        ("e", 2e5), ("f", 1),
    ],
)  # fmt: skip
def test_that_a_bound_is_said_in_the_words_of_the_library(name, value):
    with pytest.raises(ValidationError) as refused:
        Bounded.model_validate({name: value})
    said = refused.value.errors()[0]["msg"]
    with pytest.raises(Refused) as told:
        validated(Bounded, {name: value})
    assert str(told.value) == f"{name}: {said[:1].lower()}{said[1:]} (given: {value!r})."


@pytest.fixture
def german():
    before = spoken()
    speak(Language("de", NullTranslations(), (",", ".")))
    yield
    speak(before)


def test_that_another_language_keeps_its_capitals_and_has_its_decimal_mark(german):
    complaint = {
        "type": "value_error",
        "loc": ("process",),
        "input": 0.5,
        "msg": "Value error, Zeiten fehlen",
    }
    assert explained(complaint) == "process: Zeiten fehlen (given: 0,5)."


def test_that_what_is_described_once_is_not_put_together_again_for_every_choice():
    first, again = ({k.path: k for k in knobs(Sample(steps=n))} for n in (10, 20))
    assert first == again and first["steps"] is again["steps"]
