"""Files hold exactly what was seen, and say how it was made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from diffusion_studio.engine.control import Control
from diffusion_studio.engine.export import FRAMES, check_suffix, run_chain, save_samples, save_trajectory
from diffusion_studio.engine.pictures import enlarged, mosaic, read_settings
from diffusion_studio.engine.sample_spec import SampleSpec
from diffusion_studio.engine.sampling import Chain
from diffusion_studio.engine.trajectory import Trajectory
from support.chains import random_source

CPU = torch.device("cpu")
SETTINGS = {"model": "Größe", "sample": SampleSpec().model_dump(mode="json"), "position": 3}


def chain(classes: int = 2, **spec) -> Chain:
    return Chain(random_source(classes), SampleSpec(**{"steps": 6, "count": 5} | spec), CPU)


@pytest.fixture
def trajectory():
    made = Trajectory(chain())
    list(made.compute())
    return made


def test_that_npz_holds_the_chain_of_the_core_to_half_precision(tmp_path, trajectory):
    save_trajectory(tmp_path / "a.npz", trajectory, "x_t", 2, SETTINGS)
    steps = list(chain().steps())
    with np.load(tmp_path / "a.npz") as found:
        assert sorted(found) == ["labels", "samples", "t", "x0_hat", "x_t"]
        assert {name: values.shape for name, values in found.items()} == {
            "samples": (5, 1, 8, 8), "labels": (5,), "t": (7,), "x_t": (7, 5, 1, 8, 8),
            "x0_hat": (6, 5, 1, 8, 8),
        }  # fmt: skip
        assert found["samples"].dtype == found["x_t"].dtype == found["x0_hat"].dtype == np.float32
        assert found["t"].tolist() == [s.t for s in steps] + [0]
        assert found["labels"].tolist() == [0, 1, 0, 1, 0]
        for k, step in enumerate(steps):
            np.testing.assert_allclose(found["x_t"][k], step.x_t, rtol=2**-10, atol=1e-4)
            np.testing.assert_allclose(found["x0_hat"][k], step.prediction.x0_hat, rtol=2**-10, atol=1e-4)
        np.testing.assert_allclose(found["samples"], steps[-1].x_s.clip(-1, 1), atol=1e-3)
        assert np.abs(found["samples"]).max() <= 1


def test_that_the_window_and_the_command_line_write_the_same_numbers(tmp_path, trajectory):
    save_trajectory(tmp_path / "window.npz", trajectory, "x_t", 0, SETTINGS)
    save_samples(tmp_path / "line.npz", run_chain(chain(), keep=True), SETTINGS, trajectory=True)
    with np.load(tmp_path / "window.npz") as window, np.load(tmp_path / "line.npz") as line:
        assert sorted(window) == sorted(line)
        for name in line:
            assert window[name].dtype == line[name].dtype
            np.testing.assert_allclose(window[name], line[name], rtol=2**-10, atol=1e-4)


@pytest.mark.parametrize("view", ["x0_hat", "x_t", "eps_hat"])
def test_that_png_is_the_picture_that_is_shown_with_its_settings(tmp_path, trajectory, view):
    path = tmp_path / "new folder" / "a.png"
    save_trajectory(path, trajectory, view, 3, SETTINGS)
    assert read_settings(path) == SETTINGS
    assert SampleSpec.model_validate(read_settings(path)["sample"]) == SampleSpec()
    with Image.open(path) as image:
        pixels = np.asarray(image)
    expected = enlarged(mosaic(trajectory.picture(view, 3)), 512)[..., 0]
    assert min(pixels.shape) >= 512
    np.testing.assert_array_equal(pixels, expected)


def test_that_gif_goes_from_noise_to_image_without_end(tmp_path, trajectory):
    save_trajectory(tmp_path / "a.gif", trajectory, "x_t", 0, SETTINGS)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info["loop"] == 0
        frames = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(image)]
    assert len(frames) == 7
    for k, frame in enumerate(frames):
        expected = enlarged(mosaic(trajectory.picture("x_t", k)))[..., 0]
        np.testing.assert_allclose(frame.astype(int), expected, atol=2)


def test_that_a_long_chain_is_thinned_out_but_keeps_both_ends(tmp_path):
    made = Trajectory(Chain(random_source(T=400), SampleSpec(steps=399, count=1), CPU))
    list(made.compute())
    save_trajectory(tmp_path / "a.gif", made, "x_t", 0, {})
    with Image.open(tmp_path / "a.gif") as image:
        frames = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(image)]
    assert len(frames) <= FRAMES + 1
    for frame, k in ((frames[0], 0), (frames[-1], 399)):
        np.testing.assert_allclose(
            frame.astype(int), enlarged(mosaic(made.picture("x_t", k)))[..., 0], atol=2
        )


@pytest.mark.parametrize("done", range(2, 7))
@pytest.mark.parametrize("suffix", ["png", "gif", "npz"])
def test_that_the_part_that_is_computed_can_be_written(tmp_path, done, suffix):
    made = Trajectory(chain())
    for _ in zip(range(done), made.compute(), strict=False):
        pass
    save_trajectory(tmp_path / f"a.{suffix}", made, "x0_hat", 0, {})
    assert (tmp_path / f"a.{suffix}").stat().st_size > 0


@pytest.mark.parametrize("done", [0, 1])
def test_that_a_chain_that_is_not_begun_is_refused_with_a_sentence(tmp_path, done):
    made = Trajectory(chain())
    for _ in zip(range(done), made.compute(), strict=False):
        pass
    with pytest.raises(ValueError, match="not computed yet"):
        save_trajectory(tmp_path / "a.npz", made, "x0_hat", 0, {})


@pytest.mark.parametrize("name", ["a.txt", "a", "npz", "a.npz.zip"])
def test_that_a_file_of_an_unknown_kind_is_refused(tmp_path, trajectory, name):
    with pytest.raises(ValueError, match=r"should end in \.png, \.gif, \.webp, \.apng or \.npz"):
        check_suffix(tmp_path / name)
    with pytest.raises(ValueError, match="should end in"):
        save_trajectory(tmp_path / name, trajectory, "x_t", 0, {})
    assert not (tmp_path / name).exists()


def test_that_a_stopped_chain_gives_nothing():
    control = Control()
    assert run_chain(chain(), keep=False, progress=lambda *_: control.stop(), control=control) is None


def test_that_only_what_is_kept_is_in_memory():
    made = run_chain(chain(classes=0), keep=False)
    assert not made.x_t
    assert not made.x0_hat
    assert made.labels.tolist() == [-1] * 5
    assert made.samples.dtype == np.float32
