"""One reverse chain, completely described but for its denoiser."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from diffusion_studio.core.describe import Choice, knob
from diffusion_studio.core.guidance.guides import (
    AnyGuidanceCurve,
    AnyGuide,
    ClassifierFree,
    ConstantGuidance,
)
from diffusion_studio.core.process.spacing import AnySpacing, TrailingSpacing, halved
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.samplers import DDIM, AnySampler
from diffusion_studio.core.steps.clipping import AnyClipping, Clip, as_clipping
from diffusion_studio.core.words import tr, trc
from diffusion_studio.engine.chains.starts import AnyStart, NoiseStart

EVERY_CLASS, NO_CLASS = -1, -2  # of `label`: all of them in turn; no class is asked for


class SampleSpec(Choice):
    """One reverse chain, completely described but for its denoiser."""

    sampler: AnySampler = knob(DDIM(), title=tr("sampler"), help=tr("The rule of each reverse step."))
    steps: int = knob(
        50, title=tr("steps"), symbol="S", ge=1, le=4000, scale="log",
        help=tr("Reverse steps from noise to image; most samplers call the network once in each."),
        source="Stratos §3.3",
    )  # fmt: skip
    spacing: AnySpacing = knob(
        TrailingSpacing(), title=tr("times"), symbol="τ", help=tr("Which of the T times the chain visits.")
    )
    start: AnyStart = knob(NoiseStart(), title=tr("begins at"), help=tr("The first state of the chain."))
    count: int = knob(
        16, title=tr("images"), ge=1, le=4096, scale="log", help=tr("How many chains run side by side.")
    )
    label: int = knob(
        EVERY_CLASS, title=tr("class"), symbol="y", ge=-2, le=100_000,
        words={EVERY_CLASS: tr("all in turn"), NO_CLASS: trc("class", "none")},
        help=tr("The class that is asked for; −1 asks for all of them in turn, −2 for none."),
        source="Luo eq. 162",
    )  # fmt: skip
    guidance: float = knob(
        1.0, title=tr("guidance"), symbol="γ", ge=0, le=20,
        help=tr("0 ignores the class, 1 is the plain conditional model, more exaggerates the class. Two "
             "conventions are in use: Ho & Salimans' w is γ − 1, most programs' guidance scale is γ."),
        formula=r"\hat\varepsilon = \gamma\,\hat\varepsilon(x_t,y)"
                r" + (1-\gamma)\,\hat\varepsilon(x_t,\varnothing)",
        source="Luo eq. 170",
    )  # fmt: skip
    guide: AnyGuide = knob(ClassifierFree(), title=tr("guide"), help=tr("What pushes towards the class."))
    curve: AnyGuidanceCurve = knob(
        ConstantGuidance(), title=tr("γ over the chain"), symbol="γ_t", advanced=True,
        help=tr("How strongly guidance acts at each t."),
    )  # fmt: skip
    clip: Annotated[AnyClipping, BeforeValidator(as_clipping)] = knob(
        Clip(), title=tr("clip estimate"), symbol="x̂₀", advanced=True,
        help=tr("What is done to an estimate of the image that leaves the range of pixels."),
    )  # fmt: skip
    seed: int = knob(0, title=tr("seed"), ge=0, le=2**31 - 1, help=tr("Same seed, same noise, same image."))

    def gamma(self, t: int, steps: int) -> float:
        """γ_t of a chain of T = `steps`."""
        gamma: float = self.curve.at(self.guidance, t / steps)
        return gamma

    def times(self, tables: Tables) -> tuple[int, ...]:
        """The visited times, from noise to image; from where images are carried to, if chains begin there.

        An image that is inverted takes finer steps at the end, unless the times are a list given by hand, or
        the sampler was drawn over those that there were.

        Raises:
            Refused: more steps than T, or a time beyond it.
        """
        times = self.spacing.times(tables, self.steps)
        if self.start.is_inverted and not (self.spacing.is_given or self.sampler.is_drawn):
            times = halved(times)
        if self.start.height == 1:
            return times
        first = max(1, round(self.start.height * tables.steps))
        return (first, *(t for t in times if t < first))
