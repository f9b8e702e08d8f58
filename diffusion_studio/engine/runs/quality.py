"""How good samples are: distances between sets of images, beside those of real images and of noise.

The Fréchet distance is taken in the principal components of the training set. Precision and recall look at
how rough an image is as well: noise lies near the mean of all images, amid them, so that in pixels alone
nearly all of it passes for pictures of plain areas; but no picture is as rough as noise.

Pixels are in [0, 1]. Every number depends on how many samples it rests on, so each stands beside the same
number for as many real images and for as many of pure noise, the two ends of its scale.
"""

from __future__ import annotations

import math
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
FEWEST = 64  # samples that are worth a number: a share of so many is right to ±0.05


@dataclass(frozen=True)
class Quality:
    """Measures of a set of samples, each with its references: real images, and noise, in their place."""

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
    noise_frechet: float = math.nan  # not measured by earlier releases
    noise_precision: float = math.nan
    noise_recall: float = math.nan
    noise_nearest: float = math.nan


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


def roughness(images: NDArray[np.uint8]) -> Floats:
    """Mean difference between neighbouring pixels, along both sides, at each scale. (n, C, H, W) → (n, K)"""
    found, scaled = [], np.asarray(images, np.float64) / 255
    while min(scaled.shape[2:]) >= 4:
        found += [np.abs(np.diff(scaled, axis=side)).mean((2, 3)) for side in (2, 3)]
        count, channels, height, width = scaled.shape
        even = scaled[:, :, : height // 2 * 2, : width // 2 * 2]
        scaled = even.reshape(count, channels, height // 2, 2, width // 2, 2).mean((3, 5))
    return np.concatenate(found, 1) if found else np.zeros((len(images), 0))


class QualitySpace:
    """The space of a training set, in which samples are compared with it.

    Args:
        images: uint8 (N, C, H, W).
        numbers: which of them are meant; None: all. Of many an even choice takes part, and only that is read.
    """

    def __init__(self, images: NDArray[np.uint8], numbers: NDArray[np.int64] | None = None) -> None:
        count = len(images) if numbers is None else len(numbers)
        places = np.unique(np.linspace(0, count - 1, min(count, MOST_REAL)).astype(np.int64))
        chosen = images[places if numbers is None else numbers[places]]
        self._shape = images.shape[1:]
        self._pixels = _flat(chosen)
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
        rough = roughness(chosen)
        self._rough_mean = rough.mean(0)
        spread = ((rough - self._rough_mean) ** 2).sum(1).mean()
        self._rough_scale = float(np.sqrt((self.real**2).sum(1).mean() / max(spread, 1e-12)))
        self.features = self._features(self.real, chosen)
        self._references: dict[int, _Reference] = {}

    @property
    def components(self) -> int:
        return int(self._axes.shape[1])

    @cached_property
    def _radii(self) -> Floats:
        return radii(self.features)

    @cached_property
    def real_nearest(self) -> float:
        return float(np.median(radii(self._pixels, 1)))

    def _features(self, points: Floats, images: NDArray[np.uint8]) -> Floats:
        """Components, and beside them roughness, which varies as much between the real images. (n, F)"""
        return np.concatenate([points, self._rough_scale * (roughness(images) - self._rough_mean)], 1)

    def measure(self, samples: NDArray[np.uint8]) -> Quality:
        """The measures of uint8 samples (n, C, H, W), n ≥ 2; fewer than `FEWEST` tell little."""
        reference = self._reference(len(samples))
        real = reference.frechet, reference.spread, reference.precision, reference.recall
        frechet, precision, recall, nearest = self._against(samples)
        return Quality(
            len(samples), frechet, *real[:2], precision, real[2], recall, real[3], nearest,
            self.real_nearest, *reference.noise,
        )  # fmt: skip

    def frechet(self, samples: NDArray[np.uint8]) -> float:
        """The Fréchet distance alone of uint8 samples (n, C, H, W), n ≥ 2."""
        return frechet_distance(self._points(_flat(samples)), self.real)

    def _points(self, pixels: Floats) -> Floats:
        """Of samples, in the principal components. (n, D) → (n, K)"""
        found: Floats = (pixels - self._mean) @ self._axes
        return found

    def _against(self, samples: NDArray[np.uint8]) -> tuple[float, float, float, float]:
        """(Fréchet distance, precision, recall, nearest) of samples against the real images."""
        pixels = _flat(samples)
        points = self._points(pixels)
        features = self._features(points, samples)
        return (
            frechet_distance(points, self.real), covered(features, self.features, self._radii),
            covered(self.features, features, radii(features)),
            float(np.median(distances(pixels, self._pixels).min(1))),
        )  # fmt: skip

    def _reference(self, count: int) -> _Reference:
        """The same measures for so many real images against the others, over several draws, and for noise."""
        if count not in self._references:
            random = np.random.default_rng(0)
            half = min(count, len(self.real) // 2)
            found = []
            for _ in range(REPEATS):
                order = random.permutation(len(self.real))
                some, others = order[:half], order[half:]
                near, far = self.features[some], self.features[others]
                found.append((
                    frechet_distance(self.real[some], self.real[others]),
                    covered(near, far, radii(far)), covered(far, near, radii(near)),
                ))  # fmt: skip
            frechet, precision, recall = np.array(found).T
            self._references[count] = _Reference(
                float(frechet.mean()), float(frechet.std()), float(precision.mean()), float(recall.mean()),
                self._against(noise_images((count, *self._shape))),
            )  # fmt: skip
        return self._references[count]


@dataclass(frozen=True)
class _Reference:
    """What as many real images measure against the others, and what as many of noise do."""

    frechet: float
    spread: float
    precision: float
    recall: float
    noise: tuple[float, float, float, float]  # Fréchet distance, precision, recall, nearest


def noise_images(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """What a chain begins with, as pictures: standard normal values, clipped to [−1, 1]. uint8 of `shape`"""
    values = np.random.default_rng(1).standard_normal(shape).clip(-1, 1)
    found: NDArray[np.uint8] = np.rint(127.5 * (values + 1)).astype(np.uint8)
    return found


def _flat(images: NDArray[Any]) -> Floats:
    """uint8 images as points in [0, 1]. (n, C, H, W) → (n, D)"""
    flat: Floats = np.asarray(images, np.float64).reshape(len(images), -1) / 255
    return flat
