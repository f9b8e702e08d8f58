"""A classifier of noisy images, trained on the data of a run beside its denoiser: a task of the one loop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import filelock
import torch
from torch import Tensor

import diffusion_studio
from diffusion_studio.core.describe import Choice, knob
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import printable
from diffusion_studio.engine.classifier.accuracy import IMAGES, AccuracyCurve, accuracies, measured_times
from diffusion_studio.engine.classifier.data import ClassifierData, classifier_data
from diffusion_studio.engine.classifier.files import CARD, ClassifierCard, ClassifierError, fingerprint
from diffusion_studio.engine.classifier.keeper import ClassifierKeeper
from diffusion_studio.engine.classifier.learner import ClassifierLearner
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.loop.loop import Training, finishing, trained
from diffusion_studio.engine.loop.task import Limits
from diffusion_studio.engine.machine.devices import device_name, is_fast
from diffusion_studio.engine.machine.room import check_room
from diffusion_studio.engine.runs.checkpoints import CheckpointContent, CheckpointError
from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.engine.training.batches import BatchSource
from diffusion_studio.engine.training.moved import with_images_at
from diffusion_studio.engine.training.run_data import Reading
from diffusion_studio.models.noisy_classifier import NoisyClassifier

MEASURE_FIRST = 2.0  # seconds of training before accuracy is measured for the first time
LIVE_IMAGES = 250  # that it is measured on while training
MEASURE_SHARE = 0.05  # of the time, at most, that measuring takes
SAVE_EVERY = 15.0  # seconds
MEASURING = tr("measuring accuracy")


class ClassifierSpec(Choice):
    """How a classifier of noisy images is trained."""

    steps: int = knob(
        0, title=tr("steps"), ge=0, le=10_000_000, words={0: tr("no limit")},
        help=tr("Training ends after this many steps; 0 sets no limit."),
    )  # fmt: skip
    seconds: float = knob(
        30.0, title=tr("time"), unit="s", ge=0, le=1_000_000, words={0: tr("no limit")},
        help=tr("Training ends after this much training time; 0 sets no limit."),
    )  # fmt: skip
    batch_size: int = knob(
        128, title=tr("batch size"), symbol="B", ge=1, le=4096, scale="log",
        help=tr("Images in each step, each at its own t."),
    )  # fmt: skip
    learning_rate: float = knob(
        3e-3, title=tr("learning rate"), gt=0, le=1, scale="log",
        help=tr("Step length of the optimizer; it grows over the first 50 steps."),
        source="Loshchilov & Hutter 2019",
    )  # fmt: skip
    weight_decay: float = knob(
        0.05, title=tr("weight decay"), ge=0, le=10, advanced=True,
        help=tr("Pulls weights towards 0 a little at each step, so that few images are not learned by "
                "heart."),
        source="Dhariwal & Nichol 2021, table 12",
    )  # fmt: skip
    width: int = knob(
        0, title=tr("width"), unit="ch", ge=0, le=512, multiple=8, advanced=True, words={0: tr("auto")},
        help=tr("Channels of the first level, a multiple of 8; 0 chooses by the device."),
    )  # fmt: skip
    seed: int = knob(
        0,
        title=tr("seed"),
        ge=0,
        le=2**31 - 1,
        help=tr("Same seed, same steps, same machine: the same classifier."),
    )


@dataclass(frozen=True)
class AccuracyMeasured(events.Event):
    """How often the classifier is right, over t."""

    step: int
    curve: AccuracyCurve
    classes: int
    final: bool = False


def train_classifier(
    path: Path, spec: ClassifierSpec, device: torch.device, control: Control, reading: Reading | None = None,
    data: str | None = None,
) -> Iterator[events.Event]:  # fmt: skip
    """Trains a classifier for a run until the limit of `spec` or a stop; `Finished` is always the last event.

    It learns from the same images as the run, and at the same noise levels, and is kept in RUN/classifier.

    Args:
        data: where the images of the run lie now, if not where they were.
    """
    return finishing(_training(path, spec, device, control, reading, data))


def _training(
    path: Path, spec: ClassifierSpec, device: torch.device, control: Control, reading: Reading | None,
    data: str | None,
) -> Training:  # fmt: skip
    run = with_images_at(Run.open(path), data)
    with _held(run):
        task = ClassifierTask(run, classifier_data(run, reading, lambda: control.stopped), spec, device)
        yield from task.opening()
        limits = Limits(spec.steps, spec.seconds, save_seconds=SAVE_EVERY)
        return (yield from trained(task, control, limits, ClassifierKeeper(run)))


@contextlib.contextmanager
def _held(run: Run) -> Iterator[None]:
    """Held by one training of a classifier; it does not hinder a training of the run."""
    # not bound to a thread: a generator may be closed in another one than it began in
    lock = filelock.FileLock(run.path / ".classifier.lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        busy = tr(
            "A classifier of {run} is already being trained by another window or command.", run=run.name
        )
        raise RunError(busy) from None
    try:
        yield
    finally:
        lock.release()


class ClassifierTask:
    """What a classifier learns, and how often it is right."""

    def __init__(self, run: Run, data: ClassifierData, spec: ClassifierSpec, device: torch.device) -> None:
        images = data.images
        self._run, self._data, self._spec = run, data, spec
        self._width = spec.width or (64 if is_fast(device) else 32)
        if self._width % 8:
            raise ClassifierError(
                tr("The width of the classifier must be a multiple of 8; it is {width}.", width=self._width)
            )
        build = partial(NoisyClassifier, images.resolution, images.channels, images.classes, self._width)
        check_room(build, device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.seed)
            network = build()
        self.learner = ClassifierLearner(network, data.tables, spec.learning_rate, spec.weight_decay, device)
        self._batches = BatchSource(
            images, data.tables.steps, images.classes, 0.0, run.config.data.flip, spec.seed, device,
            data.trained,
        )  # fmt: skip
        self._measure_at = MEASURE_FIRST
        self._curve: AccuracyCurve | None = None

    @property
    def size(self) -> int:
        return self._spec.batch_size

    def opening(self) -> Iterator[events.Event]:
        """What is told before the first step."""
        device = device_name(self.learner.device, self.learner.parts(self.size))
        yield events.Started(
            self._run.path, 0, device, "fp32", self.learner.parameter_count,
            len(self._data.trained) / self.size,
        )  # fmt: skip
        for note in self._data.notes:
            yield events.Warned(note)

    def step(self, number: int, share: float) -> Tensor:
        return self.learner.step(self._batches.batch(number, number * self.size, self.size), number)

    def tell(self, progress: events.Progress, last: bool) -> Iterator[events.Event]:
        """Accuracy over t, seldom enough to stay within its share of the time, and at the end."""
        if not progress.step or not (last or progress.seconds >= self._measure_at):
            return
        begun = time.perf_counter()
        self._curve = yield from self._measuring(IMAGES if last else LIVE_IMAGES)
        spent = time.perf_counter() - begun
        self._measure_at = progress.seconds + max(MEASURE_FIRST, spent / MEASURE_SHARE)
        yield AccuracyMeasured(progress.step, self._curve, self._data.images.classes, last)

    def _measuring(self, count: int) -> Generator[events.Event, None, AccuracyCurve]:
        """Measures, and tells how far it is: beside other programs it may take half a minute."""
        data, times = self._data, measured_times(self._data.tables.steps)
        classifier = self.learner.classifier(data.images.classes)
        found: list[float] = []
        for accuracy in accuracies(
            classifier, data.tables, data.images, data.measured, times, self.learner.device, count
        ):
            found.append(accuracy)
            yield events.Preparing(MEASURING, len(found), len(times))
        return AccuracyCurve(t=times, accuracy=tuple(found))

    def _measured(self, count: int) -> AccuracyCurve:
        """The same, told to nobody."""
        measuring = self._measuring(count)
        while True:
            try:
                next(measuring)
            except StopIteration as end:
                curve: AccuracyCurve = end.value
                return curve

    def state(self) -> CheckpointContent:
        return CheckpointContent({CARD: self._card().model_dump(mode="json")}, self.learner.state())

    def restore(self, content: CheckpointContent) -> None:
        try:
            self.learner.restore(content.tensors)
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(tr("The checkpoint belongs to another classifier.")) from error

    def _card(self) -> ClassifierCard:
        """What is known about the classifier as it stands, but for how far its training has come."""
        images, tables = self._data.images, self._data.tables
        return ClassifierCard(
            app=diffusion_studio.__version__,
            torch=str(torch.__version__),
            class_names=tuple(printable(name) for name in images.class_names),
            resolution=images.resolution,
            channels=images.channels,
            width=self._width,
            steps=tables.steps,
            alpha_bar=fingerprint(tables),
            data=self._run.manifest.get("fingerprint", images.fingerprint),
            images=images.fingerprint,
            step=0,
            seconds=0.0,
            held_out=self._data.held_out,
            accuracy=self._curve or self._measured(LIVE_IMAGES),
        )
