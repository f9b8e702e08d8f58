"""What the training of an image network tells beside that which every training does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.describe import Choice, Knob, Member, get_value, knobs
from diffusion_studio.engine.jobs.events import Event
from diffusion_studio.engine.runs.config import ObjectiveSpec
from diffusion_studio.engine.runs.quality import Quality


@dataclass(frozen=True, eq=False)
class TimestepErrors(Event):
    """Error by t, ρ(ε − ε̂) per element, as a debiased running mean in bins of t; and what weighs it."""

    step: int
    t: NDArray[np.float64]  # (bins,) centre of each bin, between 1 and T
    error: NDArray[np.float64]  # (bins,) NaN where nothing was seen yet
    spread: NDArray[np.float64]  # (bins,) standard deviation of single errors
    count: NDArray[np.int64]  # (bins,) errors seen so far
    weight: NDArray[np.float64] | None = None  # (bins,) λ_t on the ε error, mean over the bin
    density: NDArray[np.float64] | None = None  # (bins,) p_t, mean over the bin
    share: NDArray[np.float64] | None = None  # (bins,) of the loss; sums to 1
    log_snr: NDArray[np.float64] | None = None  # (bins,) of a schedule that is learned


@dataclass(frozen=True)
class ObjectiveChanged(Event):
    """Weight, density or loss were changed: what is minimised from this step on."""

    step: int
    message: str  # "weight: surrogate (1) → min-SNR"
    objective: ObjectiveSpec


@dataclass(frozen=True)
class PartsChanged(Event):
    """From this step on batches are split otherwise, as is faster now."""

    step: int
    parts: int
    device: str  # what computes, and how
    message: str  # why, as a sentence


@dataclass(frozen=True, eq=False)
class Preview(Event):
    """Samples drawn with fixed noise from the EMA weights."""

    step: int
    images: NDArray[np.uint8]  # (n, H, W, C)
    labels: tuple[str, ...]
    path: Path | None


@dataclass(frozen=True)
class PreviewMeasured(Event):
    """How near the samples of a preview come to the training images; told once they are seen."""

    step: int
    quality: Quality


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
