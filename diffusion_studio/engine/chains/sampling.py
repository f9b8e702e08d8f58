"""Sampling from a run, a model folder or the memorising denoiser."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from diffusion_studio.core.chain import ChainStep, Past, plan, reverse_chain
from diffusion_studio.core.denoisers.denoiser import NO_LABEL, ChunkedDenoiser, Denoiser
from diffusion_studio.core.denoisers.exact import MemorisingDenoiser, PosteriorClassifier
from diffusion_studio.core.describe import validated
from diffusion_studio.core.guidance.guidance import Classifier, MeanShift, Strength
from diffusion_studio.core.guidance.guides import Aids
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers.ddpm import NOT_LEARNED
from diffusion_studio.core.steps.inversion import InversionStep
from diffusion_studio.core.steps.update import Update
from diffusion_studio.data.imageset import ImageSet, to_model_range
from diffusion_studio.data.load import load
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.chains.first_state import exhausted, first_state
from diffusion_studio.engine.chains.sample_spec import NO_CLASS, SampleSpec
from diffusion_studio.engine.classifier.files import load_classifier
from diffusion_studio.engine.files.places import cache_dir
from diffusion_studio.engine.machine.devices import choose_precision
from diffusion_studio.engine.runs.checkpoints import checkpoint_step, list_checkpoints, problem_with
from diffusion_studio.engine.runs.config import DiffusionSpec
from diffusion_studio.engine.runs.model_io import LoadedModel, load_model
from diffusion_studio.engine.runs.pipeline_folder import is_pipeline
from diffusion_studio.engine.runs.run import Run, RunError, is_run

PIXELS_AT_ONCE = 256 * 32 * 32  # of a batch that goes through the network

MEMORISING = "memorising:"  # begins the name of the memorising denoiser of a data set

SourceKind = Literal["run", "folder", "memorising"]


@dataclass(frozen=True, eq=False)
class Source:
    """A denoiser with all that a person and a chain must know about it."""

    kind: SourceKind
    name: str
    denoiser: Denoiser
    resolution: int
    channels: int
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    step: int = 0  # of the checkpoint
    classifier: Classifier | None = None  # of its noisy images
    classifier_names: tuple[str, ...] = ()  # the classes that it tells apart
    checkpoints: Path | None = None  # where earlier states of the same network lie

    @property
    def tables(self) -> Tables:
        return self.denoiser.tables

    @property
    def classes(self) -> int:
        """Number of classes that can be asked for."""
        return len(self.class_names)

    @property
    def learns_variance(self) -> bool:
        """Whether its network was trained to say how much noise each pixel gets (iDDPM)."""
        return bool(getattr(self.denoiser, "learns_variance", False))

    def shape(self, count: int) -> tuple[int, int, int, int]:
        return (count, self.channels, self.resolution, self.resolution)


def open_source(path: Path, device: torch.device) -> Source:
    """The newest sound model of a run, one of its checkpoints, or a folder in diffusers' layout.

    Raises:
        Refused: nothing there that can be sampled; the message is a sentence for a person.
    """
    if is_run(path):
        run = Run.open(path)
        checkpoint, complaints = run.newest_checkpoint()
        return _with_classifier(_from_model(checkpoint, device, "run", run.name, complaints), run, device)
    if checkpoint_step(path) >= 0 and is_pipeline(path):
        problem = problem_with(path)
        if problem:
            raise RunError(problem)
        owner = path.parent.parent
        source = _from_model(path, device, "run", owner.name, ())
        return _with_classifier(source, Run.open(owner), device) if is_run(owner) else source
    if is_pipeline(path):
        return _from_model(path, device, "folder", path.name, ())
    if not path.exists():
        raise RunError(f"There is nothing at {path}.")
    raise RunError(f"{path} is neither a run nor a model folder (with unet/ and scheduler/).")


def _from_model(
    folder: Path, device: torch.device, kind: SourceKind, name: str, notes: tuple[str, ...]
) -> Source:
    model: LoadedModel = load_model(folder, device)
    precision = choose_precision("auto", device, model.resolution)
    model.denoiser.precision = precision
    step = max(checkpoint_step(folder), 0)
    return Source(
        kind, name, model.denoiser, model.resolution, model.channels, model.class_names, notes, step,
        checkpoints=folder.parent if kind == "run" else None,
    )  # fmt: skip


def _with_classifier(source: Source, run: Run, device: torch.device) -> Source:
    """The same with the classifier of its run; one that cannot be used is only noted."""
    try:
        found = load_classifier(run, device, source.tables)
    except Refused as error:
        return replace(source, notes=(*source.notes, str(error)))
    if found is None:
        return source
    return replace(source, classifier=found.classifier, classifier_names=found.card.class_names)


def open_named(name: str, device: torch.device) -> Source:
    """The denoiser that a name stands for: a path, or "memorising:" and a folder or the word digits.

    Raises:
        Refused: it cannot be opened; the message is a sentence for a person.
    """
    if not name.startswith(MEMORISING):
        return open_source(Path(name), device)
    images = load(validated(DataSpec, {"source": name.removeprefix(MEMORISING)}), cache_dir())
    return memorising_source(images, DiffusionSpec().tables(), device)


def earlier_checkpoint(source: Source, step: int) -> Path:
    """An earlier checkpoint of a source's network.

    Args:
        step: no younger than this; 0 for the earliest that is kept.

    Raises:
        Refused: there is none; the message is a sentence for a person.
    """
    kept = list_checkpoints(source.checkpoints) if source.checkpoints is not None else []
    earlier = [path for path in kept if checkpoint_step(path) < source.step]
    found = [path for path in earlier if checkpoint_step(path) <= step] if step else earlier[:1]
    if not found:
        before = f" at or before step {step}" if step else ""
        raise Refused(f"{source.name} keeps no checkpoint{before} that is earlier than the one in use.")
    return found[-1]


@lru_cache(maxsize=2)
def _opened_once(checkpoint: Path, device: torch.device) -> Source:
    return open_source(checkpoint, device)


def memorising_source(images: ImageSet, tables: Tables, device: torch.device) -> Source:
    """The exact denoiser of an image set: nothing to train, and it remembers every image."""
    pixels = torch.from_numpy(to_model_range(images.images)).to(device)
    exact = pixels.numel() <= 4_000_000 and device.type != "mps"  # float64 where it costs nothing
    values = pixels.to(torch.float64) if exact else pixels
    labels = torch.from_numpy(images.labels) if images.conditional_possible else None
    denoiser = MemorisingDenoiser(tables, values, labels)
    names = images.class_names if images.conditional_possible else ()
    classifier = PosteriorClassifier(denoiser, len(names)) if names else None
    return Source(
        "memorising", images.name, denoiser, images.resolution, images.channels, names,
        classifier=classifier, classifier_names=names,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a branch leaves its parent."""

    t: int
    before: int | None  # where the parent's step before began


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

    @cached_property
    def updates(self) -> list[Update]:
        """The update of every step.

        Raises:
            Refused: a step that the sampler cannot take (σ² > 1 − ᾱ_s), or a variance that the
                denoiser did not learn.
        """
        if self.spec.sampler.uses_learned_variance and not self.source.learns_variance:
            raise Refused(NOT_LEARNED.format(name=self.source.name))
        before = self.origin.before if self.origin is not None else None
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
                "Guidance that moves the mean of a step acts through the noise of the step, and this sampler "
                "adds none. Let it act on ε̂, or choose a sampler that adds noise."
            )

    def check(self) -> None:
        """Raises Refused, with a sentence, when this chain cannot be run."""
        self.labels()
        self.check_guide()
        _ = self.updates
        start = self.spec.start
        if start.kind == "noise" or self.origin is not None:
            return
        if not start.files:
            raise Refused("Choose an image first: the chain is to begin at one.")
        if start.kind == "interpolated" and len(start.files) != 2:
            raise Refused("Choose two images to go from one to the other.")

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
                raise Refused(f"{self.source.name} was trained without labels, so no class can be asked for.")
            return None
        for asked in (spec.label, *spec.guide.other_classes):
            if asked >= classes:
                raise Refused(
                    f"{self.source.name} has the classes 0 … {classes - 1}; there is no class {asked}."
                )
        if spec.guidance == 0 and spec.curve.kind == "constant" and not spec.guide.other_classes:
            return None
        if spec.label == NO_LABEL:
            return torch.arange(spec.count, device=self.device) % classes
        asked = NO_LABEL if spec.label == NO_CLASS else spec.label
        return torch.full((spec.count,), asked, device=self.device)

    @cached_property
    def noise(self) -> CounterNoise:
        return CounterNoise(self.spec.seed, self.device)

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
            earlier = self._in_chunks(_opened_once(self._earlier(), self.device).denoiser)
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

    def _in_chunks(self, denoiser: Denoiser) -> Denoiser:
        most = max(1, PIXELS_AT_ONCE // self.source.resolution**2)
        return denoiser if 4 * self.spec.count <= most else ChunkedDenoiser(denoiser, most)

    def _strength(self, t: int) -> float:
        return self.spec.gamma(t, self.source.tables.steps)

    @property
    def _aids(self) -> Aids:
        if self.spec.guide.needs == "classifier" and self.source.classifier is None:
            raise Refused(
                f"{self.source.name} has no classifier of noisy images yet; train one first, under "
                "Classifier on the Sample page or with diffusion-studio train-classifier RUN."
            )
        return Aids(self.source.classifier)

    @cached_property
    def shift(self) -> MeanShift | None:
        """What the guide does to the mean of each step.

        Raises:
            Refused: the guide lacks what it needs.
        """
        return self.shifted(self._strength)

    def starting(self) -> Generator[InversionStep, None, Tensor]:
        """The first state of every sample (n, C, H, W); yields the steps of an inversion on the way.

        Raises:
            Refused: an image that cannot be read.
        """
        x = yield from first_state(self)
        return x.contiguous(memory_format=torch.channels_last)

    def start(self) -> Tensor:
        """The first state of every sample. (n, C, H, W)"""
        return exhausted(self.starting())

    def steps(self, first: int = 0, x: Tensor | None = None, past: Past | None = None) -> Iterator[ChainStep]:
        """The reverse steps from number `first` on, beginning at state `x` (the first one when None).

        Args:
            past: what is known of the step before.
        """
        steps = reverse_chain(
            self.denoiser,
            self.spec.sampler,
            self.times,
            self.start() if x is None else x,
            self.noise.step,
            self.labels(),
            self.spec.clip,
            first,
            past,
            self.shift,
        )
        return inferred(steps)
