"""The equivalent quantities that a denoiser may give about x_t, and how each reads as the others.

One class per quantity; nothing else lists them (Luo eq. 115–151).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor

from diffusion_studio.core.words import tr

DATA_STD = 0.5  # σ_d, the spread of pixels in [−1, 1] that EDM reckons with
Root = float | Tensor  # √ᾱ_t or √(1−ᾱ_t): a number, or what broadcasts against x_t


def plus(x: Tensor, y: Tensor, factor: Root) -> Tensor:
    """x + factor · y, in one pass over memory where the factor is a number."""
    return x + factor * y if isinstance(factor, Tensor) else torch.add(x, y, alpha=factor)


@dataclass(frozen=True)
class Reading(ABC):
    """A quantity y that says the same about x_t as ε does.

    Concrete readings give `x_0`, `eps`, `target` and `scale`; in all of them `root` is √ᾱ_t and `noise_root`
    √(1−ᾱ_t). `formula` says how the estimate is read, `summary` what the quantity is.
    """

    kind: ClassVar[str]  # its name in code and files
    title: ClassVar[str]
    summary: ClassVar[str]
    formula: ClassVar[str]  # LaTeX
    source: ClassVar[str]
    symbol: ClassVar[str]  # in running text
    latex: ClassVar[str]  # y, in its colour
    hat: ClassVar[str]  # its estimate
    factor: ClassVar[str]  # `scale` squared, in LaTeX
    prediction_type: ClassVar[str]  # what the configs of diffusers' schedulers call it
    in_diffusers: ClassVar[bool] = True  # whether they know it
    plain: ClassVar[str] = ""  # the reading on whose error its plain loss is 1, where that is not its own
    holds_without_signal: ClassVar[bool] = True  # whether x_0 follows from it where ᾱ = 0

    @abstractmethod
    def x_0(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        """x̂_0 from the estimate of y. (B, …)"""

    @abstractmethod
    def eps(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        """ε̂ from the estimate of y. (B, …)"""

    @abstractmethod
    def target(self, x_0: Tensor, eps: Tensor, root: Root, noise_root: Root) -> Tensor:
        """y from the image and the noise that make up x_t. (B, …)"""

    @abstractmethod
    def scale(self, root: Tensor, noise_root: Tensor) -> Tensor:
        """m with ε − ε̂ = ± m (y − ŷ), in the shape of the roots."""

    def own_factor(self, root: Tensor, noise_root: Tensor) -> Tensor:
        """What multiplies y − ŷ in a plain loss, so that all levels count alike: 1 where y itself does."""
        return torch.ones_like(noise_root)

    def entry(self, root: Tensor, noise_root: Tensor) -> Tensor | None:
        """What x_t is multiplied by for the network, shaped as the roots; None: as its process has it."""
        return None

    def answer(self, scale: Tensor) -> Tensor:
        """What turns y of the process's own coordinates into y here, where x_t is 1/scale as large."""
        return torch.ones_like(scale)

    def size(self, alpha_bar: Tensor, variance: Tensor) -> Tensor:
        """How large the estimate typically is: about 1, unless it grows where p_t is narrow.

        Args:
            variance: of the narrowest part of p_t, in the shape of `alpha_bar`.
        """
        return torch.ones_like(variance)


