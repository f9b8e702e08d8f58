"""The images of a run as the run knows them: its classes in its order, and the same images kept apart.

Which images are kept apart is drawn once, when the run begins, and belongs to their names: `data.json` keeps
it. So an image that was trained on never counts as held out, whatever is deleted or added later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from numpy.typing import NDArray

import diffusion_studio
from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import DataError
from diffusion_studio.data.imageset import ImageSet, first_alike, printable
from diffusion_studio.data.load import load
from diffusion_studio.data.spec import DIGITS, DataSpec
from diffusion_studio.engine.files.places import cache_dir, is_folder
from diffusion_studio.engine.machine.ranks import RankError, Ranks
from diffusion_studio.engine.runs.config import RunConfig, TrainingConfig
from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.engine.training.moved import check_same, is_elsewhere, listed_images, with_images_at

_SPLIT = 13  # stream of the counter

VERSIONS = [diffusion_studio.__version__, str(torch.__version__)]  # a batch is the same for the same ones

Numbers = NDArray[np.int64]
Reading = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class RunData:
    """The images that a run is about, as they lie there now.

    Args:
        trained: numbers of the images that it trains on, increasing. (N,)
        apart: of those that it never saw, increasing. (M,)
        notes: what changed since it began, in sentences.
    """

    images: ImageSet
    trained: Numbers
    apart: Numbers
    notes: tuple[str, ...] = ()


def images_of(
    data: DataSpec, multiple: int, reading: Reading | None, cancelled: Callable[[], bool] | None,
    known: Callable[[ImageSet], None] | None = None,
) -> ImageSet:  # fmt: skip
    """The images of a new run; their side, where nobody asked for one, is a multiple of a number.

    Args:
        known: as in `load`, of images of that side.
    """

    def fitting(images: ImageSet) -> None:
        if known is not None and (data.resolution or images.resolution % multiple == 0):
            known(images)

    images = load(data, cache_dir(), reading, cancelled, known=fitting if known else None)
    side = images.resolution // multiple * multiple
    if data.resolution or side in (0, images.resolution):
        return images
    smaller = data.model_copy(update={"resolution": side})
    return load(smaller, cache_dir(), reading, cancelled, known=known)


def split(count: int, held_out: float, seed: int) -> tuple[Numbers, Numbers]:
    """The numbers of the images that are trained on, and of those that are kept apart, both increasing."""
    kept = min(round(held_out * count), count - 1)
    philox = np.random.Philox(counter=[0, 0, 0, _SPLIT], key=seed)
    order = np.random.Generator(philox).permutation(count)
    return np.sort(order[kept:]), np.sort(order[:kept])


def kept_apart(images: ImageSet, held_out: float, seed: int) -> tuple[Numbers, Numbers]:
    """As `split`, but what has the same pixels as an image that is trained on is trained on as well."""
    trained, apart = split(images.count, held_out, seed)
    first = first_alike(images.images) if len(apart) else np.arange(images.count)
    known = np.isin(first[apart], first[trained])
    return np.sort(np.concatenate([trained, apart[known]])), apart[~known]


def manifest_of(images: ImageSet, apart: Numbers) -> dict[str, Any]:
    """What data.json says of the images of a new run."""
    manifest = images.manifest()
    for number in apart.tolist():
        manifest["images"][number]["apart"] = True
    return manifest


def load_run_data(
    run: Run[Any], reading: Reading | None = None, cancelled: Callable[[], bool] | None = None
) -> RunData:
    """The images of a run. If it is told that they lie elsewhere than when it began, they must be the same.

    Raises:
        Cancelled: `cancelled()` became true.
        RunError: they have classes that the run does not know, all that it trained on are gone, or they are
            others than those that it began with, in another place.
        DataError: there are none.
    """
    now = _loaded(run, reading, cancelled)
    if is_elsewhere(run):
        check_same(run, now)
    images = _with_classes_of(run, now)
    trained, apart = _split_of(run, images)
    if not len(trained):
        raise RunError(
            tr(
                "None of the images that {run} trains on lies in {source} any more.",
                run=run.name,
                source=images.source,
            )
        )
    return RunData(images, trained, apart, _changes(run, now))


def agree(ranks: Ranks, config: RunConfig, images: ImageSet) -> None:
    """The first of several processes lets all of them read the same images, before it makes anything.

    Raises:
        RankError: one of them cannot, or reads others; all of them raise the same.
    """
    if ranks.count == 1:
        return
    ranks.rows(config.training.batch_size)
    ranks.tell(
        {"versions": VERSIONS, "config": config.model_dump(mode="json"), "classes": [*images.class_names]}
    )
    ranks.gathered(None)  # until then the first process of every machine has read them
    check_alike(ranks, images)


def check_alike(ranks: Ranks, images: ImageSet | None, trouble: str = "") -> None:
    """Each of several processes says what it reads, or its `trouble` with that.

    Raises:
        RankError: it is not the same for all.
    """
    mine = {"versions": VERSIONS, "trouble": trouble, "images": images.fingerprint if images else ""}
    first, *others = ranks.gathered(mine)
    for number, said in enumerate(others, start=2):
        which = f"Process {number} of {ranks.count}"
        if said["versions"] != first["versions"]:
            ours, theirs = (" with torch ".join(each["versions"]) for each in (first, said))
            raise RankError(
                f"{which} runs Diffusion Studio {theirs}, the first one {ours}: install the same for all."
            )
        if said["trouble"]:
            raise RankError(f"{which}: {said['trouble']}")
        if said["images"] != first["images"]:
            raise RankError(f"{which} reads other images than the first one: give all the same folder.")


def point_to(path: Path, folder: str, cancelled: Callable[[], bool] | None = None) -> None:
    """Writes into a run where its images lie now, once they are proved to be the same.

    Raises:
        Cancelled: `cancelled()` became true.
        RunError: they are others, or the run is being trained.
        DataError: there are none.
    """
    run = with_images_at(Run.open_as(path, TrainingConfig), folder)
    load_run_data(run, None, cancelled)
    try:
        with run.lock():
            run.update_config()
    except filelock.Timeout:
        raise RunError(tr("{run} is being trained; stop it first.", run=run.name)) from None


def _loaded(
    run: Run[Any], reading: Reading | None, cancelled: Callable[[], bool] | None
) -> ImageSet:  # fmt: skip
    source = run.config.data.source
    try:
        return load(run.config.data, cache_dir(), reading, cancelled)
    except DataError as error:
        if source == DIGITS or is_folder(Path(source)):
            raise
        raise DataError(
            tr(
                "{error} If the images of {run} were moved, --data on the command line says where they "
                "are, or “Choose the folder …” in the window.",
                error=error,
                run=run.name,
            )
        ) from None


def _with_classes_of(run: Run[Any], images: ImageSet) -> ImageSet:
    """The images with the classes in the order of the run, where its network knows them."""
    now = tuple(printable(name) for name in images.class_names)
    known = run.class_names
    if not known or known == now or not run.config.knows_classes:
        return images
    if set(now) != set(known):
        raise RunError(
            tr(
                "{run} was trained on the classes {known}, but {source} now has {now}. "
                "Put the folder back as it was, or start a new run.",
                run=run.name,
                known=some_names(known),
                source=images.source,
                now=some_names(now),
            )
        )
    raw = {printable(name): name for name in images.class_names}
    return images.with_classes(tuple(raw[name] for name in known))


def _split_of(run: Run[Any], images: ImageSet) -> tuple[Numbers, Numbers]:
    """Numbers of the images that are trained on, and of those kept apart; new ones are trained on."""
    names = _listed(run)
    if not names:  # the manifest is lost
        return split(images.count, run.config.data.held_out, run.config.seed)
    kept = {name for name, is_apart in names.items() if is_apart}
    if not kept:  # written before the split was
        _, apart = split(len(names), run.config.data.held_out, run.config.seed)
        kept = {list(names)[number] for number in apart}
    held = np.array([printable(file) in kept for file in images.files], bool)
    return np.flatnonzero(~held), np.flatnonzero(held)


def _listed(run: Run[Any]) -> dict[str, bool]:
    """The images that the run began with, by name: whether each is kept apart."""
    return {str(entry.get("file")): bool(entry.get("apart")) for entry in listed_images(run)}


def _changes(run: Run[Any], images: ImageSet) -> tuple[str, ...]:
    """What changed in the data since the run began, as a sentence."""
    if not run.manifest:
        return (
            tr(
                "data.json of {run} is lost, so nobody knows whether the images are those it began with.",
                run=run.name,
            ),
        )
    if run.manifest.get("fingerprint", images.fingerprint) == images.fingerprint:
        return ()
    before = {str(entry.get("file")) for entry in listed_images(run)}
    now = {printable(file) for file in images.files}
    added, gone = len(now - before), len(before - now)
    told = (tr("{n} added", n=added) if added else "", tr("{n} gone", n=gone) if gone else "")
    what = ", ".join(filter(None, told)) or tr("pixels or labels")
    return (
        tr("The images in {source} changed since this run began ({what}).", source=images.source, what=what),
    )


def some_names(names: tuple[str, ...]) -> str:
    """Names in a sentence; how many when they are too many to read."""
    return ", ".join(names) if 0 < len(names) <= 12 else tr("of {count} folders", count=len(names))
