"""The nearest training images, against brute force, and what a denoiser that only remembers would see."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_studio.core.denoisers.exact import MemorisingDenoiser
from diffusion_studio.data.imageset import ImageSet
from diffusion_studio.engine.chains import source as module
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.neighbours import nearest, remembered
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import memorising_source, training_images
from diffusion_studio.engine.chains.trajectory import Trajectory
from diffusion_studio.engine.runs.run import Run, RunError, owner_of
from support.chains import random_source, tables
from support.tiny import begin, finish, tiny_config, write_pictures

CPU = torch.device("cpu")


def image_set(count: int = 30, classes: int = 0) -> ImageSet:
    generator = np.random.default_rng(2)
    images = generator.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)
    labels = np.arange(count) % classes if classes else np.full(count, -1)
    return ImageSet(images, labels, tuple(map(str, range(classes))), (), (), "random", "random")


def finished(chain: Chain) -> Trajectory:
    record = Trajectory(chain)
    list(record.compute())
    return record


def brute_force(samples: np.ndarray, images: ImageSet) -> np.ndarray:
    """Root mean square difference of every sample to every image. (n, N)"""
    pixels = images.images.astype(np.float64) / 127.5 - 1
    return np.sqrt(((samples[:, None].astype(np.float64) - pixels[None]) ** 2).mean((2, 3, 4)))


@pytest.mark.parametrize("at_once", [1, 7, 30, 4096])
@pytest.mark.parametrize("count", [1, 3, 30])
def test_that_the_nearest_are_those_of_brute_force(monkeypatch, at_once, count):
    monkeypatch.setattr(module, "AT_ONCE", 64 * at_once)
    images = image_set()
    samples = np.random.default_rng(5).uniform(-1, 1, (4, 1, 8, 8)).astype(np.float32)
    found = nearest(samples, images, count)
    distances = brute_force(samples, images)
    np.testing.assert_array_equal(found.indices, distances.argsort(1)[:, :count])
    np.testing.assert_allclose(found.distances, np.sort(distances, 1)[:, :count], rtol=1e-5)


def test_that_there_are_no_more_neighbours_than_images():
    found = nearest(np.zeros((2, 1, 8, 8), np.float32), image_set(2), 3)
    assert found.indices.shape == found.distances.shape == (2, 2)


def test_that_a_training_image_is_no_distance_from_itself():
    images = image_set()
    found = nearest((images.images[[3, 8]] / np.float32(127.5) - 1).astype(np.float32), images)
    assert found.indices[:, 0].tolist() == [3, 8]
    np.testing.assert_allclose(found.distances[:, 0], 0, atol=1e-6)
    assert (found.distances[:, 1] > 0.1).all()


def test_that_a_memorising_chain_ends_on_its_neighbours():
    images = image_set(classes=2)
    record = finished(Chain(memorising_source(images, tables(), CPU), SampleSpec(steps=50, count=6), CPU))
    found = nearest(record.x0_hat(50), images)
    assert found.distances[:, 0].max() < 0.01
    assert images.labels[found.indices[:, 0]].tolist() == [0, 1, 0, 1, 0, 1]
    assert nearest(record.x0_hat(0), images).distances[:, 0].min() > 0.1


@pytest.mark.parametrize("classes", [0, 2])
def test_that_a_memorising_chain_sees_what_it_remembers(classes):
    images = image_set(classes=classes)
    chain = Chain(memorising_source(images, tables(), CPU), SampleSpec(steps=20, count=6), CPU)
    record = finished(chain)
    for k in (0, 11, 17):
        seen = remembered(record, k, images, 5)
        assert seen.shape == (5, 1, 8, 8)
        np.testing.assert_allclose(seen, record.x0_hat(k)[:5], atol=0.02)


@pytest.mark.parametrize("at_once", [1, 7, 4096])
@pytest.mark.parametrize("t", [1, 10, 20])
def test_that_images_are_remembered_piece_by_piece_as_well_as_at_once(monkeypatch, at_once, t):
    images, x, asked = image_set(classes=2), torch.randn(3, 1, 8, 8), torch.tensor([0, 1, -1])
    whole = memorising_source(images, tables(), CPU)
    monkeypatch.setattr(module, "AT_ONCE", 64 * at_once)
    monkeypatch.setattr(module, "WHOLE", 0)
    found = memorising_source(images, tables(), CPU)
    for _ in range(2):
        torch.testing.assert_close(
            found.denoiser(x, t, asked).x0_hat, whole.denoiser(x, t, asked).x0_hat, rtol=1e-5, atol=1e-5
        )
    told, known = (source.classifier.log_probs(x, t).float() for source in (found, whole))
    torch.testing.assert_close(told, known, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("label", "guidance"), [(-1, 1.0), (1, 1.0), (1, 0.0)])
def test_that_the_same_state_is_asked_about_with_the_same_class(label, guidance):
    images = image_set(classes=2)
    spec = SampleSpec(steps=10, count=4, label=label, guidance=guidance)
    record = finished(Chain(random_source(2), spec, CPU))
    k = 8
    pixels = torch.from_numpy(images.images / np.float32(127.5) - 1)
    denoiser = MemorisingDenoiser(tables(), pixels, torch.from_numpy(images.labels))
    labels = None if guidance == 0 else torch.tensor([0, 1, 0]) if label < 0 else torch.tensor([1, 1, 1])
    expected = denoiser(torch.from_numpy(record.x_t(k)[:3]), record.times[k], labels).x0_hat
    np.testing.assert_allclose(remembered(record, k, images, 3), expected, atol=1e-5)


def test_that_the_image_itself_is_compared_with_the_state_before():
    images = image_set()
    record = finished(Chain(random_source(), SampleSpec(steps=5, count=2), CPU))
    np.testing.assert_array_equal(remembered(record, 5, images, 2), remembered(record, 4, images, 2))


def test_that_a_run_and_its_checkpoint_lead_to_the_training_images(tmp_path):
    path = tmp_path / "run"
    finish(begin(path, tiny_config(steps=1)))
    (checkpoint,) = Run.open(path).checkpoint_folder.iterdir()
    assert owner_of(path) == owner_of(checkpoint) == path
    assert Run.owning(path) == Run.owning(checkpoint) == Run.open(path)
    shutil.copytree(checkpoint, tmp_path / "model")
    for place in (tmp_path / "model", tmp_path, Path("nowhere")):
        with pytest.raises(RunError, match="does not say which images it was trained on"):
            Run.owning(place)
        assert owner_of(place) is None


def test_that_images_kept_apart_are_no_training_images(tmp_path):
    zoo = write_pictures(tmp_path / "zoo")
    session = begin(tmp_path / "run", tiny_config(zoo, steps=1, held_out=0.5))
    finish(session)
    found = training_images(str(tmp_path / "run"))
    apart = {entry["file"] for entry in Run.open(tmp_path / "run").manifest["images"] if "apart" in entry}
    assert len(apart) == 6
    assert set(found.files) == set(session.images.files) - apart
    assert [found.label_name(n) for n, file in enumerate(found.files)] == [
        f.split("/")[0] for f in found.files
    ]
    place = [session.images.files.index(file) for file in found.files]
    assert np.array_equal(found.images, session.images.images[place])
    assert found.sizes.tolist() == session.images.sizes[place].tolist()
