"""What is drawn of one state: the field and the particles, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.denoisers.tilted import Level, TiltedMixture
from diffusion_studio.engine.plane.chain import PlaneChain
from diffusion_studio.engine.plane.field import (
    FieldView,
    Window,
    contours_of,
    error_view,
    exact_view,
    learned_view,
    rescaled,
)
from diffusion_studio.engine.plane.process import Langevin, State
from diffusion_studio.engine.plane.shapes import CLASSES
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.viewmodels.plane.state import Look, Particles

TRAIL, WALK = 40, 12  # states of a short trail, at one level and down a chain
TRAILS, WHOLE = 28, 24  # how many trails, short and whole


@dataclass(frozen=True, eq=False)
class Draft:
    """All that a picture is made of, but for the state of the particles."""

    look: Look
    spec: PlaneSpec
    window: Window
    learned: Denoiser | None  # what was learned, guided
    starts: NDArray[np.int64]  # colours by starting point

    @property
    def mover(self) -> Denoiser:
        """What moves the particles: the learned score where that is what is shown."""
        shown = self.learned if self.look.field == "learned" else None
        return self.spec.guided() if shown is None else shown

    def level(self, t: int) -> Level:
        """p_t, tilted by guidance."""
        return self.spec.guided().level(t, torch.float32)

    def scale(self, t: int) -> float:
        """How much larger the plane of the process is than the one in which chains are computed."""
        return self.spec.tables().scale_at(t)

    def field_key(self, t: int) -> tuple[Any, ...]:
        """What the field at t depends on; the network is the last of it."""
        look = self.look
        return look.field, look.weighed, look.tilted, t, self.spec.followed, self.window, self.learned

    def field(self, t: int) -> FieldView:
        goal, scale = self.level(0), self.scale(t)
        field = field_of(self.look, self.level(t), self.learned, t, self.window.over(scale), goal)
        return rescaled(field, self.window, scale)

    def labels(self, t: int, x: torch.Tensor) -> NDArray[np.int64] | None:
        return labels_of(x, self.look, self.level(t), self.starts)

    def frame(self, t: int, x: torch.Tensor, shown: tuple[Any, ...]) -> Frame:
        """The picture of a state, where the field of the key `shown` is on the screen."""
        key = self.field_key(t)
        field = self.field(t) if key != shown else None
        if field is not None:
            _ = field.lines  # drawn soon
        return Frame(self, key, field, self.labels(t, x))


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture that was made before it is shown."""

    draft: Draft
    key: tuple[Any, ...]
    field: FieldView | None  # None: the one on the screen
    labels: NDArray[np.int64] | None

    def fits(self, now: Draft) -> bool:
        """Whether it is still what is asked for; a newer network is seen in the next picture."""
        then = self.draft
        same = then.spec is now.spec and then.starts is now.starts
        return same and then.look == now.look and then.window == now.window


def field_of(
    look: Look, level: Level, learned: Denoiser | None, t: int, window: Window, goal: Level | None = None
) -> FieldView:
    """The field that `look` asks for; the exact one while nothing is learned yet.

    `goal` is q_0, whose lines are drawn over it when it is tilted by guidance.
    """
    view = _plain_field(look, level, learned, t, window)
    shown = look.tilted and isinstance(goal, TiltedMixture)
    return replace(view, goal=contours_of(goal, window)) if shown and goal is not None else view


def _plain_field(look: Look, level: Level, learned: Denoiser | None, t: int, window: Window) -> FieldView:
    if learned is None or look.field == "exact":
        return exact_view(level, window)
    if look.field == "learned":
        return learned_view(level, learned, t, window)
    view = error_view(level, learned, t, window)
    if look.weighed and view.error is not None:
        density = np.exp(view.log_density - view.log_density.max())
        return replace(view, error=view.error * density)
    return view


def start_labels(x: torch.Tensor) -> NDArray[np.int64]:
    """A colour for each starting point (n, 2): one for each eighth of the circle."""
    turn = torch.atan2(x[:, 1], x[:, 0]) / (2 * torch.pi) + 0.5
    found: NDArray[np.int64] = (turn * CLASSES).long().remainder(CLASSES).numpy()
    return found


def particles_of(chain: PlaneChain, look: Look, labels: NDArray[np.int64] | None) -> Particles:
    """The particles where the chain stands, of the colours `labels` (n,), with their trails."""
    x, position = chain.x, chain.position
    count = min(WHOLE if look.trails == "whole" else TRAILS, len(x))
    short = TRAIL if isinstance(chain.spec.process, Langevin) else WALK
    since = {"off": position, "short": position - short, "whole": 0}[look.trails]
    scales = _scales(chain, since, position)
    paths = chain.paths(since, position)[:, :count] * scales[:, None, None]
    if look.trails == "whole" and chain.spec.start == "point":
        along = tuple(k % CLASSES for k in range(count))  # all begin alike: told apart by number
        labels = np.arange(len(x)) % CLASSES if len(x) <= WHOLE else labels
    else:
        along = () if labels is None else tuple(labels[:count].tolist())
    ages = _ages(chain, len(paths)) if look.color == "age" else None
    return Particles(x.numpy() * scales[-1], labels, paths, along, ages)


def _scales(chain: PlaneChain, since: int, until: int) -> NDArray[np.float32]:
    """What turns the states from `since` to `until` into those of the process. (states,)"""
    times = np.array(chain.times[max(since, chain.first) : until + 1])
    found: NDArray[np.float32] = chain.denoiser.tables.scale.numpy()[times].astype(np.float32)
    return found


def quick_particles(state: State, scale: float, labels: NDArray[np.int64] | None) -> Particles:
    """The particles of a preview, without trails."""
    return Particles(state.x.numpy() * np.float32(scale), labels, np.empty((0, 0, 2), np.float32), ())


def _ages(chain: PlaneChain, count: int) -> NDArray[np.float64]:
    """When the last `count` states were, from 0 at the start of the chain to 1 at its end. (count,)"""
    steps = np.arange(chain.position - count + 1, chain.position + 1) - chain.first
    return steps / max(chain.last - chain.first, 1)


def labels_of(
    x: torch.Tensor, look: Look, level: Level, starts: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """The colour of each particle. (n,)"""
    if look.color == "start":
        return starts[: len(x)]
    if look.color == "class" and len(torch.unique(level.classes)) > 1:
        with torch.inference_mode():
            found: NDArray[np.int64] = level.class_posterior(x).argmax(1).numpy()
        return found
    return None
