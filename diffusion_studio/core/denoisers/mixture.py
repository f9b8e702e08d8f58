"""Gaussian mixtures in the plane: p_t, its score and its posteriors, all in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import NO_LABEL
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr

_AT_ONCE = 32_000  # components × points; so many fit into the cache, and no helper thread is woken
_LEVELS = 300  # noise levels that a denoiser keeps at hand
_SMALLEST = 1e-12  # variance that a component may have at t = 0


@dataclass(frozen=True, eq=False)
class Mixture:
    """p_0 = Σ π_k N(m_k, C_k).

    Args:
        means: float64 (K, 2).
        covariances: float64 (K, 2, 2), symmetric and positive definite.
        weights: float64 (K,), positive; they are scaled to sum to 1.
        classes: int64 (K,), the class y of each component, 0 … Y−1.

    Raises:
        Refused: no component, a weight that is not positive, or a covariance that is none.
    """

    means: Tensor
    covariances: Tensor
    weights: Tensor
    classes: Tensor

    def __post_init__(self) -> None:
        if len(self.means) == 0:
            raise Refused(tr("A mixture needs at least one component."))
        if not bool((self.weights > 0).all()):
            raise Refused(tr("Every weight of a mixture must be above 0."))
        c = self.covariances
        if not bool(((_determinant(c) > 0) & (c[:, 0, 0] > 0)).all()):
            raise Refused(tr("Every covariance of a mixture must be positive definite."))
        object.__setattr__(self, "weights", self.weights / self.weights.sum())

    def __len__(self) -> int:
        return len(self.means)

    @property
    def class_count(self) -> int:
        return int(self.classes.max()) + 1

    def at(self, alpha_bar: float, dtype: torch.dtype = torch.float64) -> NoisyMixture:
        """p_t = Σ π_k N(√ᾱ m_k, ᾱ C_k + (1−ᾱ) I), ready to be asked about points of `dtype`."""
        unit = torch.eye(2, dtype=torch.float64)
        covariances = alpha_bar * self.covariances + (1 - alpha_bar) * unit
        return NoisyMixture(math.sqrt(alpha_bar) * self.means, covariances, self.weights, self.classes, dtype)

    def of_class(self, label: int) -> Mixture:
        """p_0(x | y): the components of one class.

        Raises:
            Refused: no component has this class.
        """
        kept = self.classes == label
        return Mixture(self.means[kept], self.covariances[kept], self.weights[kept], self.classes[kept])

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean (2,) and covariance (2, 2) of p_0."""
        mean = self.weights @ self.means
        centred = self.means - mean
        spread = torch.einsum("k,ki,kj->ij", self.weights, centred, centred)
        return mean, spread + torch.einsum("k,kij->ij", self.weights, self.covariances)


