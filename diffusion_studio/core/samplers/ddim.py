"""DDIM: the family of kernels from the deterministic to the ancestral."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.steps.kernel import posterior_variance, reverse_kernel
from diffusion_studio.core.steps.update import Update
from diffusion_studio.core.words import tr


class DDIM(Sampler):
    kind: Literal["ddim"] = "ddim"
    rank: ClassVar[int] = 10
    eta: float = knob(
        0.0, title=tr("stochasticity"), symbol="η", ge=0, le=1,
        help=tr("How much fresh noise each step adds: 0 none (the same start always gives the same image), "
                "1 as much as ancestral sampling."),
        formula=r"\sigma_t^2 = \eta^2\,\frac{1-\bar\alpha_s}{1-\bar\alpha_t}\,\beta_{t|s}",
        source="DDIM eq. 16",
    )  # fmt: skip

    title: ClassVar[str] = "DDIM"
    summary: ClassVar[str] = tr("few steps suffice; without noise the start alone decides the image.")
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s-\sigma_t^2}\,\hat\varepsilon"
        r" + \sigma_t z"
    )
    source: ClassVar[str] = "DDIM eq. 12"

    @property
    def is_deterministic(self) -> bool:
        return self.eta == 0

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        variance = self.eta**2 * posterior_variance(tables, t, s)
        return reverse_kernel(tables, t, s, variance, variance)
