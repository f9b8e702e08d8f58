"""The density and the score over a window of the plane, exact, learned, or the error between them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.denoisers.tilted import Level
from diffusion_studio.engine.plane.contours import contour_segments
from diffusion_studio.models.energy_mlp import EnergyNetwork

ENCLOSED = (0.95, 0.8, 0.6, 0.4, 0.2)  # share of the probability inside each contour line
CELLS = 96  # across the longer side of the window
_BLUR = 1 / 6  # cells squared: twice the variance of a point anywhere in a cell
MANY = 40  # components from which on the grid is coarser


@dataclass(frozen=True)
class Window:
    """A part of the plane, and how finely it is looked at."""

    left: float = -3.0
    bottom: float = -3.0
    right: float = 3.0
    top: float = 3.0
    arrows: int = 22  # across the longer side

    def cells(self, most: int) -> tuple[int, int]:
        """(rows, columns), square cells, `most` along the longer side."""
        width, height = self.right - self.left, self.top - self.bottom
        side = max(width, height) / most
        return max(2, round(height / side)), max(2, round(width / side))

    def over(self, scale: float) -> Window:
        """The part of another plane, which `scale` turns into this one."""
        return Window(
            self.left / scale, self.bottom / scale, self.right / scale, self.top / scale, self.arrows
        )


@dataclass(frozen=True, eq=False)
class Contours:
    """A density to be drawn as lines."""

    log_density: NDArray[np.float32]  # (rows, columns), at the centres of the cells, from the bottom upwards
    levels: tuple[float, ...]  # log densities of the lines

    @cached_property
    def lines(self) -> NDArray[np.floating]:
        """The contour lines as segments, in cells. (n, 2, 2)"""
        return contour_segments(self.log_density, self.levels)


@dataclass(frozen=True, eq=False)
class FieldView(Contours):
    """What one sees of a field."""

    window: Window
    places: NDArray[np.float32]  # (arrows, 2)
    score: NDArray[np.float32]  # (arrows, 2)
    error: NDArray[np.float32] | None = None  # (rows, columns) p_t ‖ŝ − s‖² per area
    fisher: float = float("nan")  # its sum: E_p ‖ŝ − s‖²
    relative: float = float("nan")  # the same in units of E_p ‖s‖²
    learned: bool = False  # whether `score` is the learned one
    goal: Contours | None = None  # of another density, to compare with
    apart: float = float("nan")  # of a learned density: how far it is from the exact one, nats


def rescaled(view: FieldView, window: Window, scale: float) -> FieldView:
    """The same field where every place is `scale` times as far out, seen through `window`.

    Densities are left as they are: all of them change by one factor, which colours and lines do not show.
    """
    if scale == 1:
        return view
    error = None if view.error is None else view.error / scale**2
    return replace(
        view, window=window, places=view.places * scale, score=view.score / scale, error=error,
        fisher=view.fisher / scale**2,
    )  # fmt: skip


@lru_cache(maxsize=16)
def grid(window: Window, most: int) -> tuple[Tensor, int, int]:
    """Centres of the cells, float32 (rows · columns, 2), and how many rows and columns."""
    rows, columns = window.cells(most)
    x = window.left + (torch.arange(columns) + 0.5) * ((window.right - window.left) / columns)
    y = window.bottom + (torch.arange(rows) + 0.5) * ((window.top - window.bottom) / rows)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2), rows, columns


def contour_levels(
    log_density: NDArray[np.float32], shares: tuple[float, ...] = ENCLOSED
) -> tuple[float, ...]:
    """The log densities above which the given shares of the probability lie."""
    ordered = np.sort(log_density, axis=None)[::-1]
    mass = np.cumsum(np.exp(ordered - ordered[0], dtype=np.float64))
    if not mass[-1] > 0:
        return ()
    at = np.searchsorted(mass, np.array(shares) * mass[-1])
    return tuple(float(ordered[min(i, len(ordered) - 1)]) for i in at)


def exact_view(level: Level, window: Window, most: int = CELLS) -> FieldView:
    """The density and the score of p_t; `level` must be float32."""
    most = min(most, CELLS) if len(level.means) < MANY else min(most, 64)
    with torch.inference_mode():
        points, rows, columns = grid(window, most)
        cell = (window.right - window.left) / columns
        seen = level.blurred(_BLUR * cell**2)  # so that what is narrower than a cell is not missed
        log_density = seen.log_density(points).view(rows, columns).numpy()
        places, _, _ = grid(window, window.arrows)
        score = level.score(places).numpy()
    return FieldView(log_density, contour_levels(log_density), window, places.numpy(), score)


@lru_cache(maxsize=4)
def contours_of(level: Level, window: Window) -> Contours:
    """The density of a level as lines; `level` must be float32."""
    view = exact_view(level, window)
    return Contours(view.log_density, view.levels)


def learned_view(level: Level, denoiser: Denoiser, t: int, window: Window, most: int = CELLS) -> FieldView:
    """The exact density with the arrows of the learned score; of an energy, its own e^{−E} in its place.

    The exact density is then drawn over it as lines.
    """
    base = exact_view(level, window, most)
    with torch.inference_mode():
        score = denoiser(torch.from_numpy(base.places), max(t, 1)).score_hat.numpy()
    view = replace(base, score=score, learned=True)
    if (energy := energy_of(denoiser)) is None:
        return view
    rows, columns = base.log_density.shape
    points, _, _ = grid(window, max(rows, columns))
    found = -energy(points, max(t, 1)).view(rows, columns)
    area = (window.right - window.left) * (window.top - window.bottom) / (rows * columns)
    log_density = (found - torch.logsumexp(found.flatten(), 0) - math.log(area)).numpy()
    goal = Contours(base.log_density, base.levels)
    return replace(
        view, log_density=log_density, levels=contour_levels(log_density), goal=goal,
        apart=apart(level, lambda x: -energy(x, max(t, 1))),
    )  # fmt: skip


def energy_of(denoiser: Denoiser) -> Callable[[Tensor, int], Tensor] | None:
    """E(x, t) of places (B, 2) in the coordinates of chains (B,); None of a network that gives no energy."""
    network = getattr(denoiser, "network", None)
    if not isinstance(network, EnergyNetwork):
        return None
    scale = denoiser.tables.scale

    def energy(x: Tensor, t: int) -> Tensor:
        with torch.inference_mode():
            return network.energy(x * float(scale[t]), torch.full((len(x),), t))

    return energy


def apart(level: Level, minus_energy: Callable[[Tensor], Tensor], count: int = 2000) -> float:
    """The mean distance of two log densities where 99 % of the first lies, in nats.

    Their mean difference is taken out: an energy says nothing of it. It is measured at points drawn from the
    first with a fixed seed, and not at cells, which a narrow part falls between.

    Args:
        level: the first; float32.
        minus_energy: the second, of places (n, 2), but for a constant. (n,)
    """
    x = level.sample(count, torch.Generator().manual_seed(3))
    exact = level.log_density(x)
    kept = exact >= torch.quantile(exact, 0.01)
    gap = (minus_energy(x) - exact)[kept]
    return float((gap - gap.mean()).abs().mean())


def error_view(level: Level, denoiser: Denoiser, t: int, window: Window, most: int = 64) -> FieldView:
    """Where the learned score errs: the Fisher divergence cell by cell (Luo eq. 157)."""
    base = exact_view(level, window, most)
    rows, columns = base.log_density.shape
    with torch.inference_mode():
        points, _, _ = grid(window, most if len(level.means) < MANY else min(most, 64))
        exact = level.score(points)
        error = ((denoiser(points, max(t, 1)).score_hat - exact) ** 2).sum(1)
        mass = torch.from_numpy(base.log_density).reshape(-1).exp()
        mass = mass / mass.sum().clamp(min=1e-30)
        fisher = float((mass * error).sum())
        size = float((mass * (exact**2).sum(1)).sum())
        places = torch.from_numpy(base.places)
        off = denoiser(places, max(t, 1)).score_hat.numpy() - base.score
    return replace(
        base, score=off, error=error.view(rows, columns).numpy(), fisher=fisher,
        relative=fisher / size if size > 0 else float("nan"), learned=True,
    )  # fmt: skip
