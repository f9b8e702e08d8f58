"""Pictures that are not square, and channels that are no colours, in every way in which a chain is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion_studio.core.denoisers.exact import GaussianDenoiser
from diffusion_studio.core.refused import Refused
from diffusion_studio.data.decode import Frame, decode
from diffusion_studio.data.imageset import channels_beside
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.export import run_chain, save_samples, save_trajectory
from diffusion_studio.engine.chains.first_state import images_of
from diffusion_studio.engine.chains.records import rough_picture
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import Source
from diffusion_studio.engine.chains.starts import NoisedStart
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.chains.views import VIEWS
from support.chains import tables
from support.tiny import CPU

SHAPES = [(1, (6, 10)), (3, (10, 6)), (2, (8, 8)), (4, (6, 10))]
SEEN = {1: (6, 10, 1), 3: (10, 6, 3), 2: (8, 16, 1), 4: (6, 40, 1)}


def chain_of(channels: int, sides: tuple[int, int], **changes: object) -> Chain:
    source = Source("folder", "exact", GaussianDenoiser(tables(50), 0.0, 0.5), sides, channels, ())
    return Chain(source, SampleSpec(**({"count": 3, "steps": 5} | changes)), CPU)


def test_that_channels_that_are_no_colours_are_grey_maps_from_left_to_right() -> None:
    values = np.arange(2 * 2 * 2 * 3).reshape(2, 2, 2, 3)
    seen = channels_beside(values)
    assert seen.shape == (2, 1, 2, 6)
    assert (seen[:, 0, :, :3] == values[:, 0]).all() and (seen[:, 0, :, 3:] == values[:, 1]).all()
    colours = np.zeros((2, 3, 4, 5))
    assert channels_beside(colours) is colours


@pytest.mark.parametrize(("channels", "sides"), SHAPES)
def test_that_every_view_of_a_chain_is_a_picture(channels: int, sides: tuple[int, int]) -> None:
    record = Trajectory(chain_of(channels, sides))
    for _ in record.compute():
        pass
    for view in VIEWS:
        assert record.picture(view, 2).shape == (3, *SEEN[channels])
    assert record.x_t(2).shape == (3, channels, *sides)


@pytest.mark.parametrize(("channels", "sides"), SHAPES)
def test_that_a_first_rough_picture_has_the_same_shape(channels: int, sides: tuple[int, int]) -> None:
    rough = rough_picture(Trajectory(chain_of(channels, sides, steps=40)), 20, "x0_hat")
    assert rough is not None and rough.shape == (3, *SEEN[channels])


@pytest.mark.parametrize(("channels", "sides"), SHAPES)
def test_that_samples_and_chains_are_written(channels: int, sides: tuple[int, int], tmp_path: Path) -> None:
    chain = chain_of(channels, sides)
    samples = run_chain(chain, keep=True)
    assert samples is not None
    record = Trajectory(chain)
    for _ in record.compute():
        pass
    height, width, _ = SEEN[channels]
    for suffix in (".png", ".gif", ".npz"):
        save_samples(tmp_path / f"samples{suffix}", samples, {}, True)
        save_trajectory(tmp_path / f"state{suffix}", record, "x_t", 2, {})
    save_trajectory(tmp_path / "strip.png", record, "x_t", 2, {}, "strip")
    with Image.open(tmp_path / "samples.png") as grid, Image.open(tmp_path / "strip.png") as strip:
        assert grid.width / grid.height == (2 * width + 2) / (2 * height + 2)
        assert strip.width / strip.height == (6 * width + 10) / (3 * height + 4)
    assert np.load(tmp_path / "samples.npz")["x_t"].shape == (6, 3, channels, *sides)


@pytest.mark.parametrize("sides", [(6, 12), (12, 6), (12, 12)])
def test_that_an_image_of_the_right_shape_is_only_scaled(sides: tuple[int, int], tmp_path: Path) -> None:
    height, width = sides
    pixels = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    Image.fromarray(pixels.repeat(3, 0).repeat(3, 1)).save(tmp_path / "large.png")
    Image.fromarray(pixels).save(tmp_path / "same.png")
    frame = Frame(height, 1, width=width)
    assert (decode(tmp_path / "same.png", frame).pixels[..., 0] == pixels).all()
    small = decode(tmp_path / "large.png", frame).pixels[..., 0]
    assert small.shape == sides and np.abs(small.astype(int) - pixels)[1:-1, 1:-1].max() <= 12


@pytest.mark.parametrize(("fit", "corner"), [("crop", 200), ("pad", 9), ("stretch", 200)])
def test_that_a_square_image_fits_a_wide_frame(fit: str, corner: int, tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 20), 200, np.uint8)).save(tmp_path / "a.png")
    frame = Frame(6, 1, fit, (9, 9, 9), width=12)
    pixels = decode(tmp_path / "a.png", frame).pixels[..., 0]
    assert pixels.shape == (6, 12) and pixels[3, 6] == 200 and pixels[3, 0] == corner


def test_that_a_chain_begins_at_an_image_where_its_channels_are_those_of_images(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 30), 200, np.uint8)).save(tmp_path / "a.png")
    start = NoisedStart(images=(str(tmp_path / "a.png"),))
    assert images_of(chain_of(1, (6, 10), start=start), 2).shape == (2, 1, 6, 10)
    with pytest.raises(Refused, match="No image can be brought to the 2 channels"):
        images_of(chain_of(2, (8, 8), start=start), 2)
