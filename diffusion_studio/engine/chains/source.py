"""What a chain samples from: a run, one of its checkpoints, a model folder, or the memorising denoiser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from diffusion_studio.core.denoisers.denoiser import Denoiser
from diffusion_studio.core.denoisers.exact import MemorisingDenoiser, Memory, PosteriorClassifier, WholeMemory
from diffusion_studio.core.describe import validated
from diffusion_studio.core.devices import finest
from diffusion_studio.core.guidance.guidance import Classifier
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet, UInt8, to_model_range
from diffusion_studio.data.load import load
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.classifier.files import load_classifier
from diffusion_studio.engine.files.places import cache_dir
from diffusion_studio.engine.machine.devices import sampling_precision
from diffusion_studio.engine.runs.checkpoints import (
    STUDIO,
    checkpoint_step,
    list_checkpoints,
    problem_with,
    read_json,
)
from diffusion_studio.engine.runs.config import DiffusionSpec
from diffusion_studio.engine.runs.model_io import load_model
from diffusion_studio.engine.runs.pipeline_folder import is_pipeline, kind_named, lacks_network
from diffusion_studio.engine.runs.run import Run, is_run, owner_of
from diffusion_studio.engine.training.run_data import load_run_data
from diffusion_studio.models.code import Code

MEMORISING = "memorising:"  # begins the name of the memorising denoiser of a data set

AT_ONCE = 1 << 22  # numbers of a piece
FINE, WHOLE = 4_000_000, 1 << 27  # numbers up to which they are as fine as the device allows; are kept

SourceKind = Literal["run", "folder", "memorising"]


@dataclass(frozen=True, eq=False)
class Source:
    """A denoiser with all that a person and a chain must know about it."""

    kind: SourceKind
    name: str
    denoiser: Denoiser
    sides: tuple[int, int]  # height and width of its pictures
    channels: int
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    step: int = 0  # of the checkpoint
    classifier: Classifier | None = None  # of its noisy images
    classifier_names: tuple[str, ...] = ()  # the classes that it tells apart
    checkpoints: Path | None = None  # where earlier states of the same network lie
    code: Code | None = None  # of a diffusion of codes: between them and the pictures

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
        return self.denoiser.learns_variance

    def shape(self, count: int) -> tuple[int, int, int, int]:
        """Of so many states of a chain: pictures, or codes of them."""
        if self.code is None:
            return (count, self.channels, *self.sides)
        return (count, self.code.channels, *self.code.sides(self.sides))

    def states(self, pictures: Tensor) -> Tensor:
        """Pictures in [−1, 1] as states of a chain: themselves, or their codes. (n, C, H, W)"""
        return pictures if self.code is None else self.code.encode(pictures)

    def pictures(self, states: Tensor) -> Tensor:
        """The other way; what leaves [−1, 1] is not cut.

        Raises:
            Refused: values that are not numbers.
        """
        found = states if self.code is None else self.code.decode(states)
        if self.code is not None and not found.isfinite().all():
            raise Refused(
                tr(
                    "The autoencoder of {name} makes pictures whose values are not numbers: its weights are "
                    "damaged, or what standardises its codes is.",
                    name=self.name,
                )
            )
        return found


def open_named(name: str, device: torch.device) -> Source:
    """The denoiser that a name stands for: a path, or "memorising:" and a folder or the word digits.

    Raises:
        Refused: it cannot be opened; the message is a sentence for a person.
    """
    if not name.startswith(MEMORISING):
        return open_source(Path(name), device)
    images = load(memorised_data(name), cache_dir())
    return memorising_source(images, DiffusionSpec().tables(), device)


def open_source(path: Path, device: torch.device) -> Source:
    """The newest sound model of a run, one of its checkpoints, or a folder in diffusers' layout.

    Raises:
        Refused: nothing there that can be sampled; the message is a sentence for a person.
    """
    if is_run(path):
        source, complaints = Run.open(path).read_newest(lambda checkpoint: _from_run(checkpoint, device))
        return replace(source, notes=(*complaints, *source.notes))
    if not is_pipeline(path):
        if not path.exists():
            raise Refused(tr("There is nothing at {path}.", path=path))
        if path.is_file():
            raise Refused(
                tr(
                    "{path} is a file; a model is a folder (with unet/ and scheduler/, or a network alone).",
                    path=path,
                )
            )
        if lacks_network(path):
            raise Refused(tr("The network of {path} is missing: there is no unet/config.json.", path=path))
        named = kind_named(path)
        if named:
            raise Refused(
                tr(
                    "{path} is of the kind {named}; models whose network is a UNet2DModel can be opened.",
                    path=path,
                    named=named,
                )
            )
        raise Refused(
            tr(
                "{path} is neither a run nor a model folder (with unet/ and scheduler/, or a network alone).",
                path=path,
            )
        )
    if checkpoint_step(path) < 0:
        return _from_model(path, device)
    problem = problem_with(path)
    if problem:
        raise Refused(problem)
    return _from_run(path, device) if owner_of(path) else _from_model(path, device)


def _from_model(folder: Path, device: torch.device) -> Source:
    model = load_model(folder, device)
    step = checkpoint_step(folder)
    source = Source(
        "folder", folder.name, model.denoiser, model.sides, model.channels, model.class_names,
        model.notes, step=max(step, 0), checkpoints=folder.parent if step >= 0 else None, code=model.code,
    )  # fmt: skip
    model.denoiser.network.precision = sampling_precision(device, min(source.shape(1)[2:]))
    return source


def _from_run(checkpoint: Path, device: torch.device) -> Source:
    """A checkpoint with the classifier of its run; one that cannot be used is only noted."""
    run = Run.owning(checkpoint)
    source = replace(_from_model(checkpoint, device), kind="run", name=run.name, notes=())
    try:
        found = load_classifier(run, device, source.tables)
    except Refused as error:
        return replace(source, notes=(str(error),))
    if found is None:
        return source
    return replace(source, classifier=found.classifier, classifier_names=found.card.class_names)


def memorised_data(name: str) -> DataSpec:
    """The data set that the name of a memorising denoiser speaks of.

    Raises:
        Refused: it names none; the message is a sentence for a person.
    """
    source = name.removeprefix(MEMORISING)
    if not source.strip():
        raise Refused(
            tr(
                "{memorising} needs the images behind it, a folder or the word digits: {memorising}digits.",
                memorising=MEMORISING,
            )
        )
    return validated(DataSpec, {"source": source})


def memorising_source(images: ImageSet, tables: Tables, device: torch.device) -> Source:
    """The exact denoiser of an image set: nothing to train, and it remembers every image."""
    labels = torch.from_numpy(images.labels) if images.conditional_possible else None
    denoiser = MemorisingDenoiser(tables, memory_of(images.images, device), labels)
    names = images.class_names if images.conditional_possible else ()
    classifier = PosteriorClassifier(denoiser, len(names)) if names else None
    return Source(
        "memorising", images.name, denoiser, (images.resolution, images.resolution), images.channels, names,
        classifier=classifier, classifier_names=names,
    )  # fmt: skip


def pieces(images: UInt8) -> Iterator[Tensor]:
    """All images in their order, in [−1, 1]. (n, C, H, W) each"""
    at_once = max(1, AT_ONCE // max(images[0].size, 1))
    for start in range(0, len(images), at_once):
        yield torch.from_numpy(to_model_range(images[start : start + at_once]))


class ImageMemory:
    """Images that are converted whenever they are gone through.

    Args:
        images: uint8 (N, C, H, W), also a map.
        states: pictures as states of a chain, (n, C, H, W); None: they are themselves.
    """

    dtype = torch.float32

    def __init__(
        self, images: UInt8, device: torch.device, states: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self._images, self.device, self._states = images, device, states

    def __len__(self) -> int:
        return len(self._images)

    def pieces(self) -> Iterator[Tensor]:
        for pictures in pieces(self._images):
            found = pictures if self._states is None else self._states(pictures)
            yield found.to(self.device).flatten(1)


def memory_of(images: UInt8, device: torch.device) -> Memory:
    """What a memorising denoiser remembers: numbers in memory where they have room, else pieces."""
    size = len(images) * images[0].size
    if size > WHOLE:
        return ImageMemory(images, device)
    values = torch.from_numpy(to_model_range(images)).to(device)
    return WholeMemory(values.to(finest(device)) if size <= FINE else values)


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
        if not step:
            raise Refused(
                tr("{source} keeps no checkpoint that is earlier than the one in use.", source=source.name)
            )
        raise Refused(
            tr(
                "{source} keeps no checkpoint at or before step {step:,} that is earlier than the one in "
                "use.",
                source=source.name,
                step=step,
            )
        )
    return found[-1]


@lru_cache(maxsize=2)
def opened_once(checkpoint: Path, device: torch.device) -> Source:
    """`open_source`, which remembers the last two: each chain that one guides asks for it again."""
    return open_source(checkpoint, device)


def class_names_of(name: str) -> tuple[str, ...]:
    """The names of the classes of what `open_named` takes, read without opening a network.

    Raises:
        Refused: it cannot be opened; the message is a sentence for a person.
    """
    if name.startswith(MEMORISING):
        return load(memorised_data(name), cache_dir()).class_names
    path = Path(name)
    if owner_of(path) is not None:
        return Run.owning(path).class_names
    studio = read_json(path, STUDIO) if (path / STUDIO).is_file() else {}
    found = studio.get("class_names") if isinstance(studio, dict) else None
    return tuple(map(str, found)) if isinstance(found, list) else ()


def training_images(name: str) -> ImageSet:
    """The images that a denoiser was trained on, by the name that it is opened with.

    Raises:
        Refused: they are not known, or not there any more.
    """
    if name.startswith(MEMORISING):
        return load(memorised_data(name), cache_dir())
    data = load_run_data(Run.owning(Path(name)))
    return data.images.some(data.trained) if len(data.apart) else data.images
