"""Training of a small network on the shown distribution, live."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffusion_studio.core.averaging import decay_at
from diffusion_studio.core.denoisers.denoiser import NO_LABEL, Denoiser
from diffusion_studio.core.denoisers.mixture import MixtureDenoiser
from diffusion_studio.core.denoisers.readings import READINGS, PredictionKind
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.core.words import tr
from diffusion_studio.engine.jobs.control import Control
from diffusion_studio.engine.jobs.events import Event, Progress
from diffusion_studio.engine.loop.descent import Descent
from diffusion_studio.engine.loop.loop import Training, finishing, trained
from diffusion_studio.engine.loop.task import Limits
from diffusion_studio.engine.plane.losses import LOSSES, Batch, energetic
from diffusion_studio.engine.plane.shapes import CLASSES
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.engine.runs.checkpoints import CheckpointContent, CheckpointError
from diffusion_studio.models.energy_mlp import EnergyNetwork
from diffusion_studio.models.network import NetworkDenoiser
from diffusion_studio.models.score_mlp import PlaneNetwork, ScoreMLP
from diffusion_studio.models.still import still

BATCH = 512  # more steps are worth more than calmer ones
TELL_EVERY = 0.06  # seconds between two pictures of the learned field
EMA = 0.995
CLIP = 1.0
JUDGED = 80  # noise levels at which the score error is measured, at most
RAW, AVERAGE, OPTIMIZER, DRAWS = (f"{part}.safetensors" for part in ("raw", "average", "optimizer", "draws"))
NEVER_BELOW = 0.02  # share of the learning rate that is left at the end


@dataclass(frozen=True, eq=False)
class Learned(Event):
    """The network as it is now."""

    step: int
    seconds: float
    loss: float  # mean over the steps since the last event, on the network's own target
    denoiser: NetworkDenoiser[PlaneNetwork | EnergyNetwork]


def output_scale(tables: Tables, kind: PredictionKind, detail: float) -> Tensor:
    """How large the predicted quantity typically is at each t, so that the network's answer is near 1. (T+1,)

    Args:
        detail: the smallest standard deviation in the data; below it the score stops growing.
    """
    variance = 1 - tables.alpha_bar + tables.alpha_bar * detail**2  # of the narrowest part of p_t
    reading = READINGS[kind]
    return reading.size(tables.alpha_bar, variance) / reading.answer(tables.scale)


def detail_of(spec: PlaneSpec) -> float:
    """The smallest standard deviation of the modes; points have none."""
    if spec.reference == "points":
        return 0.02
    return max(min(min(m.sd_1, m.sd_2) for m in spec.modes), 0.02)


def learn(spec: PlaneSpec, control: Control, seed: int = 0) -> Iterator[Event]:
    """Trains until its time is up, its steps are taken, or `control` stops; pausing keeps the network.

    Every newer network is told as `Learned`, at most every 60 ms; `Finished` is always the last event.
    """
    return finishing(_learning(spec, control, seed))


def _learning(spec: PlaneSpec, control: Control, seed: int) -> Training:
    limits = Limits(spec.learning.steps, spec.learning.seconds)
    return (yield from trained(PlaneTask(spec, seed), control, limits))


class PlaneTask:
    """What a small network learns of the plane.

    Denoising score matching (Luo eq. 161): points of the data are noised, and the network is asked for what
    was added. With `levels` "one" only the slider's t is seen, which is plain score matching at one level.
    `objective` "implicit" takes the noised points alone (`losses.implicit`).
    """

    size = BATCH

    def __init__(self, spec: PlaneSpec, seed: int = 0) -> None:
        self._plan, self._tables = spec.learning, spec.tables()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._detail, classes = detail_of(spec), CLASSES if self._plan.dropped < 1 else 0
            self._network = ScoreMLP(self._plan.width, self._detail, classes, 1 if self._gives_energy else 2)
        self._average = copy.deepcopy(self._network)
        self._descent = Descent(self._network, self._average)
        self._asked = self._reading(self._network)
        self._generator = torch.Generator().manual_seed(seed)
        self._draw = _Batches(spec, self._tables, self._generator)
        self._told = 0.0  # training time of the last network that was told
        self._losses = np.empty(0, np.float32)  # since then

    def step(self, number: int, share: float) -> Tensor:
        plan = self._plan
        loss = self._loss(self._draw())
        self._descent.backward(loss)
        self._descent.follow(plan.learning_rate * _rate(share, number), decay_at(number, EMA), CLIP)
        return loss.detach()

    def _loss(self, batch: Batch) -> Tensor:
        """What is minimised; of an energy also its change with the level, where all levels are learned."""
        plan, network = self._plan, self._asked.network
        if isinstance(network, EnergyNetwork) and (plan.objective, plan.levels) == ("denoising", "all"):
            return energetic(network, batch)
        return LOSSES[plan.objective](self._asked, batch, self._kind)

    def tell(self, progress: Progress, last: bool) -> Iterator[Event]:
        """The network as it is now, not more often than it is worth painting."""
        self._losses = np.concatenate([self._losses, progress.losses])
        if len(self._losses) and (last or progress.seconds - self._told >= TELL_EVERY):
            loss, self._losses = float(self._losses.mean()), np.empty(0, np.float32)
            self._told = progress.seconds
            yield Learned(progress.step, progress.seconds, loss, self.denoiser())

    def denoiser(self) -> NetworkDenoiser[PlaneNetwork | EnergyNetwork]:
        """A copy of the averaged network that training no longer touches."""
        return self._reading(still(self._average))

    @property
    def _gives_energy(self) -> bool:
        return self._plan.gives == "energy"

    @property
    def _kind(self) -> PredictionKind:
        """What the network predicts; the slope of an energy is read as ε."""
        return "eps" if self._gives_energy else self._plan.predicts

    def _reading(self, network: ScoreMLP) -> NetworkDenoiser[PlaneNetwork | EnergyNetwork]:
        read: PlaneNetwork | EnergyNetwork
        if self._gives_energy:
            read = EnergyNetwork(network, self._tables, self._detail)
        else:
            read = PlaneNetwork(network, self._tables, output_scale(self._tables, self._kind, self._detail))
        return NetworkDenoiser(self._tables, read, self._kind)

    def state(self) -> CheckpointContent:
        tensors = {
            RAW: self._network.state_dict(), AVERAGE: self._average.state_dict(),
            OPTIMIZER: self._descent.state(), DRAWS: {"generator": self._generator.get_state()},
        }  # fmt: skip
        return CheckpointContent({}, tensors)

    def restore(self, content: CheckpointContent) -> None:
        try:
            self._network.load_state_dict(dict(content.tensors[RAW]))
            self._average.load_state_dict(dict(content.tensors[AVERAGE]))
            self._descent.restore(content.tensors[OPTIMIZER])
            self._generator.set_state(content.tensors[DRAWS]["generator"])
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(tr("The checkpoint belongs to another network.")) from error


def _rate(share: float, step: int) -> float:
    """Warm-up over 50 steps, then half a cosine over the training."""
    return min(1.0, (step + 1) / 50) * max(NEVER_BELOW, 0.5 * (1 + math.cos(math.pi * share)))


class _Batches:
    """Noised points with what was done to them."""

    def __init__(self, spec: PlaneSpec, tables: Tables, generator: torch.Generator) -> None:
        self.tables, self.generator = tables, generator
        self.level = spec.mixture().at(1.0, torch.float32)
        count = spec.learning.points
        self.points = self.level.labelled_sample(count, generator) if count else None
        self.dropped = spec.learning.dropped
        self.t = max(spec.t, 1) if spec.learning.levels == "one" else None
        self.is_finer = spec.learning.gives == "energy"

    def __call__(self) -> Batch:
        if self.points is None:
            x_0, component = self.level.labelled_sample(BATCH, self.generator)
        else:
            points, components = self.points
            chosen = torch.randint(len(points), (BATCH,), generator=self.generator)
            x_0, component = points[chosen], components[chosen]
        t = self._times()
        noise = torch.randn(BATCH, 2, generator=self.generator)
        alpha_bar = self.tables.alpha_bar[t].float()[:, None]
        return Batch(x_0, noise, t, alpha_bar, self._labels(component))

    def _times(self) -> Tensor:
        """The level of each point. (B,)

        Of an energy half of them are as often from 1 to 2 as from 2 to 4: near the data it differs by many
        nats within a narrow part, and an error in its slope adds up over all of them.
        """
        if self.t is not None:
            return torch.full((BATCH,), self.t)
        t = torch.randint(1, self.tables.steps + 1, (BATCH,), generator=self.generator)
        if self.is_finer:
            shares = torch.rand(BATCH // 2, generator=self.generator)
            t[: BATCH // 2] = torch.exp(shares * math.log(self.tables.steps)).long()
        return t

    def _labels(self, component: Tensor) -> Tensor | None:
        """The class of each point, or ∅ where it is dropped. (B,)"""
        if self.dropped == 1:
            return None
        hidden = torch.rand(len(component), generator=self.generator) < self.dropped
        return self.level.classes[component].masked_fill(hidden, NO_LABEL)


def judged_levels(total: int, count: int = JUDGED) -> dict[int, float]:
    """Noise levels that stand for all of 1 … T, and how much of them each stands for; shares sum to 1.

    They lie close together near the data, where the score is large and its error changes fast: as many
    levels at even distances would give the first one a dozen times what it has.
    """
    times = np.unique(np.round(np.geomspace(1, total, count)).astype(int))
    edges = np.concatenate([[0.5], (times[1:] + times[:-1]) / 2, [total + 0.5]])
    return dict(zip(times.tolist(), (np.diff(edges) / total).tolist(), strict=True))


def score_error(
    exact: MixtureDenoiser, learned: Denoiser, levels: dict[int, float], count: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """E ‖ŝ − s‖² and E ‖s‖² under p_t, each averaged over `levels`: times and their shares."""
    generator = torch.Generator().manual_seed(seed)
    error = size = 0.0
    with torch.inference_mode():
        for t, share in levels.items():
            level = exact.level(t, torch.float32)
            x = level.sample(count, generator)
            score = level.score(x)
            error += share * float(((learned(x, t).score_hat - score) ** 2).sum(1).mean())
            size += share * float((score**2).sum(1).mean())
    return error, size
