"""The straight path of flow matching."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from diffusion_studio.core.process.forward.base import ForwardProcess
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import tr


class Interpolating(ForwardProcess):
    kind: Literal["interpolating"] = "interpolating"
    rank: ClassVar[int] = 40
    title: ClassVar[str] = tr("interpolating")
    summary: ClassVar[str] = tr("flow matching's: image and noise mixed with shares that sum to 1.")
    formula: ClassVar[str] = r"x_t = (1-u_t)\,x_0 + u_t\,\varepsilon"
    symbols: ClassVar[str] = tr("u = √(1−ᾱ)/(√ᾱ + √(1−ᾱ)), which is t/T under the schedule “straight path”")
    source: ClassVar[str] = "Lipman et al. 2023, eq. 20; Liu et al. 2023, eq. 1"

    def signal(self, alpha_bar: Tensor) -> Tensor:
        return alpha_bar.sqrt() / self._whole(alpha_bar)

    def noise(self, alpha_bar: Tensor) -> Tensor:
        return (1 - alpha_bar).sqrt() / self._whole(alpha_bar)

    def _whole(self, alpha_bar: Tensor) -> Tensor:
        """√ᾱ + √(1−ᾱ)."""
        return alpha_bar.sqrt() + (1 - alpha_bar).sqrt()

    def tables(self, betas: Tensor) -> Tables:
        """The SNR stays that of the schedule."""
        return Tables.from_betas(betas, 1 / self._whole(Tables.from_betas(betas).alpha_bar))
