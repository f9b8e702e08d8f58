"""One reverse chain: a spec tied to a denoiser and a device, with times, noise and updates fixed."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from diffusion_studio.core.chain import ChainStep, plan, remembered, reverse_chain
from diffusion_studio.core.denoisers.denoiser import NO_LABEL, ChunkedDenoiser, Denoiser
from diffusion_studio.core.guidance.guidance import MeanShift, Strength
from diffusion_studio.core.guidance.guides import Aids
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers.base import Past
from diffusion_studio.core.samplers.ddpm import NOT_LEARNED
from diffusion_studio.core.steps.clipping import Clipping, Unclipped
from diffusion_studio.core.steps.inversion import InversionStep
from diffusion_studio.core.steps.update import Update
from diffusion_studio.core.words import tr
from diffusion_studio.engine.chains.first_state import exhausted, images_of
from diffusion_studio.engine.chains.sample_spec import EVERY_CLASS, NO_CLASS, SampleSpec
from diffusion_studio.engine.chains.source import Source, earlier_checkpoint, opened_once

PIXELS_AT_ONCE = 256 * 32 * 32  # of a batch that goes through the network
NOT_NUMBERS = tr(
    "The chain of {name} ran into values that are not numbers at t = {t}: its weights are damaged, or its "
    "steps are too large for the sampler."
)


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a branch leaves its parent."""

    t: int
    before: tuple[int, ...] = ()  # where the steps began that the parent remembers there, the nearest first


def inferred(steps: Iterator[ChainStep]) -> Iterator[ChainStep]:
    """The same steps in torch's inference mode, which is left before anything else runs."""
    while True:
        with torch.inference_mode():
            step = next(steps, None)
        if step is None:
            return
        yield step


