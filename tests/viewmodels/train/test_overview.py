"""What is told of a set of images before a training."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion_studio.data.imageset import ImageSet, Skipped
from diffusion_studio.viewmodels.train.overview import (
    PICTURES,
    REASONS,
    LeftOut,
    balance,
    left_out,
    native_sizes,
    near_duplicates,
    overview,
)


def noise(count: int, channels: int = 3, side: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, channels, side, side)).astype(np.uint8)


def image_set(images: np.ndarray, labels: list[int], **values) -> ImageSet:
    files = tuple(f"{number}.png" for number in range(len(images)))
    names = ("cat", "dog") if max(labels) > 0 else ()
    fields = {"skipped": (), "name": "Pets", "source": "/pets", **values}
    return ImageSet(images, np.array(labels), names, files, **fields)


def test_that_an_image_that_looks_like_one_before_it_is_a_near_duplicate():
    images = noise(40)
    brighter = np.clip(images[3].astype(int) + 2, 0, 255).astype(np.uint8)
    assert near_duplicates(images) == 0
    assert near_duplicates(np.concatenate([images, images[:2], brighter[None]])) == 3


@pytest.mark.parametrize("side", [4, 8, 64])
def test_that_images_of_one_colour_are_told_apart_by_it(side):
    plain = np.stack([np.full((1, side, side), grey, np.uint8) for grey in (0, 100, 200, 101)])
    assert near_duplicates(plain) == 1


def test_that_the_most_frequent_sizes_are_told_and_the_others_counted():
    sizes = np.array([[64, 64]] * 5 + [[32, 48]] * 2 + [[k, 9] for k in range(10, 14)], np.int32)
    assert native_sizes(sizes) == "5 of 64×64, 2 of 32×48, 1 of 10×9, 1 of 11×9, 2 more sizes"
    assert native_sizes(sizes[:5]) == "5 of 64×64"


def test_that_the_balance_of_classes_is_told():
    assert balance([5, 5]) == "5 images of each class"
    assert balance([2000, 5]) == "5 to 2,000 images of a class"
    assert balance([0, 3]) == "a class without an image; 3 in the largest"


def test_that_files_are_grouped_by_the_reason_why_they_were_left_out():
    skipped = [Skipped(f"{k}.txt", "It is not an image.", other=True) for k in range(2183)]
    skipped += [Skipped("b.png", "It is empty."), Skipped("c.png", "It is empty.")]
    assert left_out(skipped) == (
        LeftOut("It is not an image.", 2183, "0.txt", other=True), LeftOut("It is empty.", 2, "b.png"),
    )  # fmt: skip
    assert [group.words for group in left_out(skipped)] == [
        "2,183 other files ignored", "2 files: It is empty.",
    ]  # fmt: skip
    many = [Skipped(f"{k}.png", f"Reason {k}.") for k in range(20)]
    groups = left_out([*skipped, *many])
    assert len(groups) == REASONS
    assert groups[-1] == LeftOut("For other reasons.", 17, "3.png")
    assert sum(group.count for group in groups) == len(skipped) + len(many)


def test_that_an_overview_has_pictures_classes_and_facts():
    images = image_set(noise(200), [0] * 150 + [1] * 40 + [-1] * 10, sizes=np.full((200, 2), 16, np.int32))
    found = overview(images)
    assert found.pictures.shape == (PICTURES, 16, 16, 3)
    assert (found.pictures[0] == images.images[0].transpose(1, 2, 0)).all()
    assert (found.captions[0], found.captions[-1]) == ("cat", "")
    assert found.classes == (("cat", 150), ("dog", 40))
    assert dict(found.facts) == {
        "images": "200", "shape here": "16×16, colour", "in the files": "200 of 16×16",
        "balance": "40 to 150 images of a class", "without a class": "10", "near-duplicates": "none",
    }  # fmt: skip


def test_that_a_set_without_classes_or_sizes_is_told_of_too():
    found = overview(image_set(noise(3, channels=1), [-1] * 3))
    assert (found.classes, found.captions) == ((), ())
    assert [what for what, _ in found.facts] == ["images", "shape here", "near-duplicates"]
