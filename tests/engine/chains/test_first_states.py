"""Chains that begin at images: noised, inverted, or between two; and how well an image comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_studio.core.denoisers.exact import GaussianDenoiser
from diffusion_studio.core.process.spacing import ExplicitSpacing, TrailingSpacing
from diffusion_studio.core.samplers import DDIM, DDPM, SigmaCurve
from diffusion_studio.core.steps.clipping import Unclipped
from diffusion_studio.core.steps.inversion import slerp
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.first_state import images_of, read_images
from diffusion_studio.engine.chains.reconstruction import COUNTS, reconstructions
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.source import Source
from diffusion_studio.engine.chains.starts import (
    InterpolatedStart,
    InvertedStart,
    NoisedStart,
    NoiseStart,
    Start,
)
from diffusion_studio.engine.chains.trajectory import Trajectory
from support import hostile
from support.chains import random_source, tables

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path) -> tuple[str, str]:
    """Two grey 8 × 8 pictures."""
    generator = np.random.default_rng(4)
    for name in ("a", "b"):
        Image.fromarray(generator.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    return str(tmp_path / "a.png"), str(tmp_path / "b.png")


def pixels_of(file: str) -> np.ndarray:
    """(1, H, W) in [−1, 1], read without the product."""
    with Image.open(file) as image:
        return np.asarray(image, np.float32)[None] / 127.5 - 1


def exact_source(T: int = 50, std: float = 0.5) -> Source:
    """The exact denoiser of N(0, std² I)."""
    return Source("folder", "exact", GaussianDenoiser(tables(T), 0.0, std), (8, 8), 1, ())


def chain(start: Start, source: Source | None = None, **values) -> Chain:
    defaults = {"steps": 50, "count": 2, "sampler": DDIM(), "clip": Unclipped()}
    return Chain(source or exact_source(), SampleSpec(**(defaults | {"start": start} | values)), CPU)


def finished(made: Chain) -> Trajectory:
    record = Trajectory(made)
    list(record.compute())
    return record


# --- reading ----------------------------------------------------------------------------------------------


def test_that_inversion_says_when_it_asks():
    assert "asked at s" in InvertedStart.summary
    assert "asks it at t" in InvertedStart.summary


def test_that_an_own_picture_can_be_followed_up_the_forward_process(files):
    """Luo figure 3: one noise for all t, the picture at t = 0 and hardly anything of it at T."""
    made = chain(NoisedStart(images=files[:1], share=1.0), count=2)
    record = finished(made)
    picture, noise = made.given.numpy(), made.noise.start(made.shape).numpy()
    for k, t in enumerate(record.times):
        a = made.source.tables.alpha_bar_at(t)
        expected = a**0.5 * picture + (1 - a) ** 0.5 * noise
        np.testing.assert_allclose(record.values("forward", k), expected, atol=1e-5)
    np.testing.assert_allclose(record.values("forward", record.steps)[0], pixels_of(files[0]), atol=1e-5)


def test_that_without_a_picture_the_finished_image_is_followed():
    record = finished(chain(NoiseStart()))
    np.testing.assert_array_equal(record.values("forward", record.steps), record.x_t(record.steps))


def test_that_images_are_read_as_for_training(files):
    found = read_images(files, (8, 8), 1)
    assert (found.dtype, found.shape) == (torch.float32, (2, 1, 8, 8))
    for number, file in enumerate(files):
        np.testing.assert_allclose(found[number], pixels_of(file), atol=1e-6)


@pytest.mark.parametrize(("size", "channels"), [((40, 20), 3), ((5, 9), 1), ((8, 8), 3)])
def test_that_an_image_of_another_size_is_brought_to_the_models(tmp_path, size, channels):
    Image.new("RGB", size, (255, 0, 0)).save(tmp_path / "red.png")
    found = read_images([str(tmp_path / "red.png")], (8, 8), channels)
    assert found.shape == (1, channels, 8, 8)
    if channels == 3:
        np.testing.assert_allclose(found[0, :, 3, 3], [1, -1, -1])


def test_that_images_are_repeated_in_turn(files):
    found = images_of(chain(NoisedStart(images=files), count=5), 5)
    for number in range(5):
        np.testing.assert_allclose(found[number], pixels_of(files[number % 2]), atol=1e-6)


# --- noised -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 1.0])
def test_that_a_noised_start_has_the_mean_and_variance_of_the_forward_process(files, share):
    made = chain(NoisedStart(images=files[:1], share=share), count=4000)
    assert made.times[0] == round(50 * share)
    alpha_bar = made.source.tables.alpha_bar_at(made.times[0])
    x, x_0 = made.start().numpy(), pixels_of(files[0])
    error = (1 - alpha_bar) ** 0.5 / 4000**0.5
    np.testing.assert_allclose(x.mean(0), alpha_bar**0.5 * x_0, atol=5 * error)
    assert ((x - alpha_bar**0.5 * x_0) ** 2).mean() == pytest.approx(1 - alpha_bar, rel=0.01)


def test_that_what_was_added_to_a_noised_image_is_the_noise_of_the_seed(files):
    made = chain(NoisedStart(images=files, share=0.5), seed=3)
    alpha_bar = made.source.tables.alpha_bar_at(25)
    noise = chain(NoiseStart(), seed=3).start()
    images = images_of(made, 2)
    torch.testing.assert_close(made.start(), alpha_bar**0.5 * images + (1 - alpha_bar) ** 0.5 * noise)


def test_that_less_of_an_image_survives_the_higher_it_is_noised(files):
    errors = []
    for share in (0.04, 0.2, 0.5, 1.0):
        record = finished(chain(NoisedStart(images=files, share=share), sampler=DDPM(), count=16))
        images = images_of(record.chain, 16).numpy()
        errors.append(float(np.abs(record.x_t(record.steps) - images).mean()))
    assert errors == sorted(errors)
    assert errors[0] < 0.15 < errors[-1]


# --- inverted ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 0.95, 1.0])
def test_that_an_inverted_image_comes_back(files, share):
    record = finished(chain(InvertedStart(images=files, share=share, rounds=12)))
    assert record.times[0] == round(50 * share)
    images = images_of(record.chain, 2).numpy()
    np.testing.assert_allclose(record.x_t(record.steps), images, atol=2e-3)


def test_that_the_noise_of_an_image_is_the_one_of_the_probability_flow(files):
    """Of N(0, a² I) the flow is known: x̃ grows as √(a² + ς²)."""
    made = chain(InvertedStart(images=files, share=1.0), exact_source(1000), steps=1000)
    level = made.source.tables.noise_level_at(1000)
    stretch = made.source.tables.alpha_bar_at(1000) ** 0.5 * (0.25 + level**2) ** 0.5 / 0.5
    torch.testing.assert_close(made.start(), images_of(made, 2) * stretch, rtol=0.03, atol=1e-3)


def test_that_the_steps_of_an_inversion_are_told(files):
    record = Trajectory(chain(InvertedStart(images=files, share=0.5), steps=10))
    told = list(record.compute())
    going_up = [event for event in told if event.doing]
    assert [event.doing for event in going_up] == [f"inverting: t = {t}" for t in reversed(record.times[:-1])]
    assert {event.done for event in going_up} == {0}
    assert [event.done for event in told[len(going_up) :]] == list(range(1, record.steps + 1))


def test_that_an_inversion_hears_the_class(files):
    source = random_source(3)
    starts = [
        chain(InvertedStart(images=files, share=0.5), source, label=label).start() for label in (0, 1, -1)
    ]
    assert not torch.equal(starts[0], starts[1])
    torch.testing.assert_close(starts[2][0], starts[0][0])  # all classes in turn: the first image has class 0
    torch.testing.assert_close(starts[2][1], starts[1][1])


# --- between two ------------------------------------------------------------------------------------------


def test_that_the_ends_of_an_interpolation_are_the_two_images_inverted(files):
    between = chain(InterpolatedStart(images=files), count=5).start()
    ends = chain(InvertedStart(images=files), count=2).start()
    torch.testing.assert_close(between[[0, 4]], ends, rtol=1e-4, atol=1e-5)
    for number in range(5):
        torch.testing.assert_close(between[number], slerp(ends[:1], ends[1:], number / 4)[0])
    lengths = between.flatten(1).norm(dim=1)
    assert lengths.min() > 0.98 * min(lengths[0], lengths[4])  # a straight line would be shorter


def test_that_chains_between_two_images_begin_and_end_at_them(files):
    record = finished(chain(InterpolatedStart(images=files, rounds=12), count=3))
    images = images_of(record.chain, 2).numpy()
    np.testing.assert_allclose(record.x_t(record.steps)[[0, 2]], images, atol=5e-3)


# --- what cannot be ---------------------------------------------------------------------------------------

KINDS = [NoisedStart, InvertedStart, InterpolatedStart]


@pytest.mark.parametrize("kind", KINDS)
def test_that_a_start_without_an_image_asks_for_one(kind):
    with pytest.raises(ValueError, match="Choose an image first"):
        Trajectory(chain(kind()))
    with pytest.raises(ValueError, match=r"^Choose (an image first|two images)"):
        chain(kind()).start()


@pytest.mark.parametrize("kind", sorted({"folder", "pipe", "device"} & set(hostile.KINDS)))
def test_that_an_image_that_is_no_file_is_named(tmp_path, kind):
    hostile.put(tmp_path / "broken.png", kind)
    made = chain(InvertedStart(images=(str(tmp_path / "broken.png"),)))
    with pytest.raises(
        ValueError, match=r"broken\.png cannot be used: It is no regular file\. Choose another"
    ):
        made.start()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [None, b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_that_an_image_that_cannot_be_read_is_named(files, tmp_path, kind, content):
    if content is not None:
        (tmp_path / "broken.png").write_bytes(content)
    made = Trajectory(chain(kind(images=(files[0], str(tmp_path / "broken.png")))))
    with pytest.raises(
        ValueError, match=r"broken\.png cannot be used: .*\. Choose another image\."
    ) as caught:
        list(made.compute())
    assert str(tmp_path) not in str(caught.value)
    assert made.ready == 0


@pytest.mark.parametrize("number", [1, 3])
def test_that_an_interpolation_needs_two_images(files, number):
    made = chain(InterpolatedStart(images=(*files, files[0])[:number]))
    with pytest.raises(ValueError, match="Choose two images"):
        made.start()
    with pytest.raises(ValueError, match="Choose two images"):
        Trajectory(made)  # before anything is computed


# --- the way back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rounds", "order"), [(0, 1), (1, 2)])
def test_that_the_error_of_the_way_back_falls_with_the_number_of_steps(files, rounds, order):
    """One further call makes a step of the first order one of the second."""
    start = InvertedStart(images=files, share=1.0, rounds=rounds)
    made = chain(start, exact_source(1000), count=7, steps=3)
    found = [part for part in reconstructions(made) if part is not None]
    assert tuple(part.steps for part in found) == COUNTS
    errors = np.array([part.errors for part in found])
    assert errors.shape == (len(COUNTS), 2)  # one for each image, however many chains are shown
    assert (np.diff(errors, axis=0) < 0).all()
    assert errors[-1].max() < 0.01 < errors[0].min()
    slope = np.polyfit(np.log(COUNTS[2:]), np.log(errors[2:].mean(1)), 1)[0]
    assert slope == pytest.approx(-order, abs=0.2)


@pytest.mark.parametrize("kind", [InvertedStart, InterpolatedStart])
def test_that_an_inverted_picture_is_approached_in_halves(kind):
    start = kind(images=("a", "b"), share=0.1)
    halves = SampleSpec(steps=50, start=start).times(tables(1000))
    assert halves == (100, 80, 60, 40, 20, 10, 5, 2, 1, 0)
    given = SampleSpec(start=start, spacing=ExplicitSpacing(values=(20, 40)))
    assert given.times(tables(1000)) == (100, 40, 20, 0)
    drawn = SampleSpec(steps=50, start=start, sampler=SigmaCurve(points=((0.0, 0.01), (1000.0, 0.3))))
    assert drawn.times(tables(1000)) == (100, 80, 60, 40, 20, 0)
    assert SampleSpec(steps=50).times(tables(1000))[-3:] == (40, 20, 0)


def test_that_what_a_network_takes_for_noise_comes_back_all_the_same(files):
    """Exact for a distribution that holds some pixels for nearly flat, which those given are not."""
    narrow = torch.logspace(-1.3, 0, 64, dtype=torch.float64).view(1, 8, 8)
    source = Source("folder", "exact", GaussianDenoiser(tables(1000), 0.0, narrow), (8, 8), 1, ())
    start = InvertedStart(images=files, share=0.9, rounds=3)

    def lost(**values) -> float:
        made = chain(start, source, **values)
        back = finished(made).x_t(len(made.times) - 1)
        return float((127.5 * (back - images_of(made, 2).numpy())).std())

    even = TrailingSpacing().times(source.tables, 50)[::-1][1:]
    assert lost() < 0.1
    assert lost(spacing=ExplicitSpacing(values=even)) > 1


def test_that_no_more_steps_are_tried_than_there_are(files):
    made = chain(InvertedStart(images=files, share=1.0), exact_source(60))
    assert [part.steps for part in reconstructions(made) if part is not None] == [10, 20, 50]


def test_that_the_way_back_can_be_stopped_between_any_two_steps(files):
    told = list(reconstructions(chain(InvertedStart(images=files, share=1.0), exact_source(20))))
    assert sum(part is None for part in told) == 2 * (11 + 20)  # the even times of T = 20 end in 2, 1


def test_that_the_way_back_is_that_of_the_chain_itself(files):
    """The error at S is the one that a chain of S steps ends with."""
    made = chain(InvertedStart(images=files, share=0.9), steps=20)
    record = finished(made)
    apart = record.x_t(record.steps) - images_of(made, 2).numpy()
    error = next(part.errors for part in reconstructions(made) if part is not None and part.steps == 20)
    np.testing.assert_allclose(np.sqrt((apart**2).mean((1, 2, 3))), error, rtol=0.02)


def test_that_paths_may_be_of_any_script(tmp_path):
    folder = tmp_path / "山水 größe"
    folder.mkdir()
    Image.new("L", (8, 8), 90).save(folder / "bild eins.png")
    made = chain(InvertedStart(images=(str(Path(folder) / "bild eins.png"),), share=0.5), count=1)
    assert torch.isfinite(made.start()).all()
