"""What the plane can hold: modes, and distributions made of them. Every one is a mixture, so all is exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_studio.core.denoisers.mixture import Mixture, covariance
from diffusion_studio.core.describe import Choice, knob
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr

MOST_MODES = 160  # components of a drawn or photographed density
CLASSES = 8
REACH = 2.2  # half the width that shapes are fitted into


class Mode(Choice):
    """One Gaussian: its place, its ellipse, how much of the whole it is, and its class."""

    x: float = knob(
        0.0, title=tr("place"), symbol="x", ge=-10, le=10, help=tr("The mean, from left to right.")
    )
    y: float = knob(
        0.0, title=tr("place"), symbol="y", ge=-10, le=10, help=tr("The mean, from below upwards.")
    )
    sd_1: float = knob(
        0.3,
        title=tr("long spread"),
        ge=0.003,
        le=10,
        scale="log",
        help=tr("Standard deviation along the first axis."),
    )
    sd_2: float = knob(
        0.3, title=tr("cross spread"), ge=0.003, le=10, scale="log", help=tr("Standard deviation across it.")
    )
    angle: float = knob(
        0.0,
        title=tr("turned by"),
        unit="rad",
        ge=-10,
        le=10,
        advanced=True,
        help=tr("Direction of the first axis."),
    )
    weight: float = knob(
        1.0, title=tr("weight"), symbol="π_k", gt=0, le=100, scale="log",
        help=tr("How much of the whole this mode is, in proportion to the others."), source="Luo eq. 159",
    )  # fmt: skip
    label: int = knob(0, title=tr("class"), symbol="y", ge=0, lt=CLASSES, help=tr("The class of its points."))


Modes = tuple[Mode, ...]


def mixture_of(modes: Sequence[Mode]) -> Mixture:
    """p_0 of these modes."""
    rows = [(m.x, m.y) for m in modes]
    return Mixture(
        torch.tensor(rows, dtype=torch.float64).reshape(-1, 2),
        torch.stack([covariance(m.sd_1, m.sd_2, m.angle) for m in modes]),
        torch.tensor([m.weight for m in modes], dtype=torch.float64),
        torch.tensor([m.label for m in modes]),
    )


@dataclass(frozen=True)
class Shape:
    """A distribution that is offered by name."""

    key: str
    title: str
    help: str
    make: Callable[[], Modes]

    @property
    def fine(self) -> bool:
        """Whether many small Gaussians stand for a shape that has no closed form itself."""
        return len(self.make()) > 30


def _three() -> Modes:
    return (
        Mode(x=-1.5, y=0.9, weight=1, label=0),
        Mode(x=1.3, y=1.0, weight=1, label=1),
        Mode(x=0.1, y=-0.95, weight=2, label=2),
    )


def _ring() -> Modes:
    turns = [k * math.pi / 4 for k in range(8)]
    return tuple(
        Mode(x=1.8 * math.cos(a), y=1.8 * math.sin(a), sd_1=0.18, sd_2=0.18, label=k)
        for k, a in enumerate(turns)
    )


def _grid() -> Modes:
    places = [(x, y) for y in range(-2, 3) for x in range(-2, 3)]
    return tuple(Mode(x=0.85 * x, y=0.85 * y, sd_1=0.1, sd_2=0.1, label=(x + y) % 5) for x, y in places)


def _two() -> Modes:
    return (
        Mode(x=-1.7, weight=1, sd_1=0.25, sd_2=0.25, label=0),
        Mode(x=1.7, weight=4, sd_1=0.25, sd_2=0.25, label=1),
    )


def _inside() -> Modes:
    return (Mode(sd_1=1.3, sd_2=1.3, weight=1, label=0), Mode(sd_1=0.12, sd_2=0.12, weight=1, label=1))


def _single() -> Modes:
    return (Mode(sd_1=1.0, sd_2=0.4, angle=0.5),)


def _strand(points: NDArray[np.float64], width: float, label: int) -> Modes:
    """Long narrow Gaussians one after the other along a curve (n, 2)."""
    found = []
    for (x, y), (u, v) in zip((points[1:] + points[:-1]) / 2, np.diff(points, axis=0), strict=True):
        length = math.hypot(u, v)
        found.append(
            Mode(x=x, y=y, sd_1=0.55 * length, sd_2=width, angle=math.atan2(v, u), weight=length, label=label)
        )
    return tuple(found)


def _curve(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([x, y], 1)


def _moons() -> Modes:
    a = np.linspace(0, math.pi, 25)
    upper = _curve(1.35 * np.cos(a) - 0.65, 1.35 * np.sin(a) - 0.3)
    lower = _curve(1.35 * -np.cos(a) + 0.65, 0.3 - 1.35 * np.sin(a))
    return _strand(upper, 0.09, 0) + _strand(lower, 0.09, 1)


def _circles() -> Modes:
    a = np.linspace(0, 2 * math.pi, 41)
    outer, inner = _curve(2 * np.cos(a), 2 * np.sin(a)), _curve(np.cos(a[::2]), np.sin(a[::2]))
    return _strand(outer, 0.09, 0) + _strand(inner, 0.09, 1)


def _roll() -> Modes:
    a = np.linspace(1.5 * math.pi, 4.5 * math.pi, 61)
    return _strand(_curve(a * np.cos(a), a * np.sin(a)) / 6.3, 0.08, 0)


def _line() -> Modes:
    """Almost a curve: what the score of data on a manifold looks like."""
    x = np.linspace(-2, 2, 41)
    return _strand(_curve(x, 0.8 * np.sin(1.6 * x)), 0.01, 0)


def _board() -> Modes:
    cells = [(i, j) for i in range(4) for j in range(4) if (i + j) % 2 == 0]
    inner = np.array([-1.5, -0.5, 0.5, 1.5]) * 0.25
    return tuple(
        Mode(x=i - 1.5 + u, y=j - 1.5 + v, sd_1=0.11, sd_2=0.11, label=i % 2)
        for i, j in cells
        for u in inner
        for v in inner
    )


SHAPES = (
    Shape(
        "three",
        tr("three modes, 1 : 1 : 2"),
        tr("Three Gaussians, one twice as heavy (Luo, figure 6)."),
        _three,
    ),
    Shape("two", tr("two far modes, 1 : 4"), tr("Two Gaussians so far apart that no chain crosses."), _two),
    Shape("ring", tr("ring of eight"), tr("Eight equal Gaussians on a circle."), _ring),
    Shape("grid", tr("grid of 25"), tr("Twenty-five narrow Gaussians."), _grid),
    Shape(
        "inside", tr("one inside the other"), tr("A narrow Gaussian in the middle of a wide one."), _inside
    ),
    Shape("single", tr("one Gaussian"), tr("The case in which everything is known by hand."), _single),
    Shape("moons", tr("moons"), tr("Two half circles, each a strand of 24 Gaussians."), _moons),
    Shape("circles", tr("circles"), tr("Two rings, made of 60 Gaussians."), _circles),
    Shape("roll", tr("swiss roll"), tr("A spiral, made of 60 Gaussians."), _roll),
    Shape("board", tr("checkerboard"), tr("Eight squares, each of 16 Gaussians."), _board),
    Shape("line", tr("a thin curve"), tr("A wave only 0.01 wide: data on a manifold."), _line),
)
CUSTOM = "custom"


def shape(key: str) -> Shape:
    """The shape with this key.

    Raises:
        KeyError: there is none.
    """
    return {s.key: s for s in SHAPES}[key]


def modes_from_points(points: NDArray[np.float64], width: float, label: int = 0) -> Modes:
    """A drawn line (n, 2) as Gaussians `width` wide; neighbours closer than half a width become one."""
    kept: list[NDArray[np.float64]] = []
    for point in points:
        if not kept or min(float(np.hypot(*(point - k))) for k in kept) > 0.5 * width:
            kept.append(point)
    return tuple(
        Mode(x=float(x), y=float(y), sd_1=width, sd_2=width, label=label) for x, y in kept[:MOST_MODES]
    )


def modes_from_picture(ink: NDArray[np.float64]) -> Modes:
    """A picture (H, W), 1 where the density is high and 0 where there is none, as at most 160 Gaussians.

    The picture is cut into the finest cells that suffice; each cell with ink becomes one Gaussian.

    Raises:
        Refused: the picture is empty.
    """
    if ink.size == 0 or float(ink.max()) <= 0:
        raise Refused(tr("There is nothing in this picture that is dark or coloured enough."))
    height, width = ink.shape
    for cells in range(40, 3, -1):
        side = max(height, width) / cells
        rows, columns = max(1, round(height / side)), max(1, round(width / side))
        mass = _means(ink, rows, columns)
        if int((mass > 0.15).sum()) <= MOST_MODES:
            break
    kept = np.argwhere(mass > min(0.15, 0.5 * float(mass.max())))
    unit = 2 * REACH / max(rows, columns)
    return tuple(
        Mode(
            x=(j - (columns - 1) / 2) * unit, y=((rows - 1) / 2 - i) * unit,
            sd_1=0.42 * unit, sd_2=0.42 * unit, weight=float(mass[i, j]),
        )
        for i, j in kept[:MOST_MODES]
    )  # fmt: skip


def _means(ink: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """Mean of each cell. (rows, columns)"""
    tall = np.array_split(ink, rows, 0)
    return np.array([[part.mean() for part in np.array_split(strip, columns, 1)] for strip in tall])
