"""How good samples are: distances between sets of images, in the principal components of the training set.

Pixels are in [0, 1]. Every number depends on how many samples it rests on, so each stands beside the same
number for as many real images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
COMPONENTS = 64  # of the space in which sets are compared
MOST_REAL = 2000  # training images that take part
NEIGHBOURS = 3  # k of precision and recall (Kynkäänniemi et al. 2019)
REPEATS = 8  # draws of real images behind each reference


@dataclass(frozen=True)
class Quality:
    """Measures of a set of samples, each with its reference: real images in their place."""

    count: int  # samples
    frechet: float  # root of the Fréchet distance to the training images
    real_frechet: float
    real_frechet_spread: float  # standard deviation over draws
    precision: float  # share of samples among real images
    real_precision: float
    recall: float  # share of real images among samples
    real_recall: float
    nearest: float  # median distance to the nearest training image, in pixels
    real_nearest: float  # the same between training images


def frechet_distance(a: Floats, b: Floats) -> float:
    """Root of ‖μ₁−μ₂‖² + tr(C₁ + C₂ − 2(C₁C₂)^½) of two Gaussians fitted to (n, D) and (m, D)."""
    mean = ((a.mean(0) - b.mean(0)) ** 2).sum()
    ca, cb = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    values, vectors = np.linalg.eigh(ca)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    overlap = np.sqrt(np.linalg.eigvalsh(root @ cb @ root).clip(0)).sum()
    return float(np.sqrt(max(mean + np.trace(ca) + np.trace(cb) - 2 * overlap, 0)))


def distances(a: Floats, b: Floats) -> Floats:
    """Euclidean distances. (n, D), (m, D) → (n, m)"""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    found: Floats = np.sqrt(np.maximum(squares, 0))
    return found


def radii(points: Floats, k: int = NEIGHBOURS) -> Floats:
    """Distance from each point to its k-th nearest other one. (n, D) → (n,)"""
    between = distances(points, points)
    k = min(k, len(points) - 1)
    found: Floats = np.partition(between, k, axis=1)[:, k]  # 0 is the point itself
    return found


def covered(points: Floats, centres: Floats, reach: Floats) -> float:
    """Share of `points` that lie within the reach of some centre."""
    return float((distances(points, centres) <= reach).any(1).mean())


class QualitySpace:
    """The space of a training set, in which samples are compared with it.

    Args:
        images: uint8 (N, C, H, W); of many images an even choice takes part.
    """

    def __init__(self, images: NDArray[np.uint8]) -> None:
        chosen = np.unique(np.linspace(0, len(images) - 1, min(len(images), MOST_REAL)).astype(int))
        self._pixels = _flat(images[chosen])
        self._mean = self._pixels.mean(0)
        centred = self._pixels - self._mean
        gram = centred.T @ centred if centred.shape[1] <= len(centred) else centred @ centred.T
        values, vectors = np.linalg.eigh(gram)
        if gram.shape[0] != centred.shape[1]:  # fewer images than pixels: the dual problem
            vectors = centred.T @ vectors / np.sqrt(np.maximum(values, 1e-12))
        kept = slice(-1, -1 - min(COMPONENTS, int((values > 1e-9 * values[-1]).sum())), -1)
        self._axes = vectors[:, kept]  # (D, K)
        self.explained = float(values[kept].sum() / max(values.sum(), 1e-30))
        self.real = centred @ self._axes  # (N, K)
        self._references: dict[int, tuple[float, float, float, float]] = {}

    @property
    def components(self) -> int:
        return int(self._axes.shape[1])

    @cached_property
    def _radii(self) -> Floats:
        return radii(self.real)

    @cached_property
    def real_nearest(self) -> float:
        return float(np.median(radii(self._pixels, 1)))

    def measure(self, samples: NDArray[np.uint8]) -> Quality:
        """The measures of uint8 samples (n, C, H, W), n ≥ 2."""
        pixels = _flat(samples)
        points = (pixels - self._mean) @ self._axes
        real_frechet, spread, real_precision, real_recall = self._reference(len(samples))
        return Quality(
            len(samples), frechet_distance(points, self.real), real_frechet, spread,
            covered(points, self.real, self._radii), real_precision,
            covered(self.real, points, radii(points)), real_recall,
            float(np.median(distances(pixels, self._pixels).min(1))), self.real_nearest,
        )  # fmt: skip

    def _reference(self, count: int) -> tuple[float, float, float, float]:
        """The same measures for so many real images against the others, over several draws."""
        if count not in self._references:
            random = np.random.default_rng(0)
            half = min(count, len(self.real) // 2)
            found = []
            for _ in range(REPEATS):
                order = random.permutation(len(self.real))
                some, others = self.real[order[:half]], self.real[order[half:]]
                found.append((
                    frechet_distance(some, others), covered(some, others, radii(others)),
                    covered(others, some, radii(some)),
                ))  # fmt: skip
            frechet, precision, recall = np.array(found).T
            self._references[count] = (
                float(frechet.mean()), float(frechet.std()), float(precision.mean()), float(recall.mean())
            )  # fmt: skip
        return self._references[count]


def _flat(images: NDArray[Any]) -> Floats:
    """uint8 images as points in [0, 1]. (n, C, H, W) → (n, D)"""
    flat: Floats = np.asarray(images, np.float64).reshape(len(images), -1) / 255
    return flat
