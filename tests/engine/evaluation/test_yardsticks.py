"""The yardsticks beside a bound, on images whose cost is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diffusion_studio.data.digits import digits
from diffusion_studio.data.spec import DataSpec
from diffusion_studio.engine.evaluation import yardsticks as module
from diffusion_studio.engine.evaluation.yardsticks import (
    count_levels,
    gaussian_bits,
    histogram_bits,
    yardsticks,
)


def flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)


def test_that_even_bytes_cost_eight_bits():
    random = np.random.default_rng(0)
    fitted, asked = (random.integers(0, 256, (n, 1, 2, 2), dtype=np.uint8) for n in (40_000, 2000))
    found = yardsticks(fitted, asked)
    assert found.levels == 256
    assert found.raw == 8
    assert found.histogram == pytest.approx(8, abs=0.01)
    assert found.gaussian > found.histogram  # no normal distribution is as even


@pytest.mark.parametrize("together", [False, True])
def test_that_normal_bytes_cost_what_their_density_says(together):
    """log₂ of the standard deviation and 2.05 bits, where a bin is much narrower than it."""
    random = np.random.default_rng(1)
    fitted, asked = (random.normal(120, 12, (n, 3)).round().astype(np.uint8) for n in (20_000, 20_000))
    exact = math.log2(12) + math.log2(2 * math.pi * math.e) / 2
    levels = count_levels(fitted, together=together)
    assert gaussian_bits(levels, asked) == pytest.approx(exact, abs=0.01)
    assert histogram_bits(levels, asked) == pytest.approx(exact, abs=0.02)


def test_that_pixels_that_say_the_same_are_cheaper_together():
    one = np.random.default_rng(2).integers(60, 180, (5000, 1))
    pixels = np.repeat(one, 4, axis=1).astype(np.uint8)
    together, each = (gaussian_bits(count_levels(pixels, None, both), pixels) for both in (True, False))
    assert together < each / 2


def test_that_a_pixel_that_never_changes_costs_next_to_nothing_and_a_new_level_not_without_end():
    fitted = np.full((1000, 1), 7, np.uint8)
    levels = count_levels(fitted)
    assert histogram_bits(levels, fitted) < 0.002
    assert 0 < gaussian_bits(levels, fitted) < 0.3
    assert 17 < histogram_bits(levels, fitted + 1) < 19


@pytest.mark.parametrize("together", [False, True])
def test_that_levels_counted_piece_by_piece_are_those_of_all_images(together, monkeypatch):
    images = np.random.default_rng(4).integers(0, 256, (50, 1, 3, 3), dtype=np.uint8)
    numbers = np.arange(1, 50, 3)
    monkeypatch.setattr(module, "_AT_ONCE", 9 * 4)  # four images at a time
    found, pixels = count_levels(images, numbers, together), flat(images[numbers]).astype(float)
    assert found.count == 17
    assert np.array_equal(found.counts[4], np.bincount(images[numbers, 0, 1, 1], minlength=256))
    assert np.allclose(found.mean, pixels.mean(0))
    assert np.allclose(found.variance, pixels.var(0))
    assert not together or np.allclose(found.covariance, np.cov(pixels.T, bias=True))
    whole = yardsticks(images[numbers], images[:5])
    assert yardsticks(images, images[:5], numbers) == whole


def test_that_few_images_of_many_pixels_are_fitted_pixel_by_pixel():
    images = np.random.default_rng(3).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8)
    assert not yardsticks(images, images).together


def test_the_yardsticks_of_the_digits():
    """Seventeen levels, so that a figure below 4.09 bits is no achievement by itself."""
    images = digits(DataSpec()).images
    found = yardsticks(images[::2], images[1::2])
    assert found.levels == 17
    assert found.raw == pytest.approx(math.log2(17))
    assert found.together
    assert 2.3 < found.histogram < 2.6
    assert 6 < found.gaussian < 7  # it spreads over the bins between the levels
