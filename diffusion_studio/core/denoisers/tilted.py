"""Exact guidance in the plane: the density whose score is the guided score, and its denoiser.

At every noise level the guided score s + γ ∇ln p(y | x_t) is the score of q_t(x) ∝ p_t(x) p_t(y | x)^γ.
These densities do not belong to one forward process, so a chain that follows their scores from noise to data
does not end in q_0 (Du et al. 2023, §3; Bradley & Nakkiran 2024). Langevin dynamics at one level does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.mixture import Mixture, MixtureDenoiser, NoisyMixture
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.process.tables import Tables

_COARSE, _FINE = 72, 144  # cells along each side of the grid that sums are taken over
_REACH = 6.0  # standard deviations around the components in which the density is looked for
_FARTHEST = 14.0
_KEPT = 1e-7  # of the largest cell: what lies below is left out of the fine grid
_LEVELS = 20  # noise levels that a denoiser keeps at hand
_AT_THE_EDGE = 1e-3  # of the mass, from which on the density is taken to run away


@dataclass(frozen=True, eq=False)
class TiltedMixture:
    """q_t(x) ∝ p_t(x) p_t(y | x)^γ. It is asked like a `NoisyMixture`.

    Args:
        base: p_t.
        label: y, a class that some component has.
        gamma: γ; 0 is p_t, 1 is p_t(x | y).
    """

    base: NoisyMixture
    label: int
    gamma: float

    @property
    def dtype(self) -> torch.dtype:
        return self.base.dtype

    @property
    def means(self) -> Tensor:
        return self.base.means

    @property
    def classes(self) -> Tensor:
        return self.base.classes

    def blurred(self, variance: float) -> TiltedMixture:
        """The same of a base that is wider by `variance`."""
        return replace(self, base=self.base.blurred(variance))

    def class_gradient(self, x: Tensor) -> Tensor:
        """∇ ln p_t(y | x), which is s(x, y) − s(x) (Luo eq. 165). (B, 2)"""
        return self.base.tilted_score(x, self.label, 1.0) - self.base.score(x)

    def score(self, x: Tensor) -> Tensor:
        """s(x) + γ ∇ ln p_t(y | x). (B, 2)"""
        return self.base.tilted_score(x, self.label, self.gamma)

    def unnormalised(self, x: Tensor) -> Tensor:
        """ln p_t(x) + γ ln p_t(y | x). (B,)"""
        return self.base.log_density(x) + self.gamma * self.base.log_class(x, self.label)

    def log_density(self, x: Tensor) -> Tensor:
        """ln q_t(x), normalised over a grid. (B,)"""
        return self.unnormalised(x) - self._grid[2]

    def log_density_and_score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both. (B,), (B, 2)"""
        return self.log_density(x), self.score(x)

    def posterior(self, x: Tensor) -> Tensor:
        """p(k | x_t), the share of each component of the base. (B, K)"""
        return self.base.posterior(x)

    def class_posterior(self, x: Tensor) -> Tensor:
        """p(y | x_t). (B, Y)"""
        return self.base.class_posterior(x)

    @cached_property
    def weights(self) -> Tensor:
        """How much of q_t lies with each component: E_q p(k | x). float64 (K,)"""
        points, mass, _ = self._grid
        return mass.double() @ self.posterior(points).double()

    @property
    def runs_away(self) -> bool:
        """Whether much lies at the edge of the grid: then the product of the densities has no finite sum."""
        return self._edge[1] > _AT_THE_EDGE

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Points from q_t, as fine as the grid is. (count, 2)"""
        points, mass, _ = self._grid
        chosen = torch.multinomial(mass, count, replacement=True, generator=generator)
        shift = torch.rand(count, 2, generator=generator, dtype=self.dtype) - 0.5
        return points[chosen] + shift * self._cell

    @property
    def _cell(self) -> Tensor:
        """Sides of a cell of the fine grid. (2,)"""
        low, high = self._edge[0]
        return (high - low) / _FINE

    @cached_property
    def _edge(self) -> tuple[tuple[Tensor, Tensor], float]:
        """The corners of the box that holds nearly all of q_t; how much lies on the rim of a wider one."""
        spread = self.base.covariances.diagonal(dim1=1, dim2=2).sqrt()
        low = (self.means - _REACH * spread).amin(0).clamp(min=-_FARTHEST)
        high = (self.means + _REACH * spread).amax(0).clamp(max=_FARTHEST)
        points = _cells(low, high, _COARSE).to(self.dtype)
        cell = (high - low) / _COARSE
        mass = torch.softmax(self.blurred(float((cell**2).mean()) / 6).unnormalised(points), 0)
        square = mass.view(_COARSE, _COARSE)
        rim = 1 - float(square[1:-1, 1:-1].sum())
        kept = points[mass > _KEPT * mass.max()].double()
        return (
            torch.maximum(kept.amin(0) - 2 * cell, low),
            torch.minimum(kept.amax(0) + 2 * cell, high),
        ), rim

    @cached_property
    def _grid(self) -> tuple[Tensor, Tensor, float]:
        """Centres of the cells (n, 2), their shares of q_t (n,), and ln ∫ of what is not normalised."""
        low, high = self._edge[0]
        points = _cells(low, high, _FINE).to(self.dtype)
        values = self.unnormalised(points).double()
        total = torch.logsumexp(values, 0)
        area = float(self._cell.prod())
        return points, (values - total).exp().to(self.dtype), float(total) + float(torch.tensor(area).log())


def _cells(low: Tensor, high: Tensor, count: int) -> Tensor:
    """Centres of count × count cells between two corners, float64 (count², 2); rows run upwards."""
    at = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    x, y = (low[i] + at * (high[i] - low[i]) for i in range(2))
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)


class TiltedDenoiser:
    """The exact guided denoiser of a mixture: classifier guidance with the exact posterior (Luo eq. 166).

    Classifier-free guidance with the exact scores is the same (Luo eq. 170).

    Args:
        plain: the exact denoiser.
        label: y, a class that some component has.
        gamma: γ.
    """

    learns_variance = False

    def __init__(self, plain: MixtureDenoiser, label: int, gamma: float) -> None:
        self.plain, self.label, self.gamma = plain, label, gamma
        self._levels: dict[tuple[int, torch.dtype], TiltedMixture] = {}

    @property
    def tables(self) -> Tables:
        return self.plain.tables

    @property
    def mixture(self) -> Mixture:
        """p_0 without guidance."""
        return self.plain.mixture

    def level(self, t: int, dtype: torch.dtype = torch.float64) -> TiltedMixture:
        """q_t."""
        key, base = (t, dtype), self.plain.level(t, dtype)
        if key not in self._levels or self._levels[key].base is not base:
            if len(self._levels) >= _LEVELS:  # each may hold a grid
                self._levels.clear()
            self._levels[key] = TiltedMixture(base, self.label, self.gamma)
        return self._levels[key]

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        score = self.level(t, x_t.dtype).score(x_t)
        return Prediction("score", score, x_t, self.tables.alpha_bar_at(t))


Level = NoisyMixture | TiltedMixture
ExactDenoiser = MixtureDenoiser | TiltedDenoiser
