"""A trajectory is the chain of `core`, in whatever order and wherever it is kept."""

from __future__ import annotations

import gc
import itertools
import shutil
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion_studio.core.chain import reverse_chain
from diffusion_studio.core.denoisers.denoiser import FunctionDenoiser
from diffusion_studio.core.process.noise import CounterNoise
from diffusion_studio.core.refused import Refused
from diffusion_studio.core.samplers import DDIM, DDPM
from diffusion_studio.core.steps.clipping import Clip, Unclipped
from diffusion_studio.core.steps.kernel import posterior_variance
from diffusion_studio.engine.chains.chain import Chain
from diffusion_studio.engine.chains.distances import distance_to_end
from diffusion_studio.engine.chains.export import run_chain
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.chains.states import MEMORY_CAP
from diffusion_studio.engine.chains.trajectory import Trajectory
from support.chains import exact_source, learned_source, random_source

CPU = torch.device("cpu")
HALF = 2.0**-10  # relative rounding of float16, with some room
READ = ("x_t", "x0_hat", "eps_hat")
SPEC = SampleSpec(steps=7, count=3, sampler=DDIM(eta=0.6), seed=5)


def begun(spec: SampleSpec = SPEC, memory_cap: int = MEMORY_CAP, classes: int = 0) -> Trajectory:
    return Trajectory(Chain(random_source(classes), spec, CPU), memory_cap)


def computed(spec: SampleSpec = SPEC, memory_cap: int = MEMORY_CAP, classes: int = 0) -> Trajectory:
    made = begun(spec, memory_cap, classes)
    list(made.compute())
    return made


def everything(made: Trajectory) -> list[np.ndarray]:
    return [
        *(made.values(view, k) for k in range(made.steps + 1) for view in READ),
        made.sigma,
        made.eps_norm,
    ]


