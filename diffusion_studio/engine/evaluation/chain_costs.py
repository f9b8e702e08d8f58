"""What fewer steps cost in bits: the bound of shorter chains, from what the network misses at each time."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from torch import Tensor

from diffusion_studio.core.objective.any_chain import RULES, ChainRule, first_variance, matching_nats
from diffusion_studio.core.objective.elbo import bits_per_dim, discretised_term
from diffusion_studio.core.process.spacing import TrailingSpacing
from diffusion_studio.core.process.tables import Tables

STEPS = (2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)  # of the shorter chains, fewer than T


@dataclass(frozen=True)
class ChainCost:
    """The bound by the number of steps, for one kind of chain; times are even and begin at T."""

    rule: str
    steps: tuple[int, ...]
    bits: tuple[float, ...]  # per dimension, the mean over images and draws


class ChainCosts:
    """Gathers what the bounds of all chains need, one time after the other.

    Args:
        tables: of the model.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._counts = (*(steps for steps in STEPS if steps < tables.steps), tables.steps)
        self._times = {steps: TrailingSpacing().times(tables, steps) for steps in self._counts}
        self._ends = {times[-2] for times in self._times.values()}
        self._errors: dict[int, float] = {}
        self._first: dict[tuple[int, float], float] = {}  # L_0 in bits, by time and variance

    def see(self, t: int, x_0: Tensor, x0_hat: Tensor) -> None:
        """What the network says at t. Both (B, …), float64"""
        self._errors[t] = float((x_0 - x0_hat).square().mean())
        if t not in self._ends:
            return
        chains = itertools.product(RULES, (times for times in self._times.values() if times[-2] == t))
        tried = {self._first_variance(rule, times) for rule, times in chains}
        tried |= {self._errors[t] / 4**power for power in range(-1, 8)}
        for variance in sorted(tried):
            nats = discretised_term(x_0, x0_hat, variance).mean()
            self._first[t, variance] = float(bits_per_dim(nats, x_0[0].numel()))

    def _first_variance(self, rule: ChainRule, times: tuple[int, ...]) -> float:
        return first_variance(self._tables, times, rule, self._errors.__getitem__)

    def costs(self, prior: float) -> tuple[ChainCost, ...]:
        """The curve of every rule.

        Args:
            prior: L_T in bits per dimension.
        """
        return tuple(
            ChainCost(
                rule.name, self._counts, tuple(self._bits(rule, steps) + prior for steps in self._counts)
            )
            for rule in RULES
        )

    def _bits(self, rule: ChainRule, steps: int) -> float:
        times = self._times[steps]
        nats = matching_nats(self._tables, times, rule, self._errors.__getitem__)
        return self._first_bits(rule, times) + nats / math.log(2)

    def _first_bits(self, rule: ChainRule, times: tuple[int, ...]) -> float:
        """L_0; its best variance is one of those tried, for with 256 bins it is not the error itself."""
        end = times[-2]
        if rule.choice == "best":
            return min(bits for (t, _), bits in self._first.items() if t == end)
        return self._first[end, self._first_variance(rule, times)]
