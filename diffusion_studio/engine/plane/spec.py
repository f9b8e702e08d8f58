"""Everything that can be chosen on the plane, as one frozen value."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import torch
from pydantic import model_validator

from diffusion_studio.core.denoisers.denoiser import NO_LABEL
from diffusion_studio.core.denoisers.memorised import MemorisedPoints, mixture_of_points
from diffusion_studio.core.denoisers.mixture import Mixture, MixtureDenoiser
from diffusion_studio.core.denoisers.readings import READINGS, PredictionKind
from diffusion_studio.core.denoisers.tilted import ExactDenoiser, TiltedDenoiser
from diffusion_studio.core.describe import Choice, knob
from diffusion_studio.core.process.forward import AnyForwardProcess, VariancePreserving
from diffusion_studio.core.process.schedules import AnySchedule, CosineSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.engine.plane.guide import PlaneGuide
from diffusion_studio.engine.plane.process import AnyProcess, Langevin
from diffusion_studio.engine.plane.shapes import CUSTOM, MOST_MODES, SHAPES, Modes, mixture_of, shape

T = 1000

Start = Literal["window", "noise", "data", "point"]
START_WORDS = {
    "window": tr("anywhere"), "noise": tr("noise"), "data": tr("data"), "point": tr("one point"),
}  # fmt: skip


Reference = Literal["law", "points"]


class PlaneLearning(Choice):
    """How the small network learns."""

    objective: Literal["denoising", "implicit"] = knob(
        "denoising", title=tr("learns by"),
        words={"denoising": tr("denoising"), "implicit": tr("implicit matching")},
        help=tr("Denoising: the network is asked for the noise that was added. Implicit score matching never "
             "looks at the noise: it needs the noisy points alone, and the trace of the Jacobian of the "
             "score, which is exact and cheap only in few dimensions. Both have the same minimum."),
        formula=r"\mathbb E\left[\tfrac12\|\hat s\|^2 + \operatorname{tr}\nabla_{x_t}\hat s\right]",
        source="Vincent 2011; Hyvärinen 2005, theorem 1",
    )  # fmt: skip
    predicts: PredictionKind = knob(
        "eps", title=tr("predicts"), words={kind: reading.symbol for kind, reading in READINGS.items()},
        help=tr("Which of the equivalent quantities the network gives."), source="Luo eq. 115–151",
    )  # fmt: skip
    gives: Literal["field", "energy"] = knob(
        "field", title=tr("network gives"), words={"field": tr("a prediction"), "energy": tr("an energy E")},
        help=tr("A prediction, two numbers at each place; or one number E, whose slope is the score: then "
             "what is learned is −log p but for a constant, seen as a density and as a landscape. Where all "
             "noise levels are learned, so is how E changes with the level: the slope alone does not say "
             "how much of the whole lies in each of two parts with nothing between. Each step costs about "
             "three times as much, and ε is read from the slope, whatever is chosen below."),
        formula=r"\hat s = -\nabla_{x_t} E_\theta(x_t, t)", source="Luo eq. 152–156; DRE-∞",
    )  # fmt: skip
    dropped: float = knob(
        1.0, title=tr("labels dropped"), symbol="p", gt=0, le=1, words={1.0: tr("all")},
        help=tr("The share of points whose class the network is not told. Below 1 it learns the score of "
                "each class and the unconditional one in one, as classifier-free guidance needs."),
        source="Luo eq. 170; Ho & Salimans 2022, §3.2",
    )  # fmt: skip
    levels: Literal["all", "one"] = knob(
        "all", title=tr("noise levels"), words={"all": tr("all"), "one": tr("only this t")},
        help=tr("Learn at every noise level, or only at the one of the slider, as plain score matching "
                "does."),
        source="Luo eq. 157, 161",
    )  # fmt: skip
    points: int = knob(
        0, title=tr("data points"), ge=0, le=100_000, words={0: tr("fresh")},
        help=tr("How many points there are to learn from, or fresh ones all the time. With few of them the "
             "network learns them by heart."),
    )  # fmt: skip
    seconds: float = knob(
        20.0, title=tr("time"), unit="s", ge=1, le=600, scale="log", help=tr("Training time.")
    )
    steps: int = knob(
        0, title=tr("steps"), ge=0, le=10_000_000, advanced=True, words={0: tr("no limit")},
        help=tr("Learning ends after this many steps, if they take less than the training time; 0 sets no "
             "limit."),
    )  # fmt: skip
    width: int = knob(
        128, title=tr("width"), ge=8, le=512, scale="log", advanced=True,
        help=tr("Units in each of the three hidden layers."),
    )  # fmt: skip
    learning_rate: float = knob(
        6e-3, title=tr("learning rate"), gt=0, le=1, scale="log", advanced=True,
        help=tr("Step length of the optimizer at the start; it falls to 0 by the end."),
        source="Loshchilov & Hutter 2019",
    )  # fmt: skip


class PlaneSpec(Choice):
    """A distribution, a noise level, a way for particles to move, and what is learned."""

    shape: str = SHAPES[0].key
    modes: Modes = SHAPES[0].make()
    reference: Reference = knob(
        "law", title=tr("exact for"), words={"law": tr("the mixture"), "points": tr("its points")},
        help=tr("What the exact field knows: the mixture itself, or only finitely many points drawn from it. "
             "With points it is the memorising denoiser, whose chains end at the points and nowhere else; "
             "a network that learns them by heart comes to the same."),
        formula=r"\hat x_0 = \sum_i w_i\, x^{(i)},\quad w_i \propto "
                r"e^{-\|x_t-\sqrt{\bar\alpha_t}\,x^{(i)}\|^2/2(1-\bar\alpha_t)}",
    )  # fmt: skip
    memorised: int = knob(
        100, title=tr("points"), symbol="N", ge=1, le=500, scale="log",
        help=tr("How many points the memorising denoiser knows."),
    )  # fmt: skip
    t: int = knob(
        0, title=tr("time"), symbol="t", ge=0, le=T,
        help=tr("The noise level of the picture, from the data at 0 to pure noise at T. Chains that walk "
             "through the levels take the slider with them."),
        formula=r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon", source="Luo eq. 69",
    )  # fmt: skip
    process: AnyProcess = knob(Langevin(), title=tr("moves by"), help=tr("How the particles move."))
    count: int = knob(
        2000,
        title=tr("particles"),
        ge=1,
        le=100_000,
        scale="log",
        help=tr("How many points move side by side."),
    )
    start: Start = knob(
        "window", title=tr("start"), words=START_WORDS,
        help=tr("Where the particles begin: anywhere in the window, as standard normal noise, as exact "
                "samples (reverse chains then go up to the noise first, and back), or all at one point."),
    )  # fmt: skip
    start_x: float = knob(
        0.0, title=tr("point x"), ge=-10, le=10, advanced=True, help=tr("The one point from which all begin.")
    )
    start_y: float = knob(
        0.2, title=tr("point y"), ge=-10, le=10, advanced=True, help=tr("The one point from which all begin.")
    )
    seed: int = knob(
        0, title=tr("seed"), ge=0, le=2**31 - 1, advanced=True, help=tr("Same seed, same noise, same paths.")
    )
    schedule: AnySchedule = knob(
        CosineSchedule(), title=tr("schedule"), symbol="β", advanced=True, help=tr("How fast noise is added.")
    )
    forward: AnyForwardProcess = knob(
        VariancePreserving(), title=tr("process"), symbol="x_t", advanced=True,
        help=tr("How data and noise are mixed: what a network is shown, and where the particles are drawn."),
    )  # fmt: skip
    guide: PlaneGuide = PlaneGuide()
    learning: PlaneLearning = PlaneLearning()

    @model_validator(mode="after")
    def _possible(self) -> PlaneSpec:
        if not 1 <= len(self.modes) <= MOST_MODES:
            raise Refused(
                tr(
                    "there must be 1 to {most} modes, not {count}",
                    most=MOST_MODES,
                    count=len(self.modes),
                )
            )
        if self.shape not in {CUSTOM, *(s.key for s in SHAPES)}:
            raise Refused(tr("there is no distribution named {shape!r}", shape=self.shape))
        return self

    @property
    def title(self) -> str:
        """The name of the distribution."""
        return tr("drawn by hand") if self.shape == CUSTOM else shape(self.shape).title

    def tables(self) -> Tables:
        return _tables(self.schedule, self.forward)

    @property
    def law(self) -> tuple[Any, ...]:
        """All that p_t depends on, but for t."""
        points = self.memorised if self.reference == "points" else 0
        return self.modes, self.schedule, self.forward, points

    @property
    def followed(self) -> tuple[Any, ...]:
        """All that the exact guided score depends on, but for t."""
        return self.law, self.guide if self.guides else None

    def mixture(self) -> Mixture:
        """p_0."""
        return _denoiser(*self.law).mixture

    def denoiser(self) -> MixtureDenoiser:
        """The exact denoiser, without guidance."""
        return _denoiser(*self.law)

    @property
    def guides(self) -> bool:
        """Whether there is a class to be guided to: some component has it."""
        return self.guide.label != NO_LABEL and bool((self.mixture().classes == self.guide.label).any())

    def guided(self) -> ExactDenoiser:
        """The exact denoiser that moves the particles: with guidance, where a class is chosen."""
        return _guided(self.law, self.guide) if self.guides else self.denoiser()


@lru_cache(maxsize=4)
def _tables(schedule: AnySchedule, forward: AnyForwardProcess) -> Tables:
    return forward.tables(schedule.betas(T))


@lru_cache(maxsize=4)
def _denoiser(
    modes: Modes, schedule: AnySchedule, forward: AnyForwardProcess, points: int
) -> MixtureDenoiser:
    """That of the mixture, or of so many points drawn from it."""
    mixture, tables = mixture_of(modes), _tables(schedule, forward)
    if points == 0:
        return MixtureDenoiser(tables, mixture)
    drawn, chosen = mixture.at(1.0).labelled_sample(points, torch.Generator().manual_seed(0))
    return MemorisedPoints(tables, mixture_of_points(drawn, mixture.classes[chosen]))


@lru_cache(maxsize=4)
def _guided(law: tuple[Any, ...], guide: PlaneGuide) -> TiltedDenoiser:
    return TiltedDenoiser(_denoiser(*law), guide.label, guide.gamma)
