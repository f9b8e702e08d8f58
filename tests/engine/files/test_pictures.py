"""Grids and animations, read back."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from diffusion_studio.core.refused import Refused
from diffusion_studio.engine.files.pictures import (
    GAP,
    enlarged,
    mosaic,
    read_grid,
    read_settings,
    save_animation,
    save_grid,
)
from support.image_folders import png_chunk

SETTINGS = {"step": 7, "name": "Grüße 山水", "config": {"values": [1.5, None, True]}}


def pictures(count: int, height: int = 5, width: int = 4, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (count, height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


SIZES = st.integers(1, 6)


@given(st.integers(1, 17), SIZES, SIZES, st.sampled_from([1, 3]), st.integers(0, 5))
def test_that_every_picture_stands_in_the_grid_once_and_in_order(
    count: int, height: int, width: int, channels: int, columns: int
) -> None:
    images = pictures(count, height, width, channels)
    grid = mosaic(images, columns, background=9)
    used = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // used)
    assert grid.shape == (rows * (height + GAP) - GAP, used * (width + GAP) - GAP, channels)
    left = grid.astype(int)
    for i, image in enumerate(images):
        y, x = (i // used) * (height + GAP), (i % used) * (width + GAP)
        assert np.array_equal(grid[y : y + height, x : x + width], image)
        left[y : y + height, x : x + width] = 9
    assert (left == 9).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_that_a_grid_on_disk_gives_its_pictures_back(count: int, channels: int, tmp_path: Path) -> None:
    images = pictures(count, channels=channels)
    save_grid(tmp_path / "grid.png", images, SETTINGS)
    found = read_grid(tmp_path / "grid.png", 5, 4)
    assert np.array_equal(found[:count], images)
    assert (found[count:] == 32).all()
    save_grid(tmp_path / "grid.png", images, SETTINGS | {"count": count})
    assert np.array_equal(read_grid(tmp_path / "grid.png", 5, 4), images)
    for odd in ("four", [4], -1, 0, 10**30, None):
        save_grid(tmp_path / "grid.png", images, SETTINGS | {"count": odd})
        assert len(read_grid(tmp_path / "grid.png", 5, 4)) == len(found)
    save_grid(tmp_path / "grid.png", images, SETTINGS)
    assert read_settings(tmp_path / "grid.png") == SETTINGS
    assert [path.name for path in tmp_path.iterdir() if "grid" in path.name] == ["grid.png"]


@pytest.mark.parametrize("at_least", [0, 1, 30, 64])
def test_that_a_small_picture_is_enlarged_by_whole_pixels(at_least: int, tmp_path: Path) -> None:
    images = pictures(1)
    save_grid(tmp_path / "grid.png", images, {}, at_least=at_least)
    with Image.open(tmp_path / "grid.png") as picture:
        pixels = np.asarray(picture)
    factor = pixels.shape[0] // 5
    assert pixels.shape == (5 * factor, 4 * factor, 3)
    assert 4 * factor >= at_least > 4 * (factor - 1) or factor == 1
    assert np.array_equal(pixels[::factor, ::factor], images[0])
    assert np.array_equal(pixels, enlarged(images[0], at_least))


def test_that_other_files_hold_no_settings(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.jpg")
    (tmp_path / "text.png").write_text("no picture")
    for name in ("plain.png", "photo.jpg", "text.png", "nowhere.png"):
        assert read_settings(tmp_path / name) is None
    save_grid(tmp_path / "grid.png", pictures(1), SETTINGS)
    data = (tmp_path / "grid.png").read_bytes()
    (tmp_path / "short.png").write_bytes(data[: len(data) // 2])
    assert read_settings(tmp_path / "short.png") is None


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_that_an_animation_shows_every_frame_and_rests_on_the_last(
    count: int, channels: int, tmp_path: Path
) -> None:
    frames = [np.full((6, 6, channels), 40 * i, np.uint8) for i in range(count)]
    save_animation(tmp_path / "chain.gif", frames, SETTINGS, milliseconds=80)
    durations, colours = [], []
    with Image.open(tmp_path / "chain.gif") as picture:
        assert getattr(picture, "n_frames", 1) == count
        assert json.loads(picture.info["comment"]) == SETTINGS
        for number in range(count):
            picture.seek(number)
            durations.append(picture.info.get("duration"))
            colours.append(int(np.asarray(picture.convert("L"))[0, 0]))
        assert picture.size == (258, 258)
    assert colours == [40 * i for i in range(count)]
    if count > 1:
        assert durations == [80] * (count - 1) + [1500]


def test_that_frames_that_are_alike_keep_their_time(tmp_path: Path) -> None:
    frames = [np.full((6, 6, 3), value, np.uint8) for value in (0, 0, 90)]
    save_animation(tmp_path / "chain.gif", frames, {}, milliseconds=50)
    with Image.open(tmp_path / "chain.gif") as picture:
        total = 0
        for number in range(picture.n_frames):
            picture.seek(number)
            total += picture.info["duration"]
    assert total == 1600


def test_that_a_damaged_picture_holds_no_settings_and_no_grid(tmp_path: Path) -> None:
    save_grid(tmp_path / "sound.png", pictures(4), SETTINGS)
    data = (tmp_path / "sound.png").read_bytes()
    place = data.index(b"IDAT")
    few = zlib.compress(b"\0" * 40)
    for number, damaged in enumerate(
        (data[:-20], data[: place + 6] + b"\0" + data[place + 7 :], b"", data[:30],
         data[: place - 4] + png_chunk(b"IDAT", few) + png_chunk(b"IEND", b""))
    ):  # fmt: skip
        path = tmp_path / f"{number}.png"
        path.write_bytes(damaged)
        assert read_settings(path) is None
        with pytest.raises((Refused, OSError)):
            read_grid(path, 5, 4)


def test_that_a_picture_smaller_than_one_image_is_no_grid(tmp_path: Path) -> None:
    Image.new("L", (3, 3)).save(tmp_path / "small.png")
    with pytest.raises(Refused, match="smaller than one image"):
        read_grid(tmp_path / "small.png", 5, 4)
