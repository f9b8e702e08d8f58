"""How few calls of the network make samples as good as fifty steps of DDIM do, for one model.

Samples of the same first noise go down chains of ever more steps, by a few rules each, until one of them
comes as near to the training images as fifty DDIM steps come. A second-order step in λ = ln(√ᾱ/√(1−ᾱ))
needs far fewer of them for the same path (DPM-Solver++, algorithm 2); how many, depends on the model.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.process.spacing import LogSNRSpacing, Spacing, TrailingSpacing
from diffusion_studio.core.samplers import DDIM, DPMSolver2M, Sampler
from diffusion_studio.core.samplers.multistep.unipc import UniPC
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import to_uint8
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.sample_spec import EVERY_CLASS, NO_CLASS
from diffusion_studio.engine.chains.starts import NoiseStart
from diffusion_studio.engine.runs.quality import QualitySpace

REFERENCE = 50  # DDIM steps that the others are measured by
CALLS = (3, 4, 5, 6, 8, 10, 12, 15, 20, 25)  # tried, one after the other


@dataclass(frozen=True)
class Rule:
    """A way down that asks the network once in each step."""

    name: str  # in files
    title: str  # for a person
    sampler: Sampler
    spacing: Spacing


RULES = (
    Rule("DDIM", "DDIM", DDIM(), TrailingSpacing()),
    Rule("DPM++ (2M)", "DPM++ (2M)", DPMSolver2M(), TrailingSpacing()),
    Rule("DPM++ (2M), even in log SNR", tr("DPM++ (2M), even in log SNR"), DPMSolver2M(), LogSNRSpacing()),
    Rule("UniPC, even in log SNR", tr("UniPC, even in log SNR"), UniPC(), LogSNRSpacing()),
)


@dataclass(frozen=True)
class Fare:
    """How the samples of one rule fare."""

    rule: str  # its name
    steps: int
    frechet: float  # root of the Fréchet distance to the training images


@dataclass(frozen=True)
class FewCalls:
    """What was measured so far, on so many samples of each."""

    count: int
    reference: Fare  # DDIM
    spread: float  # standard deviation of the distance of as many real images, over draws
    fares: tuple[Fare, ...] = ()

    @property
    def as_good(self) -> float:
        """The largest distance that is as good as the reference: one that it could have had by chance."""
        return self.reference.frechet + self.spread

    @property
    def best(self) -> Fare | None:
        """The nearest of those with the fewest calls that are as good as the reference, if any is."""
        good = [fare for fare in self.fares if fare.frechet <= self.as_good]
        return min(good, key=lambda fare: (fare.steps, fare.frechet), default=None)

    def with_fare(self, fare: Fare) -> FewCalls:
        return FewCalls(self.count, self.reference, self.spread, (*self.fares, fare))


def rule_of(fare: Fare) -> Rule | None:
    """The rule of that name; None where none has it any more."""
    return next((rule for rule in RULES if rule.name == fare.rule), None)


def title_of(fare: Fare) -> str:
    """What its rule is called for a person."""
    rule = rule_of(fare)
    return fare.rule if rule is None else rule.title


def few_calls(chain: Chain, space: QualitySpace, count: int) -> Iterator[FewCalls | None]:
    """Measures until some rule is as good, or all are tried; None for each step of the way.

    Args:
        chain: its denoiser, guidance and clipping are those of all that is measured.
        space: of the images that the model was trained on.
        count: samples of each rule.
    """
    total = chain.source.tables.steps
    samples = yield from _samples(chain, RULES[0], min(REFERENCE, total), count)
    quality = space.measure(samples)
    reference = Fare(RULES[0].name, min(REFERENCE, total), quality.frechet)
    found = FewCalls(count, reference, quality.real_frechet_spread)
    yield found
    for steps in CALLS:
        if found.best is not None or steps >= reference.steps:
            return
        for rule in RULES:
            samples = yield from _samples(chain, rule, steps, count)
            found = found.with_fare(Fare(rule.name, steps, space.frechet(samples)))
            yield found


def most_steps(total: int) -> int:
    """Steps of all chains that may be needed, with T = `total`."""
    reference = min(REFERENCE, total)
    return reference + len(RULES) * sum(steps for steps in CALLS if steps < reference)


def _samples(chain: Chain, rule: Rule, steps: int, count: int) -> Generator[None, None, NDArray[np.uint8]]:
    """Samples of one rule from the first noise of all of them. uint8 (count, C, H, W)"""
    label = NO_CLASS if chain.spec.label == NO_CLASS else EVERY_CLASS  # as the training images are
    changes = {
        "sampler": rule.sampler, "spacing": rule.spacing, "steps": steps, "count": count, "label": label,
        "start": NoiseStart(),
    }  # fmt: skip
    spec = chain.spec.model_copy(update=changes)
    for step in Chain(chain.source, spec, chain.device).steps():
        x = step.x_s
        yield None
    return to_uint8(chain.source.pictures(x.float()).cpu().numpy())
