"""Weights λ_t of the loss, all on one axis: the ε error. One class per weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor

from diffusion_studio.core.curves import check_curve, curve_values
from diffusion_studio.core.denoisers.readings import READINGS, PredictionKind
from diffusion_studio.core.describe import Member, OneOf, knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr, trc

Variance = Literal["posterior", "forward"]
_VARIANCE_WORDS = {"posterior": tr("β̃, posterior"), "forward": tr("β, forward")}
_OTHERS = {kind: reading for kind, reading in READINGS.items() if reading.factor}  # 1 on ε is the surrogate

if TYPE_CHECKING:
    OtherKind = str
else:
    OtherKind = Literal[tuple(_OTHERS)]


def error_scale(tables: Tables, kind: PredictionKind) -> Tensor:
    """m_t with ε − ε̂ = ± m_t (y − ŷ), y the quantity `kind`; index 0 is 0. float64 (T+1,)

    So a weight λ_t on the ε error is the weight λ_t m_t² on the error of y.
    """
    alpha_bar = tables.alpha_bar[1:]
    return _from_1(READINGS[kind].scale(alpha_bar.sqrt(), (1 - alpha_bar).sqrt()))


def weight_on(tables: Tables, weight: Tensor, kind: PredictionKind) -> Tensor:
    """A weight on the ε error as the equal weight on another error. (T+1,) → (T+1,)"""
    return weight * error_scale(tables, kind) ** 2


def reverse_variance(tables: Tables, variance: Variance = "posterior") -> Tensor:
    """σ_t² of the reverse step t → t−1: β̃_t or β_t; index 0 is 0. float64 (T+1,)

    β̃_1 = 0, so at t = 1 it is β̃_2, as iDDPM clips it; there for β too, as in the code of iDDPM. Where the
    second step is finer than the first, as between geometric levels, β̃_2 says nothing about the first: half
    of β_1 is the least, which β̃_2 is under every schedule of growing β.
    """
    found = (tables.beta if variance == "forward" else tables.beta_tilde).clone()
    found[1] = torch.maximum(tables.beta_tilde[2], tables.beta[1] / 2)
    return found


def _from_1(values: Tensor) -> Tensor:
    """The values for t = 1 … T behind an unused 0. (T,) → (T+1,)"""
    return torch.cat([torch.zeros(1, dtype=torch.float64), values])


def ddpm_elbo_weight(tables: Tables, variance: Tensor) -> Tensor:
    """β_t² / (2σ_t² (1−β_t)(1−ᾱ_t)) (Stratos eq. 18). `variance` is σ_t². (T+1,)"""
    beta, sigma2 = tables.beta[1:], variance[1:]
    return _from_1(beta**2 / (2 * sigma2 * (1 - beta) * (1 - tables.alpha_bar[1:])))


def ddim_elbo_weight(tables: Tables, variance: Tensor) -> Tensor:
    """(√ᾱ_{t−1} − c√ᾱ_t)² (1−ᾱ_t) / (2σ_t² ᾱ_t), c = √((1−ᾱ_{t−1}−σ_t²)/(1−ᾱ_t)). (T+1,)

    The difference is multiplied out, so that nothing cancels in float64. At t = 1 there is no room for a
    σ² > 0 beside c, so c = 0.
    """
    beta, sigma2 = tables.beta[1:], variance[1:]
    now, before = tables.alpha_bar[1:], tables.alpha_bar[:-1]
    c = ((1 - before - sigma2).clamp(min=0) / (1 - now)).sqrt()
    difference = before * (beta + (1 - beta) * sigma2) / ((1 - now) * (before.sqrt() + c * now.sqrt()))
    difference[0] = 1.0
    return _from_1(difference**2 * (1 - now) / (2 * sigma2 * now))


def printed_ddim_weight(tables: Tables, variance: Tensor) -> Tensor:
    """(β_t + (1−β_t)σ_t²) / (2σ_t²(1−β_t)), as Stratos eq. 25 prints it: λ^DDPM + 1 at σ² = β̃. (T+1,)"""
    beta, sigma2 = tables.beta[1:], variance[1:]
    return _from_1((beta + (1 - beta) * sigma2) / (2 * sigma2 * (1 - beta)))


def check_weight(weight: Tensor) -> None:
    """Refuses a weight that cannot be trained with.

    Raises:
        Refused: it is infinite or negative somewhere, or 0 everywhere.
    """
    values = weight[1:]
    for wrong, word in ((~torch.isfinite(values), tr("not finite")), (values < 0, tr("negative"))):
        if bool(wrong.any()):
            t = int(wrong.nonzero()[0]) + 1
            raise Refused(
                tr("The weight λ_t is {word} at t = {t}; every weight must be a number ≥ 0.", word=word, t=t)
            )
    if not bool((values > 0).any()):
        raise Refused(tr("The weight λ_t is 0 for every t, so nothing would be learned."))


class Weight(Member):
    """A weight of the loss over t. Concrete weights give `on_eps`."""

    family: ClassVar[str] = tr("Weights of the loss")
    has_shape: ClassVar[bool] = True  # of its own; one that is drawn is flat before

    @property
    def name(self) -> str:
        """Its title, with what is chosen of it where that makes it another weight."""
        return self.title

    def on_eps(self, tables: Tables) -> Tensor:
        """λ_t on the ε error for t = 1 … T; index 0 is 0. float64 (T+1,)"""
        raise NotImplementedError


def _variance_knob() -> Variance:
    value: Variance = knob(
        "posterior", title=tr("reverse variance"), symbol="σ²", words=_VARIANCE_WORDS,
        help=tr("Variance of the reverse step that the bound is about. At t = 1 the posterior variance is 0; "
                "β̃₂ stands in for it, and for β₁ as well, as in published figures; β₁/2 where that is more."),
        source="iDDPM §3.1",
    )  # fmt: skip
    return value


class SurrogateWeight(Weight):
    kind: Literal["surrogate"] = "surrogate"

    title: ClassVar[str] = tr("surrogate (1)")
    summary: ClassVar[str] = tr("every noise error counts the same; what almost everybody trains.")
    formula: ClassVar[str] = r"\lambda_t = 1"
    source: ClassVar[str] = "Ho et al. 2020, eq. 14"

    def on_eps(self, tables: Tables) -> Tensor:
        return _from_1(torch.ones(tables.steps, dtype=torch.float64))


class DDPMWeight(Weight):
    kind: Literal["ddpm_elbo"] = "ddpm_elbo"
    variance: Variance = _variance_knob()

    title: ClassVar[str] = "DDPM ELBO"
    summary: ClassVar[str] = tr("the loss is then the bound on −log p itself; small t count most.")
    formula: ClassVar[str] = r"\lambda_t = \frac{\beta_t^2}{2\sigma_t^2(1-\beta_t)(1-\bar\alpha_t)}"
    source: ClassVar[str] = "Stratos eq. 18; Luo eq. 130; Course eq. 2.8"

    def on_eps(self, tables: Tables) -> Tensor:
        return ddpm_elbo_weight(tables, reverse_variance(tables, self.variance))


class _DDIM(Weight):
    """What both DDIM weights share."""

    eta: float = knob(
        1.0, title=tr("stochasticity"), symbol="η", gt=0, le=1,
        help=tr("σ_t² = η² β̃_t. At η = 1 the weight is the one of DDPM; it grows without bound as η falls "
                "to 0."),
        source="DDIM eq. 16",
    )  # fmt: skip

    def _variance(self, tables: Tables) -> Tensor:
        return self.eta**2 * reverse_variance(tables)


class DDIMWeight(_DDIM):
    kind: Literal["ddim_elbo"] = "ddim_elbo"

    title: ClassVar[str] = "DDIM ELBO"
    summary: ClassVar[str] = tr("the bound for the non-Markovian chain of DDIM, corrected.")
    formula: ClassVar[str] = (
        r"\lambda_t = \frac{(\sqrt{\bar\alpha_{t-1}}-c\sqrt{\bar\alpha_t})^2(1-\bar\alpha_t)}"
        r"{2\sigma_t^2\bar\alpha_t},\quad c=\sqrt{\frac{1-\bar\alpha_{t-1}-\sigma_t^2}{1-\bar\alpha_t}}"
    )
    source: ClassVar[str] = tr("Stratos eq. 25, corrected")

    def on_eps(self, tables: Tables) -> Tensor:
        return ddim_elbo_weight(tables, self._variance(tables))


class PrintedDDIMWeight(_DDIM):
    kind: Literal["ddim_printed"] = "ddim_printed"

    title: ClassVar[str] = tr("DDIM ELBO, as printed")
    summary: ClassVar[str] = tr(
        "Stratos' equation 25 with its slip: at η = 1 it is one more than the weight of DDPM."
    )
    formula: ClassVar[str] = r"\lambda_t = \frac{\beta_t+(1-\beta_t)\sigma_t^2}{2\sigma_t^2(1-\beta_t)}"
    source: ClassVar[str] = tr("Stratos eq. 25, as printed")

    def on_eps(self, tables: Tables) -> Tensor:
        return printed_ddim_weight(tables, self._variance(tables))


class SNRDifferenceWeight(Weight):
    kind: Literal["snr_difference"] = "snr_difference"

    title: ClassVar[str] = tr("SNR difference")
    summary: ClassVar[str] = tr("the bound written on the x₀ error: what the step loses of signal.")
    formula: ClassVar[str] = (
        r"\lambda_t = \tfrac12\left(\frac{\mathrm{SNR}(t-1)}{\mathrm{SNR}(t)}-1\right)"
        r"\;\;\text{" + trc("in a formula", "on") + r" } \varepsilon"
    )
    source: ClassVar[str] = "Luo eq. 110; VDM eq. 13"

    def on_eps(self, tables: Tables) -> Tensor:
        snr = tables.snr[1:]
        first = ddpm_elbo_weight(tables, reverse_variance(tables))[1:2]  # SNR(0) is infinite
        return _from_1(torch.cat([first, (snr[:-1] - snr[1:]) / (2 * snr[1:])]))


class ScoreWeight(Weight):
    kind: Literal["score"] = "score"
    variance: Variance = _variance_knob()

    title: ClassVar[str] = tr("score weight")
    summary: ClassVar[str] = tr("the bound written on the score error, β²/(2σ²α) there.")
    formula: ClassVar[str] = (
        r"\lambda_t = \frac{\beta_t^2}{2\sigma_t^2\alpha_t}\cdot\frac{1}{1-\bar\alpha_t}"
        r"\;\;\text{" + trc("in a formula", "on") + r" } \varepsilon"
    )
    source: ClassVar[str] = "Luo eq. 148"

    def on_eps(self, tables: Tables) -> Tensor:
        on_score = tables.beta**2 / (2 * reverse_variance(tables, self.variance) * tables.alpha)
        return _from_1((on_score / error_scale(tables, "score") ** 2)[1:])


class MinSNRWeight(Weight):
    kind: Literal["min_snr"] = "min_snr"
    gamma: float = knob(
        5.0, title=tr("cap"), symbol="γ", gt=0, le=1000, scale="log",
        help=tr("Signal-to-noise ratio above which the x₀ error counts no more."), source="Hang et al. 2023",
    )  # fmt: skip

    title: ClassVar[str] = "min-SNR"
    summary: ClassVar[str] = tr("holds the nearly clean images back; trains fast.")
    formula: ClassVar[str] = r"\lambda_t = \frac{\min(\mathrm{SNR}(t),\gamma)}{\mathrm{SNR}(t)}"
    source: ClassVar[str] = "Hang et al. 2023"

    def on_eps(self, tables: Tables) -> Tensor:
        snr = tables.snr[1:]
        return _from_1(snr.clamp(max=self.gamma) / snr)


class P2Weight(Weight):
    kind: Literal["p2"] = "p2"
    k: float = knob(
        1.0, title=tr("offset"), symbol="k", gt=0, le=100, scale="log",
        help=tr("Keeps the weight finite where there is no signal."), source="Choi et al. 2022, eq. 8",
    )  # fmt: skip
    gamma: float = knob(
        1.0, title=tr("strength"), symbol="γ", ge=0, le=5,
        help=tr("0 weighs all alike; more takes weight from nearly clean images."),
        source="Choi et al. 2022, eq. 8",
    )  # fmt: skip

    title: ClassVar[str] = "P2"
    summary: ClassVar[str] = tr("gives weight to the noise levels at which content is made.")
    formula: ClassVar[str] = r"\lambda_t = \frac{1}{(k+\mathrm{SNR}(t))^{\gamma}}"
    source: ClassVar[str] = "Choi et al. 2022, eq. 8"

    def on_eps(self, tables: Tables) -> Tensor:
        return _from_1((self.k + tables.snr[1:]) ** -self.gamma)


class UnitWeight(Weight):
    kind: Literal["unit"] = "unit"
    error: OtherKind = knob(
        "v", title=tr("error"), words={kind: reading.symbol for kind, reading in _OTHERS.items()},
        help=tr("Which error counts the same at every t: the plain squared loss of that prediction."),
        source="Salimans & Ho 2022, §4",
    )  # fmt: skip

    title: ClassVar[str] = tr("plain loss")
    summary: ClassVar[str] = tr("the plain loss of a network that predicts something else than ε.")
    formula: ClassVar[str] = r"\lambda_t = " + r",\ ".join(
        rf"\left({each.factor}\right)^{{-1}}" if r"\frac" in each.factor else f"{each.factor}^{{-1}}"
        for each in _OTHERS.values()
    )
    source: ClassVar[str] = "Course eq. 2.10"

    @property
    def name(self) -> str:
        return f"{self.title} ({READINGS[self.error].symbol})"

    def on_eps(self, tables: Tables) -> Tensor:
        return _from_1(error_scale(tables, self.error)[1:] ** -2)


def plain_weight(kind: PredictionKind) -> Weight:
    """The plain loss of a prediction, 1 on its own error: Course algorithm 1 (x₀); Ho et al. 2020, eq. 14.

    Of the score it is 1 − ᾱ_t on its error, so that all levels count alike: 1 on the ε error.
    """
    error = READINGS[kind].plain or kind
    return UnitWeight(error=error) if error in _OTHERS else SurrogateWeight()


class CurveWeight(Weight):
    kind: Literal["curve"] = "curve"
    has_shape: ClassVar[bool] = False
    points: tuple[float, ...] = knob(
        (1.0, 1.0, 1.0, 1.0, 1.0), title=tr("points"), symbol="λ",
        help=tr("Heights of the curve at evenly spaced t from 1 to T, joined by straight lines; at least "
                "two."),
        source=tr("drawn by hand"),
    )  # fmt: skip

    title: ClassVar[str] = tr("by hand")
    summary: ClassVar[str] = tr("any curve: drag its points.")
    formula: ClassVar[str] = r"\lambda_t = \text{" + tr("your curve") + "}"
    source: ClassVar[str] = tr("drawn by hand")

    @field_validator("points")
    @classmethod
    def _usable(cls, points: tuple[float, ...]) -> tuple[float, ...]:
        return check_curve(points, trc("of the loss", "weight"))

    def on_eps(self, tables: Tables) -> Tensor:
        return _from_1(curve_values(self.points, tables.steps))


AnyWeight = Annotated[Weight, OneOf()]
