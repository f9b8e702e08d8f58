"""Files hold exactly what was seen, and say how it was made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from diffusion_studio.core.describe import members, with_value
from diffusion_studio.core.samplers import DDPM, Sampler
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.chain_tree import ChainTree
from diffusion_studio.engine.chains.export import (
    FRAMES,
    STRIP_COLUMNS,
    STRIP_ROWS,
    check_suffix,
    run_chain,
    save_samples,
    save_trajectory,
)
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.files.pictures import enlarged, mosaic, read_settings
from diffusion_studio.engine.jobs.control import Control
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
        assert sorted(found) == ["class_names", "labels", "samples", "t", "x0_hat", "x_t"]
        assert {name: values.shape for name, values in found.items()} == {
            "class_names": (2,), "samples": (5, 1, 8, 8), "labels": (5,), "t": (7,), "x_t": (7, 5, 1, 8, 8),
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
            if name == "class_names":
                assert window[name].tolist() == line[name].tolist()
            else:
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
    with pytest.raises(ValueError, match=r"should end in \.png, \.gif, \.webp, \.apng, \.mp4 or \.npz"):
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


# --- strips and animations --------------------------------------------------------------------------------


def long_record(samples: int = 3, steps: int = 40) -> Trajectory:
    made = Trajectory(chain(steps=steps, count=samples))
    list(made.compute())
    return made


def frames_of(path: Path) -> tuple[list[np.ndarray], list[int]]:
    """Every frame (H, W) and how long it is shown in ms, as Pillow reads them."""
    with Image.open(path) as image:
        frames = [
            (np.asarray(frame.convert("L")), int(frame.info["duration"]))
            for frame in ImageSequence.Iterator(image)
        ]
        assert image.info["loop"] == 0
    return [frame for frame, _ in frames], [duration for _, duration in frames]


@pytest.mark.parametrize("view", ["x0_hat", "x_t", "noise"])
def test_that_a_strip_has_a_row_for_each_sample_and_a_column_for_each_state(tmp_path, view):
    made = long_record()
    save_trajectory(tmp_path / "strip.png", made, view, 7, SETTINGS, "strip")
    with Image.open(tmp_path / "strip.png") as image:
        pixels = np.asarray(image)
    factor = -(-256 // (3 * 10 - 2))
    assert pixels.shape == ((3 * 10 - 2) * factor, (STRIP_COLUMNS * 10 - 2) * factor)
    small = pixels[::factor, ::factor]
    states = np.unique(np.linspace(0, 40, STRIP_COLUMNS).round().astype(int))
    assert (states[0], states[-1]) == (0, 40)
    for column, k in enumerate(states):
        pictures = made.picture(view, int(k))[..., 0]
        for row in range(3):
            cell = small[10 * row : 10 * row + 8, 10 * column : 10 * column + 8]
            np.testing.assert_array_equal(cell, pictures[row])
    assert read_settings(tmp_path / "strip.png") == SETTINGS


def test_that_a_strip_shows_no_more_than_it_has(tmp_path):
    made = Trajectory(chain(steps=6, count=STRIP_ROWS + 5))
    list(made.compute(3))
    save_trajectory(tmp_path / "strip.png", made, "x_t", 0, {}, "strip")
    with Image.open(tmp_path / "strip.png") as image:
        width, height = image.size
    assert made.ready == 4
    factor = height // (10 * STRIP_ROWS - 2)
    assert (width, height) == (factor * (10 * 4 - 2), factor * (10 * STRIP_ROWS - 2))


@pytest.mark.parametrize("suffix", ["webp", "apng"])
def test_that_an_animation_without_loss_has_every_state_in_order(tmp_path, trajectory, suffix):
    save_trajectory(tmp_path / f"a.{suffix}", trajectory, "x_t", 0, SETTINGS)
    frames, durations = frames_of(tmp_path / f"a.{suffix}")
    assert len(frames) == 7
    for k, frame in enumerate(frames):
        expected = enlarged(mosaic(trajectory.picture("x_t", k)))[..., 0]
        np.testing.assert_array_equal(frame, expected)
    assert durations[-1] > 10 * max(durations[:-1])  # it rests on the image


@pytest.mark.parametrize("suffix", ["gif", "webp", "apng"])
def test_that_an_animation_carries_the_settings(tmp_path, trajectory, suffix):
    save_trajectory(tmp_path / f"a.{suffix}", trajectory, "x_t", 0, SETTINGS)
    with Image.open(tmp_path / f"a.{suffix}") as image:
        match suffix:
            case "gif":
                text = image.info["comment"].decode()
            case "webp":
                text = image.info["xmp"].decode()
            case _:
                image.load()
                text = image.text["diffusion_studio"]
    assert json.loads(text) == SETTINGS


def test_that_an_apng_gives_its_settings_back_like_a_picture(tmp_path, trajectory):
    save_trajectory(tmp_path / "a.apng", trajectory, "x_t", 0, SETTINGS)
    assert read_settings(tmp_path / "a.apng") == SETTINGS


def test_that_a_branch_is_written_with_the_part_that_is_its_parents(tmp_path, trajectory):
    changed = trajectory.chain.spec.model_copy(update={"seed": 9, "sampler": DDPM()})
    branch = Trajectory(Chain(trajectory.chain.source, changed, CPU), parent=trajectory, leaves=3)
    list(branch.compute())
    save_trajectory(tmp_path / "a.npz", branch, "x_t", 0, {})
    save_trajectory(tmp_path / "b.npz", trajectory, "x_t", 0, {})
    with np.load(tmp_path / "a.npz") as mine, np.load(tmp_path / "b.npz") as parents:
        np.testing.assert_array_equal(mine["t"], parents["t"])
        np.testing.assert_array_equal(mine["x_t"][:4], parents["x_t"][:4])
        np.testing.assert_array_equal(mine["x0_hat"][:3], parents["x0_hat"][:3])
        assert (mine["x_t"][4:] != parents["x_t"][4:]).any((1, 2, 3, 4)).all()


@pytest.mark.parametrize("kind", members(Sampler))
def test_that_the_settings_in_a_picture_restore_every_chain(tmp_path, trajectory, kind):
    tree = ChainTree(spec=with_value(SampleSpec(), "sampler.kind", kind)).branched(500).comparing(0)
    save_trajectory(
        tmp_path / "a.png", trajectory, "x_t", 2, {"tree": tree.model_dump(mode="json")} | SETTINGS
    )
    assert ChainTree.model_validate(read_settings(tmp_path / "a.png")["tree"]) == tree
