"""The tour of the Train page: what the loss says, which timesteps matter; short trainings on the digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from diffusion_studio.core.describe import with_values
from diffusion_studio.core.objective.time_density import ImportanceDensity
from diffusion_studio.core.objective.weights import DDPMWeight, MinSNRWeight, SurrogateWeight
from diffusion_studio.core.process.schedules import LinearSchedule
from diffusion_studio.core.words import tr
from diffusion_studio.data.spec import DIGITS, DataSpec
from diffusion_studio.engine.runs.config import RunConfig
from diffusion_studio.engine.training.presets import PRESETS
from diffusion_studio.viewmodels.notice import Notice
from diffusion_studio.viewmodels.tours.once_idle import OnceIdle
from diffusion_studio.viewmodels.tours.tour import TourCard
from diffusion_studio.viewmodels.train.model import TrainViewModel
from diffusion_studio.viewmodels.train.state import may_become

SECONDS = 30.0  # that a training of the tour takes
USUAL = {
    "training.seconds": SECONDS,
    "diffusion.schedule": LinearSchedule().model_dump(),  # the weight of the bound has no peak at T
}
BUSY = tr("A training is going on. Stop it to go on with the tour.")
Kept = tuple[RunConfig, Path | None]


@dataclass(frozen=True)
class Lesson:
    """A training, by what it differs from the usual one."""

    title: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def config(self) -> RunConfig:
        usual = PRESETS[0].applied_to(RunConfig(data=DataSpec(source=DIGITS)))
        return with_values(usual, {**USUAL, **self.values}.items())


EPS, X_0 = {"objective.predict": "eps"}, {"objective.predict": "x_0"}
BOUND = {**EPS, "objective.weight": DDPMWeight().model_dump()}

BEGINS = TourCard(
    tr("Where the loss begins"),
    tr(
        "The loss is the mean square of what the network says wrongly. A network that answers 0 errs by all "
        "that it is asked for: 1 for the noise ε, and 0.72 for the image x₀, the mean square of the digits’ "
        "pixels. Look where the curve begins, and how soon it leaves that."
    ),
    "Ho et al. 2020, eq. 14; Course algorithm 1",
    (Lesson(tr("Predict ε"), EPS), Lesson(tr("Predict x₀"), X_0)),
)

JUMPS = TourCard(
    tr("Why it never rests"),
    tr(
        "Each step draws other images, other t and other noise. So even a network that does not change any "
        "more has a loss that jumps, with one image by more than its own mean. With B images it jumps √B "
        "times less: 16 times as many images, a quarter of the band. Read the average, not the band."
    ),
    "Ho et al. 2020, algorithm 1",
    (
        Lesson("B = 16", {**EPS, "training.batch_size": 16}),
        Lesson("B = 256", {**EPS, "training.batch_size": 256}),
    ),
)

FLOOR = TourCard(
    tr("Why it does not reach 0"),
    tr(
        "Many images fit the same x_t, and the best answer is the mean of them all. For these digits that "
        "leaves 0.024 of the loss on ε to a denoiser that knows every one of them by heart. The best one "
        "that is linear and knows only means and correlations is left with 0.12."
    ),
    "Luo eq. 133; Course eq. 2.10",
    (Lesson(tr("Predict ε"), EPS),),
)

HARD = TourCard(
    tr("Which t are hard"),
    tr(
        "Near the data the noise is small and hides in the details: the best linear denoiser misses 0.88 of "
        "ε at t = 1, 0.02 in the middle and nothing at T, where x_t is the noise. For x₀ it is the other "
        "way: nothing at t = 1, everything at T. Look at the errors by timestep."
    ),
    "Course eq. 2.10; Luo eq. 110",
    (Lesson(tr("Predict ε"), EPS), Lesson(tr("Predict x₀"), X_0)),
)

COUNT = TourCard(
    tr("Which t count"),
    tr(
        "What a t adds to the loss is its error times its weight λ_t. With 1 on ε the first tenth of t adds "
        "a half, to the best linear denoiser; with the weight of the bound nine tenths; with min-SNR a "
        "seventh. You can change the weight while it trains: look at the share by timestep."
    ),
    "Ho et al. 2020, eq. 14; Hang et al. 2023, eq. 8",
    (
        Lesson(tr("1 on ε"), {**EPS, "objective.weight": SurrogateWeight().model_dump()}),
        Lesson(tr("The bound"), BOUND),
        Lesson("min-SNR", {**EPS, "objective.weight": MinSNRWeight().model_dump()}),
    ),
)

DRAWN = TourCard(
    tr("Draw t where the loss is"),
    tr(
        "With the weight of the bound a few t carry nearly all of the loss. Drawn evenly, most images see "
        "none of it, and the loss of one image jumps by eight times its mean. Drawn by importance, and each "
        "loss divided by how often its t is drawn, the mean is the same and jumps far less."
    ),
    "iDDPM eq. 18",
    (
        Lesson(tr("Drawn evenly"), BOUND),
        Lesson(tr("By importance"), {**BOUND, "objective.density": ImportanceDensity().model_dump()}),
    ),
)

CARDS = (BEGINS, JUMPS, FLOOR, HARD, COUNT, DRAWN)


class TouredTraining:
    """The Train page, as its tour sets it. What else trains is never stopped by it."""

    def __init__(self, model: TrainViewModel) -> None:
        self._model, self._idle = model, OnceIdle(model)
        self._own: Path | None = None  # the run that the tour began

    def apply(self, lesson: Lesson) -> None:
        """A training of its own, or the present one goes on with another weight."""
        model, config = self._model, lesson.config()
        if not self._may_stop():
            model.tell(Notice("info", BUSY))
        elif model.state.busy and may_become(model.state, config):
            model.editor.set(config)
            model.settle()
        else:
            self._idle.do(partial(self._begin, config))

    def _begin(self, config: RunConfig) -> None:
        self._model.editor.set(config)
        self._model.start()
        self._own = self._model.state.run

    def _may_stop(self) -> bool:
        state = self._model.state
        return not state.busy or state.run == self._own

    def kept(self) -> Kept:
        return self._model.config, self._model.state.run

    def put_back(self, kept: Kept) -> None:
        if self._may_stop():
            self._idle.do(partial(self._put_back, *kept))

    def _put_back(self, config: RunConfig, run: Path | None) -> None:
        model = self._model
        model.editor.set(config)
        if run is not None and run != model.state.run:
            model.show_run(run)
