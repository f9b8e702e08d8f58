"""Samplers: families of reverse steps. One class per sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.describe import Member, knob, one_of
from diffusion_studio.core.kernel import ReverseKernel, posterior_variance, reverse_kernel
from diffusion_studio.core.predictions import Prediction
from diffusion_studio.core.tables import Tables


class Sampler(Member):
    """A way down the reverse chain. Each step asks the denoiser once and applies one reverse kernel."""

    def kernel(self, tables: Tables, t: int, s: int) -> ReverseKernel:
        """The reverse kernel from t down to s < t."""
        raise NotImplementedError

    def step(self, kernel: ReverseKernel, prediction: Prediction, noise: Tensor | None) -> Tensor:
        """x_s from the prediction at x_t. (B, …)"""
        return kernel.sample(prediction.x0_hat, prediction.eps_hat, noise)


class DDIM(Sampler):
    kind: Literal["ddim"] = "ddim"
    eta: float = knob(
        0.0, title="stochasticity", symbol="η", ge=0, le=1,
        help="How much fresh noise each step adds: 0 none (the same start always gives the same image), "
             "1 as much as ancestral sampling.",
        formula=r"\sigma_t^2 = \eta^2\,\frac{1-\bar\alpha_s}{1-\bar\alpha_t}\,\beta_{t|s}",
        source="DDIM eq. 16",
    )  # fmt: skip

    title: ClassVar[str] = "DDIM"
    summary: ClassVar[str] = "few steps suffice; without noise the start alone decides the image."
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s-\sigma_t^2}\,\hat\epsilon + \sigma_t z"
    )
    source: ClassVar[str] = "DDIM eq. 12"

    def kernel(self, tables: Tables, t: int, s: int) -> ReverseKernel:
        variance = self.eta**2 * posterior_variance(tables, t, s)
        return reverse_kernel(tables, t, s, variance, variance)


class DDPM(Sampler):
    kind: Literal["ddpm"] = "ddpm"
    variance: Literal["posterior", "fixed_large"] = knob(
        "posterior", title="variance", symbol="σ²",
        help="Noise of each step: the posterior variance of the forward chain, or the larger variance of the "
             "forward step itself.",
        formula=r"\tilde\beta_t \;\text{or}\; \beta_{t|s}",
        source="Ho et al. 2020, §3.2",
    )  # fmt: skip

    title: ClassVar[str] = "DDPM"
    summary: ClassVar[str] = "ancestral sampling: every step adds the noise that the forward chain took."
    formula: ClassVar[str] = (
        r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s-\tilde\beta_t}\,\hat\epsilon"
        r" + \sigma_t z"
    )
    source: ClassVar[str] = "Ho et al. 2020, algorithm 2"

    def kernel(self, tables: Tables, t: int, s: int) -> ReverseKernel:
        posterior = posterior_variance(tables, t, s)
        added = posterior if self.variance == "posterior" else tables.beta_between(t, s)
        return reverse_kernel(tables, t, s, posterior, added)


if TYPE_CHECKING:
    AnySampler = Sampler
else:
    AnySampler = one_of(Sampler)
