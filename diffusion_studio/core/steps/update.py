"""One reverse step as a sum of terms: what is on the screen as an equation is what is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.readings import plus

Quantity = Literal[
    "x_t", "x0_hat", "eps_hat", "x0_next", "eps_next", "eps_middle", "x0_before", "x0_before_2",
    "eps_before", "eps_before_2", "eps_before_3", "noise", "class_gradient", "learned_noise",
    "learned_gradient",
]  # fmt: skip

SYMBOLS: Mapping[Quantity, str] = {
    "x_t": r"x_t",
    "x0_hat": r"\hat x_0",
    "eps_hat": r"\hat\varepsilon",
    "x0_next": r"\hat x_0^{+}",
    "eps_next": r"\hat\varepsilon'",
    "eps_middle": r"\hat\varepsilon_{1/2}",
    "x0_before": r"\hat x_0'",
    "x0_before_2": r"\hat x_0''",
    "eps_before": r"\hat\varepsilon_{-1}",
    "eps_before_2": r"\hat\varepsilon_{-2}",
    "eps_before_3": r"\hat\varepsilon_{-3}",
    "noise": r"z",
    "class_gradient": r"\nabla_{x_t}\log p(y|x_t)",
    "learned_noise": r"(\beta_{t|s}/\tilde\beta_t)^{v/2} z",
    "learned_gradient": r"(\beta_{t|s}/\tilde\beta_t)^v\,\nabla_{x_t}\log p(y|x_t)",
}


@dataclass(frozen=True)
class Term:
    """One summand: a coefficient, how it is written, and what it multiplies."""

    quantity: Quantity
    value: float
    formula: str  # LaTeX of the coefficient


@dataclass(frozen=True)
class Update:
    """x_s = Σ value · quantity.

    Args:
        terms: each quantity at most once.
        inner: a smaller update that some samplers repeat within the step (a Langevin step, Heun's probe).
        repeats: how often.
        when: whether the inner updates come before the sum, after it, or only find one of its quantities.
        asked_at: the time at which the denoiser is asked about what such a probe finds, if not s.
        log_span: ln(β_{t|s}/β̃_t), from the smallest to the largest log-variance that a denoiser can learn.
    """

    terms: tuple[Term, ...]
    inner: Update | None = None
    repeats: int = 0
    when: Literal["before", "after", "probe"] = "probe"
    log_span: float = 0.0
    asked_at: int | None = None

    @cached_property
    def values(self) -> dict[Quantity, float]:
        return {term.quantity: term.value for term in self.terms}

    def __getitem__(self, quantity: Quantity) -> float:
        """The coefficient of `quantity`; 0 when it does not take part."""
        return self.values.get(quantity, 0.0)

    @property
    def sigma(self) -> float:
        """Standard deviation σ of the noise that the terms add; of a learned one, what it is at v = 0."""
        return self["noise"] + self["learned_noise"]

    @property
    def added_sigma(self) -> float:
        """Standard deviation of all the noise that the step puts into x_s, the inner updates' included.

        Noise of inner updates that come first is carried to s with x_t.
        """
        inner = self.inner.sigma if self.inner and self.when != "probe" else 0.0
        carried = self["x_t"] if self.when == "before" else 1.0
        return float((self.sigma**2 + self.repeats * (carried * inner) ** 2) ** 0.5)

    @property
    def draws(self) -> int:
        """How often the step draws fresh noise."""
        return int(self.sigma > 0) + (self.repeats if self.inner and self.inner.sigma > 0 else 0)

    def widening(self, fraction: Tensor) -> Tensor:
        """(β_{t|s}/β̃_t)^{v/2}, which turns z into learned noise: σ² = e^{v ln β + (1−v) ln β̃}. (B, …)"""
        return torch.exp(fraction * (self.log_span / 2))

    def variance(self, fraction: Tensor | None) -> float | Tensor:
        """σ² of the noise that the terms add: a number, or of each pixel where it is learned. (B, …)"""
        if fraction is None or not self["learned_noise"]:
            return self.sigma**2
        return self.sigma**2 * self.widening(2 * fraction)

    def learned_sigma(self, fraction: Tensor) -> float:
        """σ of learned noise: the root of the mean σ² over all pixels."""
        return self.sigma * float(self.widening(fraction.float()).square().mean().sqrt())

    def apply(self, quantities: Mapping[Quantity, Tensor]) -> Tensor:
        """The sum. Every quantity of the terms must be there, all of one shape (B, …)."""
        first, *others = self.terms
        x = first.value * quantities[first.quantity]
        for term in others:
            x = _added(x, quantities[term.quantity], term.value)
        return x


def _added(x: Tensor, y: Tensor, factor: float) -> Tensor:
    """x + factor · y in the memory of x, which nobody else may hold."""
    return x.add_(y, alpha=factor) if x.dtype == y.dtype else plus(x, y, factor)
