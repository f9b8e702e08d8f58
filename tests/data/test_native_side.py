"""The size that is chosen for a folder whose resolution is left open."""

import numpy as np
import pytest
from PIL import Image

from diffusion_studio.data import load as loading
from diffusion_studio.data.load import load
from diffusion_studio.data.spec import DataSpec


def folder(path, *sizes):
    path.mkdir()
    for number, size in enumerate(sizes):
        pixels = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(path / f"{number}.png")
    return path


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(28, 28)] * 3, 28), ([(64, 64)] * 2, 64), ([(33, 40)], 33), ([(30, 30)], 30),
        ([(640, 480)], 64), ([(3, 5)], 8),
        ([(16, 16), (16, 20), (300, 300)], 16),
    ],
)  # fmt: skip
def test_that_pictures_keep_their_size_up_to_64_pixels(tmp_path, sizes, side):
    images = load(DataSpec(source=str(folder(tmp_path / "pictures", *sizes))), tmp_path / "cache")
    assert images.images.shape[2:] == (side, side)


def test_that_padded_pictures_keep_their_longer_side(tmp_path):
    path = folder(tmp_path / "pictures", (33, 40))
    assert load(DataSpec(source=str(path), fit="pad"), tmp_path / "cache").resolution == 40


def test_that_the_size_that_was_chosen_is_not_decoded_again_when_it_is_asked_for(tmp_path, monkeypatch):
    path = folder(tmp_path / "pictures", (300, 200))
    first = load(DataSpec(source=str(path)), tmp_path / "cache")
    monkeypatch.setattr(loading, "decode", None)
    again = load(DataSpec(source=str(path), resolution=64), tmp_path / "cache")
    assert np.array_equal(again.images, first.images)


def test_that_what_is_no_picture_does_not_decide(tmp_path):
    path = folder(tmp_path / "pictures", (20, 20))
    for number in range(5):
        (path / f"broken{number}.png").write_bytes(b"no picture")
    assert load(DataSpec(source=str(path)), tmp_path / "cache").resolution == 20
    assert load(DataSpec(source=str(path), resolution=12), tmp_path / "cache").resolution == 12
