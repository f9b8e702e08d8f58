"""A run whose folder of images lies somewhere else now: pointed to, and proved to be the same images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet, fingerprint_of, printable
from diffusion_studio.data.spec import DIGITS, DataSpec
from diffusion_studio.engine.files.places import at_home, is_folder
from diffusion_studio.engine.runs.config import TrainingConfig
from diffusion_studio.engine.runs.run import Run, RunError

K = TypeVar("K", bound=TrainingConfig)


def source_of(name: str) -> str:
    """What a config calls images that a person names: the word digits, or the full path of a folder."""
    return name if name == DIGITS else str(at_home(name).absolute())


def with_images_at(run: Run[K], name: str | None) -> Run[K]:
    """A run whose images lie where `name` says; nothing of it is written.

    A link to the folder, or another way to write its name, is the same place.
    """
    data = _data(run.config)
    if name is None or is_same_place(source_of(name), data.source):
        return run
    moved = data.model_copy(update={"source": source_of(name)})
    return replace(run, config=run.config.model_copy(update={"data": moved}))


def _data(config: TrainingConfig) -> DataSpec:
    """The data of a training of whatever kind."""
    data: DataSpec = getattr(config, "data")  # noqa: B009 - every kind that is about images has it
    return data


def is_same_place(one: str, other: str) -> bool:
    """Whether two names mean the same folder, or both the digits."""
    if one == other or DIGITS in (one, other):
        return one == other
    try:
        return Path(one).samefile(other)
    except OSError:  # one of them is not there
        return False


def images_gone(run: Run[Any]) -> bool:
    """Whether the folder of a run's images is not where it was."""
    source = _data(run.config).source
    return source != DIGITS and not is_folder(Path(source))


def is_elsewhere(run: Run[Any]) -> bool:
    """Whether a run is told that its images lie elsewhere than its folder says."""
    written = Run.open_as(run.path, type(run.config)).config
    return bool(written.data.source != run.config.data.source)


def check_same(run: Run[Any], images: ImageSet) -> None:
    """Raises RunError where not all the images that a run began with are there, pixel by pixel."""
    known = run.manifest.get("fingerprint")
    if known == images.fingerprint:
        return
    labels = {str(entry.get("file")): entry.get("label") for entry in listed_images(run)}
    if not labels or not isinstance(known, str):
        raise RunError(
            tr(
                "The data.json of {run} cannot be read, so whether {source} holds its images cannot be told.",
                run=run.name,
                source=images.source,
            )
        )
    place = {printable(file): number for number, file in enumerate(images.files)}
    found = {file: images.label_name(place[file]) for file in labels if file in place}
    missing = [file for file in labels if file not in found]
    changed = [file for file, name in found.items() if labels[file] != (name and printable(name))]
    refusal = tr(
        "{source} does not hold the images that {run} was trained on", source=images.source, run=run.name
    )
    for files, what in ((missing, tr("are not there")), (changed, tr("have another class"))):
        if files:
            raise RunError(
                tr(
                    "{refusal}: {count} of {all} {what}, first {file}.",
                    refusal=refusal,
                    count=len(files),
                    all=len(labels),
                    what=what,
                    file=files[0],
                )
            )
    if known != _fingerprint(run, images, [place[file] for file in labels]):
        raise RunError(
            tr("{refusal}: files of these names are there, but their pixels are others.", refusal=refusal)
        )


def _fingerprint(run: Run[Any], images: ImageSet, numbers: list[int]) -> str:
    """That of some of the images, as if they were all, with the classes in the order of the run."""
    order = {name: number for number, name in enumerate(run.class_names)}
    names = (images.label_name(number) for number in numbers)
    labels = np.array([-1 if name is None else order.get(printable(name), -1) for name in names], np.int64)
    return fingerprint_of(images.images, labels, run.class_names, np.array(numbers))


def listed_images(run: Run[Any]) -> list[dict[str, Any]]:
    """What data.json says of each image that a run began with; nothing where it cannot be read."""
    listed = run.manifest.get("images")
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
