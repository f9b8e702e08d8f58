"""Noise schedules: how much variance β_t each forward step adds. One class per schedule."""

from __future__ import annotations

import itertools
import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import field_validator, model_validator
from torch import Tensor

from diffusion_studio.core.curves import curve_values
from diffusion_studio.core.describe import Member, OneOf, knob
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import plural, tr, trc

LARGEST_BETA = 0.999  # iDDPM after eq. 17: keeps the last steps from dividing by zero
_NEXT_TO_1 = 2.0**-53  # 1 less this is the last number below 1 in float64
SMALLEST_ALPHA = 2.0**-24  # 1 − β_T is the last number below 1 in float32


class Schedule(Member):
    """A noise schedule. Concrete schedules give `betas`."""

    family: ClassVar[str] = tr("Noise schedules")
    learns: ClassVar[bool] = False  # whether training moves it

    def betas(self, steps: int) -> Tensor:
        """β_1 … β_T.

        Args:
            steps: T ≥ 2.

        Returns:
            float64 (T,), each in (0, 1).
        """
        raise NotImplementedError

    def remark(self, steps: int) -> str:
        """What these T steps do to it that its formula does not say, as a sentence; "" if nothing."""
        return ""


def _from_alpha_bar(alpha_bar: Tensor) -> Tensor:
    """β_t = 1 − ᾱ_t / ᾱ_{t−1}, clipped from above. (T+1,) → (T,)"""
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(1e-9, LARGEST_BETA)


def _from_log_snr(log_snr: Tensor) -> Tensor:
    """β_t = 1 − ᾱ_t/ᾱ_{t−1} with ᾱ = sig(ln SNR), nowhere cut: each ln SNR is met again. (T,) → (T,)"""
    log_alpha_bar = torch.nn.functional.logsigmoid(log_snr)
    before = torch.cat([torch.zeros(1, dtype=torch.float64), log_alpha_bar[:-1]])
    return -torch.expm1((log_alpha_bar - before).clamp(max=-_NEXT_TO_1))


def _time(steps: int) -> Tensor:
    """t/T for t = 0 … T."""
    return torch.arange(steps + 1, dtype=torch.float64) / steps


class _Ramp(Schedule):
    """β on a ramp that is scaled by 1000/T, and cut where few steps would make it 1 or more."""

    def _ramp(self, steps: int) -> Tensor:
        """β_1 … β_T as the formula has them. (T,)"""
        raise NotImplementedError

    def betas(self, steps: int) -> Tensor:
        return self._ramp(steps).clamp(max=LARGEST_BETA)

    def remark(self, steps: int) -> str:
        cut = int((self._ramp(steps) > LARGEST_BETA).sum())
        if not cut:
            return ""
        return plural(
            "{n} of the {steps} β_t is cut to {largest}: times 1000/T the formula leads beyond 1. "
            "Choose more steps or a cosine schedule.",
            "{n} of the {steps} β_t are cut to {largest}: times 1000/T the formula leads beyond 1. "
            "Choose more steps or a cosine schedule.",
            cut, steps=steps, largest=LARGEST_BETA,
        )  # fmt: skip


class LinearSchedule(_Ramp):
    kind: Literal["linear"] = "linear"
    beta_first: float = knob(
        1e-4, title=tr("first variance"), symbol="β₁", gt=0, lt=1, scale="log", advanced=True,
        help=tr("Variance of the first forward step at T = 1000; scaled by 1000/T for other T."),
        source="Ho et al. 2020, §4",
    )  # fmt: skip
    beta_last: float = knob(
        0.02, title=tr("last variance"), symbol="β_T", gt=0, lt=1, scale="log", advanced=True,
        help=tr("Variance of the last forward step at T = 1000; scaled by 1000/T for other T."),
        source="Ho et al. 2020, §4",
    )  # fmt: skip

    title: ClassVar[str] = tr("linear β")
    summary: ClassVar[str] = tr("the variance grows in equal steps, as in the first DDPM.")
    formula: ClassVar[str] = (
        r"\beta_t = \frac{1000}{T}\left(\beta_1 + \frac{t-1}{T-1}(\beta_T-\beta_1)\right)"
    )
    symbols: ClassVar[str] = tr("β₁ and β_T are those of T = 1000; no β_t is above 0.999")
    source: ClassVar[str] = "Ho et al. 2020, §4"

    def _ramp(self, steps: int) -> Tensor:
        return torch.linspace(self.beta_first, self.beta_last, steps, dtype=torch.float64) * 1000 / steps


