"""The network, its optimizer and its running average: one training step, and the state that continues it."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffusion_studio.core.averaging import decay_at
from diffusion_studio.core.denoisers.coordinates import Coordinates
from diffusion_studio.core.objective.elbo import Likelihood, discretised_log_likelihood
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import tr
from diffusion_studio.engine.loop.descent import Descent, Gradient
from diffusion_studio.engine.loop.pace import CLEARLY
from diffusion_studio.engine.machine.devices import training_format
from diffusion_studio.engine.machine.ranks import ALONE
from diffusion_studio.engine.runs.checkpoints import CheckpointError
from diffusion_studio.engine.runs.config import ObjectiveSpec, TrainingSpec
from diffusion_studio.engine.training.batches import Batch
from diffusion_studio.engine.training.minimised import Minimised, StepResult
from diffusion_studio.engine.training.schedule_learner import DrawnNoise, ScheduleLearner
from diffusion_studio.models.network import NetworkDenoiser, predicted
from diffusion_studio.models.side_by_side import (
    LEAST,
    handed_on,
    helpers_for,
    parts_for,
    slices,
    with_helpers,
)
from diffusion_studio.models.unet import Precision, UNet

if TYPE_CHECKING:
    from diffusers import UNet2DModel


ROUNDS = 3  # of each, after one that prepares
FAR = 2.0  # how much longer whole batches take where one round is enough to choose
VERY_FAR = 5.0  # the same in the steps that prepare; those in parts come first, and import what is needed


@dataclass(frozen=True, eq=False)
class LearnerState:
    """Tensors that continue a training exactly, by parameter name."""

    raw: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimizer: dict[str, Tensor]  # "exp_avg.NAME", "exp_avg_sq.NAME", "step.NAME", "momentum.NAME"


class Learner:
    """Trains one network (Ho et al. 2020, algorithm 1, with any prediction, loss and weight).

    Args:
        unet: freshly built; its weights are the start.
        tables: the forward process.
        spec: learning rate, EMA and so on; may be replaced between steps.
        classes: K of a conditional network, or 0.
        objective: what is minimised; `set_objective` changes it between steps.
        schedule: a noise schedule that is learned beside the network, or None.
        likelihood: ln p(x_0|x_1) in the bound, of pixels or of codes.

    Attributes:
        ranks: the processes that train it together; each is given its rows of a batch.
    """

    ranks = ALONE

    def __init__(
        self, unet: UNet2DModel, tables: Tables, spec: TrainingSpec, classes: int, device: torch.device,
        precision: Precision, objective: ObjectiveSpec | None = None,
        schedule: ScheduleLearner | None = None, likelihood: Likelihood = discretised_log_likelihood,
    ) -> None:  # fmt: skip
        self.spec, self._likelihood = spec, likelihood
        self._tables = tables
        self.classes = classes
        self.device = device
        self.precision: Precision = precision
        self.memory_format = training_format(device, precision, spec.parts)
        self.unet = unet.to(device=device, memory_format=self.memory_format).train()
        self.network = UNet(self.unet, classes, precision)
        self.ema_unet = copy.deepcopy(self.unet).eval().requires_grad_(False)
        self.descent = self._descent()
        self.schedule = schedule
        self._behind = schedule is not None  # whether the schedule has moved on from the tables
        self.set_objective(objective or ObjectiveSpec())

    def _descent(self) -> Descent:
        return Descent(self.unet, self.ema_unet, muon=self.spec.optimizer == "muon")

    @property
    def tables(self) -> Tables:
        """The forward process; one that is learned is read from its device only when it is asked for."""
        if self.schedule is not None and self._behind:
            self._tables, self._behind = self.schedule.tables(), False
            self.set_objective(self._minimised.spec)
        return self._tables

    @property
    def minimised(self) -> Minimised:
        """What is minimised, by the tables as they stand."""
        _ = self.tables
        return self._minimised

    def set_objective(self, objective: ObjectiveSpec) -> None:
        """Minimises this from the next step on."""
        self._minimised = Minimised(
            objective, self._tables, self.device, self.schedule is not None, self._likelihood
        )
        self._coordinates = Coordinates.of(self._tables, objective.predict, self.device)

    @property
    def parts(self) -> int:
        """Of all parts of a step, those that are worked on here; 0: one for each processor."""
        return -(-self.spec.parts // self.ranks.count)

    def set_parts(self, parts: int) -> None:
        """Splits batches from the next step on; the weights lie as suits that."""
        self.spec = self.spec.model_copy(update={"parts": parts})
        layout = training_format(self.device, self.precision, parts)
        if layout == self.memory_format:
            return
        moments, self.memory_format = self.descent.state(), layout
        for network in (self.unet, self.ema_unet):
            network.to(memory_format=layout)
        self.descent = self._descent()
        self.descent.restore(moments)

    def step(self, batch: Batch, number: int) -> StepResult:
        """One gradient step; a gradient that is not finite changes nothing.

        Args:
            batch: the rows that are computed here.
            number: how many steps came before.

        Returns:
            Error and loss of each sample of the whole batch, on the device. float32 (B,)
        """
        parts = slices(len(batch.t), self.parts or parts_for(len(batch.t), self.device))
        with with_helpers(helpers_for(parts)):
            return self._step(batch, number, parts)

    def _step(self, batch: Batch, number: int, parts: Sequence[slice]) -> StepResult:
        drawn = None if self.schedule is None else self.schedule.draw(batch.t)
        result = self._in_parts(batch, drawn, parts)
        if self.schedule is not None and drawn is not None:
            self.schedule.measure(batch, drawn, result.minimised)
        if self.ranks.count > 1:
            result = self._joined(result, len(batch.every_t))
        if self.schedule is not None:
            self.schedule.follow()
            self._behind = True
        self.descent.follow(
            self.learning_rate(number), decay_at(number, self.spec.ema_decay),
            self.spec.gradient_clip or math.inf, self.spec.weight_decay,
        )  # fmt: skip
        return result

    def _in_parts(self, batch: Batch, drawn: DrawnNoise | None, parts: Sequence[slice]) -> StepResult:
        """The gradient of the mean loss, summed over the parts of the batch; and what they measured."""
        leaves = () if drawn is None else drawn.leaves

        def one(rows: slice) -> tuple[StepResult, Gradient]:
            result = self._result(batch.part(rows), None if drawn is None else drawn.part(rows))
            share = (rows.stop - rows.start) / len(batch.every_t)
            gradient = self.descent.gradient(result.minimised.mean() * share, leaves)
            return result.detached(), gradient

        results: list[StepResult] = []

        def gradients() -> Iterator[Gradient]:
            for result, gradient in handed_on(one, parts, self.device):
                results.append(result)
                yield gradient

        self.descent.take(gradients(), leaves)
        return StepResult.of_parts(results)

    def _joined(self, result: StepResult, whole: int) -> StepResult:
        """What all processes measured; the gradients become the sums of theirs on the way."""
        gradients = [weight.grad for weight in self.descent.weights if weight.grad is not None]
        if self.schedule is not None:
            gradients += self.schedule.gradients
        return result.joined(self.ranks.rows(whole), whole, self.ranks, gradients)

    def _result(self, batch: Batch, drawn: DrawnNoise | None = None) -> StepResult:
        x_t = self._minimised.noisy(batch, drawn).contiguous(memory_format=self.memory_format)
        output = predicted(self.network, self._coordinates, x_t, batch.t, batch.labels)
        return self._minimised(batch, x_t, output, drawn)

    def learning_rate(self, number: int) -> float:
        """The learning rate of a step: it grows while warming up, and falls like 1/√step in the end."""
        spec = self.spec
        rise = min(1.0, (number + 1) / max(spec.warmup, 1))
        fall = math.sqrt(max(number / spec.decay_from, 1.0)) if spec.decay_from else 1.0
        return spec.learning_rate * rise / fall

    @property
    def parameter_count(self) -> int:
        return self.descent.size

    def denoiser(self) -> NetworkDenoiser[UNet]:
        """The EMA network as it stands; it moves on with the training."""
        network = UNet(self.ema_unet, self.classes, self.precision)
        return NetworkDenoiser(self.tables, network, self.minimised.spec.predict)

    def state(self) -> LearnerState:
        """Everything that continues this training exactly."""
        moments = self.descent.state()
        if self.schedule is not None:
            moments |= self.schedule.state()
        return LearnerState(self.unet.state_dict(), self.ema_unet.state_dict(), moments)

    def restore(self, state: LearnerState) -> None:
        """Goes on from `state`.

        Raises:
            CheckpointError: it belongs to another network.
        """
        try:
            self.unet.load_state_dict(state.raw)
            self.ema_unet.load_state_dict(state.ema)
            self.descent.restore(state.optimizer)
            if self.schedule is not None:
                self.schedule.restore(state.optimizer)
                self._behind = True
        except (RuntimeError, KeyError) as error:
            raise CheckpointError(tr("The checkpoint belongs to another network.")) from error


def faster_parts(learner: Learner, shape: tuple[int, int, int], size: int, heed: Callable[[], None]) -> int:
    """Into how many parts batches of `size` are split as is fastest now: one, one for each processor, or half
    of those, a quarter …, whose operations are shared by the processors that are left (docs/adr/0007).

    By itself a machine computes whole batches a little faster with helper threads; beside other programs
    parts are several times faster.

    Args:
        learner: of a network that nobody keeps; it takes some steps.
        shape: of what it sees, (C, H, W).
        heed: called before each step; what it raises ends the measuring.
    """
    many = parts_for(size, learner.device)
    if many == 1:
        return 1
    batch, took = _made_up(min(size, LEAST * many), shape, learner), dict.fromkeys(_halves(many), 0.0)
    for number in range(ROUNDS + 1):
        last = {}
        for parts in took:
            heed()
            learner.spec = learner.spec.model_copy(update={"parts": parts})
            began = time.perf_counter()
            learner.step(batch, number).losses.cpu()
            last[parts] = time.perf_counter() - began
            took[parts] += last[parts] if number else 0.0
        best = _fastest(last) if number else many  # what comes first has prepared what the others need
        if last[1] > (FAR if number else VERY_FAR) * last[best]:
            return best  # a machine at work on something else is not asked again
    best = _fastest(took)
    return best if took[best] < CLEARLY * took[1] else 1


def _halves(many: int) -> Iterator[int]:
    """12, 6, 3, 1: so many parts, and half as many as long as there are several."""
    while many > 1:
        yield many
        many //= 2
    yield 1


def _fastest(took: Mapping[int, float]) -> int:
    """The number of parts, more than one, that takes the least time."""
    return min((parts for parts in took if parts > 1), key=lambda parts: took[parts])


def _made_up(count: int, shape: tuple[int, int, int], learner: Learner) -> Batch:
    generator = torch.Generator().manual_seed(0)
    x, noise = (torch.randn(count, *shape, generator=generator).to(learner.device) for _ in range(2))
    t = torch.arange(count, device=learner.device) % learner.tables.steps + 1
    return Batch(x, t, noise, torch.zeros_like(t) if learner.classes else None)
