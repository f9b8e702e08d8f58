"""What pushes a chain towards a class, and how strongly at each t. One class per choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import field_validator, model_validator

from diffusion_studio.core.denoisers.denoiser import NO_LABEL, Denoiser
from diffusion_studio.core.describe import Member, OneOf, knob
from diffusion_studio.core.guidance.guidance import (
    Classifier,
    ClassifierGuidedDenoiser,
    GuidedDenoiser,
    MeanShift,
    Strength,
    constant,
)
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr, trc

Need = Literal["labels", "classifier", "earlier"]


@dataclass(frozen=True, eq=False)
class Aids:
    """What a guide may need besides the denoiser that it guides."""

    classifier: Classifier | None = None  # of noisy images
    earlier: Denoiser | None = None  # the same network at an earlier checkpoint


class Guide(Member):
    """What pushes a chain towards a class."""

    family: ClassVar[str] = tr("Guides")

    needs: ClassVar[Need]  # a denoiser that knows labels, a classifier of noisy images, an earlier checkpoint
    idle: ClassVar[tuple[float, ...]] = (0.0, 1.0)  # γ at which no second estimate of the noise is made

    @property
    def parts(self) -> tuple[str, str] | None:
        """ε̂ at γ = 0 and what γ multiplies, in LaTeX; None where the guide leaves ε̂ as it is."""
        raise NotImplementedError

    @property
    def earlier_step(self) -> int:
        """The earlier checkpoint that it asks for, in steps of training; 0 for the earliest."""
        return 0

    @property
    def other_classes(self) -> tuple[int, ...]:
        """Classes that it names besides the one that is asked for."""
        return ()

    def denoiser(self, base: Denoiser, strength: Strength, aids: Aids) -> Denoiser:
        """The guided denoiser; a guide that moves the step instead leaves it as it is."""
        raise NotImplementedError

    def shift(self, strength: Strength, aids: Aids) -> MeanShift | None:
        """What the guide does to the step itself."""
        return None


class ClassifierFree(Guide):
    kind: Literal["free"] = "free"
    negative: int = knob(
        NO_LABEL, title=tr("away from"), symbol="∅", ge=-1, le=100_000, words={-1: tr("no class")},
        help=tr(
            "The class that guidance leads away from; −1 leads away from the unconditional image. With "
            "“none” as class, a γ above 1 asks for anything but this one."
        ),
        formula=r"\hat\varepsilon = \gamma\,\hat\varepsilon(x_t,y) + (1-\gamma)\,\hat\varepsilon(x_t,y_-)",
        source="Luo eq. 170",
    )  # fmt: skip
    second: int = knob(
        NO_LABEL, title=tr("mix with"), symbol="y₂", ge=-1, le=100_000, words={-1: trc("class", "none")},
        help=tr("A second class that is asked for at the same time."),
        formula=r"(1-m)\,\hat\varepsilon(x_t,y) + m\,\hat\varepsilon(x_t,y_2)",
    )  # fmt: skip
    share: float = knob(
        0.5, title=tr("share of it"), symbol="m", ge=0, le=1,
        help=tr("How much of the second class is in the mixture."),
        formula=r"(1-m)\,\hat\varepsilon(x_t,y) + m\,\hat\varepsilon(x_t,y_2)",
    )  # fmt: skip

    needs: ClassVar[Need] = "labels"
    title: ClassVar[str] = tr("classifier-free")
    summary: ClassVar[str] = tr("the network with the class against itself without it.")
    formula: ClassVar[str] = (
        r"\hat\varepsilon = \hat\varepsilon(x_t,\varnothing) + "
        r"\gamma\,(\hat\varepsilon(x_t,y) - \hat\varepsilon(x_t,\varnothing))"
    )
    source: ClassVar[str] = "Luo eq. 170; Ho & Salimans 2022"

    @property
    def parts(self) -> tuple[str, str] | None:
        without = r"\varnothing" if self.negative == NO_LABEL else "y_-"
        unguided = rf"\hat\varepsilon({without})"
        return unguided, rf"\left(\hat\varepsilon(y)-{unguided}\right)"

    @property
    def other_classes(self) -> tuple[int, ...]:
        return tuple(each for each in (self.negative, self.second) if each != NO_LABEL)

    def denoiser(self, base: Denoiser, strength: Strength, aids: Aids) -> Denoiser:
        return GuidedDenoiser(base, strength, self.negative, self.second, self.share)


class ByClassifier(Guide):
    kind: Literal["classifier"] = "classifier"
    form: Literal["eps", "mean"] = knob(
        "eps", title=tr("acts on"), words={"eps": "ε̂", "mean": tr("the mean of the step")},
        help=tr(
            "Both published forms. ε̂: works with every sampler. The mean: moves each step by γ σ² times the "
            "gradient, so the sampler must add noise. They agree as steps become small."
        ),
        formula=r"\mu \leftarrow \mu + \gamma\,\sigma_t^2\,\nabla_{x_t}\log p(y|x_t)",
        source="Dhariwal & Nichol 2021, algorithms 1 and 2",
    )  # fmt: skip

    needs: ClassVar[Need] = "classifier"
    idle: ClassVar[tuple[float, ...]] = (0.0,)
    title: ClassVar[str] = tr("by a classifier")
    summary: ClassVar[str] = tr("the gradient of a classifier of noisy images; the network needs no labels.")
    formula: ClassVar[str] = (
        r"\hat\varepsilon \leftarrow \hat\varepsilon - "
        r"\gamma\sqrt{1-\bar\alpha_t}\,\nabla_{x_t}\log p(y|x_t)"
    )
    source: ClassVar[str] = "Luo eq. 166; Dhariwal & Nichol 2021"

    @property
    def parts(self) -> tuple[str, str] | None:
        if self.form == "mean":
            return None
        return r"\hat\varepsilon(x_t)", r"\left(-\sqrt{1-\bar\alpha_t}\,\nabla\log p(y|x_t)\right)"

    def denoiser(self, base: Denoiser, strength: Strength, aids: Aids) -> Denoiser:
        assert aids.classifier is not None
        return ClassifierGuidedDenoiser(
            base, aids.classifier, strength if self.form == "eps" else constant(0.0)
        )

    def shift(self, strength: Strength, aids: Aids) -> MeanShift | None:
        assert aids.classifier is not None
        return MeanShift(aids.classifier, strength) if self.form == "mean" else None


class ByEarlierSelf(Guide):
    kind: Literal["auto"] = "auto"
    step: int = knob(
        0, title=tr("checkpoint"), unit=tr("step"), ge=0, words={0: tr("the earliest")},
        help=tr(
            "The checkpoint of the same run that is led away from: the last one kept up to this step; 0 "
            "takes the earliest that is kept."
        ),
        source="Karras et al. 2024",
    )  # fmt: skip

    needs: ClassVar[Need] = "earlier"
    title: ClassVar[str] = tr("by its younger self")
    summary: ClassVar[str] = tr(
        "the network against an earlier checkpoint of itself: better images, same variety."
    )
    formula: ClassVar[str] = (
        r"\hat\varepsilon = \hat\varepsilon_{\text{early}} + "
        r"\gamma\,(\hat\varepsilon - \hat\varepsilon_{\text{early}})"
    )
    source: ClassVar[str] = "Karras et al. 2024"

    @property
    def parts(self) -> tuple[str, str] | None:
        early = r"\hat\varepsilon_{\mathrm{early}}"
        return early, rf"\left(\hat\varepsilon-{early}\right)"

    @property
    def earlier_step(self) -> int:
        return self.step

    def denoiser(self, base: Denoiser, strength: Strength, aids: Aids) -> Denoiser:
        assert aids.earlier is not None
        return GuidedDenoiser(base, strength, weak=aids.earlier)


class GuidanceCurve(Member):
    """γ_t over the chain."""

    family: ClassVar[str] = tr("Guidance over the chain")

    def at(self, gamma: float, share: float) -> float:
        """γ_t, from γ and t / T."""
        raise NotImplementedError


class ConstantGuidance(GuidanceCurve):
    kind: Literal["constant"] = "constant"
    title: ClassVar[str] = tr("constant")
    summary: ClassVar[str] = tr("the same γ at every t.")
    formula: ClassVar[str] = r"\gamma_t = \gamma"
    source: ClassVar[str] = "Ho & Salimans 2022"

    def at(self, gamma: float, share: float) -> float:
        return gamma


class IntervalGuidance(GuidanceCurve):
    kind: Literal["interval"] = "interval"
    low: float = knob(
        0.2, title=trc("interval", "from"), unit="t/T", ge=0, le=1,
        help=tr("The end of the interval nearer to the image."),
        source="Kynkäänniemi et al. 2024",
    )  # fmt: skip
    high: float = knob(
        0.8, title=trc("interval", "to"), unit="t/T", ge=0, le=1,
        help=tr("The end of the interval nearer to the noise."),
        source="Kynkäänniemi et al. 2024",
    )  # fmt: skip
    outside: float = knob(
        1.0, title=tr("elsewhere"), symbol="γ", ge=0, le=20,
        help=tr("γ outside of the interval: 1 is the plain conditional model, 0 the unconditional one."),
    )  # fmt: skip

    title: ClassVar[str] = tr("in an interval")
    summary: ClassVar[str] = tr(
        "γ in the middle of the chain, where classes are decided, and less elsewhere."
    )
    formula: ClassVar[str] = tr(r"\gamma_t = \gamma\ \text{where}\ a \leq t/T \leq b")
    source: ClassVar[str] = "Kynkäänniemi et al. 2024"

    @model_validator(mode="after")
    def _in_order(self) -> IntervalGuidance:
        if self.low > self.high:
            raise Refused(
                tr(
                    "the interval of guidance ends at {high:g} before it begins at {low:g}",
                    high=self.high,
                    low=self.low,
                )
            )
        return self

    def at(self, gamma: float, share: float) -> float:
        return gamma if self.low <= share <= self.high else self.outside


class DrawnGuidance(GuidanceCurve):
    kind: Literal["drawn"] = "drawn"
    points: tuple[tuple[float, float], ...] = knob(
        ((0.0, 1.0), (1.0, 1.0)), title=tr("points"), symbol="γ_t/γ",
        help=tr("The share of γ at each t/T, as points t/T:share with straight lines between them."),
        source=tr("drawn by hand"),
    )  # fmt: skip

    title: ClassVar[str] = tr("by hand")
    summary: ClassVar[str] = tr("any curve times γ: drag its points.")
    formula: ClassVar[str] = tr(r"\gamma_t = \gamma\cdot\text{your curve}(t/T)")
    source: ClassVar[str] = tr("drawn by hand")

    @field_validator("points")
    @classmethod
    def _in_order(cls, points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if not points:
            raise Refused(tr("the curve of guidance needs at least one point t/T:share"))
        if any(not 0 <= place <= 1 or share < 0 for place, share in points):
            raise Refused(tr("t/T lies between 0 and 1 in the curve of guidance, and no share is negative"))
        ordered = tuple(sorted(points))
        if len({place for place, _ in ordered}) < len(ordered):
            raise Refused(tr("the curve of guidance has two points at the same t/T"))
        return ordered

    def at(self, gamma: float, share: float) -> float:
        places, shares = zip(*self.points, strict=True)
        return gamma * float(np.interp(share, places, shares))


AnyGuide = Annotated[Guide, OneOf()]
AnyGuidanceCurve = Annotated[GuidanceCurve, OneOf()]
