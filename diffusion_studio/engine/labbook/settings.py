"""The settings of runs beside each other, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diffusion_studio.core.describe import Choice, Knob, get_value, knobs
from diffusion_studio.core.words import between, number, spoken, tr
from diffusion_studio.engine.runs.command import text_of

_PARTS = {
    "data": tr("data"), "model": tr("model"), "diffusion": tr("diffusion"), "objective": tr("objective"),
    "training": tr("training"), "code": tr("code"), "hierarchy": tr("hierarchy"),
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One parameter, as every run has it."""

    path: str
    title: str
    symbol: str
    help: str
    values: tuple[str, ...]  # in words, one for each run; "" where a run has no such parameter
    differs: bool  # between the runs; of a single one, from the default


def settings_of(configs: Sequence[Choice]) -> tuple[Setting, ...]:
    """Every parameter of any of these configs, part by part, those of the first one first."""
    known = [{knob.path: knob for knob in knobs(config)} for config in configs]
    merged: dict[str, Knob] = {}
    for own in known:
        merged |= {path: knob for path, knob in own.items() if path not in merged}
    parts = list(dict.fromkeys(_part(knob) for knob in merged.values()))
    ordered = sorted(merged.values(), key=lambda knob: parts.index(_part(knob)))
    titles = [knob.title for knob in ordered]
    return tuple(
        _setting(knob, configs, known, _part(knob) if titles.count(knob.title) > 1 else "")
        for knob in ordered
    )


def _part(knob: Knob) -> str:
    """Of the config, that a parameter belongs to."""
    return knob.path.partition(".")[0]


def _setting(knob: Knob, configs: Sequence[Choice], known: Sequence[dict[str, Knob]], part: str) -> Setting:
    """One parameter; `part` tells it from others of the same title."""
    held = [
        (own[knob.path], get_value(config, knob.path)) if knob.path in own else None
        for config, own in zip(configs, known, strict=True)
    ]
    values = [None if pair is None else pair[1] for pair in held]
    others = values if len(values) > 1 else [knob.default]
    return Setting(
        knob.path, f"{_PARTS.get(part, part)}: {knob.title}" if part else knob.title, knob.symbol, knob.help,
        tuple("" if pair is None else in_words(*pair) for pair in held),
        any(value != values[0] for value in others),
    )  # fmt: skip


def in_words(knob: Knob, value: object) -> str:
    """A value as a form shows it."""
    labels = dict(knob.options)
    if isinstance(value, str | int | float) and (word := knob.word(value) or labels.get(value)):
        return str(word)
    if isinstance(value, bool):
        return tr("yes") if value else tr("no")
    if isinstance(value, float):
        return number(value, "g" if float(f"{value:g}") == value else "")
    text = text_of(knob, value)
    if not isinstance(value, tuple) or knob.type not in ("numbers", "points"):
        return text
    return between().strip().join(part.replace(".", spoken().marks[0]) for part in text.split(","))
