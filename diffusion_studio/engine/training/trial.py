"""A training tried before it begins: how long a step takes here, and how much memory it needs."""

from __future__ import annotations

import logging
import math
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
from diffusion_studio.engine.loop.task import Counters
from diffusion_studio.engine.machine.room import TRAINED, free_memory
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.training.batches import Batch, BatchSource, Examples, Pixels
from diffusion_studio.engine.training.codes import check_fits, find_code
from diffusion_studio.engine.training.forecast import Forecast, forecast, is_fitted
from diffusion_studio.engine.training.learner import Learner, faster_parts
from diffusion_studio.engine.training.session import Session, learner_for, resolve
from diffusion_studio.engine.training.trainer import limits_of
from diffusion_studio.models.side_by_side import at_once, parts_for, with_helpers

FEW = 4  # images in each part of the steps that are tried first
SHORT = 0.5  # seconds: a step that takes no longer is tried whole
LONG = 2.0  # seconds: such a step is tried once, and no larger one; what comes once in it is nothing then
TIMED = 3  # steps of each size, after one that prepares
AT_LEAST = 0.5  # seconds of whole steps, if there is time for it: beside other programs they differ
SHARE = 0.5  # of the memory that is free may be taken by steps that are tried
IN_FLIGHT = 1.4  # measured: gradients on their way back, and what operations need, beside what is kept
SOON = 2.0  # seconds that a trial may take where a training waits for it
MANY = 100_000_000  # weights of a network whose making takes longer

log = logging.getLogger(__name__)
_now = time.perf_counter


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
    return _Trying(config, images, examples, device, cancelled).found()


def tried_soon(session: Session, cancelled: Callable[[], bool]) -> Trial | None:
    """The same for a training that waits for it, in less time; None where that takes too long or cannot be,
    or nothing is left to train.

    What is wrong is left to the training to say. Of several processes each has rows of its own, which are not
    tried by one alone.
    """
    learner, counters = session.learner, session.counters
    another = TRAINED * learner.parameter_count > SHARE * free_memory(learner.device)
    over = limits_of(session.config.training).share(counters.step, counters.seconds) == 1
    if over or another or learner.parameter_count > MANY or learner.ranks.count > 1:
        return None
    config, images, examples = session.config, session.images, session.batches.examples
    try:
        trying = _Trying(config, images, examples, learner.device, cancelled, 1, 0.0, SOON)
        return trying.found(counters) if trying.in_time(0.0) else None
    except Cancelled:
        return None
    except Exception as error:  # a training is not ended by what is only said of it
        log.warning("What to expect of the training was not found out", exc_info=error)
        return None


