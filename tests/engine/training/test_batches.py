"""The order of the data and the draws of a step are functions of (seed, step) alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_studio.core.denoisers.denoiser import NO_LABEL
from diffusion_studio.data.imageset import ImageSet, to_model_range
from diffusion_studio.engine.training.batches import Batch, BatchSource, DataOrder
from support.tiny import CPU

COUNTS = st.integers(1, 40)
SEEDS = st.integers(0, 2**31 - 1)


@given(COUNTS, SEEDS, st.integers(0, 5))
def test_that_every_epoch_shows_each_image_once(count: int, seed: int, epoch: int) -> None:
    numbers = DataOrder(count, seed).slice(epoch * count, count)
    assert sorted(numbers.tolist()) == list(range(count))


@given(COUNTS, SEEDS, st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_that_the_order_does_not_depend_on_the_batches(count: int, seed: int, sizes: list[int]) -> None:
    whole = DataOrder(count, seed).slice(0, sum(sizes))
    order, position = DataOrder(count, seed), 0
    for size in sizes:
        assert order.slice(position, size).tolist() == whole[position : position + size].tolist()
        position += size


@given(COUNTS, SEEDS, st.lists(st.integers(0, 300), min_size=1, max_size=6))
def test_that_the_order_does_not_depend_on_what_was_asked_before(
    count: int, seed: int, positions: list[int]
) -> None:
    order = DataOrder(count, seed)
    for position in positions:
        assert order.slice(position, 3).tolist() == DataOrder(count, seed).slice(position, 3).tolist()


def test_that_epochs_and_seeds_differ() -> None:
    orders = {tuple(DataOrder(50, seed).slice(50 * epoch, 50)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def image_set(count: int = 20, labels: list[int] | None = None, constant: bool = False) -> ImageSet:
    """Pictures that tell their number: image i is filled with i, but for a mark on its left."""
    images = np.empty((count, 1, 4, 4), np.uint8)
    images[:] = np.arange(count, dtype=np.uint8)[:, None, None, None]
    if not constant:
        images[:, :, :, 0] = 255
    classes = np.arange(count) % 3 if labels is None else np.array(labels)
    return ImageSet(images, classes.astype(np.int64), ("a", "b", "c"), (), (), "set", "set")


def source(images: ImageSet | None = None, **changes: object) -> BatchSource:
    settings = {"steps": 50, "classes": 3, "dropout": 0.0, "flip": False, "seed": 0, "device": CPU}
    return BatchSource(images or image_set(), **(settings | changes))


def equal(a: Batch, b: Batch) -> bool:
    return all(
        torch.equal(x, y)
        for x, y in ((a.x_0, b.x_0), (a.t, b.t), (a.noise, b.noise), (a.labels, b.labels))
        if x is not None and y is not None
    )


@given(SEEDS, st.integers(0, 10**7), st.booleans())
def test_that_a_batch_is_a_function_of_seed_and_step(seed: int, step: int, flip: bool) -> None:
    settings = {"seed": seed, "flip": flip, "dropout": 0.3}
    used = source(**settings)
    used.batch(step + 5, 77, 9)
    torch.rand(3)  # the global generator plays no part
    assert equal(used.batch(step, step * 8, 8), source(**settings).batch(step, step * 8, 8))


def test_that_steps_and_seeds_have_their_own_noise() -> None:
    noises = [source(seed=seed).batch(step, 0, 8).noise for seed in range(4) for step in range(4)]
    for i, one in enumerate(noises):
        for other in noises[:i]:
            assert abs(float((one * other).mean())) < 0.4


def test_that_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    source(flip=True, dropout=0.5).batch(3, 5, 8)
    assert torch.equal(torch.get_rng_state(), state)


def test_that_pixels_come_in_the_range_of_the_model() -> None:
    images = image_set(256)
    batch = source(images).batch(0, 0, 256)
    numbers = DataOrder(256, 0).slice(0, 256)
    torch.testing.assert_close(batch.x_0, torch.from_numpy(to_model_range(images.images[numbers])))
    assert batch.x_0.dtype == batch.noise.dtype == torch.float32
    assert (batch.x_0.min(), batch.x_0.max()) == (-1, 1)


def test_that_labels_belong_to_their_images() -> None:
    batch = source().batch(0, 0, 20)
    numbers = DataOrder(20, 0).slice(0, 20)
    assert batch.labels is not None
    assert batch.labels.tolist() == (numbers % 3).tolist()


def test_that_times_are_uniform_from_1_to_T() -> None:
    T, draws = 20, 40_000
    drawn = torch.cat([source(steps=T).batch(step, 0, 400).t for step in range(draws // 400)])
    counts = np.bincount(drawn.numpy(), minlength=T + 1)
    assert counts[0] == 0
    assert len(counts) == T + 1
    expected = draws / T
    chi_square = float(((counts[1:] - expected) ** 2 / expected).sum())
    assert chi_square < 43.8, "the 99.9 % quantile for 19 degrees of freedom"


def test_that_noise_is_standard_normal() -> None:
    noise = torch.cat([source().batch(step, 0, 200).noise.flatten() for step in range(20)]).double()
    n = len(noise)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert float((noise**power).mean()) == pytest.approx(moment, abs=4 * (variance / n) ** 0.5)


def rate(count: Callable[[Batch], int], draws: int = 10_000, **changes: object) -> float:
    return sum(count(source(**changes).batch(s, 0, 200)) for s in range(draws // 200)) / draws


def hidden(batch: Batch) -> int:
    assert batch.labels is not None
    assert int(batch.labels.max()) <= 2
    return int((batch.labels == NO_LABEL).sum())


@pytest.mark.parametrize("dropout", [0.0, 0.1, 0.5, 1.0])
def test_that_labels_are_hidden_at_the_asked_rate(dropout: float) -> None:
    spread = (dropout * (1 - dropout) / 10_000) ** 0.5
    assert rate(hidden, dropout=dropout) == pytest.approx(dropout, abs=4 * spread)


def test_that_an_image_without_a_label_is_always_unlabelled() -> None:
    assert rate(hidden, images=image_set(20, [-1] * 20), draws=400) == 1


def test_that_a_network_without_classes_gets_no_labels() -> None:
    assert source(classes=0).batch(0, 0, 4).labels is None


def mirrored(batch: Batch) -> int:
    marked_right = batch.x_0[:, 0, 0, 3] == 1
    assert torch.equal(marked_right, batch.x_0[:, 0, 0, 0] != 1), "each image has its mark on one side"
    return int(marked_right.sum())


@pytest.mark.parametrize(("flip", "share"), [(False, 0.0), (True, 0.5)])
def test_that_half_of_the_images_are_mirrored_when_asked(flip: bool, share: float) -> None:
    spread = (share * (1 - share) / 10_000) ** 0.5
    assert rate(mirrored, flip=flip) == pytest.approx(share, abs=4 * spread)


def test_that_mirroring_leaves_the_data_alone() -> None:
    images = image_set()
    before = images.images.copy()
    source(images, flip=True).batch(0, 0, 20)
    assert np.array_equal(images.images, before)


def test_that_a_batch_may_be_larger_than_the_data() -> None:
    batch = source(image_set(3)).batch(0, 0, 10)
    assert batch.x_0.shape == (10, 1, 4, 4)
    values = torch.round((batch.x_0[:, 0, 0, 3] + 1) * 127.5).long()
    assert sorted(values[:3].tolist()) == sorted(values[3:6].tolist()) == [0, 1, 2]
