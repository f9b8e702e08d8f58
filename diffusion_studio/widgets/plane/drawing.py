"""What is drawn of the plane, as one frozen value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.engine.plane.field import FieldView
from diffusion_studio.widgets.look.theme import theme
from diffusion_studio.widgets.plane.arrows import Arrow
from diffusion_studio.widgets.plane.handles import Handles
from diffusion_studio.widgets.plane.paint import Floats, Layers, age_color, class_color

_COLORS = 8  # of labels that are told apart


@dataclass(frozen=True, eq=False)
class Trails:
    """Paths that end where the particles are."""

    paths: Floats = dataclasses.field(
        default_factory=lambda: np.empty((0, 0, 2), np.float32)
    )  # (states, m, 2)
    labels: Sequence[int] = ()  # (m,); none: all alike
    fade: bool = True  # the oldest part is the faintest
    ages: Floats | None = None  # (states,) in [0, 1]: colours paths and particles by when they were there


@dataclass(frozen=True, eq=False)
class Drawing:
    """Field, particles, trails, and what lies over them."""

    layers: Layers = dataclasses.field(default_factory=Layers)
    field: FieldView | None = None
    x: Floats = dataclasses.field(default_factory=lambda: np.empty((0, 2), np.float32))  # (n, 2)
    labels: NDArray[np.integer] | None = None  # (n,); None: all alike
    trails: Trails = dataclasses.field(default_factory=Trails)
    handles: Handles = dataclasses.field(default_factory=Handles)
    start: tuple[float, float] | None = None  # from which all particles begin
    arrows: tuple[tuple[float, float], tuple[Arrow, ...]] = ((0.0, 0.0), ())  # a place, what stands there
    words: Mapping[str, str] = dataclasses.field(default_factory=dict)  # by corner, "top" and "bottom"

    @property
    def dots(self) -> Floats:
        """The particles, if they are drawn. (n, 2)"""
        return self.x if self.layers.particles else self.x[:0]

    @property
    def inks(self) -> tuple[list[str], NDArray[np.integer] | None]:
        """Colours of the particles, and which one each has (n,); None: all the first."""
        if self.trails.ages is not None:
            return [age_color(self.trails.ages[-1], theme().palette)], None
        if self.labels is None:
            return [label_color(-1)], None
        return [label_color(k) for k in range(_COLORS)], self.labels % _COLORS


def label_color(label: int) -> str:
    """The colour of a class; that of particles of no class for −1."""
    palette = theme().palette
    plain = "#f2f4f7" if palette.dark else "#2b3038"
    return class_color(label, palette) if label >= 0 else plain
