"""Annealed Langevin dynamics (Song & Ermon 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler, Step, apply
from diffusion_studio.core.samplers.euler import RESCALED, rescaling
from diffusion_studio.core.samplers.predictor_corrector import langevin_update
from diffusion_studio.core.steps.kernel import check_times
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr


class AnnealedLangevin(Sampler):
    kind: Literal["annealed_langevin"] = "annealed_langevin"
    rank: ClassVar[int] = 110
    repeats: int = knob(
        2, title=tr("Langevin steps"), ge=1, le=100,
        help=tr("Langevin steps, each a call of the network, per level.")
    )  # fmt: skip
    size: float = knob(
        0.4, title=tr("step size"), symbol="c", gt=0, le=1, scale="log",
        help=tr("Size of a Langevin step, as a share of the variance of the level, so that it shrinks with "
                "it. NCSN's step sizes α = ε ς²/ς₁² are c = ε/2ς₁²: with its ε = 2·10⁻⁵ and ς₁ = 0.01 that "
                "is 0.1, and it takes 100 steps at each of ten levels."),
        formula=r"c_t = c\,(1-\bar\alpha_t)", source="Luo eq. 160–161",
    )  # fmt: skip
    title: ClassVar[str] = tr("annealed Langevin")
    summary: ClassVar[str] = tr("Langevin dynamics at each noise level in turn, from coarse to fine.")
    formula: ClassVar[str] = r"x \leftarrow x + c_t\,\hat s(x, t) + \sqrt{2c_t}\,z"
    symbols: ClassVar[str] = tr("c_t = c (1−ᾱ_t), which is c ς_t² in the coordinates of VE")
    source: ClassVar[str] = "Luo eq. 160–161; Song & Ermon 2019, algorithm 1"

    @property
    def keeps_marginals(self) -> bool:
        return False

    def thorough(self) -> AnnealedLangevin:
        """Two Langevin steps a level lag behind the levels."""
        return self.model_copy(update={"repeats": max(self.repeats, 5)})

    def calls(self, steps: int) -> int:
        return self.repeats * steps

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        """Langevin steps (`inner`) at the level of t, then x/√ᾱ is carried to s; at the end x̂_0 is taken."""
        check_times(tables, t, s)
        inner = langevin_update(tables, t, self.size)
        if s == 0:
            return Update((Term("x0_hat", 1.0, ""),), inner, self.repeats - 1, "before")
        return Update((Term("x_t", rescaling(tables, t, s), RESCALED),), inner, self.repeats, "before")

    def advance(self, step: Step) -> Tensor:
        x, prediction = step.x_t, step.prediction
        assert step.update.inner is not None
        for number in range(step.update.repeats):
            x = apply(step.update.inner, step, x, prediction)
            if step.s == 0 or number + 1 < step.update.repeats:
                prediction = step.ask(x, step.t)
        return apply(step.update, step, x, prediction)

    def added_noise(
        self, update: Update, draws: Sequence[Tensor], fraction: Tensor | None = None
    ) -> Tensor | None:
        if not draws:
            return None
        assert update.inner is not None
        carried = update["x_t"] or 0.0  # nothing of it is left in x̂_0
        total = draws[0]
        for z in draws[1:]:
            total = total + z
        return carried * update.inner.sigma * total
