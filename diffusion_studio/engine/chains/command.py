"""A chain on the command line: from its options, and back to the command that repeats it.

Each option is described once, in `OPTIONS`: what it changes in a chain, and what it says of one. Whatever no
option speaks of is said by `--set KEY=VALUE`.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from diffusion_studio.core.describe import every_knob, get_value, knobs, members, with_values
from diffusion_studio.core.guidance.guides import (
    ByClassifier,
    DrawnGuidance,
    GuidanceCurve,
    IntervalGuidance,
)
from diffusion_studio.core.process.spacing import ExplicitSpacing, Spacing
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import DDIM, SigmaCurve
from diffusion_studio.data.imageset import printable
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.starts import InvertedStart
from diffusion_studio.engine.files.places import at_home
from diffusion_studio.engine.runs.command import number_text, points_text, text_of

CLASSES = ("label", "guide.negative", "guide.second")  # parameters that are classes
Changes = list[tuple[str, Any]]  # parameters and their new values, in order
Names = Callable[[], Sequence[str]]  # of the classes; asked for where a class has a name
Words = Callable[[SampleSpec], Iterable[str]]  # what an option takes for a chain, once for each; or nothing


@dataclass(frozen=True)
class Option:
    """One option of `diffusion-studio sample`."""

    flag: str
    covers: tuple[str, ...]  # the parameters that it speaks of
    changes: Callable[[Any, Names], Changes]  # what it asks for
    words: Words
    is_class: bool = False  # whether it takes a class, which has a name too

    @property
    def name(self) -> str:
        return self.flag.removeprefix("--").replace("-", "_")


def spec_of(*, sets: Sequence[str] = (), names: Names = tuple, **given: Any) -> SampleSpec:
    """The chain that the options of `diffusion-studio sample` describe.

    Args:
        sets: `KEY=VALUE` for any parameter; applied last.
        names: the names of the classes; asked for where a class has a name.
        given: the options by the names of `OPTIONS`; one that is None is not given.

    Raises:
        Refused: an option that cannot be; the message is a sentence.
    """
    told = {name: value for name, value in given.items() if value is not None}
    _check(told)
    changes = [
        change
        for option in OPTIONS
        if option.name in told
        for change in option.changes(told[option.name], names)
    ]
    return with_values(SampleSpec(), [*changes, *(_set(pair, names) for pair in sets)])


def command_of(source: str, spec: SampleSpec, out: str = "samples.png", names: Sequence[str] = ()) -> str:
    """The command line that repeats a chain; what is as by default is left out.

    Args:
        names: of the classes; a class is said by its name.
    """
    words, told = ["diffusion-studio", "sample", source, "--out", out], set()
    for option in OPTIONS:
        for word in option.words(spec):
            words += _said(option, word, names)
            told |= set(option.covers)
    for knob in knobs(spec):
        if knob.path not in told and not _is_as_by_default(spec, knob.path):
            value = get_value(spec, knob.path)
            is_named = knob.path in CLASSES and 0 <= value < len(names)
            words += ["--set", f"{knob.path}={names[value] if is_named else text_of(knob, value)}"]
    return shlex.join(words)


def _check(given: dict[str, Any]) -> None:
    """Refuses options that are at odds with each other or with common sense."""
    sampler, eta = given.get("sampler", "sigma"), given.get("eta", 0.0)
    if "sigma" in given and sampler != "sigma":
        raise Refused(f"--sigma is a sampler of its own; leave out --sampler {sampler}.")
    if eta < 0:
        raise Refused(f"η cannot be negative (given: {eta:g}); it lies between 0 and 1.")
    if "classifier" in given and "negative" in given:
        raise Refused("--negative needs a network that knows labels; a classifier only leads to classes.")


# --- plain parameters -------------------------------------------------------------------------------------


def _plain(flag: str, path: str, words: Words | None = None) -> Option:
    """An option that gives one parameter; said where it is not as by default, unless `words` know better."""
    return Option(
        flag, (path,), lambda value, names: [(path, value)], words or (lambda spec: _changed(spec, path))
    )


def _class(flag: str, path: str) -> Option:
    """An option that gives a class, by name or by number."""
    numbered = _plain(flag, path)
    return replace(numbered, changes=lambda asked, names: [(path, class_number(asked, names))], is_class=True)


def _said(option: Option, word: str, names: Sequence[str]) -> list[str]:
    """An option with what it takes."""
    if not option.is_class or not 0 <= int(word) < len(names):
        return [option.flag, word]
    name = names[int(word)]
    return [f"{option.flag}={name}"] if name.startswith("-") else [option.flag, name]


def _changed(spec: SampleSpec, path: str) -> Iterator[str]:
    if not _is_as_by_default(spec, path):
        yield str(get_value(spec, path))


def class_number(asked: int | str, names: Names) -> int:
    """The number of a class that is given by its name, or by its number where no class has that name.

    A negative number stands for no class, or for all in turn, unless a class is called so.

    Raises:
        Refused: no such class; the message is a sentence.
    """
    known, text = list(names()), str(asked).strip()
    if (named := _named(text, known)) is not None:
        return named
    text = text.replace("−", "-")  # the sign that this program itself prints
    if re.fullmatch(r"-\d+", text):
        return int(text)
    if re.fullmatch(r"\d{1,9}", text) and (not known or int(text) < len(known)):
        return int(text)
    if not known:
        raise Refused(f"There are no classes with names here, so {asked!r} is not one.")
    listed = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    raise Refused(f"There is no class {asked!r}. The classes are {listed}.")


def _named(text: str, known: Sequence[str]) -> int | None:
    """The number of the class that a text names: as it is, in another form of Unicode, by its value.

    None where no class, or more than one, is meant.
    """
    # a sign that this program prints; names in another encoding stand as escapes in a run
    forms: tuple[Callable[[str], object], ...] = (
        str, lambda name: name.replace("−", "-"), printable, partial(unicodedata.normalize, "NFC"), _value
    )  # fmt: skip
    for form in forms:
        meant = [number for number, name in enumerate(known) if form(name) == form(text)]
        if len(meant) == 1 or (meant and form is str):
            return meant[0]
    return None


def _value(name: str) -> Fraction | str:
    """2, 2.0 and 02 are one number, however a table or a folder spells it; exactly, also with 17 digits."""
    return Fraction(name) if re.fullmatch(r"[-+]?[0-9]{1,300}(\.[0-9]*)?", name) else name


def taken_by_number(asked: int | str | None, names: Names) -> str:
    """A sentence where a class was given by its number though classes have names; or nothing."""
    known, text = list(names()), str(asked).strip()
    if asked is None or _named(text, known) is not None or not text.isdecimal() or not int(text) < len(known):
        return ""
    return f"No class is called {text}; class number {text} is taken, which is called {known[int(text)]}."


# --- samplers and their σ ---------------------------------------------------------------------------------


def _sampler_words(spec: SampleSpec) -> Iterator[str]:
    if not isinstance(spec.sampler, SigmaCurve):
        yield from _changed(spec, "sampler.kind")


def _eta_words(spec: SampleSpec) -> Iterator[str]:
    """Other samplers have an η too, which is another one."""
    return _changed(spec, "sampler.eta") if isinstance(spec.sampler, DDIM) else iter(())


def _sigma_changes(text: str, names: Names) -> Changes:
    """One number for all t, or points t:σ of a curve."""
    return [("sampler.kind", "sigma"), ("sampler.points", text if ":" in text else f"0:{text}")]


def _sigma_words(spec: SampleSpec) -> Iterator[str]:
    if isinstance(spec.sampler, SigmaCurve):
        yield points_text(spec.sampler.points)


# --- times ------------------------------------------------------------------------------------------------


def _tau_changes(text: str, names: Names) -> Changes:
    """A rule by its name, or rising times."""
    if text in members(Spacing):
        return [("spacing.kind", text)]
    return [("spacing.kind", "explicit"), ("spacing.values", text)]


def _tau_words(spec: SampleSpec) -> Iterator[str]:
    match spec.spacing:
        case ExplicitSpacing(values=values):
            if values:
                yield ",".join(map(str, values))
        case _:
            yield from _changed(spec, "spacing.kind")


# --- the first state --------------------------------------------------------------------------------------


def _invert_changes(images: Sequence[Path], names: Names) -> Changes:
    files = tuple(str(at_home(path).absolute()) for path in images)
    return [("start", {"kind": "inverted", "images": files}), ("count", len(files))] if files else []


def _invert_words(spec: SampleSpec) -> Sequence[str]:
    return spec.start.images if isinstance(spec.start, InvertedStart) else ()


def _count_words(spec: SampleSpec) -> Sequence[str]:
    """Images to invert are as many as they are, unless another number is said."""
    return [str(spec.count)] if _invert_words(spec) else list(_changed(spec, "count"))


# --- guidance ---------------------------------------------------------------------------------------------


def _classifier_changes(form: str, names: Names) -> Changes:
    return [("guide.kind", "classifier"), ("guide.form", form)]


def _classifier_words(spec: SampleSpec) -> Iterator[str]:
    if isinstance(spec.guide, ByClassifier):
        yield spec.guide.form


def _curve_changes(text: str, names: Names) -> Changes:
    """γ over the chain: the name of a kind, `0.2-0.8` for an interval of t/T, `0:1,1:0` for a drawn curve."""
    number = r"\s*([0-9.]+(?:e[-+]?\d+)?)\s*"
    if found := re.fullmatch(f"{number}-{number}", text):
        low, high = found.groups()
        return [("curve", {"kind": "interval", "low": low, "high": high})]
    if ":" in text:
        points = [part.split(":") for part in text.replace(",", " ").split()]
        return [("curve", {"kind": "drawn", "points": points})]
    if text not in members(GuidanceCurve):
        raise Refused(
            f"--guidance-curve takes {', '.join(members(GuidanceCurve))}, an interval like 0.2-0.8 in t/T, "
            f"or points like 0:1,0.5:2,1:0; got {text!r}."
        )
    return [("curve.kind", text)]


def _curve_words(spec: SampleSpec) -> Iterator[str]:
    match spec.curve:
        case IntervalGuidance(low=low, high=high):
            yield f"{number_text(low)}-{number_text(high)}"
        case DrawnGuidance(points=points):
            yield points_text(points)
        case _:
            yield from _changed(spec, "curve.kind")


# --- everything else --------------------------------------------------------------------------------------


def _set(pair: str, names: Names) -> tuple[str, Any]:
    """The parameter and the value of `--set KEY=VALUE`."""
    key, separator, text = (part.strip() for part in pair.partition("="))
    if not separator:
        raise Refused(f"--set takes KEY=VALUE; got {pair!r}.")
    if key in CLASSES:
        return key, class_number(text, names)
    is_files = any(knob.path == key and knob.type == "files" for knob in every_knob(SampleSpec()))
    return key, tuple(text.split(os.pathsep)) if is_files else text


def _is_as_by_default(spec: SampleSpec, path: str) -> bool:
    """Whether a parameter is as its member has it, and a member the one of the plain chain.

    So is a parameter that this chain does not have.
    """
    try:
        value = get_value(spec, path)
    except KeyError:
        return True
    holder, _, name = path.rpartition(".")
    if name == "kind":
        return bool(value == get_value(SampleSpec(), path))
    field = type(get_value(spec, holder) if holder else spec).model_fields[name]
    return bool(value == field.get_default(call_default_factory=True))


OPTIONS = (
    _plain("--sampler", "sampler.kind", _sampler_words),
    _plain("--steps", "steps"),
    Option("--sigma", ("sampler.kind", "sampler.points"), _sigma_changes, _sigma_words),
    _plain("--eta", "sampler.eta", _eta_words),
    Option("--tau", ("spacing.kind", "spacing.values"), _tau_changes, _tau_words),
    _plain("--clip", "clip.kind"),
    Option("--invert", ("start.kind", "start.images"), _invert_changes, _invert_words),
    _plain("--count", "count", _count_words),
    _class("--label", "label"),
    _plain("--guidance", "guidance"),
    Option("--classifier", ("guide.kind", "guide.form"), _classifier_changes, _classifier_words),
    _class("--negative", "guide.negative"),
    Option(
        "--guidance-curve", ("curve.kind", "curve.low", "curve.high", "curve.points"), _curve_changes,
        _curve_words,
    ),
    _plain("--seed", "seed"),
)  # fmt: skip
