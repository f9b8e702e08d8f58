"""What a cloud of particles says about the law it should follow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from diffusion_studio.core.denoisers.tilted import Level, TiltedMixture
from diffusion_studio.core.distances import effective_modes, energy_distance, sliced_wasserstein
from diffusion_studio.core.steps.langevin import acceptance, langevin_step
from diffusion_studio.core.words import tr

COMPARED = 1000  # particles, and fresh exact samples, whose distance is measured
DIRECTIONS = 16
MOST_BARS = 10


@dataclass(frozen=True)
class Measures:
    """Everything that is measured at one state."""

    position: int
    t: int
    names: tuple[str, ...]  # of the groups: modes, or classes where there are many modes
    occupancy: tuple[float, ...]  # share of the particles in each group
    truth: tuple[float, ...]
    energy: float  # energy distance to fresh exact samples
    band: float  # what it is between two clouds of exact samples
    wasserstein: float
    log_density: float  # mean ln p_t over the particles
    exact_log_density: float  # the same over exact samples
    modes: float  # effective number of modes that are filled
    exact_modes: float
    acceptance: float  # of a Metropolis test; NaN for chains that have none
    spread: float  # root mean squared distance of the particles from their mean
    exact_spread: float
    off: float  # from the mean of the particles to that of the exact samples
    proper: bool  # whether the law they are compared with has a finite sum


def measure(level: Level, x: Tensor, position: int, t: int, step: float = 0.0, heat: float = 1.0) -> Measures:
    """Compares particles (n, 2) float32 with p_t; `step` > 0 also asks how a Metropolis test would judge.

    Fresh samples have a fixed seed, so that a still picture has still numbers.
    """
    with torch.inference_mode():
        chosen = x[:: max(1, len(x) // COMPARED)][:COMPARED]
        chosen = chosen[torch.isfinite(chosen).all(1)]
        if len(chosen) == 0:
            chosen = x.new_full((1, 2), 1e6)
        exact, band, exact_log_density = _exact(level, len(chosen))
        posterior = level.posterior(chosen).mean(0)
        names, groups = _groups(level)
        kept = float("nan")
        if step > 0 and heat > 0:
            fresh = torch.randn(chosen.shape, generator=torch.Generator().manual_seed(2))
            moved = langevin_step(chosen, level.score(chosen), step, fresh, heat)
            kept = float(acceptance(level, chosen, moved, step).nanmean())
        return Measures(
            position, t, names, _shares(posterior, groups), _shares(level.weights, groups),
            energy_distance(chosen, exact, DIRECTIONS), band,
            sliced_wasserstein(chosen, exact, DIRECTIONS), float(level.log_density(chosen).mean()),
            exact_log_density, effective_modes(posterior),
            effective_modes(level.weights), kept, _spread(chosen), _spread(exact),
            float((chosen.mean(0) - exact.mean(0)).norm()),
            not (isinstance(level, TiltedMixture) and level.runs_away),
        )  # fmt: skip


def _spread(x: Tensor) -> float:
    return float((x - x.mean(0)).square().sum(1).mean().sqrt())


@lru_cache(maxsize=4)
def _exact(level: Level, count: int) -> tuple[Tensor, float, float]:
    """Fresh exact samples (count, 2), their distance to others, and their mean ln p_t."""
    generator = torch.Generator().manual_seed(1)
    exact, other = (level.sample(count, generator) for _ in range(2))
    return exact, energy_distance(other, exact, DIRECTIONS), float(level.log_density(exact).mean())


def _groups(level: Level) -> tuple[tuple[str, ...], Tensor]:
    """Names of the bars, and to which of them each component belongs. (K,)"""
    if len(level.weights) <= MOST_BARS:
        count = len(level.weights)
        return tuple(tr("mode {number}", number=k + 1) for k in range(count)), torch.arange(count)
    known = torch.unique(level.classes)
    return tuple(tr("class {label}", label=int(y)) for y in known), torch.searchsorted(known, level.classes)


def _shares(shares: Tensor, groups: Tensor) -> tuple[float, ...]:
    found = torch.zeros(int(groups.max()) + 1, dtype=torch.float64)
    return tuple(np.round(found.index_add_(0, groups, shares.double()).numpy(), 6).tolist())
