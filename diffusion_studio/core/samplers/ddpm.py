"""DDPM: ancestral sampling (Ho et al. 2020)."""

from __future__ import annotations

from typing import ClassVar, Literal

from diffusion_studio.core.describe import knob
from diffusion_studio.core.kernel import posterior_variance, reverse_kernel
from diffusion_studio.core.samplers.base import Sampler
from diffusion_studio.core.tables import Tables
from diffusion_studio.core.update import Update


class DDPM(Sampler):
    kind: Literal["ddpm"] = "ddpm"
    variance: Literal["posterior", "fixed_large"] = knob(
        "posterior", title="variance", symbol="σ²",
        help="Noise of each step: the posterior variance of the forward chain, or the larger variance of the "
             "forward step itself, which on a sub-sequence is σ̂ of the DDIM paper.",
        formula=r"\tilde\beta_t \;\text{or}\; \beta_{t|s}", source="Ho et al. 2020, §3.2; DDIM eq. 16",
        words={"posterior": "posterior  β̃", "fixed_large": "fixed large  σ̂"},
    )  # fmt: skip

    title: ClassVar[str] = "DDPM"
    summary: ClassVar[str] = "ancestral sampling: every step adds the noise that the forward chain took."
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s-\tilde\beta_t}\,\hat\epsilon"
        r" + \sigma_t z"
    )
    source: ClassVar[str] = "Ho et al. 2020, algorithm 2"

    def update(self, tables: Tables, t: int, s: int, before: int | None = None) -> Update:
        posterior = posterior_variance(tables, t, s)
        added = posterior if self.variance == "posterior" else tables.beta_between(t, s)
        return reverse_kernel(tables, t, s, posterior, added)
