"""What samples are compared in: the same numbers from less work where the pictures are many and large."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion_studio.engine.runs import quality as module
from diffusion_studio.engine.runs.quality import COMPONENTS, QualitySpace, distances, leading, radii


def pictures(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Sums of waves, less of the shorter ones, on a little noise. uint8 (n, 1, side, side)"""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] / side
    orders = [(a, b) for a in range(1, 7) for b in range(1, 7)]
    waves = np.stack([np.cos(np.pi * (a * rows + b * columns)) / (a + b) for a, b in orders])
    found = np.einsum("nk,kij->nij", random.normal(size=(count, len(waves))), waves)
    found += random.normal(size=found.shape) * 0.02
    return (127.5 + 40 * found).clip(0, 255).astype(np.uint8)[:, None]


@pytest.mark.parametrize(
    ("count", "side"), [(300, 8), (1200, 40), (1200, 32), (1100, 36)], ids=["all", "dual", "pixels", "more"]
)
def test_that_the_axes_are_those_of_all_that_there_are(count, side):
    space = QualitySpace(pictures(count, side))
    pixels = pictures(count, side).reshape(count, -1) / 255.0
    values, vectors = np.linalg.eigh(np.cov(pixels.T, bias=True))
    assert space.components == min(COMPONENTS, side * side)
    assert space.explained == pytest.approx(values[::-1][: space.components].sum() / values.sum(), rel=1e-5)
    found = (space.real**2).mean(0)
    np.testing.assert_allclose(found[:30], values[::-1][:30], rtol=1e-4)
    axes = np.abs(vectors[:, ::-1][:, :8].T @ space._axes[:, :8])
    np.testing.assert_allclose(axes, np.eye(8), atol=1e-3)


def test_that_of_a_large_matrix_only_a_part_is_taken_apart(monkeypatch):
    sizes, whole = [], np.linalg.eigh

    def eigh(matrix):
        sizes.append(len(matrix))
        return whole(matrix)

    monkeypatch.setattr(np.linalg, "eigh", eigh)
    random = np.random.default_rng(3)
    basis = np.linalg.qr(random.normal(size=(1000, 1000)))[0]
    values = np.exp(-np.arange(1000) / 50)
    found, vectors = leading((basis * values) @ basis.T, COMPONENTS)
    assert sizes == [module.BLOCKS * (COMPONENTS + module.SPARE)]
    np.testing.assert_allclose(found, values[:COMPONENTS], rtol=1e-6)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(COMPONENTS), atol=1e-9)


@pytest.mark.parametrize("some", [4, 60, 200, 390])
def test_that_images_reach_as_far_among_some_as_if_there_were_no_others(some):
    space = QualitySpace(pictures(400, 8))
    numbers = np.random.default_rng(1).permutation(400)[:some]
    np.testing.assert_allclose(space._reach_among(numbers), radii(space.features[numbers]), atol=1e-6)


def test_that_nearest_images_are_those_of_all_differences():
    images, samples = pictures(150, 12), pictures(70, 12, seed=1)
    found = QualitySpace(images).measure(samples)
    flat, other = (x.reshape(len(x), -1) / 255.0 for x in (images, samples))
    between = distances(flat, flat)
    np.fill_diagonal(between, np.inf)
    assert found.real_nearest == pytest.approx(float(np.median(between.min(1))), rel=1e-5)
    assert found.nearest == pytest.approx(float(np.median(distances(other, flat).min(1))), rel=1e-5)


def test_that_images_that_are_there_twice_are_no_distance_apart():
    images = np.concatenate([pictures(90, 16), pictures(90, 16)])
    assert QualitySpace(images).real_nearest == 0


@pytest.mark.parametrize("count", [5, 1200])
def test_that_images_that_are_all_alike_have_no_axes(count):
    space = QualitySpace(np.full((count, 3, 20, 20), 7, np.uint8))
    assert (space.components, space.real_nearest) == (0, 0)
