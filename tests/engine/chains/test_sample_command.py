"""Chains on the command line, there and back."""

import inspect
import shlex
from pathlib import Path

import pytest

from diffusion_studio.cli.sample import sample
from diffusion_studio.core.describe import every_knob, variants
from diffusion_studio.core.guidance.guides import (
    ByClassifier,
    ByEarlierSelf,
    ClassifierFree,
    DrawnGuidance,
    IntervalGuidance,
)
from diffusion_studio.core.process.spacing import ExplicitSpacing, KarrasSpacing
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import DDIM, DPMSolver2MSDE, Heun, SigmaCurve
from diffusion_studio.core.steps.clipping import Clip, DynamicThreshold
from diffusion_studio.engine.chains.command import CLASSES, OPTIONS, command_of, spec_of, taken_by_number
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.starts import InterpolatedStart, InvertedStart, NoisedStart

NAMES = ("ape", "bee", "cat")


def parsed(command):
    words, found = shlex.split(command)[3:], {"invert": [], "sets": []}
    for option, value in zip(words[::2], words[1::2], strict=True):
        name = option.removeprefix("--").replace("-", "_")
        if name in ("invert", "set"):
            found["sets" if name == "set" else "invert"].append(Path(value) if name == "invert" else value)
        elif name != "out":
            kinds = {"steps": int, "count": int, "label": int, "seed": int, "eta": float, "guidance": float}
            found[name] = kinds.get(name, str)(value)
    return spec_of(**found)


SPECS = [
    SampleSpec(),
    SampleSpec(sampler=DDIM(eta=0.3), steps=7, count=3, label=4, guidance=2.5, seed=9),
    SampleSpec(sampler=SigmaCurve(points=((0, 0.1), (500, 0.25)))),
    SampleSpec(sampler=SigmaCurve(points=((0, 0.1), (333.25, 1 / 3)))),
    SampleSpec(sampler=DPMSolver2MSDE(eta=0.5), spacing=KarrasSpacing(rho=5)),
    SampleSpec(sampler=DPMSolver2MSDE(eta=0)),  # the default of DDIM, but not its own
    SampleSpec(spacing=ExplicitSpacing()),
    SampleSpec(
        sampler=Heun(), spacing=ExplicitSpacing(values=(1, 50, 900)), clip=DynamicThreshold(share=0.9)
    ),
    SampleSpec(clip=Clip(rederive=False)),
    SampleSpec(start=InvertedStart(images=("/a b.png",), rounds=3), count=1),
    SampleSpec(start=InvertedStart(images=("/a.png", "/b.png"))),  # 16 of two
    SampleSpec(start=InvertedStart(), count=3),
    SampleSpec(start=NoisedStart(images=("/a.png",), share=0.7)),
    SampleSpec(start=InterpolatedStart(images=("/a.png", "/b.png"))),
    SampleSpec(guidance=3, guide=ByClassifier(form="mean"), sampler=DDIM(eta=1)),
    SampleSpec(label=-2, guidance=3, guide=ClassifierFree(negative=3, second=5, share=0.25)),
    SampleSpec(guide=ByEarlierSelf(step=700)),
    SampleSpec(curve=IntervalGuidance(low=1e-5, high=1 / 3, outside=0)),
    SampleSpec(curve=DrawnGuidance(points=((0, 0.1), (1 / 3, 2), (1, 0)))),
    *variants(SampleSpec()),
]


@pytest.mark.parametrize("spec", SPECS)
def test_that_the_command_repeats_the_chain(spec):
    assert parsed(command_of("runs/my run", spec)) == spec


def test_that_the_command_line_has_the_options_of_the_table():
    of_others = {"run", "out", "sets", "trajectory", "device", "force"}
    assert {option.name for option in OPTIONS} | of_others == set(inspect.signature(sample).parameters)


def test_that_an_option_speaks_only_of_what_there_is():
    known = {knob.path for knob in every_knob(SampleSpec())}
    assert {path for option in OPTIONS for path in option.covers} <= known


def test_that_a_number_is_a_level_curve():
    assert spec_of(sigma="0.2").sampler.sigma_at(700) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"eta": -0.1}, "η cannot be negative"),
        ({"tau": "5,3"}, "must increase"),
        ({"tau": "nonsense"}, "spacing"),
        ({"sampler": "no such"}, "sampler"),
        ({"sampler": "ddim", "sigma": "0.1"}, "leave out --sampler"),
        ({"sigma": "-0.1"}, "negative"),
        ({"sigma": "x:y"}, "number"),
        ({"clip": "some"}, "clip"),
        ({"sets": ["sampler.eta"]}, "KEY=VALUE"),
        ({"sampler": "heun", "eta": 0.5}, "no parameter 'sampler.eta'"),
        ({"sigma": "0.1", "eta": 0.5}, "no parameter 'sampler.eta'"),
        ({"guidance": float("nan")}, "guidance: input should be a finite number"),
        ({"guidance": float("inf")}, "guidance: input should be a finite number"),
        ({"guidance": 21}, "guidance: input should be less than or equal to 20"),
        ({"classifier": "sum"}, "form: input should be 'eps' or 'mean'"),
        ({"classifier": "eps", "negative": 3}, "needs a network that knows labels"),
        ({"guidance_curve": "often"}, "takes constant, interval, drawn, an interval like 0.2-0.8"),
        ({"guidance_curve": "0.2-nan"}, "an interval like 0.2-0.8"),
        ({"guidance_curve": "0.8-0.2"}, "ends at 0.2 before it begins at 0.8"),
        ({"guidance_curve": "0.5-1.5"}, "less than or equal to 1"),
        ({"guidance_curve": "0:1,2:1"}, "lies between 0 and 1"),
        ({"guidance_curve": "0:x"}, "number"),
        ({"guidance_curve": "0:nan"}, "finite number"),
        ({"guidance_curve": "0:1,1"}, "curve"),
        ({"label": "dog", "names": lambda: NAMES}, "There is no class 'dog'. The classes are ape, bee, cat."),
        ({"negative": "dog"}, "There are no classes with names here"),
    ],
)
def test_that_what_cannot_be_gets_its_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        spec_of(**options)