@dataclass(frozen=True, eq=False)
class NoisyMixture:
    """A mixture at one noise level. Points are (B, 2) of `dtype`; long lists are worked through in pieces."""

    means: Tensor  # (K, 2)
    covariances: Tensor  # (K, 2, 2)
    weights: Tensor  # (K,)
    classes: Tensor  # (K,)
    dtype: torch.dtype = torch.float64

    @cached_property
    def _table(self) -> tuple[Tensor, ...]:
        """Per component: mean x, y, the precision's xx, xy, yy, and ln π − ln 2π − ½ ln det C. Each (K, 1)"""
        c, det = self.covariances, _determinant(self.covariances)
        scale = self.weights.log() - math.log(2 * math.pi) - 0.5 * det.log()
        columns = (*self.means.T, c[:, 1, 1] / det, -c[:, 0, 1] / det, c[:, 0, 0] / det, scale)
        return tuple(column.to(self.dtype)[:, None] for column in columns)

    def _pulls(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """∇ ln N_k(x) as two tables, and ln π_k N_k(x). Each (K, B)"""
        mean_x, mean_y, xx, xy, yy, scale = self._table
        dx, dy = mean_x - x[:, 0], mean_y - x[:, 1]
        pull_x, pull_y = xx * dx + xy * dy, xy * dx + yy * dy
        log_joint = scale - 0.5 * (dx * pull_x + dy * pull_y)
        if labels is not None:
            other = (labels != NO_LABEL) & (self.classes[:, None] != labels)
            log_joint = log_joint.masked_fill(other, -torch.inf)
        return pull_x, pull_y, log_joint

    def blurred(self, variance: float) -> NoisyMixture:
        """Every component wider by `variance`: the mean over the neighbourhood of a point."""
        return replace(self, covariances=self.covariances + variance * torch.eye(2, dtype=torch.float64))

    def log_class(self, x: Tensor, label: int) -> Tensor:
        """ln p(y | x_t), also where it is far below what a float holds. (B,)"""

        def piece_of(piece: Tensor) -> Tensor:
            log_joint = self._pulls(piece)[2]
            return torch.logsumexp(log_joint[self.classes == label], 0) - torch.logsumexp(log_joint, 0)

        return self._in_pieces(piece_of, x)

    def log_density(self, x: Tensor) -> Tensor:
        """ln p_t(x). (B,)"""
        return self._in_pieces(lambda piece: torch.logsumexp(self._pulls(piece)[2], 0), x)

    def score(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """∇ ln p_t(x), or ∇ ln p_t(x | y) where `labels` (B,) is not −1. (B, 2)"""

        def piece_of(piece: Tensor, asked: Tensor | None = None) -> Tensor:
            pull_x, pull_y, log_joint = self._pulls(piece, asked)
            shares = torch.softmax(log_joint, 0)
            return torch.stack([(shares * pull_x).sum(0), (shares * pull_y).sum(0)], 1)

        return self._in_pieces(piece_of, x, labels)

    def tilted_score(self, x: Tensor, label: int, gamma: float) -> Tensor:
        """∇ ln p_t(x) + γ ∇ ln p_t(y | x), that is (1−γ) s(x) + γ s(x, y), in one pass. (B, 2)"""

        def piece_of(piece: Tensor) -> Tensor:
            pull_x, pull_y, log_joint = self._pulls(piece)
            other = (self.classes != label)[:, None]
            of_class = torch.softmax(log_joint.masked_fill(other, -torch.inf), 0)
            shares = torch.lerp(torch.softmax(log_joint, 0), of_class, gamma)
            return torch.stack([(shares * pull_x).sum(0), (shares * pull_y).sum(0)], 1)

        return self._in_pieces(piece_of, x)

    def log_density_and_score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both at the price of one. (B,), (B, 2)"""

        def piece_of(piece: Tensor) -> Tensor:
            pull_x, pull_y, log_joint = self._pulls(piece)
            total = torch.logsumexp(log_joint, 0)
            shares = (log_joint - total).exp()
            return torch.stack([total, (shares * pull_x).sum(0), (shares * pull_y).sum(0)], 1)

        found = self._in_pieces(piece_of, x)
        return found[:, 0], found[:, 1:]

    def score_and_divergence(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """∇ ln p_t(x) (B, 2) and its divergence, the Laplacian of ln p_t (B,)."""
        _, _, xx, _, yy, _ = self._table

        def piece_of(piece: Tensor) -> Tensor:
            pull_x, pull_y, log_joint = self._pulls(piece)
            shares = torch.softmax(log_joint, 0)
            score_x, score_y = (shares * pull_x).sum(0), (shares * pull_y).sum(0)
            spread = (shares * (pull_x**2 + pull_y**2 - xx - yy)).sum(0)
            return torch.stack([score_x, score_y, spread - score_x**2 - score_y**2], 1)

        found = self._in_pieces(piece_of, x)
        return found[:, :2], found[:, 2]

    def posterior(self, x: Tensor) -> Tensor:
        """p(k | x_t), the share of each component. (B, K)"""
        return self._in_pieces(lambda piece: torch.softmax(self._pulls(piece)[2], 0).T, x)

    def class_posterior(self, x: Tensor) -> Tensor:
        """p(y | x_t): an exact classifier of noisy points. (B, Y)"""
        shares = self.posterior(x)
        found = shares.new_zeros(len(x), int(self.classes.max()) + 1)
        return found.index_add_(1, self.classes, shares)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Points from p_t. (count, 2)"""
        return self.labelled_sample(count, generator)[0]

    def labelled_sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points from p_t (count, 2) and the component of each (count,)."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, 2, generator=generator, dtype=torch.float64)
        roots = torch.linalg.cholesky(self.covariances)[chosen]
        points = self.means[chosen] + torch.einsum("bij,bj->bi", roots, noise)
        return points.to(self.dtype), chosen

    def _in_pieces(self, function: Callable[..., Tensor], x: Tensor, *others: Tensor | None) -> Tensor:
        """`function` of x (B, 2), and of `others` (B,), asked about a part of the points at a time."""
        size = max(256, _AT_ONCE // len(self.means))
        if len(x) <= size:
            return function(x, *others)
        starts = range(0, len(x), size)
        parts = [[None if o is None else o[i : i + size] for o in others] for i in starts]
        return torch.cat([function(x[i : i + size], *part) for i, part in zip(starts, parts, strict=True)])


class MixtureDenoiser:
    """The exact denoiser of data from a mixture; with a label, that of one class.

    Args:
        tables: the forward process.
        mixture: p_0.
    """

    learns_variance = False

    def __init__(self, tables: Tables, mixture: Mixture) -> None:
        self.tables = tables
        self.mixture = mixture
        self._levels: dict[tuple[int, torch.dtype], NoisyMixture] = {}

    def level(self, t: int, dtype: torch.dtype = torch.float64) -> NoisyMixture:
        """p_t."""
        key = (t, dtype)
        if key not in self._levels:
            if len(self._levels) >= _LEVELS:
                self._levels.clear()
            self._levels[key] = self.mixture.at(self.tables.alpha_bar_at(t), dtype)
        return self._levels[key]

    def __call__(self, x_t: Tensor, t: int, labels: Tensor | None = None) -> Prediction:
        score = self.level(t, x_t.dtype).score(x_t, labels)
        return Prediction("score", score, x_t, self.tables.alpha_bar_at(t))

    def class_log_probs(self, x_t: Tensor, t: int) -> Tensor:
        """log p(y | x_t). (B, Y)"""
        level = self.level(t, x_t.dtype)
        classes = range(int(level.classes.max()) + 1)
        return torch.stack([level.log_class(x_t, label) for label in classes], dim=1)


def covariance(sd_1: float, sd_2: float, angle: float) -> Tensor:
    """The covariance of an ellipse with `sd_1` along `angle` (radians) and `sd_2` across. (2, 2)"""
    c, s = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    spread = torch.tensor([sd_1**2, sd_2**2], dtype=torch.float64).clamp(min=_SMALLEST)
    return turn @ torch.diag(spread) @ turn.T


def _determinant(matrices: Tensor) -> Tensor:
    """(K, 2, 2) → (K,)"""
    return matrices[:, 0, 0] * matrices[:, 1, 1] - matrices[:, 0, 1] * matrices[:, 1, 0]
