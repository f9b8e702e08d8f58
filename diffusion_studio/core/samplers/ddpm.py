"""DDPM: ancestral sampling (Ho et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.describe import knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers.base import Sampler, Step, apply
from diffusion_studio.core.steps.kernel import posterior_variance, reverse_kernel
from diffusion_studio.core.steps.update import Term, Update
from diffusion_studio.core.words import tr

NOT_LEARNED = tr(
    "{name} learned no variance, so none can be asked of it: choose the posterior or the fixed large one."
)


class DDPM(Sampler):
    kind: Literal["ddpm"] = "ddpm"
    rank: ClassVar[int] = 20
    variance: Literal["posterior", "fixed_large", "learned"] = knob(
        "posterior", title=tr("variance"), symbol="σ²",
        help=tr("Noise of each step: the posterior variance of the forward chain; the larger variance of the "
                "forward step itself, which on a sub-sequence is σ̂ of the DDIM paper; or between both, "
                "pixel by pixel, as a network says that was trained with a learned variance."),
        formula=r"\tilde\beta_t, \quad \beta_{t|s}, \quad e^{v\ln\beta_{t|s}+(1-v)\ln\tilde\beta_t}",
        source="Ho et al. 2020, §3.2; DDIM eq. 16; iDDPM eq. 15",
        words={
            "posterior": tr("posterior  β̃"), "fixed_large": tr("fixed large  σ̂"), "learned": tr("learned  v"),
        },
    )  # fmt: skip

    title: ClassVar[str] = "DDPM"
    summary: ClassVar[str] = tr("ancestral sampling: every step adds the noise that the forward chain took.")
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s-\tilde\beta_t}\,\hat\varepsilon"
        r" + \sigma_t z"
    )
    source: ClassVar[str] = "Ho et al. 2020, algorithm 2"

    def update(self, tables: Tables, t: int, s: int, before: Sequence[int] = ()) -> Update:
        small, large = posterior_variance(tables, t, s), tables.beta_between(t, s)
        match self.variance:
            case "posterior":
                return reverse_kernel(tables, t, s, small, small)
            case "fixed_large":
                return reverse_kernel(tables, t, s, small, large)
        mean = reverse_kernel(tables, t, s, small, 0.0)
        if s == 0:
            return mean
        noise = Term("learned_noise", small**0.5, r"\sqrt{\tilde\beta_t}")
        return Update((*mean.terms, noise), log_span=math.log(large / small))

    @property
    def uses_learned_variance(self) -> bool:
        return self.variance == "learned"

    @property
    def keeps_marginals(self) -> bool:
        return self.variance == "posterior"

    def advance(self, step: Step) -> Tensor:
        if self.variance != "learned":
            return super().advance(step)
        fraction = step.prediction.fraction
        if fraction is None:
            raise Refused(NOT_LEARNED.format(name=tr("This denoiser")))
        update = step.update
        more = {"learned_noise": update.widening(fraction) * step.noise()} if update.draws else {}
        return apply(update, step, step.x_t, step.prediction, **more)

    def added_noise(
        self, update: Update, draws: Sequence[Tensor], fraction: Tensor | None = None
    ) -> Tensor | None:
        noise = super().added_noise(update, draws)
        if noise is None or self.variance != "learned":
            return noise
        assert fraction is not None
        return update.widening(fraction) * noise