@dataclass(frozen=True, eq=False)
class Chain:
    """One reverse chain, ready to run: x_T, labels, noise and times all fixed by the spec.

    Args:
        origin: for a branch, the state of its parent at which it begins.
        only: visit these times alone (decreasing, from the first one on); for a rough picture.
    """

    source: Source
    spec: SampleSpec
    device: torch.device
    origin: Origin | None = None
    only: tuple[int, ...] = ()

    @cached_property
    def times(self) -> tuple[int, ...]:
        """Visited times, from noise to image. (S+1,)

        Raises:
            Refused: more steps than T, or a time beyond it.
        """
        if self.only:
            return self.only
        times = self.spec.times(self.source.tables)
        if self.origin is None:
            return times
        return (self.origin.t, *(t for t in times if t < self.origin.t))

    def origin_at(self, k: int) -> Origin:
        """Where a branch begins that leaves this chain at its own state k."""
        before = () if self.origin is None else self.origin.before
        if k == 0:
            return Origin(self.times[0], before)
        return Origin(self.times[k], remembered(self.spec.sampler, self.times, k, before))

    @cached_property
    def updates(self) -> list[Update]:
        """The update of every step.

        Raises:
            Refused: a step that the sampler cannot take (σ² > 1 − ᾱ_s), or a variance that the
                denoiser did not learn.
        """
        if self.spec.sampler.uses_learned_variance and not self.source.learns_variance:
            raise Refused(NOT_LEARNED.format(name=self.source.name))
        before = () if self.origin is None else self.origin.before
        updates = plan(self.source.tables, self.spec.sampler, self.times, before)
        if self.shift is None:
            return updates
        return [self.shift.shown(update, t) for update, t in zip(updates, self.times, strict=False)]

    def check_guide(self) -> None:
        """Raises Refused, with a sentence, when the guide lacks what it needs."""
        if self.spec.guide.needs == "earlier":
            self._earlier()
        if self.shift is not None and not any(update.sigma for update in self.updates):
            raise Refused(
                tr(
                    "Guidance that moves the mean of a step acts through the noise of the step, and this "
                    "sampler adds none. Let it act on ε̂, or choose a sampler that adds noise."
                )
            )

    def check(self) -> None:
        """Raises Refused, with a sentence, when this chain cannot be run."""
        self.labels()
        self.check_guide()
        _ = self.updates
        if self.origin is None:
            self.spec.start.check()

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that can be asked for: the denoiser's, or those of the classifier that guides it."""
        if self.spec.guide.needs == "classifier":
            return self.source.classifier_names
        return self.source.class_names

    def labels(self) -> Tensor | None:
        """The class asked of each sample, int64 (n,): all classes in turn when the spec names none.

        None without classes, and where γ = 0 throughout, which ignores them; −1 for no class.

        Raises:
            Refused: a class that is not known.
        """
        classes, spec = len(self.class_names), self.spec
        if not classes:
            if spec.label >= 0:
                raise Refused(
                    tr(
                        "{source} was trained without labels, so no class can be asked for.",
                        source=self.source.name,
                    )
                )
            return None
        for asked in (spec.label, *spec.guide.other_classes):
            if asked >= classes:
                raise Refused(
                    tr(
                        "{source} has the classes 0 … {last}; there is no class {asked}.",
                        source=self.source.name,
                        last=classes - 1,
                        asked=asked,
                    )
                )
        if spec.guidance == 0 and spec.curve.kind == "constant" and not spec.guide.other_classes:
            return None
        if spec.label == EVERY_CLASS:
            return torch.arange(spec.count, device=self.device) % classes
        asked = NO_LABEL if spec.label == NO_CLASS else spec.label
        return torch.full((spec.count,), asked, device=self.device)

    @cached_property
    def noise(self) -> CounterNoise:
        return CounterNoise(self.spec.seed, self.device)

    @property
    def clip(self) -> Clipping:
        """What is done to estimates; codes have no range that they could leave."""
        return self.spec.clip if self.source.code is None else Unclipped()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, C, H, W)"""
        return self.source.shape(self.spec.count)

    @cached_property
    def denoiser(self) -> Denoiser:
        """The source's denoiser with guidance, asked about a bounded number of images at a time.

        Raises:
            Refused: the guide lacks what it needs.
        """
        return self.guided(self._strength)

    def guided(self, strength: Strength) -> Denoiser:
        """The same with any other strength, one for each sample too."""
        base, guide = self._in_chunks(self.source.denoiser), self.spec.guide
        if guide.needs == "labels" and self.labels() is None:
            return base
        aids = self._aids
        if guide.needs == "earlier":
            earlier = self._in_chunks(opened_once(self._earlier(), self.device).denoiser)
            aids = replace(aids, earlier=earlier)
        return guide.denoiser(base, strength, aids)

    def shifted(self, strength: Strength) -> MeanShift | None:
        """What the guide does to the mean of each step, with any other strength."""
        return self.spec.guide.shift(strength, self._aids)

    def _earlier(self) -> Path:
        return earlier_checkpoint(self.source, self.spec.guide.earlier_step)

    @cached_property
    def is_guided(self) -> bool:
        """Whether any step tells a guided estimate from one without guidance."""
        if self.labels() is None and self.spec.guide.needs != "earlier":
            return False
        return any(self._strength(t) not in self.spec.guide.idle for t in self.times[:-1])

    def knows_unguided(self, t: int) -> bool:
        """Whether the step from t tells x̂_0 at γ = 0: where γ_t is 1, only the half that counts is asked."""
        gamma, guide = self._strength(t), self.spec.guide
        nothing = self.labels() is None and guide.needs != "earlier"
        return nothing or gamma == 0 or gamma not in guide.idle

    def _in_chunks(self, denoiser: Denoiser) -> Denoiser:
        most = max(1, PIXELS_AT_ONCE // math.prod(self.shape[2:]))
        return denoiser if 4 * self.spec.count <= most else ChunkedDenoiser(denoiser, most)

    def _strength(self, t: int) -> float:
        return self.spec.gamma(t, self.source.tables.steps)

    @property
    def _aids(self) -> Aids:
        if self.spec.guide.needs == "classifier" and self.source.classifier is None:
            raise Refused(
                tr(
                    "{source} has no classifier of noisy images yet; train one first, under Classifier on "
                    "the Sample page or with diffusion-studio train-classifier RUN.",
                    source=self.source.name,
                )
            )
        return Aids(self.source.classifier)

    @cached_property
    def shift(self) -> MeanShift | None:
        """What the guide does to the mean of each step.

        Raises:
            Refused: the guide lacks what it needs.
        """
        return self.shifted(self._strength)

    @cached_property
    def given(self) -> Tensor | None:
        """The images that a person brought, one for each sample, in turn; None without. (n, C, H, W)

        Raises:
            Refused: an image that cannot be read.
        """
        return images_of(self, self.spec.count) if self.spec.start.files else None

    def starting(self) -> Generator[InversionStep, None, Tensor]:
        """The first state of every sample (n, C, H, W); yields the steps of an inversion on the way.

        Raises:
            Refused: an image that cannot be read.
        """
        _ = self.given  # encoded by whoever computes the chain, and not by who looks at it
        x = yield from self.spec.start.first(self)
        return x.contiguous(memory_format=torch.channels_last)

    def start(self) -> Tensor:
        """The first state of every sample. (n, C, H, W)"""
        return exhausted(self.starting())

    def steps(self, first: int = 0, x: Tensor | None = None, past: Past | None = None) -> Iterator[ChainStep]:
        """The reverse steps from number `first` on, beginning at state `x` (the first one when None).

        Args:
            past: what is known of the steps before.
        """
        steps = reverse_chain(
            self.denoiser,
            self.spec.sampler,
            self.times,
            self.start() if x is None else x,
            self.noise.step,
            self.labels(),
            self.clip,
            first,
            past,
            self.shift,
        )
        return inferred(steps)