class _Trying:
    """Steps of a network that nobody keeps.

    Args:
        config: without automatic values, but for the parts of a batch.
        timed: steps of each size, after one that prepares.
        at_least: seconds of whole steps, more of which are timed where they are short.
        within: seconds from now in which it should be over.
    """

    def __init__(
        self, config: RunConfig, images: ImageSet, examples: Examples, device: torch.device,
        cancelled: Callable[[], bool], timed: int = TIMED, at_least: float = AT_LEAST,
        within: float = math.inf,
    ) -> None:  # fmt: skip
        self._config, self._images, self._device, self._cancelled = config, images, device, cancelled
        self._timed, self._at_least, self._until = timed, at_least, _now() + within
        self._free = free_memory(device)
        self._each = 0.0  # bytes that an image took in the newest step, where the device counts them
        self._heed()
        self._learner = learner = learner_for(config, images, device, examples.shape)
        self._heed()  # the first network of a process imports a library
        self._source = BatchSource(
            images, learner.tables.steps, learner.classes, 0.0, False, config.seed, device, examples=examples
        )
        spec = config.training
        self._one, two = (_kept_by_a_step(learner, self._source.batch(0, 0, size)) for size in (1, 2))
        self._more = two - self._one  # weights may be kept in bf16 too, once
        self._most = max(1, int(SHARE * self._free / (IN_FLIGHT * self._one)))  # images in a step
        self._few = min(FEW * parts_for(spec.batch_size, device), spec.batch_size, self._most)
        most = min(spec.batch_size, self._most)
        self._parts = spec.parts or faster_parts(learner, examples.shape, most, self._heed)
        learner.set_parts(self._parts)

    def _heed(self) -> None:
        if self._cancelled():
            raise Cancelled

    def found(self, counters: Counters | None = None) -> Trial:
        """What to expect of a training that is at `counters`; None: it begins."""
        spec, images, at = self._config.training, self._images, counters or Counters()
        seconds = _whole(self._took, self._few, spec.batch_size, self._most, self.in_time)
        aside = spec.preview_share if spec.preview_count else 0.0
        shape, usual = (images.resolution, images.channels), is_fitted(self._config, images, self._device)
        expected = forecast(seconds / (1 - aside), shape, limits_of(spec), at.step, at.seconds, usual)
        weights = self._learner.parameter_count
        return Trial(expected, weights, TRAINED * weights + self._step_memory(), self._free)

    def _took(self, size: int) -> float:
        """Seconds of a step of so many images, once the first has prepared their size."""
        found: list[float] = []
        while not found or (self._goes_on(size, found) and found[-1] < LONG and self.in_time(found[-1])):
            self._heed()
            _count_anew(self._device)
            found.append(_timed(self._learner, self._source.batch(0, 0, size)))
            self._each = _taken(self._device) / self._rows(size)
        return median(found[1:] or found)

    def _goes_on(self, size: int, found: list[float]) -> bool:
        """Whether steps of this size, of which some took so long, are timed once more."""
        whole = size == self._config.training.batch_size
        return len(found) <= self._timed or (whole and sum(found[1:]) < self._at_least)

    def in_time(self, seconds: float) -> bool:
        """Whether there is time for so much more."""
        return _now() + seconds <= self._until

    def _rows(self, size: int) -> int:
        """How many images of a step of `size` are in memory at the same time."""
        return min(size, -(-size // self._parts) * at_once(self._parts, self._device))

    def _step_memory(self) -> int:
        """Bytes of a whole step: as measured where the device counts them, or by what is kept."""
        rows = self._rows(self._config.training.batch_size)
        if self._each:
            return round(self._each * rows)
        return round(IN_FLIGHT * (self._one + self._more * (rows - 1)))


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


def _whole(
    took: Callable[[int], float], few: int, size: int, most: int,
    in_time: Callable[[float], bool] = lambda seconds: True,
) -> float:  # fmt: skip
    """Seconds of a step of `size` images: by itself where that is short, else from the line through two
    smaller ones, for a step of no images takes time too. No step of more than `most` images is tried, and
    none after the first for which there is no time.
    """
    if size <= min(2 * few, most):
        return took(size)
    one = took(few)
    if 2 * few > most or one >= LONG or not in_time(2 * one):
        return one * size / few
    two = took(2 * few)
    expected = one + max(two - one, 0.0) / few * (size - few)
    return took(size) if expected <= SHORT and size <= most and in_time(2 * expected) else expected


def _timed(learner: Learner, batch: Batch) -> float:
    began = _now()
    learner.step(batch, 0).losses.cpu()  # it is over on every device
    return _now() - began


def _count_anew(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _taken(device: torch.device) -> int:
    """Bytes that were taken at the most since then, beside what is taken now; 0 where nobody counts them."""
    if device.type != "cuda":
        return 0
    return torch.cuda.max_memory_allocated(device) - torch.cuda.memory_allocated(device)


def _kept_by_a_step(learner: Learner, batch: Batch) -> int:
    """Bytes that the way through the network leaves for the way back; found without helper threads, for which
    other programs would have it wait.
    """
    known = {weight.untyped_storage().data_ptr() for weight in learner.descent.weights}
    sizes: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with with_helpers(1), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        learner.network.predict(batch.x_0, batch.t, batch.labels)
    return sum(sizes.values())
