"""A chain on the command line: from its options, and back to the command that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from diffusion_studio.core.describe import get_value, knobs, members, with_value
from diffusion_studio.core.samplers import Sampler
from diffusion_studio.core.spacing import Spacing
from diffusion_studio.engine.sample_spec import SampleSpec
from diffusion_studio.engine.starts import InvertedStart, Start


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
    label: int | None = None,
    guidance: float = 1.0,
    seed: int | None = None,
    sets: Sequence[str] = (),
) -> SampleSpec:
    """The chain that the options of `diffusion-studio sample` describe.

    Raises:
        ValueError: an option that cannot be; the message is a sentence.
    """
    if sigma is not None and sampler not in (None, "sigma"):
        raise ValueError(f"--sigma is a sampler of its own; leave out --sampler {sampler}.")
    if eta is not None and eta < 0:
        raise ValueError(f"η cannot be negative (given: {eta:g}); it lies between 0 and 1.")
    changes: list[tuple[str, Any]] = [
        ("sampler.kind", "sigma" if sigma is not None else sampler or "ddim"), ("sampler.eta", eta),
        ("steps", steps), ("count", count), ("label", label), ("guidance", guidance), ("seed", seed),
        ("clip.kind", clip),
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
            raise ValueError(f"--set takes KEY=VALUE; got {pair!r}.")
        value = tuple(text.split(":")) if key.strip() == "start.images" else text.strip()
        spec = with_value(spec, key.strip(), value)
    return spec


def every_spec() -> Iterator[SampleSpec]:
    """One chain for each member of each family, so that all their parameters can be listed."""
    spec = SampleSpec()
    for name, family in (("sampler", Sampler), ("spacing", Spacing), ("start", Start)):
        for kind in members(family):
            yield with_value(spec, f"{name}.kind", kind)
    yield with_value(spec, "clip.kind", "dynamic")


def command_of(source: str, spec: SampleSpec, out: str = "samples.png") -> str:
    """The command line that repeats a chain; what is as by default is left out."""
    words = ["diffusion-studio", "sample", source, "--out", out]
    plain = SampleSpec()
    options = {"sampler.kind": "--sampler", "steps": "--steps", "count": "--count", "label": "--label",
               "guidance": "--guidance", "seed": "--seed", "clip.kind": "--clip", "sampler.eta": "--eta",
               "spacing.kind": "--tau"}  # fmt: skip
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
        elif value == default or value in ("explicit", "sigma") or (value == "inverted" and spec.start.files):
            continue
        elif knob.path in options and not (knob.path == "sampler.eta" and spec.sampler.kind != "ddim"):
            words += [options[knob.path], str(value)]
        else:
            text = ":".join(value) if isinstance(value, tuple) else value
            words += ["--set", f"{knob.path}={text}"]
    return shlex.join(words)
