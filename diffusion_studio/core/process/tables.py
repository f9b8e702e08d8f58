"""The float64 tables of a noise schedule: everything that depends on t alone."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import number, tr

LEAST_FIRST = 1e-15  # of β_1: beside 1 anything less is nothing, in float64
LEAST_LEFT = 1e-70  # of ᾱ_T: x̂_0 is divided by its root, in float32


@dataclass(frozen=True, eq=False)
class Tables:
    """Tables of a forward process with T steps; index t runs over 0 … T, t = 0 is data.

    All but `scale` is said in the variance-preserving coordinates, in which chains are computed.

    Args:
        beta: float64 (T+1,), β_0 = 0.
        scale: float64 (T+1,), what x_t is multiplied by in the coordinates of its process: 1 where that
            preserves the variance, √(1+ς²) where x_t = x_0 + ς ε.
    """

    beta: Tensor
    scale: Tensor

    @classmethod
    def from_betas(cls, betas: Tensor | Sequence[float], scale: Tensor | None = None) -> Tables:
        """Tables from β_1 … β_T (T,), and the scale (T+1,) of a process that does not preserve the variance.

        Raises:
            Refused: T < 2, a β outside (0, 1), a β_1 below `LEAST_FIRST`, or an ᾱ_T below `LEAST_LEFT`.
        """
        betas = torch.as_tensor(betas, dtype=torch.float64, device="cpu")
        if betas.ndim != 1 or len(betas) < 2:
            raise Refused(tr("A schedule needs at least two steps (T ≥ 2)."))
        if not bool(((betas > 0) & (betas < 1)).all()):
            raise Refused(tr("Every β of a schedule must lie between 0 and 1."))
        if float(betas[0]) < LEAST_FIRST:
            raise Refused(
                tr(
                    "The first step adds no noise that could be told from none: β_1 must be at "
                    "least {least}.",
                    least=number(LEAST_FIRST, ".0e"),
                )
            )
        if float((1 - betas).prod()) < LEAST_LEFT:
            raise Refused(
                tr(
                    "These steps leave less of the image than the numbers of a network can say: ᾱ_T must be "
                    "at least {least:.0e}. Choose smaller β or fewer steps.",
                    least=LEAST_LEFT,
                )
            )
        beta = torch.cat([torch.zeros(1, dtype=torch.float64), betas])
        return cls(beta, torch.ones_like(beta) if scale is None else scale.to("cpu", torch.float64))

    @classmethod
    def from_alpha_bar(cls, alpha_bar: Tensor | Sequence[float]) -> Tables:
        """Tables from ᾱ_1 … ᾱ_T (T,), `alphas_cumprod` in diffusers; ᾱ_0 = 1 is added.

        Raises:
            Refused: T < 2, or an ᾱ that does not fall strictly from 1 to a value above 0.
        """
        given = torch.as_tensor(alpha_bar, dtype=torch.float64, device="cpu")
        whole = torch.cat([torch.ones(1, dtype=torch.float64), given.flatten()])
        if given.ndim != 1 or not bool(((whole[1:] > 0) & (whole[1:] < whole[:-1])).all()):
            raise Refused(tr("ᾱ_1 … ᾱ_T must fall strictly, from below 1 to a value above 0."))
        return cls.from_betas(1 - whole[1:] / whole[:-1])

    @property
    def steps(self) -> int:
        """T."""
        return len(self.beta) - 1

    @cached_property
    def alpha(self) -> Tensor:
        return 1 - self.beta

    @cached_property
    def alpha_bar(self) -> Tensor:
        """ᾱ_t = ∏ α_i, ᾱ_0 = 1. (T+1,)"""
        return torch.cumprod(self.alpha, 0)

    @cached_property
    def snr(self) -> Tensor:
        """ᾱ/(1−ᾱ); ∞ at t = 0. (T+1,)"""
        return self.alpha_bar / (1 - self.alpha_bar)

    @cached_property
    def log_snr(self) -> Tensor:
        return torch.log(self.snr)

    @cached_property
    def noise_level(self) -> Tensor:
        """ς_t = √((1−ᾱ)/ᾱ), the "sigma" of EDM and k-diffusion. (T+1,)"""
        return torch.sqrt((1 - self.alpha_bar) / self.alpha_bar)

    @cached_property
    def beta_tilde(self) -> Tensor:
        """Posterior variance β̃_t = β_t (1−ᾱ_{t−1})/(1−ᾱ_t); β̃_0 = 0. (T+1,)"""
        inner = self.beta[1:] * (1 - self.alpha_bar[:-1]) / (1 - self.alpha_bar[1:])
        return torch.cat([torch.zeros(1, dtype=torch.float64), inner])

    @cached_property
    def preserves(self) -> bool:
        """Whether the process preserves the variance, so that its coordinates are those of the chains."""
        return bool((self.scale == 1).all())

    @cached_property
    def signal(self) -> Tensor:
        """a_t of x = a_t x_0 + b_t ε, in the coordinates of the process. (T+1,)"""
        return self.alpha_bar.sqrt() * self.scale

    @cached_property
    def noise(self) -> Tensor:
        """b_t. (T+1,)"""
        return (1 - self.alpha_bar).sqrt() * self.scale

    def scale_at(self, t: int) -> float:
        """The scale as a Python float."""
        return float(self.scale[t])

    @cached_property
    def _alpha_bars(self) -> list[float]:
        found: list[float] = self.alpha_bar.tolist()
        return found

    def alpha_bar_at(self, t: int) -> float:
        """ᾱ_t as a Python float."""
        return self._alpha_bars[t]

    def noise_level_at(self, t: int) -> float:
        """ς_t as a Python float."""
        alpha_bar = self._alpha_bars[t]
        return math.sqrt((1 - alpha_bar) / alpha_bar)

    def path_scale_at(self, t: int) -> float:
        """m = √ᾱ_t + √(1−ᾱ_t): x_t/m lies on the straight path (1−u) x_0 + u ε of the same SNR."""
        alpha_bar = self._alpha_bars[t]
        return math.sqrt(alpha_bar) + math.sqrt(1 - alpha_bar)

    def path_time_at(self, t: int) -> float:
        """u = √(1−ᾱ_t)/m, the time of flow matching: 0 is the image, 1 the noise."""
        return math.sqrt(1 - self._alpha_bars[t]) / self.path_scale_at(t)

    def time_between(self, t: int, s: int) -> int | None:
        """The whole time between s and t whose ln ς is nearest to the middle of both; None where none is.

        At s = 0, where ς = 0, there is no middle.
        """
        if s == 0 or t - s < 2:
            return None
        middle = math.sqrt(self.noise_level_at(t)) * math.sqrt(self.noise_level_at(s))
        return self.time_near(middle, s + 1, t - 1)

    def time_near(self, level: float, first: int, last: int) -> int:
        """The whole time from `first` ≥ 1 to `last` whose ln ς is nearest to that of a level."""
        after = bisect.bisect_left(range(self.steps + 1), level, first, last, key=self.noise_level_at)

        def far(time: int) -> float:
            return abs(math.log(self.noise_level_at(time) / level))

        return min((max(after - 1, first), after), key=far)

    def beta_between(self, t: int, s: int) -> float:
        """β_{t|s} = 1 − ᾱ_t/ᾱ_s, the variance that the forward chain adds from s to t > s."""
        return 1 - self.alpha_bar_at(t) / self.alpha_bar_at(s)


def diffuse(x_0: Tensor, noise: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """x_t = √ᾱ x_0 + √(1−ᾱ) ε (Luo eq. 69). `alpha_bar` is a number or broadcasts against x_0."""
    if isinstance(alpha_bar, Tensor):
        return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise
    return math.sqrt(alpha_bar) * x_0 + math.sqrt(1 - alpha_bar) * noise
