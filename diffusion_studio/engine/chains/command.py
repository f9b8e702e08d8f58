"""A chain on the command line: from its options, and back to the command that repeats it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from diffusion_studio.core.describe import get_value, knobs, members, with_value
from diffusion_studio.core.guidance.guides import DrawnGuidance, GuidanceCurve, IntervalGuidance
from diffusion_studio.core.process.spacing import Spacing
from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.starts import InvertedStart


def spec_of(
    *,
    sampler: str | None = None,
    steps: int = 50,
    eta: float | None = None,
    tau: str | None = None,
    sigma: str | None = None,
    clip: str | None = None,
    invert: Sequence[Path] = (),
    count: int | None = None,
    label: int | str | None = None,
    guidance: float = 1.0,
    classifier: str | None = None,
    negative: int | str | None = None,
    guidance_curve: str | None = None,
    seed: int | None = None,
    sets: Sequence[str] = (),
    names: Callable[[], Sequence[str]] = tuple,
) -> SampleSpec:
    """The chain that the options of `diffusion-studio sample` describe.

    Args:
        label, negative: a number, or a name.
        names: the names of the classes; asked for where a class has a name.

    Raises:
        Refused: an option that cannot be; the message is a sentence.
    """
    if sigma is not None and sampler not in (None, "sigma"):
        raise Refused(f"--sigma is a sampler of its own; leave out --sampler {sampler}.")
    if eta is not None and eta < 0:
        raise Refused(f"η cannot be negative (given: {eta:g}); it lies between 0 and 1.")
    if classifier is not None and negative is not None:
        raise Refused("--negative needs a network that knows labels; a classifier only leads to classes.")
    changes: list[tuple[str, Any]] = [
        ("sampler.kind", "sigma" if sigma is not None else sampler or "ddim"), ("sampler.eta", eta),
        ("steps", steps), ("count", count), ("guidance", guidance), ("seed", seed),
        ("label", class_number(label, names)),
        ("clip.kind", clip), ("guide.kind", None if classifier is None else "classifier"),
        ("guide.form", classifier), ("guide.negative", class_number(negative, names)),
        *_curve_changes(guidance_curve),
    ]  # fmt: skip
    if sigma is not None:
        changes.append(("sampler.points", sigma if ":" in sigma else f"0:{sigma}"))
    if tau is not None:
        named = tau in members(Spacing)
        changes.append(("spacing.kind", tau if named else "explicit"))
        if not named:
            changes.append(("spacing.values", tau))
    spec = SampleSpec()
    for key, value in changes:
        if value is not None:
            spec = with_value(spec, key, value)
    if invert:
        images = tuple(str(path.expanduser().absolute()) for path in invert)
        spec = spec.model_copy(update={"start": InvertedStart(images=images), "count": count or len(images)})
    for pair in sets:
        key, separator, text = pair.partition("=")
        if not separator:
            raise Refused(f"--set takes KEY=VALUE; got {pair!r}.")
        value = tuple(text.split(":")) if key.strip() == "start.images" else text.strip()
        spec = with_value(spec, key.strip(), value)
    return spec


def class_number(asked: int | str | None, names: Callable[[], Sequence[str]]) -> int | None:
    """The number of a class that is given by number or by name.

    Raises:
        Refused: no class of that name; the message is a sentence.
    """
    if asked is None or isinstance(asked, int):
        return asked
    try:
        return int(asked)
    except ValueError:
        known = list(names())
    if asked in known:
        return known.index(asked)
    if not known:
        raise Refused(f"There are no classes with names here, so {asked!r} is not one.")
    listed = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    raise Refused(f"There is no class {asked!r}. The classes are {listed}.")


def _curve_changes(text: str | None) -> list[tuple[str, Any]]:
    """γ over the chain: the name of a kind, `0.2-0.8` for an interval of t/T, `0:1,1:0` for a drawn curve."""
    if text is None:
        return []
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


def _curve_text(curve: GuidanceCurve) -> str:
    """What `--guidance-curve` takes for it."""
    match curve:
        case IntervalGuidance(low=low, high=high):
            return f"{low!r}-{high!r}"
        case DrawnGuidance(points=points):
            return ",".join(f"{place!r}:{share!r}" for place, share in points)
        case _:
            return curve.kind


def _said_elsewhere(spec: SampleSpec, path: str, value: Any) -> bool:
    """Whether the option of another parameter says this one too."""
    if path in ("curve.low", "curve.high", "curve.points"):
        return True
    return value in ("explicit", "sigma", "classifier") or (value == "inverted" and bool(spec.start.files))


def command_of(source: str, spec: SampleSpec, out: str = "samples.png") -> str:
    """The command line that repeats a chain; what is as by default is left out."""
    words = ["diffusion-studio", "sample", source, "--out", out]
    plain = SampleSpec()
    options = {"sampler.kind": "--sampler", "steps": "--steps", "count": "--count", "label": "--label",
               "guidance": "--guidance", "seed": "--seed", "clip.kind": "--clip", "sampler.eta": "--eta",
               "spacing.kind": "--tau", "guide.negative": "--negative"}  # fmt: skip
    for knob in knobs(spec):
        value = get_value(spec, knob.path)
        default = get_value(plain, knob.path) if knob.path in {k.path for k in knobs(plain)} else knob.default
        if knob.path == "spacing.values":
            words += ["--tau", ",".join(map(str, value))]
        elif knob.path == "sampler.points":
            words += ["--sigma", ",".join(f"{t:g}:{sigma!r}" for t, sigma in value)]
        elif knob.path == "start.images" and spec.start.kind == "inverted":
            for image in value:
                words += ["--invert", image]
        elif knob.path == "guide.form":  # says both which guide and which form of it
            words += ["--classifier", value]
        elif knob.path == "curve.kind" and value != default:
            words += ["--guidance-curve", _curve_text(spec.curve)]
        elif value == default or _said_elsewhere(spec, knob.path, value):
            continue
        elif knob.path in options and not (knob.path == "sampler.eta" and spec.sampler.kind != "ddim"):
            words += [options[knob.path], str(value)]
        else:
            text = ":".join(value) if isinstance(value, tuple) else value
            words += ["--set", f"{knob.path}={text}"]
    return shlex.join(words)
