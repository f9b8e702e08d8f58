"""A training of a classifier kept beside its run, in RUN/classifier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffusion_studio.core.describe import validated
from diffusion_studio.core.words import tr
from diffusion_studio.engine.classifier.files import CARD, FOLDER, ClassifierCard, save_classifier, version_of
from diffusion_studio.engine.classifier.learner import AVERAGE
from diffusion_studio.engine.jobs.events import Event, Finished
from diffusion_studio.engine.loop.keeper import LostError
from diffusion_studio.engine.loop.task import Counters
from diffusion_studio.engine.runs.checkpoints import CheckpointContent
from diffusion_studio.engine.runs.run import Run, is_run


class ClassifierKeeper:
    """Keeps the averaged weights and what is known of them; the classifier from before stays until then."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._before = bool(version_of(run.path))
        self.step = 0  # a classifier that has learned nothing need not be kept

    @property
    def kept(self) -> str:
        if self.step:
            return tr("The classifier of step {step:,} is kept.", step=self.step)
        return tr("The classifier from before is kept.") if self._before else tr("Nothing was saved before.")

    def farewell(self, step: int) -> str:
        if not step:
            return tr("Stopped before the first step; nothing was written.")
        return tr("The classifier of {run} is saved, after step {step:,}.", run=self._run.name, step=step)

    @property
    def is_there(self) -> bool:
        return is_run(self._run.path)

    def check(self) -> bool:
        if not self.is_there:
            raise LostError(
                tr(
                    "The folder {folder} was deleted or moved while its classifier was trained, so the "
                    "training was ended. {kept}",
                    folder=self._run.path,
                    kept=self.kept,
                )
            )
        return True

    @property
    def asked_to_stop(self) -> bool:
        return False  # the wish in a run's folder is for the training of the run

    asked_to_rest = False

    def mark_rest(self, rests: bool) -> bool:
        return False

    def heard(self, event: Event) -> Iterator[Event]:
        yield event

    def ended(self, finished: Finished) -> None:
        """Nobody else follows the training of a classifier."""

    def save(self, counters: Counters, content: CheckpointContent) -> Path:
        known = {"step": counters.step, "seconds": counters.seconds}
        card = validated(ClassifierCard, {**content.json[CARD], **known})
        save_classifier(self._run.path, dict(content.tensors[AVERAGE]), card)
        self.step = counters.step
        return self._run.path / FOLDER
