"""How good samples are: distances between sets of images, beside those of real images and of noise.

The Fréchet distance is taken in the principal components of the training set. Precision and recall look at
how rough an image is as well: noise lies near the mean of all images, amid them, so that in pixels alone
nearly all of it passes for pictures of plain areas; but no picture is as rough as noise.

Pixels are in [0, 1]; those of pictures above 64 px are averaged over blocks, so that large ones take no more
memory and time than small ones. Every number depends on how many samples it rests on, so each stands beside
the same number for as many real images and for as many of pure noise, the two ends of its scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion_studio.engine.files.figures import Figure

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]  # for pixels, of which there are many
_Any = TypeVar("_Any", np.float32, np.float64)
COMPONENTS = 64  # of the space in which sets are compared
MOST_REAL = 2000  # training images that take part
NEIGHBOURS = 3  # k of precision and recall (Kynkäänniemi et al. 2019)
BLOCKS, SPARE = 6, 16  # of the search for the axes: how often, and how many more than are wanted
_AT_ONCE = 1 << 17  # numbers worked out together
_ROWS = 128  # images whose differences from others are
_NEXT = 16  # neighbours that are known of each image, of which a draw may take some away
LEAST = 1e-6  # share of the largest variance below which a component is rounding
REPEATS = 8  # draws of real images behind each reference
LARGEST = 64  # pixels a side up to which pictures are compared as they are
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
    noise_frechet: Figure = math.nan  # not measured by earlier releases
    noise_precision: Figure = math.nan
    noise_recall: Figure = math.nan
    noise_nearest: Figure = math.nan


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
    k = min(k, len(points) - 1)
    found: Floats = np.partition(distances(points, points), k, axis=1)[:, k]
    return found


def covered(points: Floats, centres: Floats, reach: Floats) -> float:
    """Share of `points` that lie within the reach of some centre."""
    return _covered(distances(points, centres), reach)


def _covered(between: Floats, reach: Floats) -> float:
    return float((between <= reach).any(1).mean())


def leading(gram: NDArray[_Any], count: int) -> tuple[NDArray[_Any], NDArray[_Any]]:
    """The `count` largest eigenvalues of a symmetric matrix that has none below 0, and their vectors.

    Of a large matrix by powers of it on random vectors (Musco & Musco 2015): to compute all that there are
    takes several times as long.

    Returns:
        (k,), the largest first, and (n, k).
    """
    if len(gram) > 2 * BLOCKS * (count + SPARE):
        block = np.random.default_rng(0).standard_normal((len(gram), count + SPARE)).astype(gram.dtype)
        blocks = []
        for _ in range(BLOCKS):
            block = np.linalg.qr(gram @ block)[0]
            blocks.append(block)
        basis = np.linalg.qr(np.concatenate(blocks, 1))[0]
        values, inner = np.linalg.eigh(basis.T @ (gram @ basis))
        vectors = basis @ inner[:, -count:]
    else:
        values, vectors = np.linalg.eigh(gram)
    return values[::-1][:count], vectors[:, ::-1][:, :count]


def roughness(images: NDArray[np.uint8]) -> Singles:
    """Mean difference between neighbouring pixels, along both sides, at each scale. (n, C, H, W) → (n, K)"""
    return np.concatenate([_roughness(images[some]) for some in _pieces(images)])


def _pieces(images: NDArray[np.uint8]) -> Iterator[slice]:
    """Of so few images that all that is worked out of them stays in the caches of a processor."""
    at_once = max(1, _AT_ONCE // max(math.prod(images.shape[1:]), 1))
    return (slice(start, start + at_once) for start in range(0, len(images), at_once))


def _roughness(images: NDArray[np.uint8]) -> Singles:
    found, scaled = [], _unit(images)
    while min(scaled.shape[2:]) >= 4:
        found += [np.abs(np.diff(scaled, axis=side)).mean((2, 3)) for side in (2, 3)]
        count, channels, height, width = scaled.shape
        even = scaled[:, :, : height // 2 * 2, : width // 2 * 2]
        scaled = even.reshape(count, channels, height // 2, 2, width // 2, 2).mean((3, 5))
    return np.concatenate(found, 1) if found else np.zeros((len(images), 0), np.float32)


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
        self._pixels = _flat(chosen)  # (N, D)
        self._mean = self._pixels.mean(0, dtype=np.float64).astype(np.float32)
        self._pixels -= self._mean
        self._squares = _squared(self._pixels)
        self._between: Singles | None = None  # inner products
        self._axes = self._principal()
        self.real = self._points(self._pixels)  # (N, K)
        self.explained = float((self.real**2).sum() / max(self._squares.sum(dtype=np.float64), 1e-30))
        rough = roughness(chosen)
        self._rough_mean = rough.mean(0)
        spread = ((rough - self._rough_mean) ** 2).sum(1).mean()
        self._rough_scale = float(np.sqrt((self.real**2).sum(1).mean() / max(spread, 1e-12)))
        self.features = self._features(self.real, rough)
        self._references: dict[int, _Reference] = {}

    def _principal(self) -> Singles:
        """The axes along which the images vary most. (D, K)"""
        centred = self._pixels
        dual = centred.shape[1] > len(centred)  # fewer images than pixels
        gram = centred @ centred.T if dual else centred.T @ centred
        values, axes = leading(gram, COMPONENTS)
        axes = axes[:, values > LEAST * values[0]]
        if dual:
            self._between = gram
            axes = np.linalg.qr(centred.T @ axes)[0]
        return axes

    @property
    def components(self) -> int:
        return int(self._axes.shape[1])

    @cached_property
    def _apart(self) -> Floats:
        """Distances between the features of the real images. (N, N)"""
        return distances(self.features, self.features)

    @cached_property
    def _nearest(self) -> tuple[NDArray[np.int64], Floats]:
        """The nearest real images of each, itself among them: their numbers and how far they are. (N, M)"""
        known = min(_NEXT, len(self.real))
        near = np.argpartition(self._apart, known - 1, axis=1)[:, :known]
        order = np.take_along_axis(self._apart, near, 1).argsort(1)
        near = np.take_along_axis(near, order, 1)
        return near, np.take_along_axis(self._apart, near, 1)

    def _reach_among(self, numbers: NDArray[np.int64]) -> Floats:
        """`radii` of these real images among themselves. (n,)"""
        (near, far), among = self._nearest, np.zeros(len(self.real), np.bool_)
        among[numbers] = True
        place = among[near[numbers]].cumsum(1)
        wanted = min(NEIGHBOURS + 1, len(numbers))  # the first is the image itself
        found: Floats = far[numbers, (place >= wanted).argmax(1)]
        few = place[:, -1] < wanted
        if few.any():
            far = np.partition(self._apart[np.ix_(numbers[few], numbers)], wanted - 1, axis=1)
            found[few] = far[:, wanted - 1]
        return found

    @cached_property
    def _radii(self) -> Floats:
        return self._reach_among(np.arange(len(self.real)))

    @cached_property
    def real_nearest(self) -> float:
        inner = self._pixels @ self._pixels.T if self._between is None else self._between
        squares = self._squares - 2 * inner
        np.fill_diagonal(squares, np.inf)
        self._between = None
        return self._median(self._pixels, squares)

    def _median(self, pixels: Singles, squares: Singles) -> float:
        """The median distance from each to the nearest real image, which has the least in its row."""
        nearest, rows = squares.argmin(1), range(0, len(pixels), _ROWS)
        parts = (pixels[k : k + _ROWS] - self._pixels[nearest[k : k + _ROWS]] for k in rows)
        return float(np.median(np.sqrt(np.concatenate([_squared(part) for part in parts]))))

    def _points(self, pixels: Singles) -> Floats:
        """Along the axes. (n, D) → (n, K)"""
        return (pixels @ self._axes).astype(np.float64)

    def _features(self, points: Floats, rough: Singles) -> Floats:
        """Components, and beside them roughness, which varies as much between the real images. (n, F)"""
        return np.concatenate([points, self._rough_scale * (rough - self._rough_mean)], 1)

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
        return frechet_distance(self._points(_flat(samples) - self._mean), self.real)

    def _against(self, samples: NDArray[np.uint8]) -> tuple[float, float, float, float]:
        """(Fréchet distance, precision, recall, nearest) of samples against the real images."""
        pixels = _flat(samples) - self._mean
        points = self._points(pixels)
        features = self._features(points, roughness(samples))
        between = distances(features, self.features)
        return (
            frechet_distance(points, self.real), _covered(between, self._radii),
            _covered(between.T, radii(features)),
            self._median(pixels, self._squares - 2 * pixels @ self._pixels.T),
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
                between = self._apart[some][:, others]
                found.append((
                    frechet_distance(self.real[some], self.real[others]),
                    _covered(between, self._reach_among(others)),
                    _covered(between.T, self._reach_among(some)),
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


def _squared(points: Singles) -> Singles:
    """|x|² of each. (n, D) → (n,)"""
    found: Singles = np.einsum("nd,nd->n", points, points)
    return found


def _flat(images: NDArray[np.uint8]) -> Singles:
    """uint8 images as points in [0, 1], large ones averaged over blocks. (n, C, H, W) → (n, D)"""
    count, channels, height, width = images.shape
    block = _block(height, width)
    if block == 1:
        return _unit(images).reshape(count, -1)
    shape = channels, height // block, block, width // block, block
    means = [_unit(images[some]).reshape(-1, *shape).mean((3, 5)) for some in _pieces(images)]
    return np.concatenate(means).reshape(count, -1)


def _block(height: int, width: int) -> int:
    """The least that divides both sides and leaves at most `LARGEST` of each; else the most that divides."""
    both = math.gcd(height, width)
    divisors = [block for block in range(1, both + 1) if both % block == 0]
    enough = (block for block in divisors if max(height, width) <= LARGEST * block)
    return next(enough, divisors[-1])


def _unit(images: NDArray[np.uint8]) -> Singles:
    values = images.astype(np.float32)
    values /= 255
    return values
