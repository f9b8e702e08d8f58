"""--set KEY=VALUE: what it changes, and the list of all keys below the help of a command; a hint of one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from diffusion_studio.cli.sentences import note
from diffusion_studio.core.describe import Choice, Knob, M, every_knob, families, members, with_values
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.data.spec import UNASKED, DataSpec


def changed(choice: M, pairs: list[str]) -> M:
    """`choice` with the values of KEY=VALUE, in whatever order they stand; of one key the last counts.

    Raises:
        Refused: another form, no such key, or a value that it cannot have.
    """
    changes = []
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise Refused(f"--set takes KEY=VALUE; got {pair!r}.")
        changes.append((key.strip(), value.strip()))
    return with_values(choice, changes)


def check_source(source: str, before: str) -> None:
    """Raises Refused where `--set` names images: the argument DATA does."""
    if source != before:
        raise Refused(f"DATA says which images, not --set data.source: leave out {source!r}.")


def note_size(spec: DataSpec, images: ImageSet) -> None:
    """Says how pictures become squares, before they are learned; and how they keep their size."""
    if not (told := spec.told(images.sizes, images.resolution)):
        return
    own = spec.side_of_most(images.sizes)
    kept = not spec.resolution and images.resolution == UNASKED < own
    note(f"{told} --set data.resolution={own} learns them larger." if kept else told)


def write_choices(formatter: Any, choice: Choice, options: Mapping[str, str] = MappingProxyType({})) -> None:
    """Every member of every family that `choice` takes one of, and every key of --set.

    `options` are those that choose from a family, by its path; the others are chosen by --set PATH.kind=….
    """
    for path, base in families(choice).items():
        with formatter.section(f"{base.family}, by {options.get(path, f'--set {path}.kind=')}"):
            found = members(base).items()
            formatter.write_dl([(kind, f"{cls.title}: {cls.summary}") for kind, cls in found])
    with formatter.section("Keys of --set, with bounds and defaults"):
        formatter.write_dl([(k.path, _describe(k)) for k in every_knob(choice)], col_max=32)


def _describe(k: Knob) -> str:
    low = "-∞" if k.low is None else f"{k.low:g}"
    high = "∞" if k.high is None else f"{k.high:g}"
    bounds = f" {low} … {high}" if k.low is not None or k.high is not None else ""
    options = f" one of {', '.join(str(v) for v, _ in k.options)}" if k.options else ""
    unit = f" {k.unit}" if k.unit else ""
    default = "empty" if k.default in ("", ()) else k.default
    word = f", {k.word(k.default)}" if k.word(k.default) not in ("", default) else ""
    return f"{k.help} [{k.type}{options}{bounds}{unit}; default {default}{word}]"