def maps_of_this_process() -> list[str]:
    """Nameless files that are mapped into memory."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in lines if "(deleted)" in line and "/tmp" in line]


@pytest.mark.parametrize("sampler", [DDIM(), DDIM(eta=1.0), DDPM(), DDPM(variance="fixed_large")])
@pytest.mark.parametrize("clip", [Clip(), Unclipped(), Clip(rederive=False)])
def test_that_its_states_are_those_of_the_core(sampler, clip):
    spec = SPEC.model_copy(update={"sampler": sampler, "clip": clip})
    made, source, noise = computed(spec), random_source(), CounterNoise(spec.seed)
    x = noise.start(source.shape(spec.count))
    steps = reverse_chain(source.denoiser, sampler, made.times, x, noise.step, None, clip)
    for step in steps:
        expected = {"x_t": step.x_t, "x0_hat": step.prediction.x0_hat}
        if not getattr(clip, "rederive", True):
            expected["eps_hat"] = step.prediction.eps_hat
        for view, values in expected.items():
            np.testing.assert_allclose(made.values(view, step.index), values.numpy(), rtol=HALF, atol=1e-4)
        assert made.sigma[step.index] == step.update.added_sigma
        size = step.prediction.eps_hat.square().mean((1, 2, 3)).sqrt()
        np.testing.assert_allclose(made.eps_norm[step.index], size.numpy(), rtol=1e-5)
        x = step.x_s
    np.testing.assert_allclose(made.x_t(made.steps), x.numpy(), rtol=HALF, atol=1e-4)


@pytest.mark.parametrize("memory_cap", [0, MEMORY_CAP])
def test_that_learned_noise_is_what_each_step_added(memory_cap):
    spec = SPEC.model_copy(update={"sampler": DDPM(variance="learned")})
    made = Trajectory(Chain(learned_source(), spec, CPU), memory_cap)
    assert np.isnan(made.sigma[:6]).all() and made.sigma[6] == 0
    assert next(made.compute()).done == 1
    assert np.isfinite(made.sigma[0]) and np.isnan(made.sigma[1])
    list(made.compute())
    tables = made.chain.source.tables
    for k, (t, s) in enumerate(itertools.pairwise(made.times)):
        if s == 0:
            assert not made.values("noise", k).any() and made.sigma[k] == 0
            continue
        large = tables.beta_between(t, s)
        small = posterior_variance(tables, t, s)
        v = 1 / (1 + np.exp(-3 * made.x_t(k).astype(np.float64)))
        sigma = np.exp(v * np.log(large) + (1 - v) * np.log(small)) ** 0.5
        z = CounterNoise(spec.seed).step(t, made.chain.shape).numpy()
        np.testing.assert_allclose(made.values("noise", k), sigma * z, rtol=0.01, atol=1e-3)
        assert made.sigma[k] == pytest.approx((sigma**2).mean() ** 0.5, rel=1e-3)
        mean = tables.alpha_bar_at(s) ** 0.5 * made.x0_hat(k)
        mean = mean + (1 - tables.alpha_bar_at(s) - small) ** 0.5 * made.values("eps_hat", k)
        np.testing.assert_allclose(mean + made.values("noise", k), made.x_t(k + 1), atol=0.01)


def test_that_a_branch_shows_the_learned_noise_of_its_parent():
    spec = SPEC.model_copy(update={"sampler": DDPM(variance="learned")})
    parent = Trajectory(Chain(learned_source(), spec, CPU))
    branch = Trajectory(Chain(learned_source(), spec, CPU), parent=parent, leaves=3)
    list(branch.compute())
    list(parent.compute())
    for k in range(8):
        np.testing.assert_allclose(branch.values("noise", k), parent.values("noise", k), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(branch.sigma, parent.sigma, rtol=1e-4)


def test_that_a_denoiser_without_a_learned_variance_is_refused_before_the_chain_starts():
    spec = SPEC.model_copy(update={"sampler": DDPM(variance="learned")})
    with pytest.raises(ValueError, match="random learned no variance"):
        begun(spec)
    with pytest.raises(ValueError, match="random learned no variance"):
        run_chain(Chain(random_source(), spec, CPU), False, lambda done, total: pytest.fail("it began"))


@pytest.mark.parametrize(("value", "clip"), [(np.nan, Clip()), (np.nan, Unclipped()), (np.inf, Unclipped())])
def test_that_a_network_that_answers_without_numbers_is_told(value, clip):
    source = random_source()

    def broken(x_t: torch.Tensor, t: int) -> torch.Tensor:
        return torch.full_like(x_t, value) if t < 30 else x_t

    spec = SPEC.model_copy(update={"clip": clip})
    chain = Chain(replace(source, denoiser=FunctionDenoiser(source.tables, broken)), spec, CPU)
    made = Trajectory(chain)
    with pytest.raises(Refused, match=r"random ran into values that are not numbers at t = \d\d?:"):
        list(made.compute())
    assert 0 < made.ready < made.steps and np.isfinite(made.x_t(made.ready - 1)).all()
    with pytest.raises(Refused, match="not numbers"):
        run_chain(chain, False)


@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from(READ)), max_size=30))
@settings(max_examples=10)
def test_that_states_do_not_depend_on_the_order_in_which_they_are_visited(visits):
    made, untouched = computed(), computed()
    for k, view in visits:
        made.values(view, k)[...] = 7.0  # what is handed out is a copy
    for mine, other in zip(everything(made), everything(untouched), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("left_at", range(8))
def test_that_it_can_be_left_and_taken_up_again(left_at):
    made = begun()
    for _ in zip(range(left_at), made.compute(), strict=False):
        pass
    list(made.compute())
    assert made.is_complete
    for mine, other in zip(everything(made), everything(computed()), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert not list(made.compute())


def test_that_a_record_on_disk_equals_one_in_memory():
    on_disk = computed(memory_cap=0)
    assert isinstance(on_disk.states.arrays["x_t"], np.memmap)
    for mine, other in zip(everything(on_disk), everything(computed()), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_that_it_keeps_to_the_cap():
    size = begun().size
    assert not isinstance(begun(memory_cap=size).states.arrays["x_t"], np.memmap)
    assert isinstance(begun(memory_cap=size - 1).states.arrays["x_t"], np.memmap)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not list what is mapped")
def test_that_the_last_reference_gives_the_disk_back():
    before = len(maps_of_this_process())
    made = computed(memory_cap=0)
    assert len(maps_of_this_process()) > before
    del made
    gc.collect()
    assert len(maps_of_this_process()) == before


def test_that_a_chain_that_is_still_computed_may_be_forgotten():
    made = begun(memory_cap=0)
    told, gone = made.compute(), weakref.ref(made)
    next(told)
    del made
    assert len(list(told)) == 6
    del told
    assert gone() is None


def test_that_a_record_larger_than_the_disk_is_refused_with_a_sentence(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(ValueError, match=r"takes .* GB, but .* has only .* left\. Choose fewer images"):
        begun(memory_cap=0)


def test_that_nothing_uncomputed_is_ever_read():
    made = begun()
    made.states.arrays["x_t"].fill(np.nan)
    made.states.arrays["x0_hat"].fill(np.nan)
    assert made.ready == made.estimates == 0
    for view in READ:
        with pytest.raises(IndexError, match="not computed"):
            made.values(view, 0)
    for number, told in enumerate(made.compute(), start=1):
        assert (told.done, told.total) == (number, 7)
        assert made.estimates == number
        assert made.ready == (8 if number == 7 else number)
        for k in range(made.ready):
            for view in READ:
                assert np.isfinite(made.values(view, k)).all()
            assert made.picture("x0_hat", k).shape == (3, 8, 8, 1)
        assert np.isfinite(distance_to_end(made)).all()
        for k in (-1, made.ready, made.ready + 1):
            with pytest.raises(IndexError):
                made.x_t(k)


def test_that_the_last_state_is_the_image_without_noise():
    made = computed()
    np.testing.assert_array_equal(made.x0_hat(7), made.x_t(7))
    assert not made.values("eps_hat", 7).any()


def test_that_state_is_image_and_noise_in_the_shares_of_the_schedule():
    made = computed(SPEC.model_copy(update={"clip": Unclipped()}))
    for k in range(made.steps):
        alpha_bar = made.chain.source.tables.alpha_bar_at(made.times[k])
        again = alpha_bar**0.5 * made.x0_hat(k) + (1 - alpha_bar) ** 0.5 * made.values("eps_hat", k)
        np.testing.assert_allclose(again, made.x_t(k), atol=2e-3)


def test_that_pictures_are_pixels():
    made = computed(SPEC.model_copy(update={"count": 2}))
    for view in ("x0_hat", "x_t", "eps_hat"):
        picture = made.picture(view, 3)
        assert picture.dtype == np.uint8
        assert picture.shape == (2, 8, 8, 1)
    expected = (made.x0_hat(3).clip(-1, 1) + 1) * 127.5
    np.testing.assert_allclose(made.picture("x0_hat", 3)[..., 0], expected[:, 0], atol=0.51)


def test_that_the_distance_ends_at_nothing():
    distance = distance_to_end(computed())
    assert distance.shape == (7, 3)
    assert (distance >= 0).all()
    assert not distance[-1].any()


def test_that_the_memorising_chain_ends_on_an_image_of_the_data():
    source, data = exact_source(classes=2)
    made = Trajectory(Chain(source, SampleSpec(steps=50, count=4), CPU))
    list(made.compute())
    for number, image in enumerate(made.x_t(50)):
        distances = np.abs(data.pixels - image).max((1, 2, 3))
        assert distances.min() < 0.02
        assert data.labels[distances.argmin()] == number % 2  # classes in turn
