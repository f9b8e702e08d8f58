"""The variance-preserving process: that of DDPM."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.process.forward.base import ForwardProcess
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import tr


class VariancePreserving(ForwardProcess):
    kind: Literal["vp"] = "vp"
    rank: ClassVar[int] = 10
    title: ClassVar[str] = "VP"
    summary: ClassVar[str] = tr("variance preserving: the image fades as the noise grows; that of DDPM.")
    formula: ClassVar[str] = r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon"
    source: ClassVar[str] = "Ho et al. 2020, eq. 4; Luo eq. 69"

    def signal(self, alpha_bar: Tensor) -> Tensor:
        return alpha_bar.sqrt()

    def noise(self, alpha_bar: Tensor) -> Tensor:
        return (1 - alpha_bar).sqrt()

    def tables(self, betas: Tensor) -> Tables:
        return Tables.from_betas(betas)
