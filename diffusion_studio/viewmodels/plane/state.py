"""What the 2-D page shows, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.engine.plane.measures import Measures
from diffusion_studio.engine.plane.process import Langevin
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.viewmodels.notice import Notice

FieldKind = Literal["exact", "learned", "error"]
ColorBy = Literal["class", "start", "age", "none"]
Trails = Literal["off", "short", "whole"]


@dataclass(frozen=True)
class Look:
    """How it is shown; nothing that is computed depends on it."""

    field: FieldKind = "exact"
    color: ColorBy = "class"
    trails: Trails = "short"
    density: bool = True
    contours: bool = True
    arrows: bool = True
    particles: bool = True
    tilted: bool = True  # with guidance: p_0(x) p_0(y|x)^γ as lines
    weighed: bool = False  # error map weighted by p_t
    surface: bool = False  # as a landscape


@dataclass(frozen=True, eq=False)
class Particles:
    """The particles of one state."""

    x: NDArray[np.float32]  # (n, 2)
    labels: NDArray[np.int64] | None  # (n,) index of a colour
    paths: NDArray[np.float32]  # (states, m, 2), up to now
    path_labels: tuple[int, ...]
    ages: NDArray[np.float64] | None = (
        None  # (states,) when each state was, 0 at the start of the chain and 1 at its end
    )


@dataclass(frozen=True, eq=False)
class Course:
    """What was measured along one run of a method."""

    title: str
    positions: tuple[int, ...] = ()
    energy: tuple[float, ...] = ()
    last: Measures | None = None

    def with_measures(self, found: Measures) -> Course:
        """The course with one more measurement; a later state replaces what stood after it."""
        kept = [i for i, p in enumerate(self.positions) if p < found.position]
        return Course(
            self.title, (*(self.positions[i] for i in kept), found.position),
            (*(self.energy[i] for i in kept), found.energy), found,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Comparison:
    """The present run, and the last one of another method."""

    now: Course
    before: Course | None
    length: int  # steps


@dataclass(frozen=True)
class GuideReading:
    """What guidance does at a place."""

    gradient: tuple[float, float]  # ∇ ln p(y | x_t)
    guided: tuple[float, float]
    share: float  # p(y | x_t)
    label: int
    gamma: float


@dataclass(frozen=True)
class PointReading:
    """What is known about the place under the pointer."""

    x: float
    y: float
    t: int
    log_density: float
    score: tuple[float, float]
    learned: tuple[float, float] | None = None
    flow: float | None = None  # log p_0 along the probability flow; nan: not converged
    exact: float | None = None  # log p_0 in closed form
    guide: GuideReading | None = None


@dataclass(frozen=True)
class LearningState:
    """What the small network is doing."""

    running: bool = False
    paused: bool = False
    step: int = 0
    seconds: float = 0.0
    total: float = 0.0
    loss: float = float("nan")
    error: float = float("nan")  # mean squared score error over all t, in units of the score's own
    trained: bool = False
    t: int | None = None  # the one level it learned; None for all
    labelled: bool = True  # whether it is told of classes
    law: tuple[Any, ...] = ()  # of the distribution that it learns, `PlaneSpec.law`


@dataclass(frozen=True)
class PlaneState:
    """Everything on the 2-D page but pictures and curves."""

    spec: PlaneSpec
    look: Look = field(default_factory=Look)
    times: tuple[int, ...] = ()
    first: int = 0
    position: int = 0
    t: int = 0  # of the picture
    signal: float = 1.0  # what modes are multiplied by in the picture
    noise: float = 0.0  # the standard deviation that is added to them
    playing: bool = False
    loop: bool = True
    speed: float = 1.0
    selected: int = -1
    brush: bool = False
    learning: LearningState = field(default_factory=LearningState)
    errors: tuple[tuple[str, str], ...] = ()
    notice: Notice | None = None
    can_undo: bool = False
    can_redo: bool = False

    @property
    def last(self) -> int:
        return max(len(self.times) - 1, 0)

    @property
    def follows(self) -> bool:
        """Whether the chain takes the noise level with it."""
        return not isinstance(self.spec.process, Langevin)