@pytest.mark.parametrize(
    ("text", "curve"),
    [
        ("interval", IntervalGuidance()),
        ("0.1-0.5", IntervalGuidance(low=0.1, high=0.5)),
        (" 0 - 1e-1 ", IntervalGuidance(low=0, high=0.1)),
        ("0:1, 0.5:2, 1:0", DrawnGuidance(points=((0, 1), (0.5, 2), (1, 0)))),
    ],
)
def test_that_a_curve_of_guidance_is_read(text, curve):
    assert spec_of(guidance_curve=text).curve == curve


def test_that_classes_go_by_number_or_name():
    assert spec_of(label="bee", negative="cat", names=lambda: NAMES).label == 1
    assert spec_of(label="bee", negative="cat", names=lambda: NAMES).guide == ClassifierFree(negative=2)
    assert spec_of(label="-2", negative="7").guide == ClassifierFree(negative=7)
    assert spec_of(label="2", names=lambda: NAMES).label == 2


DIGITS_FROM_ONE = ("1", "2", "3")


def test_that_a_name_comes_before_a_number():
    assert spec_of(label="2", names=lambda: DIGITS_FROM_ONE).label == 1
    assert spec_of(label="0", names=lambda: DIGITS_FROM_ONE).label == 0
    assert spec_of(negative="3", guidance=2.0, names=lambda: DIGITS_FROM_ONE).guide.negative == 2
    assert spec_of(label="-2", names=lambda: DIGITS_FROM_ONE).label == -2
    assert spec_of(label="-1", names=lambda: ("-1", "1")).label == 0
    assert spec_of(label="1000000", names=lambda: ("0", "5", "1000000")).label == 2
    assert spec_of(label="7").label == 7
    with pytest.raises(Refused, match=r"There is no class '4'\. The classes are 1, 2, 3\."):
        spec_of(label="4", names=lambda: DIGITS_FROM_ONE)


@pytest.mark.parametrize(
    ("asked", "names", "number"),
    [("2", ("1.0", "2.0", "3.0"), 1), ("02", ("1.0", "2.0"), 1), ("3.0", ("1", "2", "3"), 2),
     ("+1", ("0", "1"), 1), ("7", ("007", "7"), 1), ("cafe\u0301", ("a", "caf\u00e9"), 1),
     ("caf\u00e9", ("caf\u00e9", "cafe\u0301"), 0), ("1", ("01", "1.0"), 1)],
)  # fmt: skip
def test_that_a_class_is_meant_by_its_value_or_in_another_form(asked, names, number):
    assert spec_of(label=asked, names=lambda: names).label == number
    said = taken_by_number(asked, lambda: names)
    assert bool(said) == (asked == "1"), "two classes have that value, so the number counts, and is said"


def test_that_long_numbers_are_other_classes_though_they_differ_in_the_last_digit():
    with pytest.raises(Refused, match="There is no class"):
        spec_of(label="9007199254740993", names=lambda: ("9007199254740992", "1"))


def test_that_a_class_taken_by_its_number_is_said():
    assert taken_by_number("0", lambda: DIGITS_FROM_ONE) == (
        "No class is called 0; class number 0 is taken, which is called 1."
    )
    for asked in ("2", None, "-2", "red"):
        assert taken_by_number(asked, lambda: DIGITS_FROM_ONE) == ""
    assert taken_by_number("2", tuple) == ""


@pytest.mark.parametrize("names", [DIGITS_FROM_ONE, ("-1", "--x", "a b"), ("0", "1", "2")])
def test_that_the_command_says_the_class_by_its_name(names):
    for number in range(3):
        spec = SampleSpec(label=number, guidance=2, guide=ClassifierFree(negative=(number + 1) % 3))
        words = shlex.split(command_of("run", spec, names=names))
        given = {}
        for flag in ("--label", "--negative"):
            (place,) = [k for k, word in enumerate(words) if word.split("=")[0] == flag]
            given[flag[2:]] = words[place].partition("=")[2] or words[place + 1]
        found = spec_of(guidance=2.0, names=lambda: names, **given)
        assert (found.label, found.guide.negative) == (number, (number + 1) % 3)


@pytest.mark.parametrize("names", [DIGITS_FROM_ONE, ("2", "1", "0"), ("a b", "0", "-1")])
def test_that_a_class_has_its_name_in_every_parameter_that_is_one(names):
    for number, name in enumerate(names):
        sets = [f"{key}={name}" for key in CLASSES]
        spec = spec_of(sets=sets, names=lambda: names)
        assert (spec.label, spec.guide.negative, spec.guide.second) == (number,) * 3
    spec = SampleSpec(guidance=2, guide=ClassifierFree(second=1))
    words = shlex.split(command_of("run", spec, names=names))
    found = spec_of(guidance=2.0, sets=[words[words.index("--set") + 1]], names=lambda: names)
    assert found.guide.second == 1
    with pytest.raises(Refused, match=r"There is no class 'huh'"):
        spec_of(sets=["label=huh"], names=lambda: names)
