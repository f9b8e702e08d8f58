"""What is different about two objectives, in words for the marks on the plots."""

from __future__ import annotations

from typing import Any

from diffusion_studio.core.describe import Choice, Knob, Member, get_value, knobs
from diffusion_studio.engine.runs.config import ObjectiveSpec


def change_text(before: ObjectiveSpec, after: ObjectiveSpec) -> str:
    """ "weight: surrogate (1) → min-SNR, cap γ 5"; several changes are joined by commas."""
    told = []
    for name, info in ObjectiveSpec.model_fields.items():
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            told.append(f"{info.title}: {_said(old, new)} → {_said(new, old)}")
    return ", ".join(told)


def _said(value: Any, other: Any) -> str:
    """A value in words, with those parameters of a member in which it differs from the other."""
    if not isinstance(value, Member):
        return str(value)
    same_kind = type(value) is type(other)
    shown = [
        _number(knob, get_value(value, knob.path))
        for knob in knobs(value)
        if (get_value(value, knob.path) != get_value(other, knob.path) if same_kind else not knob.advanced)
    ]
    short = [text for text in shown if text]
    return " ".join([type(value).title, *short])


def _number(knob: Knob, value: Choice | float | str | tuple[float, ...]) -> str:
    """ "γ 5"; a list of numbers is not spelt out."""
    if isinstance(value, tuple):
        return ""
    if isinstance(value, bool):
        return knob.title if value else ""
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{knob.symbol or knob.title} {shown}"
