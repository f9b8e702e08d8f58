"""iPNDM: DDIM with the slope of Adams and Bashforth, from the first step on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.samplers.euler import RESCALED, Euler, rescaling
from diffusion_studio.core.samplers.multistep.lms import SLOPES
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr

_SHARES = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
_FALL = r"\sqrt{\bar\alpha_s}(\varsigma_s-\varsigma_t)"


class IPNDM(Sampler):
    kind: Literal["ipndm"] = "ipndm"
    rank: ClassVar[int] = 67
    order: ClassVar[int] = 2  # its shares are those of even ς, whatever the times are
    memory: ClassVar[int] = 3
    title: ClassVar[str] = "iPNDM"
    summary: ClassVar[str] = tr(
        "DDIM along a mean of the last four slopes; PNDM without its costly first steps."
    )
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s/\bar\alpha_t}\,x_t + \sqrt{\bar\alpha_s}\,(\varsigma_s-\varsigma_t)\,"
        r"\bar\varepsilon, \quad \bar\varepsilon = "
        r"\frac{55\hat\varepsilon-59\hat\varepsilon_{-1}+37\hat\varepsilon_{-2}-9\hat\varepsilon_{-3}}{24}"
    )
    symbols: ClassVar[str] = tr("ε̂₋ᵢ the estimate i steps before; the shorter rules at the first three steps")
    source: ClassVar[str] = "Zhang & Chen 2023, §4"

    @property
    def is_deterministic(self) -> bool:
        return True

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        fall = Euler().update(tables, t, s)["eps_hat"]
        shares = _SHARES[len(before[: self.memory])]
        return Update((
            Term("x_t", rescaling(tables, t, s), RESCALED),
            *(
                Term(quantity, share * fall, rf"{_FALL}\,b_{i}")
                for i, (quantity, share) in enumerate(zip(SLOPES, shares, strict=False))
            ),
        ))  # fmt: skip
