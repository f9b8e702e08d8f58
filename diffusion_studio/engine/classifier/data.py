"""What a classifier of noisy images learns from, and what it is measured on: the images of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet, printable
from diffusion_studio.engine.classifier.files import ClassifierError, tables_of
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.run_data import Reading, load_run_data, some_names, split

APART = 0.1  # share of the images that is kept apart where the run keeps none


@dataclass(frozen=True, eq=False)
class ClassifierData:
    """What a classifier of a run learns from, and what it is measured on."""

    images: ImageSet
    tables: Tables
    trained: NDArray[np.int64]  # numbers of images, (N,)
    measured: NDArray[np.int64]  # (M,)
    held_out: bool  # whether it never learns from those that it is measured on
    notes: tuple[str, ...] = ()


def classifier_data(
    run: Run, reading: Reading | None = None, cancelled: Callable[[], bool] | None = None
) -> ClassifierData:
    """The images and the schedule of a run, split as the run splits them.

    Raises:
        Cancelled: `cancelled()` became true.
        Refused: no schedule, no images or no labels; the message is a sentence for a person.
    """
    if run.config.model.code:
        raise ClassifierError(
            tr(
                "{run} is a diffusion in a code, and a classifier of noisy images reads pixels: its "
                "classes can be asked of the network itself, with guidance.",
                run=run.name,
            )
        )
    tables = tables_of(run)
    data = load_run_data(run, reading, cancelled)
    images, notes, numbers = data.images, data.notes, (data.trained, data.apart)
    _check_classes(run, images)
    if not len(data.apart):
        numbers = split(images.count, APART, run.config.seed)
        notes += (
            tr(
                "{run} keeps no images apart, so {share:.0f} % are kept apart from the classifier.",
                run=run.name,
                share=100 * APART,
            ),
        )
    trained, apart = (some[images.labels[some] >= 0] for some in numbers)
    if len(np.unique(images.labels[trained])) < 2:
        raise ClassifierError(
            tr("{images} has too few images with labels to train a classifier on.", images=images.name)
        )
    return ClassifierData(images, tables, trained, apart if len(apart) else trained, len(apart) > 0, notes)


def _check_classes(run: Run, images: ImageSet) -> None:
    """Raises ClassifierError when the images cannot be told apart by classes, or not by those of the run."""
    if not images.classes:
        raise ClassifierError(
            tr(
                "The images of {images} have no labels, so there is nothing to classify. Classes come "
                "from sub-folders, or from metadata.csv or metadata.jsonl.",
                images=images.name,
            )
        )
    if images.classes < 2:
        raise ClassifierError(
            tr(
                "The images of {images} have only one class; a classifier needs two at least.",
                images=images.name,
            )
        )
    now = tuple(printable(name) for name in images.class_names)
    if run.manifest and run.class_names != now:
        raise ClassifierError(
            tr(
                "{run} began with the classes {known}, but {source} now has {now}. Put "
                "the folder back as it was, or start a new run.",
                run=run.name,
                known=some_names(run.class_names),
                source=images.source,
                now=some_names(now),
            )
        )
