"""The sub-variance-preserving process of the score SDE."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.process.forward.base import ForwardProcess
from diffusion_studio.core.words import tr


class SubVariancePreserving(ForwardProcess):
    kind: Literal["sub_vp"] = "sub_vp"
    rank: ClassVar[int] = 30
    title: ClassVar[str] = "sub-VP"
    summary: ClassVar[str] = tr(
        "as VP, with less noise on the way: its variance is (1−ᾱ)², never above VP's."
    )
    formula: ClassVar[str] = r"x_t = \sqrt{\bar\alpha_t}\,x_0 + (1-\bar\alpha_t)\,\varepsilon"
    source: ClassVar[str] = "score SDE eq. 29"

    def signal(self, alpha_bar: Tensor) -> Tensor:
        return alpha_bar.sqrt()

    def noise(self, alpha_bar: Tensor) -> Tensor:
        return 1 - alpha_bar
