"""Denoisers of 8 × 8 pictures that need no training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_studio.core.denoisers.denoiser import Denoiser, FunctionDenoiser
from diffusion_studio.core.denoisers.exact import MemorisingDenoiser
from diffusion_studio.core.denoisers.predictions import Prediction
from diffusion_studio.core.process.schedules import LinearSchedule
from diffusion_studio.core.process.tables import Tables
from diffusion_studio.engine.chains.source import Source


@dataclass(frozen=True, eq=False)
class Data:
    """Random pictures in the range [−1, 1]."""

    pixels: NDArray[np.float64]  # (n, 1, 8, 8)
    labels: NDArray[np.int64]  # (n,)


def tables(T: int = 50) -> Tables:
    return Tables.from_betas(LinearSchedule().betas(T))


def random_source(classes: int = 0, T: int = 50) -> Source:
    """A fixed random convolution that also hears the class; its numbers depend on everything they should."""
    weights = torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(1)) / 3

    def noise(x_t: torch.Tensor, t: int, labels: torch.Tensor | None) -> torch.Tensor:
        heard = 0.0 if labels is None else 0.1 * labels.view(-1, 1, 1, 1)
        return torch.nn.functional.conv2d(x_t, weights, padding=1) * (0.5 + t / T) + heard

    denoiser = FunctionDenoiser(tables(T), noise, conditional=True)
    names = tuple(f"class {k}" for k in range(classes))
    return Source("folder", "random", denoiser, (8, 8), 1, names)


class LearnedVariance:
    """Another denoiser, with v between 0 and 1 in each pixel of x_t."""

    learns_variance = True

    def __init__(self, base: Denoiser) -> None:
        self.base, self.tables = base, base.tables

    def __call__(self, x_t: torch.Tensor, t: int, labels: torch.Tensor | None = None) -> Prediction:
        return replace(self.base(x_t, t, labels), fraction=torch.sigmoid(3 * x_t))


def learned_source(classes: int = 0, T: int = 50) -> Source:
    """`random_source` with a learned variance."""
    source = random_source(classes, T)
    return replace(source, denoiser=LearnedVariance(source.denoiser))


def exact_source(classes: int = 0, T: int = 50) -> tuple[Source, Data]:
    """The memorising denoiser of twelve random pictures."""
    generator = np.random.default_rng(3)
    data = Data(generator.uniform(-1, 1, (12, 1, 8, 8)), np.arange(12) % max(classes, 1))
    labels = torch.from_numpy(data.labels) if classes else None
    denoiser = MemorisingDenoiser(tables(T), torch.from_numpy(data.pixels), labels)
    return Source("memorising", "exact", denoiser, (8, 8), 1, tuple(map(str, range(classes)))), data
