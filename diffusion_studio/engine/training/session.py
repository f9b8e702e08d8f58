"""A training made ready: its run folder, images and learner, new or resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from diffusion_studio.core.describe import get_value
from diffusion_studio.core.objective.elbo import discretised_log_likelihood, log_density
from diffusion_studio.core.process.schedules import LearnedSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import tr
from diffusion_studio.data.errors import Cancelled
from diffusion_studio.data.imageset import ImageSet, printable
from diffusion_studio.engine.loop.run_keeper import resume
from diffusion_studio.engine.loop.task import Counters
from diffusion_studio.engine.machine.devices import choose_precision, is_fast
from diffusion_studio.engine.machine.ranks import ALONE, Ranks
from diffusion_studio.engine.machine.room import check_room
from diffusion_studio.engine.runs import model_io
from diffusion_studio.engine.runs.checkpoints import STATE, STUDIO, CheckpointContent, CheckpointError
from diffusion_studio.engine.runs.code_files import CODE, code_contents, read_code
from diffusion_studio.engine.runs.config import ObjectiveSpec, RunConfig
from diffusion_studio.engine.runs.creation import NewRun, begin_run
from diffusion_studio.engine.runs.run import Run, RunError
from diffusion_studio.engine.training.batches import BatchSource, Examples, Pixels
from diffusion_studio.engine.training.codes import CodedImages, FoundCode, encoded, find_code, newly_coded
from diffusion_studio.engine.training.learner import Learner, LearnerState, faster_parts
from diffusion_studio.engine.training.minimised import StepResult
from diffusion_studio.engine.training.moved import with_images_at
from diffusion_studio.engine.training.run_data import (
    Reading,
    RunData,
    agree,
    images_of,
    kept_apart,
    load_run_data,
    manifest_of,
)
from diffusion_studio.engine.training.schedule_learner import ScheduleLearner
from diffusion_studio.engine.training.timestep_errors import TimestepAverages
from diffusion_studio.models.code import Code
from diffusion_studio.models.company import company
from diffusion_studio.models.side_by_side import parts_for
from diffusion_studio.models.snr import LearnedSNR
from diffusion_studio.models.unet import UNetSpec, build_unet

if TYPE_CHECKING:
    from diffusers import UNet2DModel

Shape = tuple[int, int, int]
RAW, OPTIMIZER = "trainer/raw.safetensors", "trainer/optimizer.safetensors"
DENSITY = "trainer/density.safetensors"  # what a density that learns remembers
NARROW = 32  # channels up to which AdamW may take longer steps
SMALL = 16  # pixels up to which a step takes so little time that large batches suit
LARGE = 64  # pixels up to which batches are not made smaller
FIXED = ("data", "model", "diffusion", "seed", "objective.predict", "objective.variance",
         "training.optimizer")  # fmt: skip
"""What a run keeps for its whole life."""


@dataclass
class Session:
    """One training in memory."""

    run: Run
    images: ImageSet
    learner: Learner
    batches: BatchSource
    averages: TimestepAverages
    counters: Counters = field(default_factory=Counters)
    notes: tuple[str, ...] = ()  # sentences about what was found while making ready
    code: Code | None = None  # where the network learns codes, and not pixels

    @property
    def config(self) -> RunConfig:
        return self.run.config

    def state(self) -> CheckpointContent:
        """All that a checkpoint of this moment holds, but how far the training has come."""
        state = self.learner.state()
        names = [printable(name) for name in self.images.class_names]
        studio: dict[str, Any] = {
            "schema": 1, "classes": self.learner.classes, "class_names": names,
            "prediction": self.config.objective.predict, "step": self.counters.step,
        }  # fmt: skip
        if self.code is not None:
            studio["in_a_code"] = True
        pipeline = model_io.pipeline_json(
            self.learner.unet.config, self.learner.tables, self.config.objective.predict, self.code is None
        )
        tensors = {model_io.UNET_WEIGHTS: state.ema, RAW: state.raw, OPTIMIZER: state.optimizer}
        history = self.batches.history
        if history is not None:
            tensors[DENSITY] = {"losses": history.losses, "count": history.count}
        trainer = {"timestep_errors": self.averages.state()}
        return CheckpointContent(json={**pipeline, STUDIO: studio, STATE: trainer}, tensors=tensors)

    def restore(self, content: CheckpointContent) -> None:
        """Goes on from what a checkpoint holds.

        Raises:
            CheckpointError: it belongs to another network or was written by another version.
        """
        tensors = content.tensors
        try:
            raw, ema, optimizer = (dict(tensors[name]) for name in (RAW, model_io.UNET_WEIGHTS, OPTIMIZER))
            self.averages.restore(content.json[STATE]["timestep_errors"])
        except (KeyError, TypeError):
            raise CheckpointError(tr("The checkpoint was written by another version.")) from None
        self.learner.restore(LearnerState(raw, ema, optimizer))
        if self.batches.history is not None and DENSITY in tensors:
            self.batches.history.restore(tensors[DENSITY])

    def step(self, number: int, position: int) -> tuple[Tensor, StepResult]:
        """One step of learning; the times of its images, and what was measured of each.

        Args:
            number: how many steps came before.
            position: how many images were seen before.

        Raises:
            RankError: another process that trains it is gone; nothing has changed then.
        """
        size, ranks = self.config.training.batch_size, self.learner.ranks
        if ranks.is_first:
            ranks.tell({"step": number, "position": position})
        with ranks.at_work():
            batch = self.batches.batch(number, position, size, ranks.rows(size))
            result = self.learner.step(batch, number)
            self.batches.learn(batch.every_t, result.losses)
        return batch.every_t, result

    def set_objective(self, objective: ObjectiveSpec) -> None:
        """Goes on with another weight, density or loss from the next step on."""
        if self.learner.ranks.is_first:
            self.learner.ranks.tell({"objective": objective.model_dump(mode="json")})
        config = self.config.model_copy(update={"objective": objective})
        config = config.with_density(self.batches.examples.shape[1])
        self.run = replace(self.run, config=config)
        self.learner.set_objective(config.objective)
        self.batches.set_density(config.objective.density, self.learner.tables)

    def set_parts(self, parts: int) -> None:
        """Splits batches from the next step on."""
        self.run = replace(self.run, config=_in_parts(self.config, parts))
        self.learner.set_parts(parts)

    def set_length(self, steps: int, seconds: float) -> None:
        """Trains up to these limits; 0 sets none."""
        training = self.config.training.model_copy(update={"steps": steps, "seconds": seconds})
        self.run = replace(self.run, config=self.config.model_copy(update={"training": training}))


def new_session(
    place: Path | NewRun, config: RunConfig, device: torch.device, reading: Reading | None = None,
    cancelled: Callable[[], bool] | None = None, encoding: Reading | None = None, ranks: Ranks = ALONE,
) -> Session:  # fmt: skip
    """Reads the images, fixes every automatic choice and makes the run folder.

    Args:
        place: the run folder, or the folder in which it gets a name of its own.
        reading: how many images of how many are read.
        encoding: the same of those that are encoded, where the network learns in a code.
        ranks: the processes that train it together, of which this is the first.

    Raises:
        Cancelled: `cancelled()` became true; there is no run folder then.
        Refused: data, config or folder that cannot be used; the message is a sentence for a person.
    """
    code = find_code(config.model.code, device) if config.model.code else None
    images = images_of(config.data, code.code.factor if code else 1, reading, cancelled)
    _heed(cancelled)  # what follows cannot be interrupted: the network's library takes a second to import
    trained, apart = kept_apart(images, config.data.held_out, config.seed)
    data = RunData(images, trained, apart, images.notes)
    found = _ground(code, config, data, device, encoding, cancelled)
    shape = found.examples.shape
    resolved = resolve(config, images, device, shape)
    if measured := not resolved.training.parts:
        resolved = _in_faster_parts(resolved, images, device, shape, ranks, cancelled)
    _heed(cancelled)
    agree(ranks, resolved, images)
    learner = learner_for(resolved, images, device, shape)
    _heed(cancelled)
    beside = None if found.code is None else code_contents(found.code)
    run = begin_run(place, resolved, manifest_of(images, apart), beside, measured)
    return ready_session(run, replace(data, notes=(*data.notes, *found.notes)), learner, device, found)


def _in_faster_parts(
    config: RunConfig, images: ImageSet, device: torch.device, shape: Shape, ranks: Ranks,
    cancelled: Callable[[], bool] | None,
) -> RunConfig:  # fmt: skip
    """As `faster_parts`, of a network for it alone, which is not built where there is nothing to choose."""
    size = config.training.batch_size
    if ranks.count > 1:  # they have a processor each
        return _in_parts(config, config.training.parts or 1)
    if parts_for(size, device) == 1:
        return _in_parts(config, 1)
    learner = learner_for(config, images, device, shape)
    return _in_parts(config, faster_parts(learner, shape, size, lambda: _heed(cancelled)))


def _in_parts(config: RunConfig, parts: int) -> RunConfig:
    return config.model_copy(update={"training": config.training.model_copy(update={"parts": parts})})


@dataclass(frozen=True, eq=False)
class Ground:
    """What a network is trained on."""

    examples: Examples
    code: Code | None = None
    notes: tuple[str, ...] = ()


def _ground(
    found: FoundCode | None, config: RunConfig, data: RunData, device: torch.device,
    encoding: Reading | None, cancelled: Callable[[], bool] | None,
) -> Ground:  # fmt: skip
    """The pixels of a new run, or their codes."""
    if found is None:
        return Ground(Pixels(data.images.images, device))
    examples, code = newly_coded(found, data, config.data.flip, encoding, cancelled)
    return Ground(examples, code, found.notes)


def kept_code(
    run: Run, data: RunData, device: torch.device, encoding: Reading | None,
    cancelled: Callable[[], bool] | None,
) -> Ground:  # fmt: skip
    """The same of a run that goes on: it has its code in its own folder."""
    images = data.images
    if not run.config.model.code:
        return Ground(Pixels(images.images, device))
    code = read_code(run.path / CODE, "", device, "")
    raw = encoded(images, code, run.config.data.flip, encoding, cancelled)
    return Ground(CodedImages(raw, code), code)


def _heed(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise Cancelled


def resolve(
    config: RunConfig, images: ImageSet, device: torch.device, shape: Shape | None = None
) -> RunConfig:
    """The config with every automatic value filled in.

    Args:
        shape: of what the network sees, (C, H, W); None: the images.

    Raises:
        Refused: a network that the images do not allow.
    """
    data = config.data.model_copy(update={"resolution": images.resolution, "channels": images.channels})
    side = shape[1] if shape else images.resolution
    model = config.model.resolved(side, is_fast(device))
    model = model.model_copy(update={"conditional": model.conditional and images.conditional_possible})
    return _chosen(config.model_copy(update={"data": data, "model": model}), side, device)


def _chosen(config: RunConfig, side: int, device: torch.device) -> RunConfig:
    """What may change in the life of a run, with every automatic value filled in; its network is known."""
    training = config.training
    optimizer = "muon" if training.optimizer == "auto" else training.optimizer
    training = training.model_copy(
        update={
            "precision": choose_precision(training.precision, device),
            "batch_size": training.batch_size or batch_size_for(side, device), "optimizer": optimizer,
            "learning_rate": training.learning_rate or learning_rate_for(config.model, optimizer),
        }
    )  # fmt: skip
    return config.model_copy(update={"training": training}).with_density(side)


def learning_rate_for(model: UNetSpec, optimizer: str) -> float:
    """AdamW may take longer steps where the network, of a known width, is narrow; measured on 8×8 digits."""
    return 7e-3 if optimizer == "adamw" and model.width * max(model.multipliers) <= NARROW else 3e-3


def batch_size_for(resolution: int, device: torch.device) -> int:
    """Where a step takes long, more of them with fewer images each teach more in the same time; above
    64 pixels a batch has as many pixels as one at 64, and no fewer than four images.
    """
    size = 128 if is_fast(device) or resolution <= SMALL else 32
    return max(4, min(size, size * LARGE**2 // resolution**2))


def learner_for(
    config: RunConfig, images: ImageSet, device: torch.device, shape: Shape | None = None
) -> Learner:
    """A fresh network for a config without automatic values.

    Args:
        shape: of what it sees, (C, H, W); None: the images.

    Raises:
        Refused: it has no room on the device.
    """
    channels, side = shape[:2] if shape else (images.channels, images.resolution)
    precision = choose_precision(config.training.precision, device)
    classes = images.classes if config.model.conditional else 0
    learned = config.objective.variance != "fixed"

    def build() -> UNet2DModel:
        return build_unet(config.model, side, channels, classes, learned)

    check_room(build, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        unet = build()
        for weight in unet.conv_out.parameters():  # it says 0 at first, as that of Ho et al. 2020 does
            torch.nn.init.zeros_(weight)
    tables = config.diffusion.tables()
    schedule = None
    if isinstance(config.diffusion.schedule, LearnedSchedule):
        chosen = config.diffusion.schedule
        snr = LearnedSNR(tables.steps, -chosen.first, -chosen.last)
        schedule = ScheduleLearner(snr, device, of_codes=bool(config.model.code))
    likelihood = log_density if config.model.code else discretised_log_likelihood
    return Learner(
        unet, tables, config.training, classes, device, precision, config.objective, schedule, likelihood
    )


def ready_session(run: Run, data: RunData, learner: Learner, device: torch.device, ground: Ground) -> Session:
    """A session before its first step."""
    config = run.config
    tables: Tables = learner.tables
    batches = BatchSource(
        data.images, tables.steps, learner.classes, config.training.label_dropout, config.data.flip,
        config.seed, device, data.trained, ground.examples,
    )  # fmt: skip
    batches.set_density(config.objective.density, tables)
    averages = TimestepAverages(tables.steps)
    return Session(run, data.images, learner, batches, averages, notes=data.notes, code=ground.code)


def resumed_session(
    path: Path, device: torch.device, config: RunConfig | None = None, reading: Reading | None = None,
    cancelled: Callable[[], bool] | None = None, encoding: Reading | None = None, ranks: Ranks = ALONE,
) -> Session:  # fmt: skip
    """Goes on from the newest sound checkpoint of a run, or from the start when there is none yet.

    Args:
        config: the run's config with other training parameters, or None for its own.
        ranks: the processes that train it together, of which this is the first.

    Raises:
        Cancelled: `cancelled()` became true.
        Refused: a run that cannot be resumed; the message is a sentence for a person.
    """
    run = _reconfigured(Run.open(path), config)
    data = load_run_data(run, reading, cancelled)
    _heed(cancelled)
    ground = kept_code(run, data, device, encoding, cancelled)
    shape = ground.examples.shape
    run = replace(run, config=_chosen(run.config, shape[1], device))  # what may change, also back to auto
    checkpoint: Path | None = None
    try:
        checkpoint, notes = run.newest_checkpoint()
    except RunError as error:
        notes = (tr("{error} Training begins again at step 0.", error=error),)
    if not run.config.training.parts or (run.parts_measured and company().is_here()):  # else: the same bits
        faster = _in_faster_parts(run.config, data.images, device, shape, ranks, cancelled)
        run = replace(run, config=faster, parts_measured=True)
    learner = learner_for(run.config, data.images, device, shape)
    session = ready_session(run, data, learner, device, ground)
    session.notes += notes
    if checkpoint is not None:
        session.counters = resume(session, checkpoint)
    agree(ranks, run.config, data.images)
    return session


def _reconfigured(run: Run, config: RunConfig | None) -> Run:
    if config is None or config == run.config:
        return run
    here = with_images_at(run, config.data.source)  # checked when they are read
    for name in FIXED:
        if get_value(config, name) != get_value(here.config, name):
            what = name.rpartition(".")[2]
            raise RunError(
                tr(
                    "The {name} of {run} cannot change after its first step; start a new run for that.",
                    name=what,
                    run=run.name,
                )
            )
    same = config.training.parts == run.config.training.parts
    return Run(run.path, config, run.parts_measured and same)  # written once the training holds the lock
