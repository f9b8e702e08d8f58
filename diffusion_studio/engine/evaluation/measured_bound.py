"""The bound of a model on images, term by term, and by both decompositions at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.devices import finest
from diffusion_studio.core.objective.elbo import (
    bits_per_dim,
    discretised_term,
    gaussian_nll,
    last_term,
    matching_term,
    prior_term,
    reverse_mean,
)
from diffusion_studio.core.objective.weights import reverse_variance
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.tables import Tables, diffuse
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.evaluation.chain_costs import ChainCost, ChainCosts
from diffusion_studio.engine.files.figures import Figure

_PIXELS_AT_ONCE = 128 * 32 * 32  # of the images that go through the network together
_POSTERIOR, _LEARNED, _FORWARD = "posterior", "learned", "forward"  # kinds of the variance
SERIES = 3  # noises of one triple: x_{t−2}, x_{t−1}, x_t

VARIANCES = {"posterior": "β̃", "learned": tr("learned"), "forward": "β"}
"""What the kinds of the variance are called."""


class Asked(Denoiser, Protocol):
    """A denoiser that is told the class of an image, if it knows classes: a network, or an exact one."""

    @property
    def classes(self) -> int: ...


@dataclass(frozen=True)
class BoundReport:
    """The bound on −log p, in bits per dimension; errors are standard errors over images and draws."""

    images: int
    draws: int
    dims: int
    variance: str  # of the reverse steps: "forward", or "posterior" or "learned"; the better of two
    conditional: bool  # whether each image's class was told
    total: float
    total_error: float
    reconstruction: float  # L_0
    matching: float  # the sum of L_{t−1}, t = 2 … T
    prior: float  # L_T
    terms: tuple[float, ...]  # of the steps t = 1 … T: L_0, then L_{t−1}
    term_errors: tuple[float, ...]
    draw_spread: Figure  # standard deviation of one draw's total around its image's mean
    other_variance: str  # the worse of both
    other_total: float  # the bound with it
    chain_total: float  # the other decomposition, over triples (Luo eq. 44)
    chain_error: float
    chain_draw_spread: Figure
    chains: tuple[ChainCost, ...] = ()  # the bound with fewer steps


def measure_bound(
    denoiser: Asked, images: ImageSet, numbers: NDArray[np.int64], draws: int, seed: int,
    device: torch.device,
) -> Iterator[tuple[int, int] | BoundReport]:  # fmt: skip
    """(done, total) after each t, then the report.

    The estimate x̂_0 is clipped to the range of pixels, as sampling does.

    Args:
        numbers: which images are measured, (n,).
        draws: of noise per image, at least 2 to tell the scatter of the draws from that of the images.
    """
    tables = denoiser.tables
    place = device if finest(device) == torch.float64 else torch.device("cpu")  # of all but the network
    pixels = torch.from_numpy(images.images[numbers]).to(place).double()
    x_0 = (pixels / 127.5 - 1).repeat(draws, 1, 1, 1)  # (r·n, C, H, W)
    labels = None
    if denoiser.classes:
        labels = torch.from_numpy(images.labels[numbers]).to(device).repeat(draws)
    steps, rows = tables.steps, len(x_0)
    own, forward = (torch.zeros(2, steps, rows, dtype=torch.float64) for _ in range(2))
    parts = _parts(denoiser, labels, device, rows, x_0.shape[2] * x_0.shape[3])
    noise, costs = CounterNoise(seed, place), ChainCosts(tables)
    for t in range(1, steps + 1):
        noises = [CounterNoise(seed, place).step(SERIES * t + k, tuple(x_0.shape)).double() for k in range(3)]
        row, estimate = t - 1, torch.empty_like(x_0)
        for part, step in parts:
            found = step.at(t, x_0[part], [one[part] for one in noises])
            own[:, row, part], forward[:, row, part], estimate[part] = found
        costs.see(t, x_0, estimate)
        yield t, steps
    prior = prior_term(tables, x_0).cpu()
    last = last_term(tables, x_0, noise.step(0, tuple(x_0.shape)).double()).cpu()
    dims = x_0[0].numel()
    ends = [bits_per_dim(each, dims).numpy() for each in (prior, last)]
    kinds = {_LEARNED if denoiser.learns_variance else _POSTERIOR: own, _FORWARD: forward}
    bits = {kind: bits_per_dim(each, dims).numpy() for kind, each in kinds.items()}
    report = _report(bits, ends, draws, dims, denoiser.classes > 0)
    yield replace(report, chains=costs.costs(report.prior))


def reconstruction(
    denoiser: Asked, x_0: Tensor, noise: Tensor, labels: Tensor | None, device: torch.device
) -> Tensor:
    """L_0 of images whose x_1 has this noise, as the bound has it. nats (n,)

    Args:
        x_0: float64 (n, C, H, W), and so is the noise.
        labels: the class of each image, on `device`, if it is told.
    """
    parts = _parts(denoiser, labels, device, len(x_0), x_0.shape[2] * x_0.shape[3])
    return torch.cat([step.at(1, x_0[part], [noise[part]] * 3)[0][0] for part, step in parts])


def _parts(
    denoiser: Asked, labels: Tensor | None, device: torch.device, rows: int, pixels: int
) -> list[tuple[slice, _Step]]:
    """Rows that go through the network together, so that memory does not grow with their number."""
    size = max(1, _PIXELS_AT_ONCE // pixels)
    slices = [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
    told = [None if labels is None else labels[part] for part in slices]
    steps = [_Step(denoiser, denoiser.tables, own, device) for own in told]
    return list(zip(slices, steps, strict=True))


@dataclass(frozen=True, eq=False)
class _Step:
    """Everything that one call of the network at time t tells about the bound."""

    denoiser: Asked
    tables: Tables
    labels: Tensor | None
    device: torch.device  # of the network

    def at(self, t: int, x_0: Tensor, noises: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The terms of the step t → t−1 with its own σ², and with σ² = β, each nats (2, B); and x̂_0. (B, …)

        The first of two is that of Luo eq. 58, the second that of Luo eq. 44 for x_{t−1}.
        """
        before, x_t = self._pair(t, x_0, noises)
        x0_hat, variance = self._model(x_t, t)
        wide = float(reverse_variance(self.tables, "forward")[t])
        own, forward = (self._terms(t, x_0, x0_hat, each, before, x_t) for each in (variance, wide))
        return own, forward, x0_hat

    def _terms(
        self, t: int, x_0: Tensor, x0_hat: Tensor, variance: Tensor | float,
        before: tuple[Tensor, Tensor], x_t: Tensor,
    ) -> Tensor:  # fmt: skip
        """The two terms for a reverse step of this variance. nats (2, B)"""
        if t == 1:
            return discretised_term(x_0, x0_hat, variance).cpu().expand(2, -1)
        term = matching_term(self.tables, t, x_0, x0_hat, variance)
        earlier, now = before
        forward = gaussian_nll(
            now - float(self.tables.alpha[t - 1]) ** 0.5 * earlier, float(self.tables.beta[t - 1])
        )
        reverse = gaussian_nll(now - reverse_mean(self.tables, t, x_t, x0_hat), variance)
        return torch.stack([term, (reverse - forward).flatten(1).sum(1)]).cpu()

    def _pair(self, t: int, x_0: Tensor, noises: list[Tensor]) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """((x_{t−2}, x_{t−1}), x_t) of one forward chain; x_t alone where t = 1."""
        if t == 1:
            return (x_0, x_0), diffuse(x_0, noises[2], self.tables.alpha_bar_at(1))
        earlier = diffuse(x_0, noises[0], self.tables.alpha_bar_at(t - 2))
        now = diffuse(earlier, noises[1], float(self.tables.alpha[t - 1]))
        return (earlier, now), diffuse(now, noises[2], float(self.tables.alpha[t]))

    def _model(self, x_t: Tensor, t: int) -> tuple[Tensor, Tensor | float]:
        prediction = self.denoiser(x_t.float().to(self.device), t, self.labels)
        x0_hat = prediction.x0_hat.to(x_t.device).double().clamp(-1, 1)
        small = float(reverse_variance(self.tables)[t])
        if prediction.fraction is None:
            return x0_hat, small
        wide, v = math.log(float(self.tables.beta[t])), prediction.fraction.to(x_t.device).double()
        return x0_hat, (v * wide + (1 - v) * math.log(small)).exp()


