"""A classifier of noisy images, trained on the data of a run beside its denoiser."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import diffusion_studio
from diffusion_studio.core.describe import Choice, knob
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.data.imageset import ImageSet, printable
from diffusion_studio.engine.classifier.accuracy import IMAGES, AccuracyCurve, accuracies, measured_times
from diffusion_studio.engine.classifier.files import (
    FOLDER,
    ClassifierCard,
    ClassifierError,
    fingerprint,
    save_classifier,
    tables_of,
)
from diffusion_studio.engine.classifier.learner import ClassifierLearner
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.failures import words_for
from diffusion_studio.engine.machine.devices import device_name, is_fast
from diffusion_studio.engine.runs.run import Run
from diffusion_studio.engine.training.batches import BatchSource
from diffusion_studio.engine.training.run_data import Reading, load_run_data, some_names, split
from diffusion_studio.models.noisy_classifier import NoisyClassifier

TELL_EVERY = 0.033  # seconds between Progress events
MEASURE_FIRST = 2.0  # seconds of training before accuracy is measured for the first time
LIVE_IMAGES = 250  # that it is measured on while training
MEASURE_SHARE = 0.05  # of the time, at most, that measuring takes
SAVE_EVERY = 15.0  # seconds
APART = 0.1  # share of the images that is kept apart where the run keeps none


class ClassifierSpec(Choice):
    """How a classifier of noisy images is trained."""

    steps: int = knob(
        0, title="steps", ge=0, le=10_000_000, words={0: "no limit"},
        help="Training ends after this many steps; 0 sets no limit.",
    )  # fmt: skip
    seconds: float = knob(
        30.0, title="time", unit="s", ge=0, le=1_000_000, words={0: "no limit"},
        help="Training ends after this much training time; 0 sets no limit.",
    )  # fmt: skip
    batch_size: int = knob(
        128, title="batch size", symbol="B", ge=1, le=4096, scale="log",
        help="Images in each step, each at its own t.",
    )  # fmt: skip
    learning_rate: float = knob(
        3e-3, title="learning rate", gt=0, le=1, scale="log",
        help="Step length of the optimizer; it grows over the first 50 steps.",
        source="Loshchilov & Hutter 2019",
    )  # fmt: skip
    weight_decay: float = knob(
        0.05, title="weight decay", ge=0, le=10, advanced=True,
        help="Pulls weights towards 0 a little at each step, so that few images are not learned by heart.",
        source="Dhariwal & Nichol 2021, table 12",
    )  # fmt: skip
    width: int = knob(
        0, title="width", unit="ch", ge=0, le=512, advanced=True, words={0: "auto"},
        help="Channels of the first level, a multiple of 8; 0 chooses by the device.",
    )  # fmt: skip
    seed: int = knob(
        0, title="seed", ge=0, le=2**31 - 1, help="Same seed, same steps, same machine: the same classifier."
    )


@dataclass(frozen=True)
class AccuracyMeasured(events.Event):
    """How often the classifier is right, over t."""

    step: int
    curve: AccuracyCurve
    classes: int
    final: bool = False


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
    tables = tables_of(run)
    data = load_run_data(run, reading, cancelled)
    images, notes, numbers = data.images, data.notes, (data.trained, data.apart)
    _check_classes(run, images)
    if not len(data.apart):
        numbers = split(images.count, APART, run.config.seed)
        notes += (
            f"{run.name} keeps no images apart, so {100 * APART:.0f} % are kept apart from the classifier.",
        )
    trained, apart = (some[images.labels[some] >= 0] for some in numbers)
    if len(np.unique(images.labels[trained])) < 2:
        raise ClassifierError(f"{images.name} has too few images with labels to train a classifier on.")
    return ClassifierData(images, tables, trained, apart if len(apart) else trained, len(apart) > 0, notes)


def _check_classes(run: Run, images: ImageSet) -> None:
    """Raises ClassifierError when the images cannot be told apart by classes, or not by those of the run."""
    if not images.classes:
        raise ClassifierError(
            f"The images of {images.name} have no labels, so there is nothing to classify. Classes come from "
            "sub-folders, or from metadata.csv or metadata.jsonl."
        )
    if images.classes < 2:
        raise ClassifierError(
            f"The images of {images.name} have only one class; a classifier needs two at least."
        )
    now = tuple(printable(name) for name in images.class_names)
    if run.manifest and run.class_names != now:
        raise ClassifierError(
            f"{run.name} began with the classes {some_names(run.class_names)}, but {images.source} now has "
            f"{some_names(now)}. Put the folder back as it was, or start a new run."
        )


def train_classifier(
    path: Path, spec: ClassifierSpec, device: torch.device, control: Control, reading: Reading | None = None
) -> Iterator[events.Event]:
    """Trains a classifier for a run until the limit of `spec` or a stop; `Finished` is always the last event.

    It learns from the same images as the run, and at the same noise levels, and is kept in RUN/classifier.
    """
    try:
        run = Run.open(path)
        with _lock(run):
            data = classifier_data(run, reading, lambda: control.stopped)
            yield from _Training(run, data, spec, device, control).run()
    except Cancelled:
        yield events.Finished("stopped", "Stopped before the first step; nothing was written.")
    except filelock.Timeout:
        yield events.Finished(
            "failed", f"A classifier of {path.name} is already being trained by another window or command."
        )
    except OSError as error:
        message = f"The classifier could not be saved: {error.strerror or error}."
        yield events.Finished("failed", message, traceback.format_exc())
    except Exception as error:
        too_much = f"There is not enough memory for a batch of {spec.batch_size} images. Choose fewer."
        yield events.Finished("failed", words_for(error, too_much), traceback.format_exc())


def _lock(run: Run) -> filelock.BaseFileLock:
    """Held by one training of a classifier; it does not hinder a training of the run."""
    # not bound to a thread: a generator may be closed in another one than it began in
    return filelock.FileLock(run.path / ".classifier.lock", timeout=0, thread_local=False)


class _Training:
    def __init__(
        self, run: Run, data: ClassifierData, spec: ClassifierSpec, device: torch.device, control: Control
    ) -> None:
        images = data.images
        self.owner, self.data, self.spec, self.control = run, data, spec, control
        self.width = spec.width or (64 if is_fast(device) else 32)
        if self.width % 8:
            raise ClassifierError(f"The width of the classifier must be a multiple of 8; it is {self.width}.")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.seed)
            network = NoisyClassifier(images.resolution, images.channels, images.classes, self.width)
        self.learner = ClassifierLearner(network, data.tables, spec.learning_rate, spec.weight_decay, device)
        self.batches = BatchSource(
            images, data.tables.steps, images.classes, 0.0, run.config.data.flip, spec.seed, device,
            data.trained,
        )  # fmt: skip
        self.step, self.seconds = 0, 0.0
        self._clock = self._told = 0.0
        self._measure_at, self._saved_at = MEASURE_FIRST, 0.0
        self._losses: list[Tensor] = []

    def run(self) -> Iterator[events.Event]:
        """Every event to the end."""
        yield events.Started(
            self.owner.path, 0, device_name(self.learner.device), "fp32", self.learner.parameter_count,
            len(self.data.trained) / self.spec.batch_size,
        )  # fmt: skip
        for note in self.data.notes:
            yield events.Warned(note)
        yield from self._loop()
        if not self.step:
            yield events.Finished("stopped", "Stopped before the first step; nothing was written.")
            return
        yield from self._tell()
        measured = yield from self._measure(final=True)
        yield from self._save(measured)
        outcome: events.Outcome = "stopped" if self.control.stopped else "done"
        yield events.Finished(
            outcome, f"The classifier of {self.owner.name} is saved, after step {self.step}.", step=self.step
        )

    def _loop(self) -> Iterator[events.Event]:
        size = self.spec.batch_size
        self._clock = time.perf_counter()
        while not self._finished():
            if self.control.paused:
                yield from self._pause()
                continue
            batch = self.batches.batch(self.step, self.step * size, size)
            self._losses.append(self.learner.step(batch, self.step))
            self.step += 1
            now = time.perf_counter()
            self.seconds, self._clock = self.seconds + now - self._clock, now
            if now - self._told >= TELL_EVERY:
                self._told = now
                yield from self._tell()
            if self.seconds >= self._measure_at:
                yield from self._look()

    def _finished(self) -> bool:
        by_steps = 0 < self.spec.steps <= self.step
        by_time = 0 < self.spec.seconds <= self.seconds
        return by_steps or by_time or self.control.stopped

    def _tell(self) -> Iterator[events.Event]:
        if not self._losses:
            return
        losses = torch.stack(self._losses).cpu().numpy()
        self._losses = []
        if not np.isfinite(losses).all():
            raise ClassifierError(
                "The loss of the classifier was not a number, so its training was ended; what was saved "
                "before stays. Try a smaller learning rate."
            )
        rate = self.step * self.spec.batch_size / max(self.seconds, 1e-9)
        yield events.Progress(
            self.step, self.spec.steps, self.seconds, self.spec.seconds, rate, self.step - len(losses) + 1,
            losses,
        )  # fmt: skip

    def _look(self) -> Iterator[events.Event]:
        """Measures accuracy, seldom enough to stay within its share of the time, and saves now and then."""
        begun = time.perf_counter()
        measured = yield from self._measure()
        if self.seconds - self._saved_at >= SAVE_EVERY:
            self._saved_at = self.seconds
            try:
                yield from self._save(measured)
            except OSError as error:
                yield events.Warned(
                    f"The classifier could not be saved: {error.strerror or error}. Its training goes on."
                )
        spent = time.perf_counter() - begun
        self._measure_at = self.seconds + max(MEASURE_FIRST, spent / MEASURE_SHARE)

    def _measure(self, final: bool = False) -> Generator[events.Event, None, AccuracyCurve]:
        data = self.data
        classes, times = data.images.classes, measured_times(data.tables.steps)
        found = accuracies(
            self.learner.classifier(classes), data.tables, data.images, data.measured, times,
            self.learner.device, IMAGES if final else LIVE_IMAGES,
        )  # fmt: skip
        curve = AccuracyCurve(t=times, accuracy=tuple(found))
        yield AccuracyMeasured(self.step, curve, classes, final)
        return curve

    def _save(self, curve: AccuracyCurve) -> Iterator[events.Event]:
        save_classifier(self.owner.path, self.learner.weights(), self._card(curve))
        yield events.Saved(self.step, self.owner.path / FOLDER)

    def _card(self, curve: AccuracyCurve) -> ClassifierCard:
        images, tables = self.data.images, self.data.tables
        return ClassifierCard(
            app=diffusion_studio.__version__,
            torch=str(torch.__version__),
            class_names=tuple(printable(name) for name in images.class_names),
            resolution=images.resolution,
            channels=images.channels,
            width=self.width,
            steps=tables.steps,
            alpha_bar=fingerprint(tables),
            data=self.owner.manifest.get("fingerprint", images.fingerprint),
            images=images.fingerprint,
            step=self.step,
            seconds=self.seconds,
            held_out=self.data.held_out,
            accuracy=curve,
        )

    def _pause(self) -> Iterator[events.Event]:
        yield from self._tell()
        if not self.control.paused:
            return
        yield events.Paused(self.step)
        self.control.wait_while_paused()
        self._clock = time.perf_counter()
        if not self.control.stopped:
            yield events.Resumed(self.step)
