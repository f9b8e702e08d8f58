"""Sampling from a run, a model folder or the memorising denoiser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from diffusion_studio.core.chain import ChainStep, reverse_chain
from diffusion_studio.core.denoisers import NO_LABEL, ChunkedDenoiser, Denoiser
from diffusion_studio.core.exact import MemorisingDenoiser
from diffusion_studio.core.guidance import GuidedDenoiser
from diffusion_studio.core.noise import CounterNoise
from diffusion_studio.core.tables import Tables
from diffusion_studio.data.imageset import ImageSet, to_model_range
from diffusion_studio.engine.checkpoints import checkpoint_step, problem_with
from diffusion_studio.engine.config import SampleSpec
from diffusion_studio.engine.devices import choose_precision
from diffusion_studio.engine.model_io import LoadedModel, is_pipeline, load_model
from diffusion_studio.engine.run import Run, RunError, is_run

PIXELS_AT_ONCE = 256 * 32 * 32  # of a batch that goes through the network

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

    @property
    def tables(self) -> Tables:
        return self.denoiser.tables

    @property
    def classes(self) -> int:
        """Number of classes that can be asked for."""
        return len(self.class_names)

    def shape(self, count: int) -> tuple[int, int, int, int]:
        return (count, self.channels, self.resolution, self.resolution)


def open_source(path: Path, device: torch.device) -> Source:
    """The newest sound model of a run, one of its checkpoints, or a folder in diffusers' layout.

    Raises:
        ValueError: nothing there that can be sampled; the message is a sentence for a person.
    """
    if is_run(path):
        run = Run.open(path)
        checkpoint, complaints = run.newest_checkpoint()
        return _from_model(checkpoint, device, "run", run.name, complaints)
    if checkpoint_step(path) >= 0 and is_pipeline(path):
        problem = problem_with(path)
        if problem:
            raise RunError(problem)
        return _from_model(path, device, "run", path.parent.parent.name, ())
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
        kind, name, model.denoiser, model.resolution, model.channels, model.class_names, notes, step
    )


def memorising_source(images: ImageSet, tables: Tables, device: torch.device) -> Source:
    """The exact denoiser of an image set: nothing to train, and it remembers every image."""
    pixels = torch.from_numpy(to_model_range(images.images)).to(device)
    exact = pixels.numel() <= 4_000_000 and device.type != "mps"  # float64 where it costs nothing
    values = pixels.to(torch.float64) if exact else pixels
    labels = torch.from_numpy(images.labels) if images.conditional_possible else None
    denoiser = MemorisingDenoiser(tables, values, labels)
    names = images.class_names if images.conditional_possible else ()
    return Source("memorising", images.name, denoiser, images.resolution, images.channels, names)


@dataclass(frozen=True, eq=False)
class Chain:
    """One reverse chain, ready to run: x_T, labels, noise and times all fixed by the spec."""

    source: Source
    spec: SampleSpec
    device: torch.device

    @property
    def times(self) -> tuple[int, ...]:
        """Visited times, from noise to image. (S+1,)

        Raises:
            ValueError: more steps than T.
        """
        return self.spec.times(self.source.tables.steps)

    def labels(self) -> Tensor | None:
        """The class asked of each sample, int64 (n,): all classes in turn when the spec names none.

        None for a model without classes, and at γ = 0, which ignores them.

        Raises:
            ValueError: a class that the model does not know.
        """
        if not self.source.classes:
            if self.spec.label != NO_LABEL:
                raise ValueError(
                    f"{self.source.name} was trained without labels, so no class can be asked for."
                )
            return None
        if self.spec.guidance == 0:
            return None
        if self.spec.label >= self.source.classes:
            last = self.source.classes - 1
            raise ValueError(
                f"{self.source.name} has the classes 0 … {last}; there is no class {self.spec.label}."
            )
        if self.spec.label == NO_LABEL:
            return torch.arange(self.spec.count, device=self.device) % self.source.classes
        return torch.full((self.spec.count,), self.spec.label, device=self.device)

    def _largest_batch(self) -> int:
        """Images that go through the network at once, so that memory stays bounded."""
        return max(1, PIXELS_AT_ONCE // self.source.resolution**2)

    def start(self) -> Tensor:
        """x_T of every sample. (n, C, H, W)"""
        x = CounterNoise(self.spec.seed).start(self.source.shape(self.spec.count), self.device)
        return x.contiguous(memory_format=torch.channels_last)

    def steps(self, first: int = 0, x: Tensor | None = None) -> Iterator[ChainStep]:
        """The reverse steps from number `first` on, beginning at state `x` (x_T when None)."""
        noise = CounterNoise(self.spec.seed)
        labels = self.labels()
        denoiser: Denoiser = ChunkedDenoiser(self.source.denoiser, self._largest_batch())
        if labels is not None:
            denoiser = GuidedDenoiser(denoiser, self.spec.guidance)
        return reverse_chain(
            denoiser,
            self.spec.sampler,
            self.times,
            self.start() if x is None else x,
            lambda t, shape: noise.step(t, shape, self.device),
            labels,
            self.spec.clip,
            first,
        )
