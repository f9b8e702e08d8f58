"""Everything needed to repeat a training, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import model_validator
from torch import Tensor

from diffusion_studio.core.denoisers.readings import READINGS, PredictionKind
from diffusion_studio.core.describe import Choice, knob, with_value
from diffusion_studio.core.objective.losses import AnyLoss, L2Loss
from diffusion_studio.core.objective.time_density import (
    AnyTimeDensity,
    AutoDensity,
    ImportanceDensity,
    LogNormalDensity,
    TimeDensity,
    UniformDensity,
)
from diffusion_studio.core.objective.weights import AnyWeight, check_weight, plain_weight
from diffusion_studio.core.process.forward import (
    AnyForwardProcess,
    VariancePreserving,
    missed_end,
    tables_under,
)
from diffusion_studio.core.process.schedules import AnySchedule, CosineSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.models.unet import UNetSpec

ReverseVariance = Literal["fixed", "hybrid", "vlb"]
MOST_PARTS = 64  # of a step
PARTS_MEASURED = "parts_measured"  # in config.json and in previews, beside the config: nobody chose them

C = TypeVar("C", bound="TrainingConfig")


class DiffusionSpec(Choice):
    """The forward process."""

    steps: int = knob(
        1000, title=tr("steps"), symbol="T", ge=2, le=4000, scale="log",
        help=tr("Number of noising steps between an image and pure noise."), source="Ho et al. 2020, §4",
    )  # fmt: skip
    schedule: AnySchedule = knob(
        CosineSchedule(), title=tr("schedule"), symbol="β", help=tr("How fast noise is added.")
    )

    forward: AnyForwardProcess = knob(
        VariancePreserving(), title=tr("process"), symbol="x_t",
        help=tr("How image and noise are mixed: what the network is shown."),
    )  # fmt: skip
    zero_terminal: bool = knob(
        False, title=tr("zero SNR at T"),
        help=tr("Stretch the schedule so that nothing of the image is left at T (zero terminal SNR). "
             "Then ε says nothing at T, so the network must predict x₀ or v."),
        formula=r"\mathrm{SNR}(T) = 0", source="Lin et al. 2024, algorithm 1",
    )  # fmt: skip

    @model_validator(mode="after")
    def _possible(self) -> DiffusionSpec:
        self.tables()
        return self

    def tables(self) -> Tables:
        """The float64 tables of this process."""
        return tables_under(self.forward, self.schedule, self.steps, self.zero_terminal)

    def remark(self) -> str:
        """What a person should know of these steps that no formula says, as a sentence; "" if nothing."""
        return self.schedule.remark(self.steps) or missed_end(self.tables())


class ObjectiveSpec(Choice):
    """What is minimised. Loss, weight and density may be changed while training."""

    predict: PredictionKind = knob(
        "v", title=tr("predict"), words={kind: reading.title for kind, reading in READINGS.items()},
        help=tr("What the network says about x_t. Each can be turned into the others; they differ in what is "
             "easy to learn, and in what counts. Choosing one proposes its plain loss as the weight: "
             "1 on its own error, and for the score 1 on that of ε. A weight that was chosen stays."),
        source="Luo eq. 115–151",
    )  # fmt: skip
    variance: ReverseVariance = knob(
        "fixed", title=tr("variance"), symbol="σ²",
        words={"fixed": tr("fixed"), "hybrid": tr("learned, L_hybrid"), "vlb": tr("learned, L_vlb")},
        help=tr("Learned: the network also says how much noise each reverse step adds, between β̃ and β. "
             "L_hybrid adds a thousandth of the bound for it; L_vlb minimises the bound itself, and λ_t "
             "does not act."),
        formula=r"\sigma_t^2 = e^{v\ln\beta_t + (1-v)\ln\tilde\beta_t}", source="iDDPM eq. 15, 16",
    )  # fmt: skip
    loss: AnyLoss = knob(L2Loss(), title=tr("loss"), symbol="ρ", help=tr("How an error counts."))
    weight: AnyWeight = knob(
        plain_weight("v"),
        title=tr("weight"),
        symbol="λ",
        help=tr(
            "How much the error of each t counts, on the ε error. The plain loss of x₀ is 1/SNR there, the "
            "one of v 1/ᾱ; 1 for such a network asks for far more precision near the data, and learns late."
        ),
        source="Course eq. 2.10, algorithm 1",
    )
    density: AnyTimeDensity = knob(
        AutoDensity(), title=tr("draw t"), symbol="p", help=tr("How often each t is drawn.")
    )

    def proposals(self, name: str, value: Any) -> Mapping[str, Any]:
        """Another prediction brings its own plain loss, where the one of the present prediction stands."""
        if name == "predict" and value in READINGS and self.weight == plain_weight(self.predict):
            return {"weight": plain_weight(value).model_dump()}
        return {}

    def weight_for(self, tables: Tables) -> Tensor:
        """λ_t on the ε error, checked. float64 (T+1,)

        Raises:
            Refused: a weight or a density that cannot be trained with; the message is a sentence.
        """
        weight = self.weight.on_eps(tables)
        check_weight(weight)
        self.density.probabilities(tables)
        return weight


class TrainingSpec(Choice):
    """How the network is trained."""

    steps: int = knob(
        0, title=tr("steps"), ge=0, le=100_000_000, words={0: tr("no limit")},
        help=tr("Training ends after this many steps; 0 sets no limit."),
    )  # fmt: skip
    seconds: float = knob(
        0.0, title=tr("time"), unit="s", ge=0, le=10_000_000, words={0: tr("no limit")},
        help=tr("Training ends after this much training time; 0 sets no limit."),
    )  # fmt: skip
    batch_size: int = knob(
        0, title=tr("batch size"), symbol="B", ge=0, le=4096, words={0: tr("auto")},
        help=tr("Images in each step. Fewer need less memory and allow more steps; more give a calmer "
                "gradient. 0 chooses: 32 on a processor where the images are larger than 16 px, otherwise "
                "128."),
    )  # fmt: skip
    parts: int = knob(
        0, title=tr("parts of a step"), ge=0, le=MOST_PARTS, advanced=True, words={0: tr("auto")},
        help=tr("Into how many parts the images of a step are split. Each is worked on by a processor of its "
             "own, and their gradients are added: the same step, but for rounding. 0 measures at the "
             "start what is faster: 1, every operation by all processors, or one for each processor, which "
             "keeps its share beside other programs, or fewer. Once these slow a training down it goes on in "
             "parts, and as before when they are gone. More parts than processors need less memory: those "
             "without a processor wait for their turn."),
        formula=r"\nabla L = \sum_p \tfrac{B_p}{B}\, \nabla L_p",
    )  # fmt: skip
    optimizer: Literal["auto", "muon", "adamw"] = knob(
        "auto", title=tr("optimizer"), advanced=True, words={"muon": "Muon", "adamw": "AdamW"},
        help=tr("Muon turns the gradient of each matrix into a rotation, so that every direction is learned "
             "equally fast: about half the steps of AdamW. What is no matrix is moved by AdamW. "
             "auto takes Muon."),
        formula=r"\theta \leftarrow \theta - \eta\, U V^\top, \quad m = U S V^\top",
        source="Jordan et al. 2024",
    )  # fmt: skip
    learning_rate: float = knob(
        0.0, title=tr("learning rate"), ge=0, le=1, scale="log", words={0: tr("auto")},
        help=tr("Step length of the optimizer. Too large and the loss jumps, too small and nothing happens; "
             "wide networks need a smaller one. 0 chooses: 0.003, but 0.007 for AdamW and at most 32 "
             "channels."),
        source="Loshchilov & Hutter 2019",
    )  # fmt: skip
    ema_decay: float = knob(
        0.999, title=tr("EMA decay"), ge=0, lt=1,
        help=tr("Samples come from a running average of the weights; closer to 1 averages over more steps."),
        formula=r"\bar\theta \leftarrow d\,\bar\theta + (1-d)\,\theta", source="Ho et al. 2020, appendix B",
    )  # fmt: skip
    label_dropout: float = knob(
        0.1, title=tr("drop label"), symbol="p", ge=0, le=1,
        help=tr("How often a label is hidden, so that the network also learns without one; guidance needs "
                "both."),
        source="Ho & Salimans 2022, algorithm 1",
    )  # fmt: skip
    warmup: int = knob(
        50, title=tr("warm-up"), ge=0, le=100_000, advanced=True,
        help=tr("The learning rate grows from 0 over the first steps."),
    )  # fmt: skip
    decay_from: int = knob(
        100, title=tr("decay from"), ge=0, le=10_000_000, advanced=True, words={0: tr("never")},
        help=tr("From this step on the learning rate falls like 1/√step, so that the weights come to rest, "
             "however long the training goes on."),
        formula=r"\eta_k = \eta \big/ \sqrt{\max(k/k_0,\,1)}", source="EDM2 eq. 67",
    )  # fmt: skip
    weight_decay: float = knob(
        0.0, title=tr("weight decay"), ge=0, le=1, advanced=True,
        help=tr("Pulls weights towards 0 a little at each step."), source="Loshchilov & Hutter 2019",
    )  # fmt: skip
    gradient_clip: float = knob(
        1.0, title=tr("gradient clip"), ge=0, le=1000, advanced=True, words={0: tr("off")},
        help=tr("Longest gradient that is followed; longer ones are shortened. 0 never clips."),
    )  # fmt: skip
    precision: Literal["auto", "fp32", "bf16"] = knob(
        "auto", title=tr("precision"), advanced=True,
        help=tr("bf16 is faster on many processors that have it; auto takes it where it is."),
    )  # fmt: skip
    checkpoint_every: int = knob(
        1000, title=tr("checkpoint after"), ge=1, le=10_000_000, advanced=True,
        help=tr("Steps between checkpoints; what a crash can cost at most."),
    )  # fmt: skip
    checkpoint_minutes: float = knob(
        5.0, title=tr("checkpoint time"), unit="min", ge=0.1, le=1440, advanced=True,
        help=tr("Longest training time between checkpoints."),
    )  # fmt: skip
    keep_checkpoints: int = knob(
        3, title=tr("keep checkpoints"), ge=1, le=1000, advanced=True,
        help=tr("Older checkpoints are deleted once a newer one is complete."),
    )  # fmt: skip
    preview_count: int = knob(
        16, title=tr("preview images"), ge=0, le=100, advanced=True,
        help=tr("Images drawn from time to time while training, always from the same noise. 0 draws none; "
             "from 64 on their quality is measured, beside that of real images and of noise."),
    )  # fmt: skip
    preview_share: float = knob(
        0.02, title=tr("preview time"), ge=0, le=0.5, advanced=True,
        help=tr("Largest share of the training time that previews may take. Where a sample takes long, the "
             "first previews draw fewer, at least four, so that the next one comes sooner."),
    )  # fmt: skip


class TrainingConfig(Choice):
    """What every training has, whatever it trains; each kind is a subclass with parameters of its own.

    Attributes:
        kind: its name in config.json.
    """

    kind: ClassVar[str] = ""
    seed: int = knob(
        0, title=tr("seed"), ge=0, le=2**31 - 1,
        help=tr("Same seed, same data, same machine and as many parts of a step: the same training, number "
                "by number."),
    )  # fmt: skip

    @property
    def knows_classes(self) -> bool:
        """Whether its network is told the class of an image."""
        return False

    @classmethod
    def completed(cls, written: Any) -> Any:
        """What a file says, with what every training did before it could be chosen."""
        return written


def afresh(config: C, parts_measured: bool) -> C:
    """A config for another run, which measures anew what was measured for this one."""
    measured = parts_measured and isinstance(config, RunConfig)
    return with_value(config, "training.parts", 0) if measured else config


class RunConfig(TrainingConfig):
    """The training of a diffusion model, completely described."""

    kind: ClassVar[str] = "diffusion"
    data: DataSpec = DataSpec()
    model: UNetSpec = UNetSpec()
    diffusion: DiffusionSpec = DiffusionSpec()
    objective: ObjectiveSpec = ObjectiveSpec()
    training: TrainingSpec = TrainingSpec()

    @model_validator(mode="after")
    def _fitting(self) -> RunConfig:
        if self.diffusion.zero_terminal and not READINGS[self.objective.predict].holds_without_signal:
            known = tr(" or ").join(each.symbol for each in READINGS.values() if each.holds_without_signal)
            raise Refused(
                tr(
                    "Where the last state is pure noise, {title} says nothing about the image: predict "
                    "{known}, or leave “zero SNR at T” off",
                    title=READINGS[self.objective.predict].title,
                    known=known,
                )
            )
        if self.objective.variance != "fixed" and not self.objective.loss.is_squared:
            raise Refused(tr("A learned variance needs the L2 loss: the bound knows no other"))
        if self.diffusion.schedule.learns:
            self._check_learned()
        self.objective.weight_for(self.diffusion.tables())
        return self

    @property
    def knows_classes(self) -> bool:
        return self.model.conditional

    def with_density(self, side: int) -> RunConfig:
        """The same with `density_for` these images in the place of what is automatic."""
        objective = self.objective.model_copy(update={"density": self.density_for(side)})
        return self.model_copy(update={"objective": objective})

    def density_for(self, side: int) -> TimeDensity:
        """How often each t is drawn where a network sees images so many pixels wide.

        With an objective of one's own t is drawn evenly, so that λ_t alone says what counts; but for L_vlb by
        importance, since its terms differ by orders of magnitude (iDDPM, section 3.3). The log-normal one was
        measured on pixels and fixed schedules alone.
        """
        if not isinstance(self.objective.density, AutoDensity):
            return self.objective.density
        if self.objective.variance == "vlb":
            return ImportanceDensity()
        is_usual = self.objective == ObjectiveSpec()
        if is_usual and not self.model.code and not self.diffusion.schedule.learns:
            return LogNormalDensity.for_side(side)
        return UniformDensity()

    @classmethod
    def completed(cls, written: Any) -> Any:
        """AdamW on whole batches at 0.003, the plain loss of ε at times drawn evenly."""
        if not isinstance(written, dict):
            return written
        training, objective = written.get("training", {}), written.get("objective", {})
        if isinstance(training, dict):
            usual = {"optimizer": "adamw", "batch_size": 128, "parts": 1, "learning_rate": 3e-3}
            training = {**usual, **training}
        if isinstance(objective, dict):
            plain = {"predict": "eps", "weight": {"kind": "surrogate"}, "density": {"kind": "uniform"}}
            objective = {**plain, **objective}
        return {**written, "training": training, "objective": objective}

    def _check_learned(self) -> None:
        """A learned schedule is trained by the bound, in which λ_t does not act."""
        objective = self.objective
        if not objective.loss.is_squared:
            raise Refused(tr("A learned schedule is trained by the bound, which knows only the L2 loss"))
        if objective.variance != "fixed" or self.diffusion.zero_terminal:
            raise Refused(tr("A learned schedule needs a fixed variance, and no stretching to pure noise"))
        if not self.diffusion.tables().preserves:
            raise Refused(tr("A learned schedule needs the process VP: its bound is written in ᾱ alone"))