class ScaledLinearSchedule(_Ramp):
    kind: Literal["scaled_linear"] = "scaled_linear"
    beta_first: float = knob(
        0.00085, title=tr("first variance"), symbol="β₁", gt=0, lt=1, scale="log", advanced=True,
        help=tr("Variance of the first forward step at T = 1000; scaled by 1000/T for other T."),
        source="Rombach et al. 2022",
    )  # fmt: skip
    beta_last: float = knob(
        0.012, title=tr("last variance"), symbol="β_T", gt=0, lt=1, scale="log", advanced=True,
        help=tr("Variance of the last forward step at T = 1000; scaled by 1000/T for other T."),
        source="Rombach et al. 2022",
    )  # fmt: skip

    title: ClassVar[str] = tr("scaled linear")
    summary: ClassVar[str] = tr("the square root of the variance grows in equal steps.")
    formula: ClassVar[str] = (
        r"\beta_t = \frac{1000}{T}\left(\sqrt{\beta_1} + \frac{t-1}{T-1}"
        r"(\sqrt{\beta_T}-\sqrt{\beta_1})\right)^2"
    )
    symbols: ClassVar[str] = tr("β₁ and β_T are those of T = 1000; no β_t is above 0.999")
    source: ClassVar[str] = "Rombach et al. 2022"

    def _ramp(self, steps: int) -> Tensor:
        ends = math.sqrt(self.beta_first), math.sqrt(self.beta_last)
        return torch.linspace(*ends, steps, dtype=torch.float64) ** 2 * 1000 / steps


class CosineSchedule(Schedule):
    kind: Literal["cosine"] = "cosine"
    offset: float = knob(
        0.008, title=tr("offset"), symbol="s", gt=0, le=0.1, advanced=True,
        help=tr("Keeps the first steps from being too small."), source="iDDPM eq. 17",
    )  # fmt: skip

    title: ClassVar[str] = tr("cosine")
    summary: ClassVar[str] = tr("destroys the image evenly; good for small images.")
    formula: ClassVar[str] = (
        r"\bar\alpha_t = \frac{f(t)}{f(0)},\quad "
        r"f(t)=\cos^2\!\left(\frac{t/T+s}{1+s}\cdot\frac{\pi}{2}\right)"
    )
    symbols: ClassVar[str] = tr("s the offset, no time here; no β_t is above 0.999")
    source: ClassVar[str] = "iDDPM eq. 17"

    def betas(self, steps: int) -> Tensor:
        f = torch.cos((_time(steps) + self.offset) / (1 + self.offset) * math.pi / 2) ** 2
        return _from_alpha_bar(f / f[0])


class StraightSchedule(Schedule):
    kind: Literal["straight"] = "straight"
    title: ClassVar[str] = tr("straight path")
    summary: ClassVar[str] = tr("flow matching's: image and noise mixed in even steps, u = t/T.")
    formula: ClassVar[str] = r"\bar\alpha_t = \frac{(1-u)^2}{(1-u)^2+u^2},\quad u = \frac{t}{T}"
    symbols: ClassVar[str] = tr("no β_t is above 0.999")
    source: ClassVar[str] = "Lipman et al. 2023, eq. 20; Liu et al. 2023, eq. 1"

    def betas(self, steps: int) -> Tensor:
        u = _time(steps)
        return _from_alpha_bar((1 - u) ** 2 / ((1 - u) ** 2 + u**2))


class SigmoidSchedule(Schedule):
    kind: Literal["sigmoid"] = "sigmoid"
    start: float = knob(
        -3.0, title=trc("of a curve", "start"), ge=-10, le=0, advanced=True,
        help=tr("Where on the sigmoid t = 0 lies."), source="Jabri et al. 2022, algorithm 5",
    )  # fmt: skip
    end: float = knob(
        3.0, title=trc("of a curve", "end"), gt=0, le=10, advanced=True,
        help=tr("Where on the sigmoid t = T lies."), source="Jabri et al. 2022, algorithm 5",
    )  # fmt: skip

    title: ClassVar[str] = tr("sigmoid")
    summary: ClassVar[str] = tr(
        "lingers at both ends; made for larger images. A sigmoid of ᾱ; the one of diffusers is of β."
    )
    formula: ClassVar[str] = (
        r"\bar\alpha_t = \frac{\mathrm{sig}(-u_t)-\mathrm{sig}(-u_T)}{\mathrm{sig}(-u_0)-\mathrm{sig}(-u_T)}"
    )
    source: ClassVar[str] = "Jabri et al. 2022, algorithm 5"

    def betas(self, steps: int) -> Tensor:
        g = torch.sigmoid(-(self.start + _time(steps) * (self.end - self.start)))
        return _from_alpha_bar((g - g[-1]) / (g[0] - g[-1]))


