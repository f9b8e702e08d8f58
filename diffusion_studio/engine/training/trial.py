"""A training tried before it begins: how long a step takes here, and how much memory it needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_studio.core.words import number, tr
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.machine.room import TRAINED, free_memory
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.training.batches import Batch, BatchSource, Pixels
from diffusion_studio.engine.training.codes import check_fits, find_code
from diffusion_studio.engine.training.forecast import Forecast, forecast
from diffusion_studio.engine.training.learner import Learner, faster_parts
from diffusion_studio.engine.training.session import learner_for, resolve
from diffusion_studio.engine.training.trainer import limits_of
from diffusion_studio.models.side_by_side import at_once, parts_for

FEW = 4  # images in each part of the steps that are tried first
SHORT = 0.5  # seconds: a step that takes no longer is tried whole
LONG = 2.0  # seconds: such a step is tried once, and no larger one; what comes once in it is nothing then
TIMED = 3  # steps of each size, after one that prepares
SHARE = 0.5  # of the memory that is free may be taken by steps that are tried


@dataclass(frozen=True)
class Trial(events.Event):
    """What was found out about a training before it began."""

    forecast: Forecast
    weights: int  # of the network
    memory: int  # bytes that it takes to train: weights, optimizer and one step
    free: int  # bytes of the device's memory that were free before

    @property
    def sentence(self) -> str:
        """What to expect, and of what."""
        said = tr(
            "{weights:,} weights, {room} of memory. {forecast}",
            weights=self.weights,
            room=_room(self.memory),
            forecast=self.forecast.sentence,
        )
        return said if self.memory <= self.free else f"{self._too_large} {said}"

    @property
    def _too_large(self) -> str:
        return tr(
            "More memory than the {free} that are free here: choose fewer images in a batch, more parts "
            "of it, a smaller width or a smaller resolution.",
            free=_room(self.free),
        )


def _room(size: int) -> str:
    return f"{number(size / 1e9, '.1f')} GB" if size >= 5e7 else f"{number(size / 1e6, '.0f')} MB"


def tried(config: RunConfig, images: ImageSet, device: torch.device, cancelled: Callable[[], bool]) -> Trial:
    """Trains a network for a few steps that nobody keeps.

    Raises:
        Refused: a training that cannot begin like that; the message is a sentence.
        Cancelled: `cancelled()` became true.
    """
    examples = _NoCodes(config, images, device) if config.model.code else Pixels(images.images, device)
    config = resolve(config, images, device, examples.shape)
    learner = learner_for(config, images, device, examples.shape)
    spec, steps = config.training, learner.tables.steps
    source = BatchSource(images, steps, learner.classes, 0.0, False, config.seed, device, examples=examples)
    free = free_memory(device)
    one = _kept_by_a_step(learner, source.batch(0, 0, 1))
    most = max(1, int(SHARE * free / one))  # images in a step that is tried
    few = min(FEW * parts_for(spec.batch_size, device), spec.batch_size, most)

    def heed() -> None:
        if cancelled():
            raise Cancelled

    parts = spec.parts or faster_parts(learner, examples.shape, min(spec.batch_size, most), heed)
    learner.spec = spec.model_copy(update={"parts": parts})

    def took(size: int) -> float:
        """Seconds of a step of so many images, once the first has prepared their size."""
        found: list[float] = []
        while len(found) <= TIMED and (not found or found[-1] < LONG):
            heed()
            found.append(_timed(learner, source.batch(0, 0, size)))
        return median(found[1:] or found)

    seconds = _whole(took, few, spec.batch_size, most)
    rows = -(-spec.batch_size // parts) * at_once(parts, device)  # that are in memory at the same time
    kept = _kept_by_a_step(learner, source.batch(0, 0, few)) * min(rows, spec.batch_size) // few
    aside = spec.preview_share if spec.preview_count else 0.0
    return Trial(
        forecast(seconds / (1 - aside), (images.resolution, images.channels), limits_of(spec)),
        learner.parameter_count, TRAINED * learner.parameter_count + kept, free,
    )  # fmt: skip


class _NoCodes:
    """Zeros in place of codes that nobody has encoded yet: a step takes as long.

    Raises:
        Refused: a code that these images cannot be learned in.
    """

    def __init__(self, config: RunConfig, images: ImageSet, device: torch.device) -> None:
        found = find_code(config.model.code, device)
        check_fits(found, images)
        self._device = device
        height, width = found.code.sides((images.resolution, images.resolution))
        self.shape = found.code.channels, height, width

    def batch(self, numbers: NDArray[np.int64], mirrored: torch.Tensor | None) -> torch.Tensor:
        return torch.zeros(len(numbers), *self.shape, device=self._device)

    def pictures(self, x: torch.Tensor) -> torch.Tensor:
        return x


def _whole(took: Callable[[int], float], few: int, size: int, most: int) -> float:
    """Seconds of a step of `size` images: by itself where that is short, else from the line through two
    smaller ones, for a step of no images takes time too. No step of more than `most` images is tried.
    """
    if size <= min(2 * few, most):
        return took(size)
    one = took(few)
    if 2 * few > most or one >= LONG:
        return one * size / few
    two = took(2 * few)
    expected = one + max(two - one, 0.0) / few * (size - few)
    return took(size) if expected <= SHORT and size <= most else expected


def _timed(learner: Learner, batch: Batch) -> float:
    began = time.perf_counter()
    learner.step(batch, 0).losses.cpu()  # it is over on every device
    return time.perf_counter() - began


def _kept_by_a_step(learner: Learner, batch: Batch) -> int:
    """Bytes that the way through the network leaves for the way back."""
    known = {weight.untyped_storage().data_ptr() for weight in learner.descent.weights}
    sizes: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        learner.network.predict(batch.x_0, batch.t, batch.labels)
    return sum(sizes.values())
