"""What guidance trades: one noise under many strengths, and measures of the samples over γ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.guidance.guidance import Strength
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.words import tr
from diffusion_studio.data.imageset import ImageSet, to_pictures, to_uint8
from diffusion_studio.engine.chains.chain import Chain, inferred
from diffusion_studio.engine.chains.sample_spec import EVERY_CLASS, NO_CLASS
from diffusion_studio.engine.chains.starts import NoiseStart
from diffusion_studio.engine.runs.quality import QualitySpace

GAMMAS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
STRIP_CLASSES = 10  # rows at most
FITTED = 2000  # images at most that the judge learns from
RIDGE = 0.1  # how little it trusts a single one of them


@dataclass(frozen=True, eq=False)
class GammaStrip:
    """One noise, led to each class with each strength."""

    images: NDArray[np.uint8]  # (rows · columns, H, W, 1 or 3), row by row
    gammas: tuple[float, ...]  # of the columns
    classes: tuple[str, ...]  # of the rows


@dataclass(frozen=True)
class Trade:
    """What one strength of guidance gives, and what it costs."""

    gamma: float
    count: int
    adherence: float  # share that the judge takes for the class that was asked for
    diversity: float  # mean root mean square between two samples of one class; 1 for the real images
    frechet: float  # root of the Fréchet distance to the real images
    real_frechet: float  # the same of as many real ones
    precision: float
    recall: float


class Judge:
    """A classifier of clean images that guidance never sees: kernel ridge regression of their pixels onto ±1.

    Raises:
        Refused: images of fewer than two classes.
    """

    def __init__(self, images: ImageSet) -> None:
        known = np.flatnonzero(images.labels >= 0)
        if len(np.unique(images.labels[known])) < 2:
            raise Refused(tr("{images} has no two classes to tell apart.", images=images.name))
        random = np.random.default_rng(0)
        known = random.permutation(known)[: FITTED + FITTED // 4]
        tested, fitted = np.split(np.arange(len(known)), [len(known) // 5])
        pixels, labels = _flat(images.images[known]), images.labels[known]
        self._classes, wanted = np.unique(labels[fitted], return_inverse=True)
        self._fitted = pixels[fitted]
        self._width = pixels.shape[1] * max(float(self._fitted.var()), 1e-12)  # squared, of the kernel
        kernel = self._kernel(self._fitted) + RIDGE * np.eye(len(fitted))
        self._weights = np.linalg.solve(
            kernel, np.where(wanted[:, None] == np.arange(len(self._classes)), 1.0, -1.0)
        )
        self.accuracy = float((self._judged(pixels[tested]) == labels[tested]).mean())
        self._own = {int(k): pixels[labels == k] for k in np.unique(labels)}

    def adherence(self, samples: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
        """Share of uint8 samples (n, C, H, W) that look like the class that was asked for (n,)."""
        return float((self._judged(_flat(samples)) == labels).mean())

    def _judged(self, pixels: NDArray[np.float64]) -> NDArray[np.int64]:
        """The class of each. (n, D) → (n,)"""
        found: NDArray[np.int64] = self._classes[(self._kernel(pixels) @ self._weights).argmax(1)]
        return found

    def _kernel(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """How alike each is to the images that it learned from, 0 … 1. (n, D) → (n, fitted)"""
        known = self._fitted
        apart = (pixels**2).sum(1)[:, None] + (known**2).sum(1) - 2 * pixels @ known.T
        found: NDArray[np.float64] = np.exp(-np.maximum(apart, 0) / self._width)
        return found

    @cached_property
    def real_diversity(self) -> float:
        """Mean root mean square between two real images of one class."""
        return _mean_apart(self._own.values())

    def diversity(self, samples: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
        """The same for samples, in units of the real images'."""
        pixels = _flat(samples)
        return _mean_apart(pixels[labels == k] for k in np.unique(labels)) / self.real_diversity


