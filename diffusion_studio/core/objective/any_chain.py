"""The bound of a chain over any times τ and any allowed σ, with any reverse variance (Bao et al. 2022).

The forward chain is the member of the family of kernels whose variance is λ²; the reverse step has the same
mean with x̂_0 for x_0, and a variance σ² of its own. Then each term depends on the network through one number
alone, its mean squared error at t, so that one measurement serves every chain.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr

Errors = Callable[[int], float]
"""Errors(t) is E‖x_0 − x̂_0(x_t)‖²/d, what the network misses at t for each dimension."""


def estimate_gain(tables: Tables, t: int, s: int, variance: float) -> float:
    """How far the mean of q(x_s|x_t, x_0) moves with x_0: √ᾱ_s − √(1−ᾱ_s−λ²) √(ᾱ_t/(1−ᾱ_t)).

    Args:
        variance: λ², 0 ≤ λ² ≤ 1 − ᾱ_s.
    """
    alpha_bar, low = tables.alpha_bar_at(t), tables.alpha_bar_at(s)
    return math.sqrt(low) - math.sqrt(max(1 - low - variance, 0.0) * alpha_bar / (1 - alpha_bar))


def best_variance(tables: Tables, t: int, s: int, variance: float, error: float) -> float:
    """σ*² = λ² + gain² · E‖x_0 − x̂_0‖²/d, the reverse variance with the lowest bound."""
    return variance + estimate_gain(tables, t, s, variance) ** 2 * error


def best_variance_by_score(tables: Tables, t: int, s: int, variance: float, score: float) -> float:
    """The same as the paper writes it, of an exact denoiser: theorem 1 of Bao et al. 2022.

    Args:
        score: E‖∇log p(x_t)‖²/d.
    """
    room = 1 - tables.alpha_bar_at(t)
    kept = math.sqrt(room * tables.alpha_bar_at(s) / tables.alpha_bar_at(t))
    moved = kept - math.sqrt(max(1 - tables.alpha_bar_at(s) - variance, 0.0))
    return variance + moved**2 * (1 - room * score)


def kernel_kl(tables: Tables, t: int, s: int, variance: float, reverse: float, error: float) -> float:
    """L_{s|t} = E KL(q(x_s|x_t, x_0) ‖ p(x_s|x_t)), nats for each dimension; ∞ where λ² = 0 alone.

    Args:
        variance: λ² of q.
        reverse: σ² of p.
        error: E‖x_0 − x̂_0‖²/d.
    """
    if variance == 0:
        return math.inf
    missed = estimate_gain(tables, t, s, variance) ** 2 * error
    ratio = variance / reverse
    return 0.5 * (missed / reverse + ratio - 1 - math.log(ratio))


@dataclass(frozen=True)
class ChainRule:
    """Which kernels a chain has: q of DDIM's family at η, and the variance of the reverse steps."""

    name: str
    eta: float
    choice: Literal["best", "posterior", "forward"]  # σ*², λ² itself, or β_{t|s}

    def variance(self, tables: Tables, t: int, s: int) -> float:
        """λ² = η² β̃ of the step from t to s."""
        room = (1 - tables.alpha_bar_at(s)) / (1 - tables.alpha_bar_at(t))
        return self.eta**2 * room * tables.beta_between(t, s)

    def reverse_variance(self, tables: Tables, t: int, s: int, error: float) -> float:
        """σ² of the reverse step."""
        variance = self.variance(tables, t, s)
        match self.choice:
            case "best":
                return best_variance(tables, t, s, variance, error)
            case "posterior":
                return variance
            case "forward":
                return tables.beta_between(t, s)


RULES = (
    ChainRule("η = 1, σ² the best", 1.0, "best"),
    ChainRule("η = 1, σ² = β̃", 1.0, "posterior"),
    ChainRule("η = 1, σ² = β", 1.0, "forward"),
    ChainRule("η = ½, σ² the best", 0.5, "best"),
)


def first_variance(tables: Tables, times: Sequence[int], rule: ChainRule, errors: Errors) -> float:
    """σ² of the step that ends in the image, for L_0.

    The best is the error there. For the others, as in published figures, that of the step before with
    variance λ²: theirs would be 0 or far too small at the image. Where that step is finer than the last one,
    as between geometric levels, half of the noise that the last one takes away.
    """
    last = times[-2]
    if rule.choice == "best" or len(times) < 3:
        return errors(last)
    return max(rule.variance(tables, times[-3], last), (1 - tables.alpha_bar_at(last)) / 2)


def matching_nats(tables: Tables, times: Sequence[int], rule: ChainRule, errors: Errors) -> float:
    """Σ L_{s|t} over all steps that do not end in the image, nats for each dimension.

    Args:
        times: from T down to 0.

    Raises:
        Refused: times that do not fall.
    """
    if any(t <= s for t, s in itertools.pairwise(times)):
        raise Refused(tr("The times of a chain must fall, from T down to 0."))
    total = 0.0
    for t, s in itertools.pairwise(times[:-1]):
        reverse = rule.reverse_variance(tables, t, s, errors(t))
        total += kernel_kl(tables, t, s, rule.variance(tables, t, s), reverse, errors(t))
    return total
