"""Behind the classifier panel: the classifier of the denoiser on show, and its training beside the window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PySide6.QtCore import QObject, Signal

from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.load import load
from diffusion_studio.engine.chains.source import MEMORISING, memorised_data, memorising_source
from diffusion_studio.engine.classifier.accuracy import (
    AccuracyCurve,
    accuracies,
    accuracy_sentence,
    measured_times,
)
from diffusion_studio.engine.classifier.files import read_card, version_of
from diffusion_studio.engine.classifier.training import AccuracyMeasured, ClassifierSpec, train_classifier
from diffusion_studio.engine.files.places import cache_dir
from diffusion_studio.engine.jobs import events
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.machine.devices import choose_device
from diffusion_studio.engine.runs.config import DiffusionSpec
from diffusion_studio.engine.runs.run import Run, owner_of
from diffusion_studio.viewmodels.job import Post, Slot
from diffusion_studio.viewmodels.train.series import LossSeries
from diffusion_studio.viewmodels.train.state import progress_text

Phase = Literal["idle", "preparing", "running", "paused", "stopping"]
EXACT_IMAGES = 300  # noised at each t to measure the exact classifier


@dataclass(frozen=True)
class ClassifierState:
    """What the panel shows but its loss curve."""

    run: Path | None = None  # whose classifier it is; None: there is nothing to train
    exact: bool = False  # known in closed form, not learned
    phase: Phase = "idle"
    trained: bool = False  # whether there is one
    classes: int = 0
    curve: AccuracyCurve | None = None
    fraction: float = 0.0
    detail: str = ""
    notice: str = ""  # why there is none, or what went wrong

    @property
    def busy(self) -> bool:
        return self.phase != "idle"

    @property
    def knowledge(self) -> str:
        """What the accuracy says, as a sentence."""
        return accuracy_sentence(self.curve, self.classes) if self.curve and self.trained else ""


class ClassifierModel(QObject):
    """Shows the classifier of one denoiser, trains one for a run. All on the window's thread."""

    changed = Signal(object)  # ClassifierState
    losses_changed = Signal(object)  # LossSeries
    trained = Signal(object)  # Path of a run that has another classifier
    failed = Signal(str)  # the training

    def __init__(self, device: str = "auto", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._device = device
        self._training, self._measuring = Slot(self), Slot(self)
        self._training.told.connect(self._on_training)
        self._measuring.told.connect(self._on_measuring)
        self._shown = self._wanted = ""  # key of a denoiser, and which classifier it has
        self._key = ""  # of the wanted one
        self._seconds = 0.0  # of the last training
        self.losses = LossSeries()
        self.state = ClassifierState()

    def use_device(self, name: str) -> None:
        """Trains and measures on this device from the next time on, by its name or "auto"."""
        self._device = name

    # --- which one ------------------------------------------------------------------------------------

    def show(self, key: str) -> None:
        """Shows the classifier of a denoiser; a training goes on, and is shown to its end."""
        self._key, self._wanted = key, _identity(key)
        if not self.state.busy and self._wanted != self._shown:
            self._show_wanted()

    def _show_wanted(self) -> None:
        self._shown, key = self._wanted, self._key
        self._measuring.drop()
        self.losses.clear()
        self.losses_changed.emit(self.losses)
        if key.startswith(MEMORISING):
            self._show_exact(key)
        else:
            self._show_run(Path(key))

    def _show_run(self, path: Path) -> None:
        self._set(ClassifierState())
        try:
            run = Run.owning(path).path
            self._update(run=run)
            card = read_card(run)
        except Refused as error:
            self._update(notice=str(error))
            return
        if card is not None:
            self._update(trained=True, curve=card.accuracy, classes=len(card.class_names))

    def _show_exact(self, key: str) -> None:
        self._set(ClassifierState(exact=True))
        device = choose_device(self._device)

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            images = load(memorised_data(key), cache_dir(), None, lambda: control.stopped)
            source = memorising_source(images, DiffusionSpec().tables(), device)
            if source.classifier is None:
                raise Refused(tr("These images have no classes, so there is nothing to classify."))
            times = measured_times(source.tables.steps)
            numbers = np.flatnonzero(images.labels >= 0)
            found: list[float] = []
            for value in accuracies(
                source.classifier, source.tables, images, numbers, times, device, EXACT_IMAGES
            ):
                found.append(value)
                curve = AccuracyCurve(t=times[: len(found)], accuracy=tuple(found))
                yield AccuracyMeasured(0, curve, images.classes, len(found) == len(times))
                if control.stopped:
                    return

        self._measuring.start(stream)

    def _on_measuring(self, event: events.Event) -> None:
        if not self.state.exact:
            return
        match event:
            case AccuracyMeasured(curve=curve, classes=classes, final=final):
                self._update(curve=curve, classes=classes, trained=final)
            case events.Finished(outcome="failed", message=message):
                self._update(notice=message)

    # --- training -------------------------------------------------------------------------------------

    def train(self, seconds: float) -> None:
        """Trains a classifier for the run on show, in the place of the one before."""
        run = self.state.run
        if run is None or self.state.busy:
            return
        self._seconds = seconds
        device, spec = choose_device(self._device), ClassifierSpec(seconds=seconds)

        def stream(control: Control, post: Post) -> Iterator[events.Event]:
            def reading(done: int, total: int) -> None:
                post(events.Preparing(tr("reading images"), done, total))

            yield from train_classifier(run, spec, device, control, reading)

        self.losses.clear()
        self.losses_changed.emit(self.losses)
        self._set(ClassifierState(run, phase="preparing", detail=tr("Reading images …")))
        self._training.start(stream)

    def train_again(self) -> None:
        """As the last time, which failed."""
        self.train(self._seconds)

    def toggle_pause(self) -> None:
        """Rests with the network in memory, or goes on."""
        control = self._training.control
        if control is not None:
            (control.resume if control.paused else control.pause)()

    def stop(self) -> None:
        """Stops and saves."""
        if self._training.busy:
            self._training.stop()
            self._update(phase="stopping", detail=tr("Saving …"))

    def _on_training(self, event: events.Event) -> None:
        match event:
            case events.Preparing(what=what, done=done, total=total):
                how_far = tr(", {done} of {total}", done=done, total=total) if total else ""
                self._update(detail=f"{what[:1].upper()}{what[1:]}{how_far} …")
            case events.Progress():
                self.losses.add(event.first_loss_step, event.losses)
                self._update(
                    phase=self._unless_stopping("running"), fraction=event.fraction,
                    detail=progress_text(event),
                )  # fmt: skip
                self.losses_changed.emit(self.losses)
            case AccuracyMeasured(curve=curve, classes=classes):
                self._update(curve=curve, classes=classes, trained=True)
            case events.Warned(message=message):
                self._update(notice=message)
            case events.Paused(reason=reason):
                self._update(phase=self._unless_stopping("paused"), notice=reason or self.state.notice)
            case events.Resumed():
                self._update(phase=self._unless_stopping("running"))
            case events.Finished():
                self._on_finished(event)

    def _unless_stopping(self, phase: Phase) -> Phase:
        """What is told between asking for the end and the end changes nothing."""
        return "stopping" if self.state.phase == "stopping" else phase

    def _on_finished(self, event: events.Finished) -> None:
        """Shows what is there now: what was trained, or what was there before."""
        run = self.state.run
        self._update(phase="idle", detail="", fraction=0.0, notice="")
        if event.step and event.outcome != "failed" and owner(self._key) == run:
            self._shown = self._wanted = _identity(self._key)
        else:
            self._wanted = _identity(self._key)
            self._show_wanted()
        if event.outcome == "failed":
            self._update(notice=event.message)
            self.failed.emit(event.message)
        if run is not None and event.step:
            self.trained.emit(run)

    # --- the rest -------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Stops everything and waits; a classifier in training is saved."""
        self._training.stop()  # before waiting for the other
        self._measuring.finish(60_000)
        self._training.finish(60_000)

    def _set(self, state: ClassifierState) -> None:
        if state != self.state:
            self.state = state
            self.changed.emit(state)

    def _update(self, **values: Any) -> None:
        self._set(replace(self.state, **values))


def owner(key: str) -> Path | None:
    """The run that a denoiser comes from."""
    return None if key.startswith(MEMORISING) else owner_of(Path(key))


def _identity(key: str) -> str:
    """Changes when a denoiser gets another classifier."""
    run = owner(key)
    return key if run is None else f"{key} {version_of(run)}"