class GeometricSchedule(Schedule):
    kind: Literal["geometric"] = "geometric"
    smallest: float = knob(
        0.01, title=tr("smallest level"), symbol="ς₁", ge=1e-4, le=10, scale="log",
        help=tr("Noise at t = 1, in multiples of the image; pixels reach from −1 to 1."),
        source="score SDE §C",
    )  # fmt: skip
    largest: float = knob(
        50.0, title=tr("largest level"), symbol="ς_T", ge=0.1, le=1000, scale="log",
        help=tr("Noise at T: about the largest distance between two images, so that nothing of them is "
                "left."),
        source="Song & Ermon 2020, §3",
    )  # fmt: skip

    title: ClassVar[str] = tr("geometric ς")
    summary: ClassVar[str] = tr("each level is so many times the one before: that of NCSN and of VE.")
    formula: ClassVar[str] = (
        r"\varsigma_t = \varsigma_1\left(\frac{\varsigma_T}{\varsigma_1}\right)^{\frac{t-1}{T-1}}"
    )
    symbols: ClassVar[str] = "ᾱ = 1/(1+ς²)"
    source: ClassVar[str] = "Luo eq. 160; score SDE §C"

    @model_validator(mode="after")
    def _falling(self) -> GeometricSchedule:
        if self.largest <= self.smallest:
            raise Refused(
                tr(
                    "the levels must fall from the noise to the data, but the largest is {largest:g} and the "
                    "smallest {smallest:g}",
                    largest=self.largest,
                    smallest=self.smallest,
                )
            )
        return self

    def betas(self, steps: int) -> Tensor:
        ends = math.log(self.smallest), math.log(self.largest)
        return _from_log_snr(-2 * torch.linspace(*ends, steps, dtype=torch.float64))