def _report(
    bits: dict[str, NDArray[np.float64]], ends: list[NDArray[np.float64]], draws: int, dims: int, told: bool
) -> BoundReport:
    """The bound with the better variance of the reverse steps; of the other its total.

    Args:
        bits: by the kind of the variance, the terms of both decompositions. (2, T, r·n)
        ends: the prior terms of both. (2, r·n)
        told: whether each image's class was told.
    """
    totals = {kind: each[0].sum(0) + ends[0] for kind, each in bits.items()}
    kind, other = sorted(totals, key=lambda each: float(totals[each].mean()))
    total, (terms, chain) = totals[kind], bits[kind]
    others = chain.sum(0) + ends[1]
    return BoundReport(
        images=len(total) // draws, draws=draws, dims=dims, variance=kind, conditional=told,
        total=float(total.mean()), total_error=_error(total, draws),
        reconstruction=float(terms[0].mean()), matching=float(terms[1:].sum(0).mean()),
        prior=float(ends[0].mean()),
        terms=tuple(terms.mean(1).tolist()),
        term_errors=tuple(_error(row, draws) for row in terms),
        draw_spread=_draw_spread(total, draws),
        other_variance=other, other_total=float(totals[other].mean()),
        chain_total=float(others.mean()), chain_error=_error(others, draws),
        chain_draw_spread=_draw_spread(others, draws),
    )  # fmt: skip


def _error(values: NDArray[np.float64], draws: int) -> float:
    """Standard error of the mean over images, each image's draws averaged first. (r·n,)"""
    images = values.reshape(draws, -1).mean(0)
    return float(images.std(ddof=1) / math.sqrt(len(images))) if len(images) > 1 else math.nan


def _draw_spread(values: NDArray[np.float64], draws: int) -> float:
    """Standard deviation of single draws around the mean of their image. (r·n,)"""
    if draws < 2:
        return math.nan
    return float(math.sqrt(values.reshape(draws, -1).var(0, ddof=1).mean()))
