"""What a sampler is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.describe import Member
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.steps.update import Quantity, Update
from diffusion_studio.core.words import tr


@dataclass(frozen=True, eq=False)
class Past:
    """What a chain remembers of the step before, and of those before that."""

    t: int  # where that step began
    x0_hat: Tensor  # (B, …)
    eps_hat: Tensor  # (B, …)
    older: Past | None = None

    @property
    def steps(self) -> tuple[Past, ...]:
        """All steps that are remembered, the nearest first."""
        return (self, *(self.older.steps if self.older else ()))

    @property
    def times(self) -> tuple[int, ...]:
        """Where they began."""
        return tuple(step.t for step in self.steps)

    def newest(self, count: int) -> Past:
        """The same without what lies more than `count` ≥ 1 steps back."""
        older = self.older.newest(count - 1) if self.older and count > 1 else None
        return replace(self, older=older)


RECALLED: Mapping[Quantity, tuple[int, Literal["x0_hat", "eps_hat"]]] = {
    "x0_before": (0, "x0_hat"),
    "x0_before_2": (1, "x0_hat"),
    "eps_before": (0, "eps_hat"),
    "eps_before_2": (1, "eps_hat"),
    "eps_before_3": (2, "eps_hat"),
}
"""Quantities that are remembered: of how many steps before the last one, and which estimate."""


@dataclass(eq=False)
class Step:
    """What one reverse step has at hand.

    Args:
        x_t: (B, …).
        prediction: the denoiser's answer at (x_t, t).
        past: the steps before, if there were any.
        ask: the denoiser; ask(x, t).
        draw: fresh noise of x_t's shape; draw(number), a new number for each use within the step.
    """

    t: int
    s: int
    x_t: Tensor
    prediction: Prediction
    past: Past | None
    update: Update
    ask: Callable[[Tensor, int], Prediction]
    draw: Callable[[int], Tensor]
    draws: list[Tensor] = field(default_factory=list)

    def noise(self) -> Tensor:
        """The next fresh noise of this step."""
        self.draws.append(self.draw(len(self.draws)))
        return self.draws[-1]

    def recall(self, quantity: Quantity) -> Tensor:
        """An estimate of a step before this one. (B, …)"""
        back, name = RECALLED[quantity]
        assert self.past is not None
        found: Tensor = getattr(self.past.steps[back], name)
        return found


class Sampler(Member):
    """A way down the reverse chain.

    Most samplers are one `update`: a sum of terms in x_t, x̂_0, ε̂ and noise. Those that ask the denoiser
    more than once in a step say how in `advance`.
    """

    family: ClassVar[str] = tr("Samplers")
    order: ClassVar[int] = 1  # of convergence in the step size; to the data in law where noise is added
    memory: ClassVar[int] = 0  # how many of the steps before it looks back on
    is_drawn: ClassVar[bool] = False  # by hand, for the times that there were; it may refuse others

    @property
    def uses_learned_variance(self) -> bool:
        """Whether it needs a denoiser that says how much noise each pixel gets."""
        return False

    @property
    def is_deterministic(self) -> bool:
        """Whether the start alone decides the image."""
        return False

    @property
    def keeps_marginals(self) -> bool:
        """Whether x_s has the law q(x_s|x_0) if x_t has its own and the estimates are the truth.

        Where not, a chain ends in the data only as its steps become small.
        """
        return True

    def thorough(self) -> Sampler:
        """The same with settings that lead a chain of small steps into the law of the data."""
        return self

    def calls(self, steps: int) -> int:
        """Calls of the network for a chain of S steps."""
        return steps

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        """The reverse step from t down to s < t.

        Args:
            before: where the steps before began, the nearest first; nothing at the first step.

        Raises:
            Refused: times out of order, or a step that does not exist.
        """
        raise NotImplementedError

    def advance(self, step: Step) -> Tensor:
        """x_s. (B, …)"""
        return apply(step.update, step, step.x_t, step.prediction)

    def added_noise(
        self, update: Update, draws: Sequence[Tensor], fraction: Tensor | None = None
    ) -> Tensor | None:
        """All the noise that the step put into x_s, from its draws; None when it drew none. (B, …)

        Args:
            fraction: v of the step's prediction, for a sampler that uses the learned variance.
        """
        return update.sigma * draws[0] if draws else None


def apply(update: Update, step: Step, x: Tensor, prediction: Prediction, **more: Tensor) -> Tensor:
    """`update` with the quantities of a step; `more` gives those that are found within it."""
    found: dict[Quantity, Tensor] = {}
    for term in update.terms:
        match term.quantity:
            case "x_t":
                found["x_t"] = x
            case "x0_hat":
                found["x0_hat"] = prediction.x0_hat
            case "eps_hat":
                found["eps_hat"] = prediction.eps_hat
            case "noise":
                found["noise"] = step.noise()
            case other:
                found[other] = more[other] if other in more else step.recall(other)
    return update.apply(found)