class LevelsSchedule(Schedule):
    kind: Literal["levels"] = "levels"
    is_given: ClassVar[bool] = True
    values: tuple[float, ...] = knob(
        (), title=trc("noise", "levels"), symbol="ς", words={(): tr("geometric ς")},
        help=tr("ς_T … ς_1, falling from the noise to the data, one for each step; none: those of the "
                "geometric schedule."),
        source="Song & Ermon 2019, §4.2",
    )  # fmt: skip

    title: ClassVar[str] = trc("noise", "levels")
    summary: ClassVar[str] = tr("a list of noise levels, one for each of the T steps.")
    formula: ClassVar[str] = r"\varsigma_T > \dots > \varsigma_1 > 0"
    symbols: ClassVar[str] = "ᾱ = 1/(1+ς²)"
    source: ClassVar[str] = "Song & Ermon 2019, §4.2"

    @field_validator("values")
    @classmethod
    def _usable(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not all(1e-4 <= level <= 1e4 for level in values):
            raise Refused(tr("every noise level must lie between 0.0001 and 10000"))
        for before, after in itertools.pairwise(values):
            if after >= before:
                raise Refused(
                    tr(
                        "the levels must fall from the noise to the data, but {after:g} follows {before:g}",
                        after=after,
                        before=before,
                    )
                )
        return values

    def betas(self, steps: int) -> Tensor:
        if not self.values:
            return GeometricSchedule().betas(steps)
        if (count := len(self.values)) != steps:
            raise Refused(
                tr("The schedule lists {count} levels, but T is {steps}.", count=count, steps=steps)
            )
        return _from_log_snr(-2 * torch.tensor(self.values[::-1], dtype=torch.float64).log())


class ExplicitSchedule(Schedule):
    kind: Literal["explicit"] = "explicit"
    is_given: ClassVar[bool] = True
    values: tuple[float, ...] = knob(
        (), title=tr("variances"), symbol="β", words={(): tr("linear β")}, source="Ho et al. 2020, eq. 2",
        help=tr("β_1 … β_T, one for each step; none: those of the linear schedule."),
    )  # fmt: skip

    title: ClassVar[str] = tr("explicit β")
    summary: ClassVar[str] = tr("a list of variances, one for each of the T steps.")
    formula: ClassVar[str] = r"\beta_1, \dots, \beta_T"
    source: ClassVar[str] = tr("as given")

    @field_validator("values")
    @classmethod
    def _inside(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        for t, beta in enumerate(values, start=1):
            if not 0 < beta < 1:
                raise Refused(tr("every β must lie between 0 and 1, but β_{t} is {beta}", t=t, beta=beta))
        return values

    def betas(self, steps: int) -> Tensor:
        if not self.values:
            return LinearSchedule().betas(steps)
        if (count := len(self.values)) != steps:
            raise Refused(
                tr(
                    "The explicit schedule lists {count} variances, but T is {steps}.",
                    count=count,
                    steps=steps,
                )
            )
        return torch.tensor(self.values, dtype=torch.float64)


class CurveSchedule(Schedule):
    kind: Literal["curve"] = "curve"
    points: tuple[float, ...] = knob(
        (8.0, 3.2, 0.6, -2.0, -6.0), title=tr("points"), symbol="ln SNR",
        help=tr("Heights of ln SNR at evenly spaced t from 1 to T, falling and joined by straight lines."),
        source=tr("drawn by hand"),
    )  # fmt: skip

    title: ClassVar[str] = tr("by hand")
    summary: ClassVar[str] = tr("any falling curve of ln SNR: drag its points.")
    formula: ClassVar[str] = (
        r"\bar\alpha_t = \mathrm{sig}(\ln\mathrm{SNR}(t)),\quad \text{" + tr("your curve") + "}"
    )
    source: ClassVar[str] = tr("drawn by hand")

    @field_validator("points")
    @classmethod
    def _falling(cls, points: tuple[float, ...]) -> tuple[float, ...]:
        if len(points) < 2:
            raise Refused(
                tr("a curve needs at least two points, this schedule has {count}", count=len(points))
            )
        if not all(-30 <= height <= 30 for height in points):
            raise Refused(tr("every ln SNR of the schedule must lie between −30 and 30"))
        for number, (before, after) in enumerate(itertools.pairwise(points), start=2):
            if after >= before:
                raise Refused(
                    tr(
                        "a schedule must lose signal at every step, but ln SNR does not fall from {before} "
                        "to {after} at point {number}",
                        before=before,
                        after=after,
                        number=number,
                    )
                )
        return points

    def betas(self, steps: int) -> Tensor:
        return _from_log_snr(curve_values(self.points, steps))


class LearnedSchedule(Schedule):
    kind: Literal["learned"] = "learned"
    learns: ClassVar[bool] = True
    first: float = knob(
        8.0, title=tr("ln SNR at t = 1"), ge=0, le=14,
        help=tr("Where the learned curve begins; training moves it by the bound. In a code it stays."),
        source="VDM §I.2",
    )  # fmt: skip
    last: float = knob(
        -8.0, title=tr("ln SNR at T"), ge=-14, lt=0,
        help=tr("Where the learned curve ends; training moves it by the bound."),
        source="VDM §I.2",
    )  # fmt: skip

    title: ClassVar[str] = tr("learned")
    summary: ClassVar[str] = tr(
        "trained beside the network, by the bound (λ does not act): its ends so that it is small, its "
        "inside so that it scatters less."
    )
    formula: ClassVar[str] = (
        r"\mathrm{SNR}(t) = e^{-\omega_\eta(t)},\quad \omega_\eta\;\text{" + tr("rising") + "}"
    )
    source: ClassVar[str] = "Luo eq. 111–114; VDM §I.2"

    def betas(self, steps: int) -> Tensor:
        """The straight line of ln SNR that training begins with."""
        return _from_log_snr(torch.linspace(self.first, self.last, steps, dtype=torch.float64))


def with_zero_terminal_snr(betas: Tensor) -> Tensor:
    """The schedule whose last state is pure noise: √ᾱ shifted and stretched (Lin et al. 2024, algorithm 1).

    ᾱ_T = 2⁻²⁴ ᾱ_{T−1} stands for 0, so that every table stays finite. (T,) → (T,)
    """
    root = torch.cumprod(1 - betas, 0).sqrt()
    moved = (root - root[-1]) * root[0] / (root[0] - root[-1])
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), moved**2])
    alpha_bar[-1] = alpha_bar[-2] * SMALLEST_ALPHA
    rescaled: Tensor = 1 - alpha_bar[1:] / alpha_bar[:-1]
    return rescaled


AnySchedule = Annotated[Schedule, OneOf()]