@dataclass(frozen=True)
class NoiseReading(Reading):
    kind: ClassVar[str] = "eps"
    title: ClassVar[str] = tr("noise ε")
    summary: ClassVar[str] = tr("the noise that was added")
    symbol: ClassVar[str] = "ε"
    latex: ClassVar[str] = r"\quantity{eps}{\varepsilon}"
    hat: ClassVar[str] = r"\quantity{eps}{\hat\varepsilon}"
    factor: ClassVar[str] = ""
    formula: ClassVar[str] = (
        r"\quantity{x0}{\hat x_0} = \frac{x_t-\sqrt{1-\bar\alpha_t}\,\quantity{eps}{\hat\varepsilon}}"
        r"{\sqrt{\bar\alpha_t}}"
    )
    source: ClassVar[str] = "Luo eq. 115; Course eq. 2.9"
    prediction_type: ClassVar[str] = "epsilon"
    holds_without_signal: ClassVar[bool] = False

    def x_0(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        return plus(x_t, value, -noise_root).div_(root)

    def eps(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        return value

    def target(self, x_0: Tensor, eps: Tensor, root: Root, noise_root: Root) -> Tensor:
        return eps

    def scale(self, root: Tensor, noise_root: Tensor) -> Tensor:
        return torch.ones_like(root)

    def size(self, alpha_bar: Tensor, variance: Tensor) -> Tensor:
        return ((1 - alpha_bar) / variance).sqrt()


@dataclass(frozen=True)
class ImageReading(Reading):
    kind: ClassVar[str] = "x_0"
    title: ClassVar[str] = tr("image x₀")
    summary: ClassVar[str] = tr("the image")
    symbol: ClassVar[str] = "x₀"
    latex: ClassVar[str] = r"\quantity{x0}{x_0}"
    hat: ClassVar[str] = r"\quantity{x0}{\hat x_0}"
    factor: ClassVar[str] = r"\mathrm{SNR}_t"
    formula: ClassVar[str] = (
        r"\quantity{eps}{\hat\varepsilon} = \frac{x_t-\sqrt{\bar\alpha_t}\,\quantity{x0}{\hat x_0}}"
        r"{\sqrt{1-\bar\alpha_t}}"
    )
    source: ClassVar[str] = "Luo eq. 99; Course eq. 2.9"
    prediction_type: ClassVar[str] = "sample"

    def x_0(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        return value

    def eps(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        return plus(x_t, value, -root).div_(noise_root)

    def target(self, x_0: Tensor, eps: Tensor, root: Root, noise_root: Root) -> Tensor:
        return x_0

    def scale(self, root: Tensor, noise_root: Tensor) -> Tensor:
        return root / noise_root


@dataclass(frozen=True)
class ScoreReading(Reading):
    kind: ClassVar[str] = "score"
    title: ClassVar[str] = tr("score s")
    summary: ClassVar[str] = tr("the score −ε/√(1−ᾱ)")
    symbol: ClassVar[str] = tr("score")
    latex: ClassVar[str] = r"\quantity{score}{s}"
    hat: ClassVar[str] = r"\quantity{score}{\hat s}"
    factor: ClassVar[str] = r"(1-\bar\alpha_t)"
    formula: ClassVar[str] = (
        r"\quantity{x0}{\hat x_0} = \frac{x_t+(1-\bar\alpha_t)\,\quantity{score}{\hat s}}"
        r"{\sqrt{\bar\alpha_t}}"
    )
    source: ClassVar[str] = "Luo eq. 133, 151"
    plain: ClassVar[str] = "eps"  # its own error grows without bound near the data (Luo after eq. 161)
    prediction_type: ClassVar[str] = "score"  # not known to diffusers, which refuses to sample it
    in_diffusers: ClassVar[bool] = False
    holds_without_signal: ClassVar[bool] = False

    def x_0(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        return plus(x_t, value, noise_root * noise_root).div_(root)

    def eps(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        return -noise_root * value

    def target(self, x_0: Tensor, eps: Tensor, root: Root, noise_root: Root) -> Tensor:
        return -eps / noise_root

    def scale(self, root: Tensor, noise_root: Tensor) -> Tensor:
        return noise_root

    def own_factor(self, root: Tensor, noise_root: Tensor) -> Tensor:
        return self.scale(root, noise_root)  # the score itself grows without bound near the data

    def answer(self, scale: Tensor) -> Tensor:
        return scale  # a slope of ln p: steeper where x is smaller

    def size(self, alpha_bar: Tensor, variance: Tensor) -> Tensor:
        return variance**-0.5


@dataclass(frozen=True)
class VReading(Reading):
    kind: ClassVar[str] = "v"
    title: ClassVar[str] = "v"
    summary: ClassVar[str] = "v = √ᾱ ε − √(1−ᾱ) x₀"
    symbol: ClassVar[str] = "v"
    latex: ClassVar[str] = "v"
    hat: ClassVar[str] = r"\hat v"
    factor: ClassVar[str] = r"\bar\alpha_t"
    formula: ClassVar[str] = (
        r"\quantity{x0}{\hat x_0} = \sqrt{\bar\alpha_t}\,x_t-\sqrt{1-\bar\alpha_t}\,\hat v"
    )
    source: ClassVar[str] = "Salimans & Ho 2022, §4"
    prediction_type: ClassVar[str] = "v_prediction"

    def x_0(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        return plus(root * x_t, value, -noise_root)

    def eps(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        return plus(noise_root * x_t, value, root)

    def target(self, x_0: Tensor, eps: Tensor, root: Root, noise_root: Root) -> Tensor:
        return root * eps - noise_root * x_0

    def scale(self, root: Tensor, noise_root: Tensor) -> Tensor:
        return root


@dataclass(frozen=True)
class VelocityReading(Reading):
    """ε − x_0: the velocity of the straight path x_u = (1−u) x_0 + u ε that has the SNR of x_t.

    x_u = x_t/(√ᾱ + √(1−ᾱ)) with 1 − u = √ᾱ/(√ᾱ + √(1−ᾱ)).
    """

    kind: ClassVar[str] = "velocity"
    title: ClassVar[str] = tr("velocity ε − x₀")
    summary: ClassVar[str] = tr("the velocity of flow matching's straight path, ε − x₀")
    symbol: ClassVar[str] = tr("velocity")
    latex: ClassVar[str] = r"\dot x"
    hat: ClassVar[str] = r"\hat{\dot x}"
    factor: ClassVar[str] = r"\frac{\bar\alpha_t}{(\sqrt{\bar\alpha_t}+\sqrt{1-\bar\alpha_t})^2}"
    formula: ClassVar[str] = (
        r"\quantity{x0}{\hat x_0} = \frac{x_t-\sqrt{1-\bar\alpha_t}\,\hat{\dot x}}"
        r"{\sqrt{\bar\alpha_t}+\sqrt{1-\bar\alpha_t}}"
    )
    source: ClassVar[str] = "Lipman et al. 2023, eq. 23; Liu et al. 2023, eq. 1"
    prediction_type: ClassVar[str] = "velocity"  # diffusers' "flow_prediction" is asked at x_u, not at x_t
    in_diffusers: ClassVar[bool] = False

    def x_0(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        return plus(x_t, value, -noise_root).div_(root + noise_root)

    def eps(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        return plus(x_t, value, root).div_(root + noise_root)

    def target(self, x_0: Tensor, eps: Tensor, root: Root, noise_root: Root) -> Tensor:
        return eps - x_0

    def scale(self, root: Tensor, noise_root: Tensor) -> Tensor:
        return root / (root + noise_root)

    def size(self, alpha_bar: Tensor, variance: Tensor) -> Tensor:
        return (1 + (1 - alpha_bar) / variance).sqrt()


@dataclass(frozen=True)
class PreconditionedReading(Reading):
    """F of EDM: x̂_0 = c_skip x + c_out F(c_in x) with x = x_0 + ς ε, here with x_t = √ᾱ x.

    Written with S = σ_d² ᾱ + 1 − ᾱ it stays finite at both ends. With σ_d = 1 it is −v.
    """

    kind: ClassVar[str] = "edm"
    title: ClassVar[str] = tr("EDM's F")
    summary: ClassVar[str] = tr(
        "what EDM leaves to the network of the image, of unit variance like its input"
    )
    symbol: ClassVar[str] = "F"
    latex: ClassVar[str] = "F"
    hat: ClassVar[str] = r"\hat F"
    factor: ClassVar[str] = r"\frac{\bar\alpha_t}{4-3\bar\alpha_t}"
    formula: ClassVar[str] = (
        r"\quantity{x0}{\hat x_0} = \frac{\sigma_d^2\sqrt{\bar\alpha_t}\,x_t}{S_t}"
        r"+\sigma_d\sqrt{\frac{1-\bar\alpha_t}{S_t}}\,\hat F,\quad "
        r"S_t = \sigma_d^2\bar\alpha_t+1-\bar\alpha_t,\quad \sigma_d = \frac12"
    )
    source: ClassVar[str] = "EDM eq. 7, table 1"
    prediction_type: ClassVar[str] = "edm"  # not known to the schedulers of diffusers' VP pipelines
    in_diffusers: ClassVar[bool] = False

    def x_0(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        whole = _whole(root, noise_root)
        return plus(x_t * (DATA_STD**2 * root / whole), value, DATA_STD * noise_root / whole**0.5)

    def eps(self, value: Tensor, x_t: Tensor, root: Root, noise_root: Root) -> Tensor:
        whole = _whole(root, noise_root)
        return plus(x_t * (noise_root / whole), value, -DATA_STD * root / whole**0.5)

    def target(self, x_0: Tensor, eps: Tensor, root: Root, noise_root: Root) -> Tensor:
        found: Tensor = noise_root * x_0 - DATA_STD**2 * root * eps
        return found / (DATA_STD * _whole(root, noise_root) ** 0.5)

    def scale(self, root: Tensor, noise_root: Tensor) -> Tensor:
        return DATA_STD * root * (DATA_STD**2 * root**2 + noise_root**2).rsqrt()

    def entry(self, root: Tensor, noise_root: Tensor) -> Tensor | None:
        return (DATA_STD**2 * root**2 + noise_root**2).rsqrt()  # c_in x = x_t/√S, whatever the process


def _whole(root: Root, noise_root: Root) -> Root:
    """S, the variance of x_t for data of variance σ_d²."""
    return DATA_STD**2 * root**2 + noise_root**2


READINGS: Mapping[str, Reading] = {cls.kind: cls() for cls in Reading.__subclasses__()}
"""Every reading by its kind."""

if TYPE_CHECKING:
    PredictionKind = str
else:
    PredictionKind = Literal[tuple(READINGS)]