def gamma_strip(chain: Chain, gammas: Sequence[float] = GAMMAS) -> Iterator[GammaStrip | None]:
    """One noise under every strength: columns are γ, rows are classes; None for each step of the way.

    All samples go down in one chain, whose rule, times and clipping are those of `chain`.

    Raises:
        Refused: a model without classes.
    """
    rows = _classes(chain)[:STRIP_CLASSES]
    names = tuple(chain.class_names[k] for k in rows)
    labels = torch.tensor(rows, device=chain.device).repeat_interleave(len(gammas))
    strengths = [*gammas] * len(rows)
    one = chain.source.shape(1)

    def noise(t: int, shape: tuple[int, ...], draw: int = 0, /) -> Tensor:
        return chain.noise.step(t, one, draw).expand(shape)

    x = chain.noise.start(one).expand(len(labels), *one[1:]).contiguous(memory_format=torch.channels_last)
    base = _base(chain)
    spec, strength = base.spec, _over_chain(base, strengths)
    steps = reverse_chain(
        base.guided(strength), spec.sampler, base.times, x, noise, labels, base.clip,
        shift=base.shifted(strength),
    )  # fmt: skip
    for step in inferred(steps):
        x = step.x_s
        yield None
    pictures = chain.source.pictures(x.float()).cpu().numpy()
    yield GammaStrip(to_pictures(pictures), tuple(gammas), names)


def sweep(
    chain: Chain, judge: Judge, space: QualitySpace, count: int, gammas: Sequence[float] = GAMMAS
) -> Iterator[Trade | None]:
    """Measures of `count` samples, all classes in turn, for each strength; None for each step of the way.

    The judge and the space must be of the images that the model was trained on.

    Raises:
        Refused: a model without classes.
    """
    classes = _classes(chain)
    labels = torch.tensor(classes, device=chain.device).repeat(math.ceil(count / len(classes)))[:count]
    asked = labels.cpu().numpy()
    for gamma in gammas:
        spec = chain.spec.model_copy(update={"label": -1, "count": count, "guidance": float(gamma)})
        moved = _base(replace(chain, spec=spec))
        for step in moved.steps():
            x = step.x_s
            yield None
        samples = to_uint8(chain.source.pictures(x.float()).cpu().numpy())
        quality = space.measure(samples)
        yield Trade(
            float(gamma), count, judge.adherence(samples, asked), judge.diversity(samples, asked),
            quality.frechet, quality.real_frechet, quality.precision, quality.recall,
        )  # fmt: skip


def _classes(chain: Chain) -> list[int]:
    if not chain.class_names:
        raise Refused(
            tr("{source} was trained without labels; guidance needs them.", source=chain.source.name)
        )
    return list(range(len(chain.class_names)))


def _base(chain: Chain) -> Chain:
    """The chain from noise, with all classes asked for in turn."""
    spec = chain.spec
    label = EVERY_CLASS if spec.label == NO_CLASS else spec.label
    spec = spec.model_copy(update={"start": NoiseStart(), "label": label})
    return Chain(chain.source, spec, chain.device)


def _over_chain(chain: Chain, gammas: Sequence[float]) -> Strength:
    """γ_t of each sample."""
    curve, steps = chain.spec.curve, chain.source.tables.steps
    return lambda t: torch.tensor([curve.at(gamma, t / steps) for gamma in gammas])


def _flat(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    flat: NDArray[np.float64] = images.reshape(len(images), -1) / 255.0
    return flat


def _mean_apart(groups: Iterable[NDArray[np.float64]]) -> float:
    """Mean over groups (n, D) of the mean root mean square between two of their members."""
    apart = []
    for points in groups:
        if len(points) < 2:
            continue
        squares = (points**2).sum(1)
        between = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0) / points.shape[1]
        apart.append(np.sqrt(between)[np.triu_indices(len(points), 1)].mean())
    return float(np.mean(apart)) if apart else 0.0
